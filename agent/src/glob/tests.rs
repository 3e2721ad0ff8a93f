//! Scenario: names are compared with patterns.

use super::*;

/// Guarantees: `*` matches any characters, also none. Letter case is ignored.
#[test]
fn star_matches_any_characters() {
    for (pattern, name, expected) in [
        ("app.log", "APP.log", true),
        ("app.log", "app.log.1", false),
        ("*", "", true),
        ("*.log", "app.log", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*bb*b", "abb", false),
        ("a*a", "a", false),
        ("**x", "x", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}
