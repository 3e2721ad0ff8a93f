//! For any text: redaction does not fail, redacting twice changes nothing more, and a planted
//! secret is never visible.
#![no_main]

use std::sync::LazyLock;

use insights_agent::config::RedactionSettings;
use insights_agent::redaction::{Redactor, UserIdentity};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "Zq9xT7vKw2";

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
    let settings = RedactionSettings { ip_addresses: true, ..RedactionSettings::default() };
    Redactor::new(&settings, &UserIdentity { user_name: Some("asmith".to_owned()) })
});

fuzz_target!(|text: &str| {
    let once = REDACTOR.redact(text).into_owned();
    assert_eq!(REDACTOR.redact(&once), once);
    if !text.contains(SECRET) {
        let planted = format!("{text}\npassword={SECRET}\n{text}");
        assert!(!REDACTOR.redact(&planted).contains(SECRET));
    }
});
