//! Scenario: settings files, valid and invalid, are read.

use insta::assert_snapshot;

use super::*;
use crate::config::file::parse;

/// Scenario: files with unknown keys.
/// Guarantees: the error shows the line and suggests the most similar key.
#[test]
fn unknown_key_shows_line_and_suggestion() {
    assert_snapshot!(without_allowed(&error_of("{\n  \"collector\": {\n    \"enpoint\": \"http://collector:4317\",\n  }\n}")), @r#"
    unknown setting `enpoint`
     --> config.json:3:5
      |
    3 |     "enpoint" ...
      |     ^^^^^^^^^
      = key: collector.enpoint
      = help: did you mean `endpoint`? allowed are: [...]
    "#);
    assert_snapshot!(without_allowed(&error_of("{ \"colour\": { \"token\": \"hunter2\" } }")), @r#"
    unknown setting `colour`
     --> config.json:1:3
      |
    1 | { "colour" ...
      |   ^^^^^^^^
      = key: colour
      = help: allowed are: [...]
    "#);
}

/// Scenario: values of the wrong type at every kind of setting.
/// Guarantees: the error names the expected JSON type.
#[test]
fn wrong_type_names_expected_type() {
    assert_snapshot!(error_of("{\n  \"host\": { \"enabled\": \"yes\" }\n}"), @r#"
    expected `true` or `false`, found text
     --> config.json:2:24
      |
    2 |   "host": { "enabled": "yes" ...
      |                        ^^^^^
      = key: host.enabled
    "#);
    assert_snapshot!(error_of("{ \"collector\": [\"http://collector:4317\"] }"), @r#"
    expected an object `{ ... }`, found a list
     --> config.json:1:16
      |
    1 | { "collector": ["http://collector:4317"] ...
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^
      = key: collector
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"protocol\": { \"grpc\": null } } }"), @r#"
    expected a single value, found an object
     --> config.json:1:30
      |
    1 | { "collector": { "protocol": { "grpc": ******** } ...
      |                              ^^^^^^^^^^^^^^^^^^^^
      = key: collector.protocol
    "#);
    assert_snapshot!(error_of("{ \"connect\": { \"user_data\": \"C:\\\\Connect\" } }"), @r#"
    expected a list `[ ... ]`, found text
     --> config.json:1:29
      |
    1 | { "connect": { "user_data": "C:\\Connect" ...
      |                             ^^^^^^^^^^^^^
      = key: connect.user_data
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"timeout\": 10 } }"), @r#"
    expected a duration in quotes, for example "10s", found a number
     --> config.json:1:29
      |
    1 | { "collector": { "timeout": 10 ...
      |                             ^^
      = key: collector.timeout
    "#);
    assert_snapshot!(error_of("{ \"queue\": { \"max_bytes\": true } }"), @r#"
    expected a size, for example "256 MiB"
     --> config.json:1:27
      |
    1 | { "queue": { "max_bytes": true ...
      |                           ^^^^
      = key: queue.max_bytes
    "#);
    assert_snapshot!(error_of("{ \"host\": { \"cpu_threshold\": \"90%\" } }"), @r#"
    expected a number, found text
     --> config.json:1:30
      |
    1 | { "host": { "cpu_threshold": "90%" ...
      |                              ^^^^^
      = key: host.cpu_threshold
    "#);
    assert_snapshot!(error_of("[]"), @"
    expected an object `{ ... }`, found a list
     --> config.json:1:1
      |
    1 | []
      | ^^
    ");
    assert_snapshot!(error_of("{ \"logs\": { \"layouts\": [[\"*.log\"]] } }"), @r#"
    expected a value, found a list in a list
     --> config.json:1:25
      |
    1 | { "logs": { "layouts": [["*.log"] ...
      |                         ^^^^^^^^^
      = key: logs.layouts[0]
    "#);
}

/// Scenario: values out of range or not among the choices.
/// Guarantees: the error names the allowed values.
#[test]
fn invalid_value_names_allowed_values() {
    assert_snapshot!(error_of("{ \"host\": {\n\t\"sample_interval\": \"1ms\", // often\n} }"), @r#"
    `1ms` is out of range; use a duration from `10ms` to `365d`
     --> config.json:2:21
      |
    2 |  "sample_interval": "1ms" ...
      |                     ^^^^^
      = key: host.sample_interval
    "#);
    assert_snapshot!(error_of("{ \"host\": { \"cpu_threshold\": 90 } }"), @r#"
    90 is not a share; use a number greater than 0 and at most 1, for example 0.9
     --> config.json:1:30
      |
    1 | { "host": { "cpu_threshold": 90 ...
      |                              ^^
      = key: host.cpu_threshold
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"protocol\": \"http\" } }"), @r#"
    unknown value `http`
     --> config.json:1:30
      |
    1 | { "collector": { "protocol": "http" ...
      |                              ^^^^^^
      = key: collector.protocol
      = help: allowed are: grpc, http/protobuf, http/json
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"compression\": \"gzipp\" } }"), @r#"
    unknown value `gzipp`
     --> config.json:1:33
      |
    1 | { "collector": { "compression": "gzipp" ...
      |                                 ^^^^^^^
      = key: collector.compression
      = help: did you mean `gzip`? allowed are: none, gzip, zstd
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"endpoint\": \"collector:4317\" } }"), @r#"
    `collector:4317` has the scheme `collector`, but only `http` and `https` are supported; write the collector's address with its scheme, for example `https://collector.example.com:4317`
     --> config.json:1:30
      |
    1 | { "collector": { "endpoint": "collector:4317" ...
      |                              ^^^^^^^^^^^^^^^^
      = key: collector.endpoint
    "#);
    assert_snapshot!(error_of("{ \"queue\": { \"max_bytes\": \"64 KiB\" } }"), @r#"
    `64 KiB` is too small for the queue; the minimum is 1 MiB
     --> config.json:1:27
      |
    1 | { "queue": { "max_bytes": "64 KiB" ...
      |                           ^^^^^^^^
      = key: queue.max_bytes
    "#);
}

/// Scenario: headers, attribute names and layouts that break rules which types cannot express.
/// Guarantees: the error names the rule.
#[test]
fn invalid_header_attribute_or_layout_is_rejected() {
    assert_snapshot!(error_of("{ \"collector\": { \"headers\": { \"api key\": \"hunter2\" } } }"), @r#"
    "api key" is not a valid header name; use ASCII letters, digits and `-`
     --> config.json:1:42
      |
    1 | { "collector": { "headers": { "api key": ******** ...
      |                                          ^^^^^^^^
      = key: collector.headers.api key
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"headers\": { \"a\": \"b\", \"key\": \"hun\\nter2\" } } }"), @r#"
    the header value contains characters that cannot be sent; use printable ASCII without line breaks
     --> config.json:1:48
      |
    1 | { "collector": { "headers": { "a": ********, "key": ******** ...
      |                                                     ^^^^^^^^
      = key: collector.headers.key
    "#);
    assert_snapshot!(error_of("{ \"resource\": { \"attributes\": { \"\": \"x\" } } }"), @r#"
    the name of an attribute must not be empty
     --> config.json:1:37
      |
    1 | { "resource": { "attributes": { "": "x" ...
      |                                     ^^^
      = key: resource.attributes.
    "#);
    let layout = |rest: &str| format!("{{ \"logs\": {{ \"layouts\": [\n  {{ \"files\": \"a*.log\", {rest} }}\n] }} }}");
    assert_snapshot!(without_allowed(&error_of(&layout("\"level\": \"x\""))), @r#"
    unknown setting `level`
     --> config.json:2:24
      |
    2 |   { "files": "a*.log", "level" ...
      |                        ^^^^^^^
      = key: logs.layouts[0].level
      = help: allowed are: [...]
    "#);
    assert_snapshot!(error_of(&layout("")), @r#"
    the required setting `pattern` is missing
     --> config.json:2:3
      |
    2 |   { "files": "a*.log",  }
      |   ^^^^^^^^^^^^^^^^^^^^^^^
      = key: logs.layouts[0]
    "#);
    assert_snapshot!(error_of(&layout("\"pattern\": \"(?<message\"")), @r#"
    not a valid regular expression: unclosed capture group name
     --> config.json:2:35
      |
    2 |   { "files": "a*.log", "pattern": "(?<message" ...
      |                                   ^^^^^^^^^^^^
      = key: logs.layouts[0].pattern
    "#);
    let timed = "\"pattern\": \"(?<time>\\\\S+) (?<message>.*)\"";
    assert_snapshot!(error_of(&layout(&format!("{timed}, \"time_format\": \"%Y-%m-%d %!\""))), @r#"
    "%Y-%m-%d %!" is not a valid time format: strftime formatting failed: found unrecognized specifier directive `!`
     --> config.json:2:82
      |
    2 |   { "files": "a*.log", "pattern": "(?<time>\\S+) (?<message>.*)", "time_format": "%Y-%m-%d %!" ...
      |                                                                                  ^^^^^^^^^^^^^
      = key: logs.layouts[0].time_format
    "#);
    assert_snapshot!(error_of(&layout(&format!("{timed}, \"time_format\": \"%H:%M:%S\""))), @r#"
    "%H:%M:%S" is not a valid time format: it must contain year, month, day and time of day, as in `%Y-%m-%d %H:%M:%S`
     --> config.json:2:82
      |
    2 |   { "files": "a*.log", "pattern": "(?<time>\\S+) (?<message>.*)", "time_format": "%H:%M:%S" ...
      |                                                                                  ^^^^^^^^^^
      = key: logs.layouts[0].time_format
    "#);
    assert_snapshot!(error_of(&layout("\"pattern\": \"(?<message>.*)\", \"time_format\": \"%d.%m.%Y\"")), @r#"
    `time_format` is set, but the pattern has no group `time`
     --> config.json:2:68
      |
    2 |   { "files": "a*.log", "pattern": "(?<message>.*)", "time_format": "%d.%m.%Y" ...
      |                                                                    ^^^^^^^^^^
      = key: logs.layouts[0].time_format
    "#);
    for format in
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S,%3f", "%d/%b/%Y:%H:%M:%S %z", "%s", "%m/%d/%y %I:%M:%S %p"]
    {
        let text = layout(&format!("{timed}, \"time_format\": \"{format}\""));
        assert_eq!(parse(Path::new("config.json"), text).map(|_| ()), Ok(()), "{format}");
    }
}

/// Scenario: text that is not JSON.
/// Guarantees: the error points at the mistake, not at the place where the parser noticed it.
#[test]
fn syntax_error_points_at_the_mistake() {
    assert_snapshot!(error_of("{\n  \"host\": {},\n  \"queue\" {}\n}"), @r#"
    this is not valid JSON: expected `:`
     --> config.json:3:11
      |
    3 |   "queue" { ...
      |           ^
    "#);
    assert_snapshot!(error_of("{\n  \"host\": {}   \n  // a comment\n  \"queue\": {}\n}"), @r#"
    this is not valid JSON: expected `,` or `}`
     --> config.json:2:13
      |
    2 |   "host": {}
      |             ^
    "#);
    assert_snapshot!(error_of("{\n  \"host\": {\n"), @"
    this is not valid JSON: the file ends inside an object
     --> config.json:3:1
      |
    3 | 
      | ^
    ");
    assert_snapshot!(error_of("{\n  \"host\": { \"enabled\": yes }\n}"), @r#"
    this is not valid JSON: expected text in quotes, a number, `true`, `false`, `null`, a list or an object
     --> config.json:2:24
      |
    2 |   "host": { "enabled": y ...
      |                        ^
    "#);
    assert_snapshot!(error_of("{ \"host\": / nothing\n }"), @r#"
    this `/` does not start a comment; write comments as `// ...` or `/* ... */`
     --> config.json:1:11
      |
    1 | { "host": / ...
      |           ^
    "#);
    assert_snapshot!(error_of("{}\n/* for ever"), @"
    this comment is not closed; add `*/`
     --> config.json:2:1
      |
    2 | / ...
      | ^
    ");
    assert_snapshot!(error_of(" \n// nothing\n"), @"
    the file is empty
     --> config.json:1:1
      |
    1 | 
      | ^
      = help: write `{}` to use the default settings, or remove the file
    ");
}

/// Scenario: a key occurs twice.
/// Guarantees: the file is rejected, because only one of the two can be meant.
#[test]
fn duplicate_key_is_rejected() {
    assert_snapshot!(error_of("{\n  \"host\": { \"enabled\": true },\n  // again\n  \"host\": { \"enabled\": false }\n}"), @r#"
    the key "host" occurs twice; it is also set in line 2
     --> config.json:4:3
      |
    4 |   "host" ...
      |   ^^^^^^
      = key: host
      = help: remove one of the two keys
    "#);
}

/// Scenario: every kind of error in a line with a secret.
/// Guarantees: no error contains the secret.
#[test]
fn errors_contain_no_secrets() {
    for text in [
        r#"{ "collector": { "headers": { "authorization": "Bearer hunter2" }, "tmieout": "1s" } }"#,
        r#"{ "collector": { "headers": { "authorization": "hunter2" }, "timeout": 1 } }"#,
        r#"{ "collector": { "headers": "authorization=hunter2" } }"#,
        r#"{ "collector": { "headers": ["hunter2"] } }"#,
        r#"{ "collector": { "headers": { "authorization": { "Bearer": "hunter2" } } } }"#,
        r#"{ "collector": { "headers": { "authorization": ["hunter2"] } } }"#,
        r#"{ "collector": { "endpoint": "https://me:hunter2@collector" } }"#,
        r#"{ "collector": { "endpoint": "https://collector?key=hunter2" } }"#,
        r#"{ "collector": { "endpoint": "me:hunter2@collector" } }"#,
        r#"{ "collector": { "header": { "authorization": "hunter2" } } }"#,
        r#"{ "resource": { "user_hash_key": "hunter2", "user": "nobody" } }"#,
        r#"{ "resource": { "user_hash_key": "hunter2" } "host": {} }"#,
        r#"{ "resource": { "user_hash_key": hunter2 } }"#,
        r#"{ "resource": { "user_hash_key": "hunter2 } }"#,
        r#"{ "resource": { "user_hash_key: "hunter2" } }"#,
        r#"{ "resource": { "user_hash_key" "hunter2" } }"#,
        r#"{ "resource": { "user_hash_key": "hunter2", "user_hash_key": "hunter2" } }"#,
        r#"{ "x": { "authorization": "hunter2" } "host": {} }"#,
        "{ \"resource\": { \"user_hash_key\": \"hunter2\n\" } }",
    ] {
        let error = error_of(text);
        assert!(!format!("{error} {error:?}").contains("unter2"), "{text}\n{error}");
    }
}

/// Scenario: a file with comments, trailing commas and a byte order mark.
/// Guarantees: it is read.
#[test]
fn relaxed_json_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\u{feff}// top\n{ /* a */ \"host\": { \"enabled\": false, }, # shell\n \"connect\": { \"process_names\": [\"a\", ], }, }\r\n";
    let loaded = load(&inputs(folder.path(), text)).unwrap();
    assert!(!loaded.settings.host.enabled);
    assert_eq!(loaded.settings.connect.process_names, ["a"]);
}

/// Scenario: an error after comments, Windows line ends and multi-byte characters.
/// Guarantees: line and column are those of the original text.
#[test]
fn error_position_is_that_of_the_original_text() {
    let error =
        error_of("/* \u{e4}\u{f6}\r\n*/\r\n{ \"resource\": { \"attributes\": { \"\u{fc}\": \"\u{df}\", \"n\": 7 } } }");
    assert_eq!(error.place, Place::File { path: "config.json".into(), position: Some((3, 48)) });
    assert_snapshot!(error, @r#"
    expected text in quotes, found a number
     --> config.json:3:48
      |
    3 | { "resource": { "attributes": { "ü": "ß", "n": 7 ...
      |                                                ^
      = key: resource.attributes.n
    "#);
}

/// Scenario: an error in a very long line.
/// Guarantees: only the part around the error is shown.
#[test]
fn long_line_is_shortened() {
    let names = vec!["\"some-process\""; 5_000].join(", ");
    let error = error_of(&format!("{{ \"connect\": {{ \"process_names\": [{names}, 5, {names}] }} }}"));
    assert_snapshot!(error, @r#"
    expected text in quotes, found a number
     --> config.json:1:80034
      |
    1 | ...s", "some-process", "some-process", "some-process", "some-process", "some-process", "some-process", 5 ...
      |                                                                                                        ^
      = key: connect.process_names[5000]
    "#);
    let error = error_of(&format!("{{ \"{}\": 1 }}", "x\\u001b".repeat(10_000))).to_string();
    assert!(error.len() < 2_000 && !error.contains('\u{1b}'), "{error}");
}

/// Scenario: a file with the key `$schema`, which editors use.
/// Guarantees: it is accepted and is not a setting.
#[test]
fn schema_key_is_accepted() {
    let text = r#"{ "$schema": "settings.schema.json", "collector": { "timeout": "7s" } }"#;
    assert!(super::super::file::parse(Path::new("config.json"), text.to_owned()).is_ok());
    assert_eq!(error_of(r#"{ "$schema": 7 }"#).kind, ErrorKind::UnknownKey);
}

/// Scenario: the settings file does not exist.
/// Guarantees: that is an error for a file given on the command line, and not for the default path.
#[test]
fn missing_file_is_an_error_only_if_named() {
    let error = load(&Inputs {
        file: FileChoice::Named("not/there.json".into()),
        last_good: None,
        registry: Vec::new(),
        policy: None,
        system_json: None,
        environment: Vec::new(),
        flags: Vec::new(),
    })
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    assert_snapshot!(error, @"
    the file does not exist
     --> not/there.json
    ");
    assert_eq!(without_file(&[], &[]).unwrap().settings, Settings::default());
}

/// Scenario: a file that is too large, not text, or a folder.
/// Guarantees: it is rejected before it is parsed.
#[test]
fn unreadable_file_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), &" ".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1));
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::TooLarge);
    std::fs::write(inputs.file.path(), b"{ \"host\": \xff }").unwrap();
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::Unreadable);
    inputs.file = FileChoice::Default(folder.path().to_owned());
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::Unreadable);
}

/// Scenario: a file ends inside a comment with multi-byte characters, which are spaces in the
/// parsed JSON.
/// Guarantees: the error is reported, nothing panics.
#[test]
fn file_ending_inside_a_comment_is_an_error() {
    assert_snapshot!(error_of("{\"host\"://\u{e4}"), @r#"
    this is not valid JSON: the file ends inside a value
     --> config.json:1:11
      |
    1 | {"host"://ä
      |           ^
    "#);
}
