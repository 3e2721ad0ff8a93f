//! Scenario: a simulated fleet sends through the real Collector, with the shipped configuration, to
//! VictoriaMetrics and by remote write to Prometheus. The queries of the dashboards are executed in
//! both databases.
//!
//! Queries for logs and traces are not executed, because there is no database for them here.
//! Instead, the tests look for the names in these queries in what the Collector received.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use test_fleet::{Answers, Calls, Fleet, max_entry, run};
use test_support::peers::{Backend, Database};

/// Relative tolerance: answers are sums of some thousand numbers, and gauges end at a sample.
const TOLERANCE: f64 = 0.001;
/// The time range of the dashboards in this test. It starts before the first desk and ends after
/// the last one.
const RANGE: &str = "86400s";
/// The values of variables. Longer names come before their prefixes.
const VARIABLES: &[(&str, &str)] = &[
    ("$__rate_interval", "20m"),
    ("$__range", RANGE),
    ("$user_label", "user_name"),
    ("$environment", ".*"),
    ("$env_region", ".*"),
    ("$department", ".*"),
    ("$machine", ".*"),
    ("$session", ".*"),
    ("$region", ".*"),
    ("$user", ".*"),
    ("$app", ".*"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// A query of a panel.
struct Query {
    dashboard: String,
    /// The title of the row above it.
    question: String,
    panel: String,
    kind: String,
    instant: bool,
    text: String,
}

fn dashboards() -> Vec<Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        let mut question = String::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            if panel["type"] == "row" {
                question = title;
                continue;
            }
            for target in panel["targets"].as_array().unwrap() {
                queries.push(Query {
                    dashboard: dashboard["title"].as_str().unwrap().to_owned(),
                    question: question.clone(),
                    panel: title.clone(),
                    kind: target["datasource"]["type"].as_str().unwrap().to_owned(),
                    instant: target["instant"] == true,
                    text: target["expr"].as_str().or(target["query"].as_str()).unwrap().to_owned(),
                });
            }
        }
    }
    queries
}

fn filled(query: &str) -> String {
    VARIABLES.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}

/// A database with the data of a fleet.
struct Asked<'a> {
    backend: &'a Backend,
    database: Database,
    end: Timestamp,
}

impl Asked<'_> {
    /// Returns the labels and values of the series that a query finds.
    fn ask(&self, query: &str, instant: bool) -> Vec<(Value, Vec<(f64, f64)>)> {
        let query = filled(query);
        assert!(!query.contains('$'), "an unknown variable: {query}");
        let end = self.end.as_second().to_string();
        let start = (self.end - 24.hours()).as_second().to_string();
        let answer = if instant {
            self.backend.ask(self.database, "/api/v1/query", &[("query", &query), ("time", &end)])
        } else {
            let parameters = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "1h")];
            self.backend.ask(self.database, "/api/v1/query_range", &parameters)
        };
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let point = |point: &Value| (point[0].as_f64().unwrap(), point[1].as_str().unwrap().parse().unwrap());
        let series = answer["data"]["result"].as_array().unwrap().iter().map(|series| {
            let points = series["values"].as_array().map(|values| values.iter().map(point).collect());
            (series["metric"].clone(), points.unwrap_or_else(|| vec![point(&series["value"])]))
        });
        series.collect()
    }

    /// Returns the values of a panel, by the values of labels.
    fn panel(&self, panel: &str, labels: &[&str]) -> BTreeMap<String, f64> {
        let query = queries().into_iter().find(|query| query.panel == panel).unwrap_or_else(|| panic!("{panel}"));
        let found = self.ask(&query.text, query.instant);
        let key = |series: &Value| {
            labels.iter().map(|label| series[*label].as_str().unwrap_or_default()).collect::<Vec<_>>().join(" ")
        };
        found.iter().map(|(series, points)| (key(series), points.last().unwrap().1)).collect()
    }
}

/// Asserts that the answer has exactly the expected entries, within the tolerance.
fn same(what: &str, answered: &BTreeMap<String, f64>, expected: &BTreeMap<String, f64>) {
    println!("{what}: {answered:.1?}");
    let expected: BTreeMap<_, _> = expected.iter().filter(|(_, value)| **value > 0.0).collect();
    let answered: BTreeMap<_, _> = answered.iter().filter(|(_, value)| **value > 0.0).collect();
    assert!(answered.keys().eq(expected.keys()), "{what}: {answered:?} is not {expected:?}");
    for (key, value) in expected {
        let difference = (answered[key] - value).abs();
        assert!(difference <= TOLERANCE * value.abs(), "{what}: {key} is {} and not {value}", answered[key]);
    }
}

fn joined<V>(of: &BTreeMap<(String, String), V>, value: impl Fn(&V) -> f64) -> BTreeMap<String, f64> {
    of.iter().map(|((a, b), of)| (format!("{a} {b}"), value(of))).collect()
}

fn ratio((count, sum): &(f64, f64)) -> f64 {
    sum / count
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}

/// Returns each entry divided by the median of the entries with the same first key.
fn against_median(of: &BTreeMap<(String, String), Calls>, value: impl Fn(&Calls) -> f64) -> BTreeMap<String, f64> {
    let others = |what: &str| of.iter().filter(|((a, _), _)| a == what).map(|(_, calls)| value(calls)).collect();
    of.iter().map(|((a, b), calls)| (format!("{a} {b}"), value(calls) / median(others(a)))).collect()
}

/// Guarantees: every panel with a query for metrics shows something, and the dashboards answer each
/// of the twelve questions with the values of the simulation.
#[tokio::test(flavor = "multi_thread")]
async fn dashboards_answer_every_question() {
    let Some(backend) = Backend::start_as_shipped(&folder().join("collector/victoria.yaml")) else { return };
    let first = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date().saturating_sub(2.days());
    let fleet = Fleet { desks: 10, days: 1, first, interval: 300, seed: 9 };
    let (report, answers) = run(&fleet, Some(&format!("http://127.0.0.1:{}", backend.grpc))).await.unwrap();
    println!("{report}");
    let end = first.to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap().timestamp() + 24.hours();
    for database in [Database::VictoriaMetrics, Database::Prometheus] {
        println!("{database:?}");
        let asked = Asked { backend: &backend, database, end };
        everything_arrived(&asked);
        for query in queries().iter().filter(|query| query.kind == "prometheus") {
            let found = asked.ask(&query.text, query.instant);
            let mut values = found.iter().flat_map(|(_, points)| points);
            let shown = values.any(|(_, value)| value.is_finite());
            assert!(shown, "`{}` of `{}` is empty: {}", query.panel, query.dashboard, filled(&query.text));
        }
        variables_have_values(&asked);
        usage(&asked, &answers);
        troubleshooting(&asked, &answers);
        health(&asked, &answers);
        before_and_after(&asked, &answers);
        parts_make_the_whole(&asked);
    }
}

/// Asserts that morning and afternoon add up to the day: a total over a time range that starts
/// during work excludes what was before.
fn parts_make_the_whole(asked: &Asked<'_>) {
    let query = queries().into_iter().find(|query| query.panel == "App starts by app").unwrap().text;
    let total = |end: Timestamp, range: &str| {
        let (query, end) = (filled(&query.replace("$__range", range)), end.as_second().to_string());
        let parameters = [("query", query.as_str()), ("time", end.as_str())];
        let answer = asked.backend.ask(asked.database, "/api/v1/query", &parameters);
        let series = answer["data"]["result"].as_array().unwrap();
        series.iter().map(|series| series["value"][1].as_str().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    let noon = asked.end - 12.hours();
    let (morning, afternoon, day) = (total(noon, "12h"), total(asked.end, "12h"), total(asked.end, "24h"));
    assert!(morning > 0.0 && afternoon > 0.0, "{morning} {afternoon}");
    assert!((morning + afternoon - day).abs() < TOLERANCE, "{morning} + {afternoon} is not {day}");
}

/// Guarantees: the same seed gives the same data, and another seed gives other data. Every desk
/// sends something.
#[tokio::test(flavor = "multi_thread")]
async fn fleet_from_same_seed_is_identical() {
    let first = jiff::civil::date(2026, 3, 2);
    let fleet = |seed| Fleet { desks: 2, days: 2, first, interval: 1800, seed };
    let (report, once) = run(&fleet(1), None).await.unwrap();
    let (again, twice) = run(&fleet(1), None).await.unwrap();
    let (_, other) = run(&fleet(2), None).await.unwrap();
    assert_eq!((&once, report.requests()), (&twice, again.requests()));
    assert_ne!(once, other);
    assert_eq!(once.user_sessions.values().map(|(sessions, _)| *sessions).collect::<Vec<_>>(), [2.0, 2.0]);
    assert!(report.bytes_per_desk_and_day() > 10_000.0);
}

/// Waits until the last batch has arrived, which the Collector keeps for a second.
fn everything_arrived(asked: &Asked<'_>) {
    test_support::wait_for("the last export of each desk", || {
        asked.backend.flush();
        let ended = asked.ask("count(last_over_time(ioconnect_platform_session_duration_seconds_count[1d]))", true);
        ended.first().filter(|(_, points)| points[0].1 > 9.5).map(drop)
    });
}

fn variables_have_values(asked: &Asked<'_>) {
    for dashboard in dashboards() {
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let Some(query) = variable["query"]["query"].as_str() else { continue };
            let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (series, label) = inner.rsplit_once(", ").unwrap();
            let (series, label) = (filled(series), filled(label));
            let start = (asked.end - 24.hours()).as_second().to_string();
            let parameters = [("match[]", series.as_str()), ("start", &start)];
            let values = asked.backend.ask(asked.database, &format!("/api/v1/label/{label}/values"), &parameters);
            assert!(!values["data"].as_array().unwrap().is_empty(), "{query} of {} has no value", dashboard["title"]);
        }
    }
}

fn usage(asked: &Asked<'_>, answers: &Answers) {
    let mut focus = answers.focus_by_app();
    focus.remove("other");
    same("1, focus", &asked.panel("Focus time by app", &["ioconnect_app_name"]), &focus);
    same("1, starts", &asked.panel("App starts by app", &["ioconnect_app_name"]), &answers.starts);

    let often = answers.switches.iter().map(|(user, count)| (user.clone(), count / (answers.active[user] / 3600.0)));
    same("2", &asked.panel("App switches per active hour, by user", &["user_name"]), &often.collect());

    let by_app = answers.app_sessions.iter().map(|(app, of)| (app.clone(), ratio(of))).collect();
    same("3, apps", &asked.panel("Mean app session duration", &["ioconnect_app_name"]), &by_app);
    let by_user = answers.user_sessions.iter().map(|(user, of)| (user.clone(), ratio(of))).collect();
    same("3, users", &asked.panel("Mean user session duration", &["user_name"]), &by_user);

    let mut shares = BTreeMap::new();
    for ((app, department), seconds) in answers.focus.iter().filter(|((app, _), _)| app != "other") {
        let all = answers.focus.iter().filter(|((app, of), _)| of == department && app != "other");
        let all: f64 = all.map(|(_, seconds)| seconds).sum();
        shares.insert(format!("{department} {app}"), seconds / all);
    }
    same("4", &asked.panel("Share of department focus time, by app", &["department", "ioconnect_app_name"]), &shares);
}

fn troubleshooting(asked: &Asked<'_>, answers: &Answers) {
    let failed = asked.panel("Failed calls by action", &["method"]);
    same("5", &failed, &answers.failures_by_action());
    let by_user = joined(&answers.actions, |calls| calls.failed);
    same("5, for whom", &asked.panel("Failed calls by action, user and machine", &["method", "user_name"]), &by_user);
    assert_eq!(max_entry(&failed).unwrap().0, "Prices.Subscribe");
    // Filtered by a user, as with the variable of the dashboard.
    let one = queries().into_iter().find(|query| query.panel == "Failed calls by action").unwrap();
    let found = asked.ask(&one.text.replace(r#"$user_label=~"$user""#, r#"user_name=~"user000005""#), true);
    let of_one = answers.actions.iter().filter(|((_, user), _)| user == "user000005");
    let expected: f64 = of_one.map(|(_, calls)| calls.failed).sum();
    let counted: f64 = found.iter().map(|(_, points)| points[0].1).sum();
    assert!((counted - expected).abs() < TOLERANCE && counted > 0.0, "5, of a user: {counted} is not {expected}");

    let errors = asked.panel("App errors by machine", &["host_name"]);
    same("6, errors", &errors, &answers.errors);
    let limit = asked.panel("Time at the CPU limit, by machine", &["host_name"]);
    let slow = asked.panel("Mean backend response time, by machine", &["host_name"]);
    let starved = max_entry(&answers.limit).unwrap().0;
    assert_eq!(
        (&max_entry(&errors).unwrap().0, &max_entry(&limit).unwrap().0),
        (&starved, &starved),
        "tied to the machine"
    );
    assert_ne!(max_entry(&slow).unwrap().0, starved, "not to its network: {slow:?}");

    let often = asked.panel("Calls of an action, relative to the median user", &["method", "user_name"]);
    let expected = against_median(&answers.actions, |calls| calls.count);
    let (adapter, times) = max_entry(&expected).unwrap();
    let (found, counted) = max_entry(&often).unwrap();
    assert_eq!(found, adapter, "7: {often:?}");
    assert!((counted / times - 1.0).abs() < TOLERANCE && counted > 5.0, "7: {counted} is not {times}");
    let share = asked.panel("Share of failed calls, by action and user", &["method", "user_name"]);
    assert_eq!(max_entry(&share).unwrap().0, adapter, "7: {share:?}");
}

fn health(asked: &Asked<'_>, answers: &Answers) {
    same("9", &asked.panel("Peak memory by app", &["application"]), &answers.memory);
    same("10", &asked.panel("Time at the CPU limit", &["host_name"]), &answers.limit);
    let regularly = asked.panel("Hours with more than five minutes at the CPU limit", &["host_name"]);
    let starved = max_entry(&answers.limit).unwrap().0;
    assert!(regularly.keys().eq([&starved]) && regularly[&starved] > 4.0, "10: {regularly:?}");

    let alike = asked.panel("Mean response time of a user, relative to the median of all users", &["url", "user_name"]);
    let expected = against_median(&answers.backends, |calls| calls.milliseconds / calls.count);
    let (slowest, times) = max_entry(&expected).unwrap();
    let (found, counted) = max_entry(&alike).unwrap();
    assert_eq!(found, slowest, "11: {alike:?}");
    assert!((counted / times - 1.0).abs() < TOLERANCE && counted > 5.0, "11: {counted} is not {times}");

    let query = queries().into_iter().find(|query| query.panel == "App errors per hour").unwrap();
    let hours = asked.ask(&query.text, false);
    let (at, errors) = hours[0].1.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    // The hour that ends at this time.
    let from = Timestamp::from_second(format!("{at:.0}").parse().unwrap()).unwrap() - 1.hour();
    let hour = from.to_zoned_datetime(jiff::tz::TimeZone::UTC).hour();
    println!("12: most errors, {errors}, in the hour from {hour}");
    assert_eq!(hour, max_entry(&answers.errors_by_hour).unwrap().0, "12: {hours:?} {:?}", answers.errors_by_hour);
}

/// Asserts that the crash is found with its machine and session, and that the log of that session
/// has the messages before and after it.
fn before_and_after(asked: &Asked<'_>, answers: &Answers) {
    let broken = answers.breakdowns.first().unwrap();
    let breaks = asked.panel("App crashes", &["host_name", "session_id", "application"]);
    let key = format!("{} {} {}", broken.host, broken.session, broken.app);
    assert_eq!(breaks, BTreeMap::from([(key, 1.0)]), "8");

    let received = asked.backend.written();
    let resource = |of: &&str| {
        let session = format!("session.id: Str({})", broken.session);
        of.contains(&session) && of.contains(&format!("host.name: Str({})", broken.host))
    };
    let of_session: String = received.split("Resource SchemaURL").filter(resource).collect();
    let places: Vec<_> = broken.story.iter().map(|line| of_session.find(line.as_str())).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "8: {places:?} of {:?}", broken.story);
    assert!(of_session.contains("exception.type: Str(RangeError)") && of_session.contains("Name           : focus"));

    // The names in the queries for logs and traces exist.
    for query in queries().iter().filter(|query| query.kind != "prometheus") {
        for attribute in attributes(&query.text) {
            assert!(received.contains(&attribute), "`{attribute}` of `{}` was not received", query.panel);
        }
    }
    assert!(received.contains("Status code    : Error"), "the spans that failed");
}

/// Returns the attributes in a query in `LogQL` or `TraceQL`, as the Collector writes them.
fn attributes(query: &str) -> BTreeSet<String> {
    let dotted = |name: &str| match name {
        "severity_number" => "SeverityNumber".to_owned(),
        "ioconnect_env_region" => "ioconnect.env_region".to_owned(),
        name => name.replace('_', "."),
    };
    let words = query.split(|c: char| !(c.is_alphanumeric() || "._".contains(c)));
    let scoped = words.filter_map(|word| {
        let known = ["service_name", "host_name", "session_id", "severity_number", "ioconnect_env_region"];
        let scoped = word.strip_prefix("resource.").or(word.strip_prefix("span.")).map(str::to_owned);
        scoped.or(known.contains(&word).then(|| dotted(word)))
    });
    scoped.collect()
}

/// Guarantees: dashboards are consistent. Identities are unique, panels do not overlap, every panel
/// has a description, and every link leads to an existing dashboard.
#[test]
fn dashboards_are_complete() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all.iter().map(|dashboard| dashboard["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), all.len());
    for dashboard in &all {
        let title = &dashboard["title"];
        assert!(dashboard["schemaVersion"].as_u64() >= Some(39) && dashboard["tags"][1] == "insights-agent", "{title}");
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: an id twice");
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{title}: {} is too wide", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{title}: {} lies over another panel", panel["title"]);
                }
            }
            let source = panel["datasource"]["uid"].as_str().unwrap_or_default();
            assert!(panel["type"] == "row" || ["${metrics}", "${logs}", "${traces}"].contains(&source), "{panel}");
            for link in panel["fieldConfig"]["defaults"]["links"].as_array().into_iter().flatten() {
                let url = link["url"].as_str().unwrap();
                let uid = url.strip_prefix("/d/").unwrap().split('?').next().unwrap();
                assert!(uids.contains(uid), "{url} leads nowhere");
            }
        }
    }
    for dashboard in &all {
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let used = dashboard.to_string().matches(&format!("${name}")).count();
            let used = used + dashboard.to_string().matches(&format!("${{{name}")).count();
            assert!(used > 0, "nothing asks for {name} of {}", dashboard["title"]);
        }
    }
    for number in 1..=12 {
        let begin = format!("{number}. ");
        assert!(queries().iter().any(|query| query.question.starts_with(&begin)), "question {number} has no panel");
    }
}

/// Returns the names of metrics in a query.
fn signals(query: &str) -> BTreeSet<&str> {
    let known = ["ioconnect_", "system_", "process_", "app_", "platform_", "layout_", "workspace_", "insights_trace_"];
    let ends = [
        "_total",
        "_seconds",
        "_sum",
        "_count",
        "_bucket",
        "_ratio",
        "_bytes",
        "_percent",
        "_kb",
        "_gb",
        "_milliseconds",
    ];
    let words = query.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| known.iter().any(|k| word.starts_with(k)) && ends.iter().any(|e| word.ends_with(e))).collect()
}

/// Guarantees: docs/dashboards.md has the current table of questions, panels and queries.
/// `UPDATE_DOCS=1` writes it.
#[test]
fn table_of_questions_is_up_to_date() {
    const BEGIN: &str = "<!-- Generated from dashboards/*.json: `UPDATE_DOCS=1 cargo test -p insights-agent-tests --test questions`. -->\n";
    let mut all = queries();
    let number = |query: &Query| query.question.split_once(". ").and_then(|(n, _)| n.parse().ok()).unwrap_or(u32::MAX);
    all.sort_by_key(number);
    let (mut table, mut question) = (BEGIN.to_owned(), "");
    for query in &all {
        if query.question != question {
            question = &query.question;
            _ = write!(table, "\n### {question}\n\n| dashboard | panel | query | signals |\n|---|---|---|---|\n");
        }
        let short = query.text.replace(r#", department=~"$department", host_name=~"$machine", $user_label=~"$user", deployment_environment_name=~"$environment""#, ", ...");
        let short = short.replace(r#"department=~"$department", host_name=~"$machine", $user_label=~"$user", deployment_environment_name=~"$environment""#, "...");
        let signals: Vec<String> = match query.kind.as_str() {
            "prometheus" => signals(&query.text).iter().map(|name| format!("`{name}`")).collect(),
            "loki" => vec!["logs".to_owned()],
            _ => vec!["spans".to_owned()],
        };
        assert!(!signals.is_empty(), "{}", query.text);
        let escaped = short.replace('|', "\\|");
        _ = writeln!(table, "| {} | {} | `{escaped}` | {} |", query.dashboard, query.panel, signals.join(", "));
    }
    let path = folder().join("../docs/dashboards.md");
    let written = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    let head = written.split(BEGIN).next().unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, head.to_owned() + &table).unwrap();
        return;
    }
    assert!(written == head.to_owned() + &table, "docs/dashboards.md is out of date; write it with UPDATE_DOCS=1");
}
