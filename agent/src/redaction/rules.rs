//! The redaction rules, in their order.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::hints::Hints;
use super::{UserIdentity, numbers};
use crate::config::RedactionSettings;

/// One redaction rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name in settings and counters.
    pub name: String,
    /// The text that replaces a match.
    pub placeholder: String,
    pub(super) hints: Hints,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    /// Redacts the groups of a match, or the whole match if it has no groups. Ranges that the
    /// function rejects are kept.
    Regex(Regex, fn(&str) -> bool),
    /// Redacts matches that are whole words.
    Word(Regex),
    Scan(fn(&str, &mut dyn FnMut(Range<usize>))),
}

impl Rule {
    fn new(name: &str, label: &str, hints: Hints, matcher: Matcher) -> Self {
        Self { name: name.to_owned(), placeholder: format!("[{label}]"), hints, matcher }
    }

    /// Calls `found` with every range to redact.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        match &self.matcher {
            Matcher::Scan(scan) => scan(text, &mut found),
            Matcher::Word(regex) => {
                let bounds = |range: &Range<usize>| {
                    let [before, after] = [text[..range.start].chars().next_back(), text[range.end..].chars().next()];
                    ![before, after].into_iter().flatten().any(char::is_alphanumeric)
                };
                regex.find_iter(text).map(|word| word.range()).filter(bounds).for_each(found);
            }
            Matcher::Regex(regex, accepts) => {
                for groups in regex.captures_iter(text) {
                    let whole = usize::from(groups.len() > 1);
                    for group in groups.iter().skip(whole).flatten().filter(|group| accepts(group.as_str())) {
                        found(group.range());
                    }
                }
            }
        }
    }
}

/// User names that are ordinary words in logs.
const COMMON_NAMES: &[&str] = &[
    "admin",
    "administrator",
    "app",
    "build",
    "connect",
    "default",
    "demo",
    "dev",
    "guest",
    "local",
    "public",
    "root",
    "runner",
    "service",
    "support",
    "system",
    "test",
    "trader",
    "user",
    "users",
    "vagrant",
    "desktop",
    "info",
    "error",
];
/// Minimum length of a user name. Shorter names occur in too many words and paths.
const MIN_NAME_CHARS: usize = 3;

/// Creates the rules that the settings enable, in their order: the first rule that finds a range
/// sets its placeholder.
pub(super) fn enabled(settings: &RedactionSettings, user: &UserIdentity) -> Vec<Rule> {
    let mut rules = Vec::new();
    if settings.credentials {
        let of_regex = |regex: &LazyLock<Option<Regex>>, hints, accepts: fn(&str) -> bool| {
            let matcher = (**regex).clone().map(|regex| Matcher::Regex(regex, accepts));
            matcher.map(|matcher| Rule::new("credentials", "credential", hints, matcher))
        };
        let address = Hints::URL.with(Hints::AT_SIGN);
        rules.extend(of_regex(&PRIVATE_KEY, Hints::TOKEN_SHAPE, accept_all));
        rules.extend(of_regex(&HEADER, Hints::SECRET_KEY, accept_all));
        rules.extend(of_regex(&KEY_AND_VALUE, Hints::SECRET_KEY, is_secret));
        rules.extend(of_regex(&KEY_AND_VALUE_IN_XML_OR_ARGUMENTS, Hints::SECRET_KEY, is_secret));
        rules.extend(of_regex(&URL_USER_INFO, address, accept_all));
        rules.extend(of_regex(&TOKEN_SHAPE, Hints::TOKEN_SHAPE, accept_all));
    }
    let mut add = |on: bool, name: &str, label: &str, hints: Hints, matcher: Option<Matcher>| {
        rules.extend(matcher.filter(|_| on).map(|matcher| Rule::new(name, label, hints, matcher)));
    };
    let regex =
        |regex: &LazyLock<Option<Regex>>, accepts| (**regex).clone().map(|regex| Matcher::Regex(regex, accepts));
    add(settings.email, "email", "email", Hints::AT_SIGN, regex(&EMAIL, is_email));
    let scan = |scan: fn(&str, &mut dyn FnMut(Range<usize>))| Some(Matcher::Scan(scan));
    add(
        settings.payment_cards,
        "payment_cards",
        "card",
        Hints::DIGITS,
        scan(|text, found| numbers::find_cards(text, found)),
    );
    add(settings.ibans, "ibans", "iban", Hints::DIGITS, scan(|text, found| numbers::find_ibans(text, found)));
    add(
        settings.phone_numbers,
        "phone_numbers",
        "phone",
        Hints::DIGITS,
        scan(|text, found| numbers::find_phones(text, found)),
    );
    add(settings.user, "user", "user", Hints::HOME, regex(&HOME, is_personal_name));
    let name =
        user.user_name.as_deref().filter(|name| name.chars().count() >= MIN_NAME_CHARS && is_personal_name(name));
    let name = name.and_then(|name| Regex::new(&format!("(?i){}", regex::escape(name))).ok());
    add(settings.user, "user", "user", Hints::USER, name.map(Matcher::Word));
    add(
        settings.ip_addresses,
        "ip_addresses",
        "ip",
        Hints::NONE,
        scan(|text, found| numbers::find_ip_addresses(text, found)),
    );
    for pattern in &settings.patterns {
        let matcher = Some(Matcher::Regex(pattern.pattern.regex().clone(), accept_all));
        add(true, &pattern.name, &pattern.name, Hints::NONE, matcher);
    }
    rules
}

fn accept_all(_: &str) -> bool {
    true
}

static PRIVATE_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----([\s\S]*?)(?:-----END|\z)").ok());

/// Headers whose whole value is a credential.
static HEADER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix) \b (?:
        authorization \\* ["']? \s* [:=]+ \s* \\* ["']?
            ( digest \s [^\r\n]* | (?: (?:bearer|basic|negotiate|ntlm|token|apikey) \s+ )? [^\s"'\\,;]+ )
        | cookie2? \\* ["']? \s* [:=] \s* \\* ["']? ( [^"'\\\r\n]+ )
        | bearer \s+ ( [A-Za-z0-9._~+/=-]{8,} )
    )"#,
    )
    .ok()
});

/// A key that ends in a word for a secret, and its value: in headers, JSON (including JSON in
/// JSON), URL queries and connection strings.
static KEY_AND_VALUE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?: password | passwd | passphrase | pwd | secret | token | api[_-]?key | access[_-]?key | private[_-]?key
            | credentials? | signature | session_?id | [?&;] (?: sig | code | key | auth ) )
        (?: \\* ["'] )? \s* (?: = | : | => ) \s*
        (?: \\" ( (?: [^"\\] | \\[^"] )* ) | " ( (?: [^"\\] | \\. )* ) | ' ( [^'\r\n]* ) | ( [^\s"'&,;)}\]\\]+ ) )
    "#,
    )
    .ok()
});

/// Keys and values in XML and on command lines.
static KEY_AND_VALUE_IN_XML_OR_ARGUMENTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)
        < [\w:.-]{0,40} (?: password | passwd | passphrase | pwd | secret | token | api[_-]?key ) > ( [^<]+ ) <
        | (?:^|\s) --? [\w-]{0,40} (?: password | passwd | passphrase | pwd | secret | token | api[_-]?key ) [\x20\t]+ ( [^\s-]\S* )
    ",
    )
    .ok()
});

static URL_USER_INFO: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://([^\s/@"'<>?#]+)@"#).ok());

/// Tokens that are recognised by their shape: JSON Web Tokens, and those of AWS, Google, GitHub,
/// GitLab, Slack, Stripe.
static TOKEN_SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x) \b (?: eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?
        | (?:AKIA|ASIA)[0-9A-Z]{16} | AIza[0-9A-Za-z_-]{35}
        | gh[pousr]_[A-Za-z0-9]{36,} | github_pat_[A-Za-z0-9_]{22,} | glpat-[A-Za-z0-9_-]{20,}
        | xox[abeprs]-[A-Za-z0-9-]{10,} | sk_live_[A-Za-z0-9]{16,} )",
    )
    .ok()
});

static EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x) [^\s@<>"'(),:;\[\]\\=/?&|%{}]+ (?:@|%40) [^\s@<>"'(),:;\[\]\\=/?&|%{}.]+ (?: \. [^\s@<>"'(),:;\[\]\\=/?&|%{}.]+ )+"#,
    )
    .ok()
});

/// A user's home folder, in paths of Windows, macOS and Linux, in URLs and in JSON.
static HOME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?: [a-z] (?: : | %3A ) (?: [\\/]+ | %5C | %2F ) | \\+ ) (?: users | documents\ and\ settings | home ) (?: [\\/]+ | %5C | %2F )
            (?: ( [\w.-]+ (?: \x20 [\w.-]+ ){1,3} ) (?: \\ | %5C ) | ( [^\\/\s"'<>|:*?,;)\]}%&]+ ) )
        | (?: ^ | [\s"'(=:,\[>] | file:// ) / (?: home | users ) / ( [^\\/\s"'<>|:*?,;)\]}%&]+ )
    "#,
    )
    .ok()
});

/// Returns whether a value is a secret: `null` and similar words are not.
fn is_secret(value: &str) -> bool {
    const NONE: [&str; 8] = ["null", "none", "undefined", "true", "false", "nil", "empty", "n/a"];
    !NONE.iter().any(|none| value.eq_ignore_ascii_case(none))
}

/// Returns whether the domain ends in one that can be registered. A package with its version looks
/// similar: `core@12.1.0`.
fn is_email(text: &str) -> bool {
    let domain = text.rsplit_once('@').or_else(|| text.rsplit_once("%40")).map_or("", |(_, domain)| domain);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let mut last = domain.rsplit('.');
    let [top, second, third] = std::array::from_fn(|_| last.next().unwrap_or_default());
    let is_version = is_number(second) && !third.is_empty() && is_number(third);
    top.chars().count() >= 2 && top.chars().all(char::is_alphabetic) && !is_version
}

/// Returns whether a folder or user name identifies a person: shared folders and common words do
/// not.
fn is_personal_name(name: &str) -> bool {
    const SHARED: [&str; 5] = ["public", "shared", "default", "all users", "default user"];
    let lower = name.to_lowercase();
    !SHARED.contains(&lower.as_str()) && !COMMON_NAMES.contains(&lower.as_str())
}
