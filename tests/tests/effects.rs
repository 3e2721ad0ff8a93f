//! Every setting has its effect: a table of all of them with the test of each, and tests of those that have none elsewhere.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use insights_agent::config::json_schema;
use insights_agent_tests::platform::Platform;
use insights_agent_tests::program::Desk;
use insights_agent_tests::receiver::Receiver;
use insights_agent_tests::wait_for;
use serde_json::Value;

/// A test, by its file from the root of the repository and its name, and the settings whose effect it shows.
type Shown = (&'static str, &'static str, &'static [&'static str]);

const EFFECTS: &[Shown] = &[
    (EXPORTER, "payloads_arrive_in_every_compression", &["collector.compression"]),
    (EXPORTER, "silence_and_broken_connections_have_their_sentences", &["collector.timeout", "collector.endpoint"]),
    (EXPORTER, "the_wrong_port_has_its_sentence", &["collector.protocol"]),
    (
        "agent/src/pipeline/exporter/tests/destinations.rs",
        "what_is_different_for_one_destination_counts_there",
        &["collector.metrics", "collector.traces", "collector.logs", "collector.fallback"],
    ),
    (
        "tests/tests/secrets.rs",
        "no_secret_appears_anywhere",
        &["collector.headers", "collector.oauth2.client_id", "collector.oauth2.client_secret"],
    ),
    ("tests/tests/secrets.rs", "secrets_stand_where_the_settings_say", &["collector.headers_from"]),
    (EXPORTER, "a_machine_is_known_by_its_certificate", &["collector.client_certificate_thumbprint"]),
    (
        DELIVERY,
        "a_certificate_and_a_token_from_a_file_open_the_door",
        &["collector.certificate", "collector.client_certificate", "collector.client_key"],
    ),
    (DELIVERY, "an_old_version_of_tls_is_refused", &["collector.min_tls_version"]),
    (DELIVERY, "plain_http_to_another_machine_is_refused", &["collector.allow_plain_http"]),
    (
        DELIVERY,
        "a_forward_proxy_is_passed",
        &[
            "collector.proxy.address",
            "collector.proxy.user",
            "collector.proxy.password",
            "collector.proxy.password_from",
        ],
    ),
    (
        DELIVERY,
        "tokens_are_fetched_and_renewed",
        &[
            "collector.oauth2.token_url",
            "collector.oauth2.client_secret_from",
            "collector.oauth2.scopes",
            "collector.oauth2.parameters",
        ],
    ),
    ("tests/tests/saving.rs", "a_metered_link_is_spared", &["collector.saving_interval"]),
    (
        "agent/src/resource/tests.rs",
        "the_resource_follows_the_settings",
        &["resource.user", "resource.user_hash_key", "resource.environment", "resource.attributes"],
    ),
    (
        HERE,
        "sources_are_switched",
        &[
            "host.enabled",
            "processes.enabled",
            "internal_metrics.enabled",
            "focus.enabled",
            "receiver.enabled",
            "host.cpu_threshold",
            "host.memory_threshold",
        ],
    ),
    (HERE, "one_agent_tells_of_a_machine", &["host.one_per_machine", "host.export_interval", "host.sample_interval"]),
    (
        "tests/tests/focus.rs",
        "a_day_in_a_minute",
        &["focus.idle_after", "focus.apps", "processes.sample_interval", "connect.process_names"],
    ),
    ("tests/tests/focus.rs", "an_app_that_hangs_is_counted", &["focus.poll_interval"]),
    (APPS, "by_rules", &["focus.apps[].app", "focus.apps[].title", "focus.apps[].class", "focus.apps[].process"]),
    (APPS, "by_definitions", &["focus.app_definitions"]),
    ("tests/tests/doctor.rs", "what_is_wrong_is_told", &["connect.user_data"]),
    (
        "agent/src/config/tests/insights.rs",
        "io_insights_settings_are_a_layer",
        &["connect.use_insights_settings", "connect.system_json"],
    ),
    ("tests/tests/program.rs", "no_log_file_is_opened_before_it_is_shared", &["logs.start_at"]),
    (HERE, "the_system_tells_of_changes_if_it_is_asked", &["logs.watch", "logs.poll_interval", "logs.flush_interval"]),
    (FILTER, "a_logger_that_runs_wild_is_limited", &["logs.max_records_per_second"]),
    (
        FILTER,
        "each_condition_counts_and_the_first_filter_decides",
        &[
            "logs.filters",
            "logs.filters[].files",
            "logs.filters[].below",
            "logs.filters[].category",
            "logs.filters[].pattern",
            "logs.filters[].keep_one_in",
        ],
    ),
    (
        "agent/src/sources/logs/layout/tests.rs",
        "a_layout_of_the_companys_own_comes_before_the_built_in_one_and_only_for_its_files",
        &["logs.layouts", "logs.layouts[].files", "logs.layouts[].pattern", "logs.layouts[].time_format"],
    ),
    (
        REDACTION,
        "each_rule_hides_its_cases",
        &[
            "logs.redaction.credentials",
            "logs.redaction.email",
            "logs.redaction.payment_cards",
            "logs.redaction.ibans",
            "logs.redaction.phone_numbers",
            "logs.redaction.user",
            "logs.redaction.ip_addresses",
        ],
    ),
    (
        REDACTION,
        "patterns_of_the_company_are_rules",
        &["logs.redaction.patterns", "logs.redaction.patterns[].name", "logs.redaction.patterns[].pattern"],
    ),
    (
        "agent/src/sources/receiver/tests/listen.rs",
        "a_port_that_is_taken_is_replaced",
        &["receiver.grpc_port", "receiver.http_port"],
    ),
    ("tests/tests/browser.rs", "pages_send_if_their_origin_is_allowed", &["receiver.allowed_origins"]),
    ("agent/src/sources/receiver/tests/pages.rs", "everybody_says_the_token", &["receiver.token"]),
    (
        "agent/src/sources/receiver/tests/hiding.rs",
        "named_attributes_of_spans_are_redacted",
        &["receiver.redacted_attributes"],
    ),
    (
        "tests/tests/receiver.rs",
        "passing_spans_become_metrics",
        &[
            "receiver.request_views.enabled",
            "receiver.request_views.spans",
            "receiver.sampling.ratio",
            "receiver.sampling.keep_errors",
        ],
    ),
    (RECEIVER, "errors_and_slow_traces_survive_sampling", &["receiver.sampling.keep_slower_than"]),
    ("agent/src/pipeline/queue/tests.rs", "a_full_queue_drops_the_oldest_metrics_only", &["queue.max_bytes"]),
    ("agent/src/pipeline/queue/tests.rs", "data_older_than_the_limit_is_dropped_and_counted", &["queue.max_age"]),
    ("agent/src/pipeline/queue/owner/tests.rs", "the_reserve_of_the_disk_is_left_alone", &["queue.min_free_disk"]),
    ("tests/tests/settings.rs", "what_is_saved_has_its_effect", &["program_log.level"]),
    ("tests/tests/settings.rs", "a_policy_on_linux_is_obeyed", &["policy.share_platform_logs", "policy.allow_pause"]),
    ("tests/tests/window.rs", "what_the_organisation_has_set", &["policy.share_application_logs", "policy.autostart"]),
];
const APPS: &str = "agent/src/connect/apps/tests.rs";
const DELIVERY: &str = "tests/tests/delivery.rs";
const EXPORTER: &str = "agent/src/pipeline/exporter/tests.rs";
const FILTER: &str = "agent/src/sources/logs/filter/tests.rs";
const HERE: &str = "tests/tests/effects.rs";
const RECEIVER: &str = "agent/src/sources/receiver/tests.rs";
const REDACTION: &str = "agent/src/redaction/tests.rs";

/// All settings below `node`.
fn keys(node: &Value, above: &str) -> Vec<String> {
    let children = node["properties"].as_object().into_iter().flatten();
    let of_child = |(name, child): (&String, &Value)| {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let below = keys(child, &key);
        if below.is_empty() {
            let items = keys(&child["items"], &format!("{key}[]"));
            std::iter::once(key).chain(items).collect()
        } else {
            below
        }
    };
    children.flat_map(of_child).collect()
}

/// Guarantees: every setting that the schema knows is in the table, alone or with all of its room, and nothing else is; the test that
/// the table names is there, and its file speaks of the setting. A setting that nobody tests fails here.
#[test]
fn every_setting_has_a_test_of_its_effect() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let all = keys(&json_schema(), "");
    let mut missing: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    for (file, test, settings) in EFFECTS {
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
        for setting in *settings {
            let word = setting.rsplit('.').next().unwrap().trim_end_matches("[]");
            let desk = include_str!("../src/program.rs");
            assert!(text.contains(word) || desk.contains(setting), "{file} does not speak of {setting}");
            let shown: Vec<&String> =
                all.iter().filter(|key| key == setting || key.starts_with(&format!("{setting}."))).collect();
            assert!(!shown.is_empty(), "there is no setting {setting}");
            for key in shown {
                assert!(missing.remove(key.as_str()), "{key} is in the table twice");
            }
        }
    }
    assert!(missing.is_empty(), "no test shows the effect of {missing:?}");
}

/// Guarantees: of all sources that send metrics, or take data, only those are there that are switched on; thresholds are those of the
/// settings.
#[test]
fn sources_are_switched() {
    let switches = ["host", "processes", "internal_metrics", "focus", "receiver"];
    for on in switches {
        let receiver = Receiver::start();
        let mut desk = Desk::new();
        desk.set(format!("collector.endpoint={}", receiver.endpoint()));
        desk.set("host.cpu_threshold=0.123");
        desk.set("host.memory_threshold=0.321");
        for switch in switches {
            desk.set(format!("{switch}.enabled={}", switch == on));
        }
        let _platform = Platform::start(&desk.data(), "io-connect-desktop");
        let agent = desk.start();
        let status = desk.status();
        assert_eq!(status["receiver"].is_object(), on == "receiver", "{on}: {status}");
        let looked = desk.wait_for_status("a look", |status| {
            on != "focus" || !status["focus"]["state"].is_null() || !status["focus"]["problem"].is_null()
        });
        let is_nothing = looked["focus"]["state"].is_null() && looked["focus"]["problem"].is_null();
        assert_eq!(is_nothing, on != "focus", "{on}: {looked}");
        let scope = match on {
            "host" => Some("insights-agent.host"),
            "processes" => Some("insights-agent.processes"),
            "internal_metrics" => Some("insights-agent.internal"),
            _ => None,
        };
        if let Some(scope) = scope {
            wait_for(scope, || receiver.scopes().contains_key(scope).then_some(()));
            assert_eq!(receiver.scopes().keys().collect::<Vec<_>>(), [scope], "{on}");
        }
        if on == "host" {
            let metrics = wait_for("both thresholds", || {
                let metrics = receiver.scopes().remove("insights-agent.host").unwrap();
                ["0.123", "0.321"].iter().all(|threshold| metrics.contains(threshold)).then_some(metrics)
            });
            assert!(metrics.contains("ioconnect.host.memory.time_above_threshold"), "{metrics}");
        }
        assert!(agent.stop());
    }
}

/// Guarantees: with `host.one_per_machine`, of two agents on a machine one tells how the machine is, and the other does when that one ends.
#[test]
fn one_agent_tells_of_a_machine() {
    let receivers = [Receiver::start(), Receiver::start()];
    let desks = receivers.each_ref().map(|receiver| {
        let mut desk = Desk::new();
        desk.set(format!("collector.endpoint={}", receiver.endpoint()));
        desk.set("host.one_per_machine=true");
        desk
    });
    let tells = |which: usize| receivers[which].scopes().get("insights-agent.host").cloned().unwrap_or_default();
    let first = desks[0].start();
    wait_for("the first one", || tells(0).contains("system.uptime").then_some(()));
    let second = desks[1].start();
    wait_for("the second one's own", || receivers[1].scopes().contains_key("insights-agent.internal").then_some(()));
    assert!(!tells(1).contains("system.uptime"), "{}", tells(1));
    assert!(first.stop());
    wait_for("the second one's turn", || tells(1).contains("system.uptime").then_some(()));
    assert!(second.stop());
}

/// Guarantees: with `logs.watch` the system is asked to tell of changes, without it it is not, and lines arrive all the same.
#[test]
fn the_system_tells_of_changes_if_it_is_asked() {
    let receiver = Receiver::start();
    for watched in [true, false] {
        let mut desk = Desk::new();
        desk.set(format!("collector.endpoint={}", receiver.endpoint()));
        desk.set(format!("logs.watch={watched}"));
        desk.set("logs.poll_interval=200ms");
        desk.set("logs.flush_interval=50ms");
        let agent = desk.start();
        let _ = desk.status();
        let _ = desk.ok(&["logs", "share", "on"]);
        desk.write("application.log", &format!("[2026-11-23T08:18:10.936] [INFO] default - watched {watched}\n"));
        let body = format!("watched {watched}");
        wait_for(&body, || receiver.lines().iter().any(|line| line.body == body).then_some(()));
        let handles = fs::read_dir(format!("/proc/{}/fdinfo", agent.id())).unwrap();
        let infos = handles.filter_map(|handle| fs::read_to_string(handle.unwrap().path()).ok());
        let watches = infos.filter(|info| info.contains("inotify wd:")).count();
        assert_eq!(watches > 0, watched);
        assert!(agent.stop());
    }
}
