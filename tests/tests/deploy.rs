//! Scenario: the programs that read them check the files that are shipped with the dashboards:
//! promtool the rules, the Collector its configurations.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_support::peer;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dashboards").join(name)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Guarantees: the rules are valid, every alert fires when it should and does not fire when it
/// should not, and every alert has a test.
#[test]
fn alert_rules_pass_promtool_and_each_has_a_test() {
    let Some(promtool) = peer("PROMTOOL") else { return };
    let rules = folder("rules");
    let run = |arguments: &[&str]| Command::new(&promtool).args(arguments).current_dir(&rules).output().unwrap();
    for arguments in [&["check", "rules", "recording.yaml", "alerts.yaml"][..], &["test", "rules", "tests.yaml"]] {
        let output = run(arguments);
        assert!(output.status.success(), "{}", text(&output));
    }
    let tests = std::fs::read_to_string(rules.join("tests.yaml")).unwrap();
    let alerts = std::fs::read_to_string(rules.join("alerts.yaml")).unwrap();
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 12);
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test in which it fires");
    }
}

fn validate(collector: &str, files: &[&Path]) -> Output {
    let mut command = Command::new(collector);
    command.arg("validate");
    for file in files {
        command.arg("--config").arg(file);
    }
    command.env("INFLUX_TOKEN", "x").env("SPLUNK_TOKEN", "x").output().unwrap()
}

/// Guarantees: the configuration for the Collector's core distribution is valid. The ones for the
/// `contrib` distribution need components that this Collector lacks; apart from those it reports no
/// errors.
#[test]
fn collector_configurations_are_valid() {
    let Some(collector) = peer("OTELCOL") else { return };
    let folder = folder("collector");
    let core = validate(&collector, &[&folder.join("victoria.yaml")]);
    assert!(core.status.success(), "{}", text(&core));
    let standard = folder.join("standard.yaml");
    let mut overlays = vec![standard.clone()];
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    overlays.extend(files.filter(|file| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.starts_with("to-") || name.starts_with("from-")
    }));
    assert!(overlays.len() >= 7, "{overlays:?}");
    let missing = ["prometheus", "file_storage", "prometheusremotewrite", "influxdb", "splunk_hec", "kafka"];
    for overlay in &overlays {
        let output = text(&validate(&collector, &[&standard, overlay]));
        let complaints: Vec<&str> = output.lines().filter(|line| line.starts_with('\'')).collect();
        assert!(!complaints.is_empty(), "{}: {output}", overlay.display());
        for complaint in complaints {
            let known = missing.iter().any(|kind| complaint.contains(&format!("unknown type: \"{kind}\"")));
            assert!(known, "{}: {complaint}", overlay.display());
        }
    }
}
