//! Scenario: a settings file contains any text.

use super::*;
use crate::config::file::parse;

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Scenario: any text is parsed.
    /// Guarantees: the result is settings or an error that can be displayed; nothing panics.
    #[test]
    fn any_text_parses_without_panic(text in "\\PC{0,60}") {
        let _ = parse(Path::new("config.json"), text).map_err(|error| error.to_string());
    }

    /// Scenario: any sequence of pieces of settings, which gets further into the parser, is parsed.
    /// Guarantees: nothing panics.
    #[test]
    fn any_pieces_parse_without_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)) {
        let _ = parse(Path::new("config.json"), pieces.concat()).map_err(|error| error.to_string());
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "/",
    "//",
    "/*",
    "*/",
    "#",
    "\n",
    " ",
    "\u{e4}",
    "\u{0}",
    "-",
    "1e9",
    "null",
    "true",
    "{\"host\":",
    "\"enabled\"",
    "{\"collector\":{\"headers\":",
    "\"authorization\"",
    "\"logs\"",
    "\"layouts\"",
    "\"\\ud800\"",
    "{\"queue\":{\"max_bytes\":",
    "99999999999999999999",
];
