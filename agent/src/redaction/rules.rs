//! The rules, in their order, with what each hides.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::hints::Hints;
use super::{Person, numbers};
use crate::config::RedactionSettings;

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// As in settings and counts.
    pub name: String,
    /// What stands in the place of what it hides.
    pub mark: String,
    pub(super) hints: Hints,
    finder: Finder,
}

#[derive(Debug, Clone)]
enum Finder {
    /// Hides what the groups of a match hold; all of the match, if it has no groups. Places of which the test says no
    /// are left.
    Regex(Regex, fn(&str) -> bool),
    /// Hides what is found where it is a word of its own.
    Word(Regex),
    Scan(fn(&str, &mut dyn FnMut(Range<usize>))),
}

impl Rule {
    fn new(name: &str, mark: &str, hints: Hints, finder: Finder) -> Self {
        Self { name: name.to_owned(), mark: format!("[{mark}]"), hints, finder }
    }

    /// Calls `found` with every place to hide.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        match &self.finder {
            Finder::Scan(scan) => scan(text, &mut found),
            Finder::Word(regex) => {
                let bounds = |place: &Range<usize>| {
                    let [before, behind] = [text[..place.start].chars().next_back(), text[place.end..].chars().next()];
                    ![before, behind].into_iter().flatten().any(char::is_alphanumeric)
                };
                regex.find_iter(text).map(|word| word.range()).filter(bounds).for_each(found);
            }
            Finder::Regex(regex, is_one) => {
                for groups in regex.captures_iter(text) {
                    let whole = usize::from(groups.len() > 1);
                    for group in groups.iter().skip(whole).flatten().filter(|group| is_one(group.as_str())) {
                        found(group.range());
                    }
                }
            }
        }
    }
}

/// User names that are words of the log itself.
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
/// Shorter names are in too many words and paths.
const LEAST_NAME: usize = 3;

/// The rules that the settings switch on, in their order: the first that finds a place gives it its mark.
pub(super) fn of(settings: &RedactionSettings, person: &Person) -> Vec<Rule> {
    let mut rules = Vec::new();
    if settings.credentials {
        let of_regex = |regex: &LazyLock<Option<Regex>>, hints, is_one: fn(&str) -> bool| {
            let finder = (**regex).clone().map(|regex| Finder::Regex(regex, is_one));
            finder.map(|finder| Rule::new("credentials", "credential", hints, finder))
        };
        let address = Hints::ADDRESS.with(Hints::AT);
        rules.extend(of_regex(&PRIVATE_KEY, Hints::SHAPE, any));
        rules.extend(of_regex(&HEADER, Hints::KEY, any));
        rules.extend(of_regex(&KEY_AND_VALUE, Hints::KEY, is_secret));
        rules.extend(of_regex(&KEY_AND_VALUE_ELSEWHERE, Hints::KEY, is_secret));
        rules.extend(of_regex(&USER_OF_ADDRESS, address, any));
        rules.extend(of_regex(&SHAPE, Hints::SHAPE, any));
    }
    let mut add = |on: bool, name: &str, mark: &str, hints: Hints, finder: Option<Finder>| {
        rules.extend(finder.filter(|_| on).map(|finder| Rule::new(name, mark, hints, finder)));
    };
    let regex = |regex: &LazyLock<Option<Regex>>, is_one| (**regex).clone().map(|regex| Finder::Regex(regex, is_one));
    add(settings.email, "email", "email", Hints::AT, regex(&EMAIL, is_email));
    let scan = |scan: fn(&str, &mut dyn FnMut(Range<usize>))| Some(Finder::Scan(scan));
    add(
        settings.payment_cards,
        "payment_cards",
        "card",
        Hints::DIGITS,
        scan(|text, found| numbers::cards(text, found)),
    );
    add(settings.ibans, "ibans", "iban", Hints::DIGITS, scan(|text, found| numbers::ibans(text, found)));
    add(
        settings.phone_numbers,
        "phone_numbers",
        "phone",
        Hints::DIGITS,
        scan(|text, found| numbers::phones(text, found)),
    );
    add(settings.user, "user", "user", Hints::HOME, regex(&HOME, is_person));
    let name = person.user_name.as_deref().filter(|name| name.chars().count() >= LEAST_NAME && is_person(name));
    let name = name.and_then(|name| Regex::new(&format!("(?i){}", regex::escape(name))).ok());
    add(settings.user, "user", "user", Hints::USER, name.map(Finder::Word));
    add(
        settings.ip_addresses,
        "ip_addresses",
        "ip",
        Hints::NONE,
        scan(|text, found| numbers::ip_addresses(text, found)),
    );
    for pattern in &settings.patterns {
        let finder = Some(Finder::Regex(pattern.pattern.regex().clone(), any));
        add(true, &pattern.name, &pattern.name, Hints::NONE, finder);
    }
    rules
}

fn any(_: &str) -> bool {
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

/// A key that ends in a word for a secret, and its value: as in headers, JSON (also JSON in JSON), queries of URLs,
/// connection strings.
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

/// The same in XML and in command lines.
static KEY_AND_VALUE_ELSEWHERE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)
        < [\w:.-]{0,40} (?: password | passwd | passphrase | pwd | secret | token | api[_-]?key ) > ( [^<]+ ) <
        | (?:^|\s) --? [\w-]{0,40} (?: password | passwd | passphrase | pwd | secret | token | api[_-]?key ) [\x20\t]+ ( [^\s-]\S* )
    ",
    )
    .ok()
});

static USER_OF_ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"://([^\s/@"'<>?#]+)@"#).ok());

/// Tokens that are known by their shape: JSON Web Tokens, and those of AWS, Google, GitHub, GitLab, Slack, Stripe.
static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
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

/// The folder of a person in the folder of home directories, in paths of Windows, macOS and Linux, in URLs and in JSON.
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

/// What stands in the place of a secret that is not there.
fn is_secret(value: &str) -> bool {
    const NONE: [&str; 8] = ["null", "none", "undefined", "true", "false", "nil", "empty", "n/a"];
    !NONE.iter().any(|none| value.eq_ignore_ascii_case(none))
}

/// Whether the domain ends in one that can be registered: a package with its version looks alike, as `core@12.1.0`.
fn is_email(text: &str) -> bool {
    let domain = text.rsplit_once('@').or_else(|| text.rsplit_once("%40")).map_or("", |(_, domain)| domain);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let mut last = domain.rsplit('.');
    let [top, second, third] = std::array::from_fn(|_| last.next().unwrap_or_default());
    let is_version = is_number(second) && !third.is_empty() && is_number(third);
    top.chars().count() >= 2 && top.chars().all(char::is_alphabetic) && !is_version
}

/// Folders beside those of persons, and names that say nothing.
fn is_person(name: &str) -> bool {
    const SHARED: [&str; 5] = ["public", "shared", "default", "all users", "default user"];
    let lower = name.to_lowercase();
    !SHARED.contains(&lower.as_str()) && !COMMON_NAMES.contains(&lower.as_str())
}
