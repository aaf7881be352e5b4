//! docs/monitoring.md and conf/prometheus say what there is.

use super::*;
use crate::logweir::{logweir, words};
use logweir_engine::telemetry::prometheus::OWN;
use logweir_testing::{free_port, promtool};
use std::collections::BTreeSet;

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md")).unwrap()
}

/// The rows of its tables that begin with the name of a metric: name, type, labels, meaning.
fn rows(document: &str) -> Vec<[String; 4]> {
    let cells = |line: &str| -> Option<[String; 4]> {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells.try_into().ok()?;
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        Some([name, kind, labels, meaning].map(str::to_owned))
    };
    document.lines().filter_map(cells).collect()
}

#[test]
fn own_metrics_are_documented_and_documented_ones_exist() {
    let documented: BTreeSet<[String; 4]> =
        rows(&document()).into_iter().filter(|row| !row[0].starts_with("fluentd_")).collect();
    let own: BTreeSet<[String; 4]> = OWN
        .iter()
        .map(|metric| {
            let labels = if metric.labels.is_empty() { "-".to_owned() } else { metric.labels.join(", ") };
            let meaning = metric.help.trim_end_matches('.').to_owned();
            [metric.name.to_owned(), metric.kind.as_str().to_owned(), labels, meaning]
        })
        .collect();
    let differences: Vec<_> = documented.symmetric_difference(&own).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn fluentds_metrics_are_documented_and_documented_ones_exist() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = metrics_conf(port) + "<match **>\n @type null\n</match>\n";
    let _process = Logweir::start(dir.path(), &config);
    let page = page(port);
    let shown: BTreeSet<(&str, &str)> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE fluentd_")?.split_once(' ')).collect();
    let document = document();
    let rows = rows(&document);
    let documented: BTreeSet<(&str, &str)> = rows
        .iter()
        .filter_map(|row| Some((row[0].strip_prefix("fluentd_")?, row[1].trim_end_matches(" (counter)"))))
        .collect();
    assert_eq!(documented, shown);
}

#[test]
fn each_own_metric_is_written_somewhere() {
    let mut sources = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("engine/src"), root.join("plugins/src"), root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("prometheus/own.rs") {
                sources.push(fs::read_to_string(path).unwrap_or_default());
            }
        }
    }
    for metric in OWN {
        let quoted = format!("\"{}\"", metric.name);
        assert!(sources.iter().any(|text| text.contains(&quoted)), "nothing writes {}", metric.name);
    }
}

#[test]
fn what_the_document_shows_runs() {
    let dir = tempfile::tempdir().unwrap();
    let document = document();
    let blocks: Vec<&str> = document.split("```\n").skip(1).step_by(2).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let file = dir.path().join("fluent.conf");
        fs::write(&file, format!("{block}<match **>\n @type null\n</match>\n")).unwrap();
        let output = logweir(&["check", &file.display().to_string()]);
        assert!(output.status.success(), "{block}{}", words(&output));
    }
}

#[test]
fn rules_and_scrape_configuration_pass_promtool() {
    let dir = conf("");
    for args in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "alerts.yml"],
        &["test", "rules", "alerts_test.yml"],
    ] {
        let output = promtool(&dir, args, b"");
        assert!(output.status.success(), "{args:?}: {}", words(&output));
    }
}

#[test]
fn alerts_ask_for_metrics_that_exist_and_each_is_tested() {
    let (alerts, tests) = (conf_text("alerts.yml"), conf_text("alerts_test.yml"));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = alerts
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("logweir_") || word.starts_with("process_"));
    let names: BTreeSet<&str> = names.collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let metric = OWN.iter().find(|metric| metric.name == name);
        assert!(metric.is_some(), "there is no {name}");
    }
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {alert}\n        exp_alerts:")), "{alert} is not tested");
    }
}
