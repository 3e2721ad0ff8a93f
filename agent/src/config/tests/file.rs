use insta::assert_snapshot;

use super::*;
use crate::config::file::parse;

/// An unknown key is shown in its line, with the known key that is nearest.
#[test]
fn unknown_key() {
    assert_snapshot!(error_of("{\n  \"collector\": {\n    \"enpoint\": \"http://collector:4317\",\n  }\n}"), @r#"
    there is no setting `enpoint`
     --> config.json:3:5
      |
    3 |     "enpoint" ...
      |     ^^^^^^^^^
      = key: collector.enpoint
      = help: did you mean `endpoint`? allowed here: endpoint, protocol, headers, headers_from, compression, timeout, certificate, client_certificate, client_key, client_certificate_thumbprint, min_tls_version, allow_plain_http, proxy, saving_interval, oauth2, metrics, traces, logs, fallback
    "#);
    assert_snapshot!(error_of("{ \"colour\": { \"token\": \"hunter2\" } }"), @r#"
    there is no setting `colour`
     --> config.json:1:3
      |
    1 | { "colour" ...
      |   ^^^^^^^^
      = key: colour
      = help: allowed here: collector, resource, host, processes, internal_metrics, focus, connect, logs, receiver, queue, program_log, policy
    "#);
}

/// A wrong type says what is expected in words of JSON, at each kind of place.
#[test]
fn wrong_type() {
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
    expected a duration in quotes, as in "10s", found a number
     --> config.json:1:29
      |
    1 | { "collector": { "timeout": 10 ...
      |                             ^^
      = key: collector.timeout
    "#);
    assert_snapshot!(error_of("{ \"queue\": { \"max_bytes\": true } }"), @r#"
    expected an amount of bytes, as in "256 MiB"
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
    found a list in a list
     --> config.json:1:25
      |
    1 | { "logs": { "layouts": [["*.log"] ...
      |                         ^^^^^^^^^
      = key: logs.layouts[0]
    "#);
}

/// A value out of range, or that is none of the choices, says what is allowed.
#[test]
fn value_not_allowed() {
    assert_snapshot!(error_of("{ \"host\": {\n\t\"sample_interval\": \"1ms\", // often\n} }"), @r#"
    `1ms` is out of range; allowed is `10ms` to `365d`
     --> config.json:2:21
      |
    2 |  "sample_interval": "1ms" ...
      |                     ^^^^^
      = key: host.sample_interval
    "#);
    assert_snapshot!(error_of("{ \"host\": { \"cpu_threshold\": 90 } }"), @r#"
    90 is not a share; allowed is a number greater than 0 and at most 1, as in 0.9
     --> config.json:1:30
      |
    1 | { "host": { "cpu_threshold": 90 ...
      |                              ^^
      = key: host.cpu_threshold
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"protocol\": \"http\" } }"), @r#"
    there is no choice `http`
     --> config.json:1:30
      |
    1 | { "collector": { "protocol": "http" ...
      |                              ^^^^^^
      = key: collector.protocol
      = help: allowed here: grpc, http/protobuf, http/json
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"compression\": \"gzipp\" } }"), @r#"
    there is no choice `gzipp`
     --> config.json:1:33
      |
    1 | { "collector": { "compression": "gzipp" ...
      |                                 ^^^^^^^
      = key: collector.compression
      = help: did you mean `gzip`? allowed here: none, gzip, zstd
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"endpoint\": \"collector:4317\" } }"), @r#"
    `collector:4317` has the scheme `collector`, and only http and https are known; write the collector's address with its scheme, as in `https://collector.example.com:4317`
     --> config.json:1:30
      |
    1 | { "collector": { "endpoint": "collector:4317" ...
      |                              ^^^^^^^^^^^^^^^^
      = key: collector.endpoint
    "#);
    assert_snapshot!(error_of("{ \"queue\": { \"max_bytes\": \"64 KiB\" } }"), @r#"
    `64 KiB` is too small for a queue; allowed is 1 MiB and more
     --> config.json:1:27
      |
    1 | { "queue": { "max_bytes": "64 KiB" ...
      |                           ^^^^^^^^
      = key: queue.max_bytes
    "#);
}

/// What types cannot say: headers, names of attributes, layouts.
#[test]
fn cross_checks() {
    assert_snapshot!(error_of("{ \"collector\": { \"headers\": { \"api key\": \"hunter2\" } } }"), @r#"
    "api key" cannot be the name of a header; allowed are ASCII letters, digits and `-`
     --> config.json:1:42
      |
    1 | { "collector": { "headers": { "api key": ******** ...
      |                                          ^^^^^^^^
      = key: collector.headers.api key
    "#);
    assert_snapshot!(error_of("{ \"collector\": { \"headers\": { \"a\": \"b\", \"key\": \"hun\\nter2\" } } }"), @r#"
    the value cannot be sent as a header; allowed is printable ASCII, without line breaks
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
    assert_snapshot!(error_of(&layout("\"level\": \"x\"")), @r#"
    there is no setting `level`
     --> config.json:2:24
      |
    2 |   { "files": "a*.log", "level" ...
      |                        ^^^^^^^
      = key: logs.layouts[0].level
      = help: allowed here: files, pattern, time_format
    "#);
    assert_snapshot!(error_of(&layout("")), @r#"
    the setting `pattern` is missing
     --> config.json:2:3
      |
    2 |   { "files": "a*.log",  }
      |   ^^^^^^^^^^^^^^^^^^^^^^^
      = key: logs.layouts[0]
    "#);
    assert_snapshot!(error_of(&layout("\"pattern\": \"(?<message\"")), @r#"
    the pattern is not a regular expression: unclosed capture group name
     --> config.json:2:35
      |
    2 |   { "files": "a*.log", "pattern": "(?<message" ...
      |                                   ^^^^^^^^^^^^
      = key: logs.layouts[0].pattern
    "#);
    let timed = "\"pattern\": \"(?<time>\\\\S+) (?<message>.*)\"";
    assert_snapshot!(error_of(&layout(&format!("{timed}, \"time_format\": \"%Y-%m-%d %!\""))), @r#"
    "%Y-%m-%d %!" is no format of a time: strftime formatting failed: found unrecognized specifier directive `!`
     --> config.json:2:82
      |
    2 |   { "files": "a*.log", "pattern": "(?<time>\\S+) (?<message>.*)", "time_format": "%Y-%m-%d %!" ...
      |                                                                                  ^^^^^^^^^^^^^
      = key: logs.layouts[0].time_format
    "#);
    assert_snapshot!(error_of(&layout(&format!("{timed}, \"time_format\": \"%H:%M:%S\""))), @r#"
    "%H:%M:%S" is no format of a time: it needs year, month, day and time of day, as in `%Y-%m-%d %H:%M:%S`
     --> config.json:2:82
      |
    2 |   { "files": "a*.log", "pattern": "(?<time>\\S+) (?<message>.*)", "time_format": "%H:%M:%S" ...
      |                                                                                  ^^^^^^^^^^
      = key: logs.layouts[0].time_format
    "#);
    assert_snapshot!(error_of(&layout("\"pattern\": \"(?<message>.*)\", \"time_format\": \"%d.%m.%Y\"")), @r#"
    a time format is given, and the pattern has no group `time` to read with it
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

/// Text that is not JSON: the place is that of the mistake, not of where the parser noticed it.
#[test]
fn syntax() {
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
    a `/` that begins no comment; comments are `// ...` and `/* ... */`
     --> config.json:1:11
      |
    1 | { "host": / ...
      |           ^
    "#);
    assert_snapshot!(error_of("{}\n/* for ever"), @"
    this comment has no end `*/`
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
      = help: write `{}` for no settings at all, or remove the file
    ");
}

/// A key that stands twice is refused, since only one of the two could be meant.
#[test]
fn duplicate_key() {
    assert_snapshot!(error_of("{\n  \"host\": { \"enabled\": true },\n  // again\n  \"host\": { \"enabled\": false }\n}"), @r#"
    the key "host" stands here for the second time; the first is in line 2
     --> config.json:4:3
      |
    4 |   "host" ...
      |   ^^^^^^
      = key: host
      = help: remove one of the two
    "#);
}

/// No kind of error repeats a secret, wherever it stands in the line.
#[test]
fn errors_hold_no_secrets() {
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

/// Comments, trailing commas and a byte order mark are welcome.
#[test]
fn relaxed_json_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\u{feff}// top\n{ /* a */ \"host\": { \"enabled\": false, }, # shell\n \"connect\": { \"process_names\": [\"a\", ], }, }\r\n";
    let loaded = load(&inputs(folder.path(), text)).unwrap();
    assert!(!loaded.settings.host.enabled);
    assert_eq!(loaded.settings.connect.process_names, ["a"]);
}

/// Lines count in what the user sees: behind comments, with Windows line ends and letters of several bytes.
#[test]
fn places_are_those_of_the_original_text() {
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

/// A line of any length is cut down to what is around the fault.
#[test]
fn long_lines_are_cut() {
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

/// The key by which editors find the schema is no setting, and no fault.
#[test]
fn a_schema_may_be_named() {
    let text = r#"{ "$schema": "settings.schema.json", "collector": { "timeout": "7s" } }"#;
    assert!(super::super::file::parse(Path::new("config.json"), text.to_owned()).is_ok());
    assert_eq!(error_of(r#"{ "$schema": 7 }"#).kind, ErrorKind::UnknownKey);
}

/// A file that is named must be there; the one at the default place need not.
#[test]
fn missing_file() {
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
    there is no such file
     --> not/there.json
    ");
    assert_eq!(without_file(&[], &[]).unwrap().settings, Settings::default());
}

/// What cannot be settings is refused before it is parsed: too large, no text, a folder.
#[test]
fn unusable_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = inputs(folder.path(), &" ".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1));
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::TooLarge);
    std::fs::write(inputs.file.path(), b"{ \"host\": \xff }").unwrap();
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::Unreadable);
    inputs.file = FileChoice::Default(folder.path().to_owned());
    assert_eq!(load(&inputs).unwrap_err().kind, ErrorKind::Unreadable);
}

/// A comment is not part of the JSON that is parsed, so its characters can end where the JSON has only blanks.
#[test]
fn a_file_that_ends_inside_a_comment() {
    assert_snapshot!(error_of("{\"host\"://\u{e4}"), @r#"
    this is not valid JSON: the file ends inside a value
     --> config.json:1:11
      |
    1 | {"host"://ä
      |           ^
    "#);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Any text gives settings or an error that can be shown; nothing panics.
    #[test]
    fn any_text_is_survived(text in "\\PC{0,60}") {
        let _ = parse(Path::new("config.json"), text).map_err(|error| error.to_string());
    }

    /// The same with what settings are made of, which gets further into the parser.
    #[test]
    fn any_pieces_are_survived(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)) {
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
