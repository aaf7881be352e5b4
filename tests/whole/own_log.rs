//! Logweir's own log: its form, what is left out, and as events.

use crate::logweir::Logweir;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// An input whose every event finds no `<match>`, so that it is warned of again and again.
fn config(here: &Path, system: &str, log_level: &str) -> String {
    let here = here.display();
    format!(
        "<system>\n{system}\n</system>\n\
         <source>\n @type sample\n @id maker\n {log_level}\n tag nowhere\n rate 20\n</source>\n\
         <match somewhere>\n @type null\n</match>\n\
         <label @FLUENT_LOG>\n <match fluent.warn>\n @type file\n path {here}/own\n append true\n\
         <format>\n @type out_file\n </format>\n\
         <buffer []>\n path {here}/buffer\n flush_mode immediate\n </buffer>\n </match>\n</label>\n"
    )
}

#[test]
fn lines_are_events_of_their_level() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Logweir::start(dir.path(), &config(dir.path(), "log_level info", ""));
    let own = || fs::read_to_string(dir.path().join("own.log")).unwrap_or_default();
    process.wait("a warning", |_| own().contains("no patterns matched"));
    assert_eq!(process.stop().code(), Some(0));
    for line in own().lines() {
        let [_, tag, record] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(tag, "fluent.warn");
        let record: Value = serde_json::from_str(record).unwrap();
        assert!(record["message"].is_string(), "{line}");
    }
    assert!(
        own().contains(r#"{"tag":"nowhere","message":"no patterns matched tag=\"nowhere\""}"#),
        "{}",
        own()
    );
    let missing = "match for some tags of log events are not defined in @FLUENT_LOG label (to be ignored) \
                   tags=[\"fluent.trace\", \"fluent.debug\", \"fluent.info\", \"fluent.error\", \"fluent.fatal\"]";
    assert!(process.log().contains(missing), "{}", process.log());
}

#[test]
fn json_lines_have_what_fluentds_have() {
    let dir = tempfile::tempdir().unwrap();
    let system =
        "<log>\nformat json\ntime_format %s\n</log>\nsuppress_config_dump true\nignore_same_log_interval 1h";
    let mut process = Logweir::not_started(dir.path(), &config(dir.path(), system, ""));
    let dump = dir.path().join("dump");
    process.spawn(&[("SIGDUMP_PATH", &dump.to_string_lossy())]);
    process.wait_until_running();
    let count = |log: &str, text: &str| log.matches(text).count();
    let own = || fs::read_to_string(dir.path().join("own.log")).unwrap_or_default();
    process.wait("an event", |_| !own().is_empty());
    // The 2nd, 4th and 8th event would be warned of again.
    process.wait("some events", |process| {
        process.signal(Signal::CONT);
        let text = fs::read_to_string(&dump).unwrap_or_default();
        let records = text.split("maker: ").nth(1).and_then(|rest| rest.split(' ').next());
        records.and_then(|records| records.parse::<u64>().ok()).is_some_and(|records| records > 8)
    });
    assert_eq!(process.stop().code(), Some(0));
    let log = process.log();
    assert_eq!(count(&log, "no patterns matched"), 1, "{log}");
    assert_eq!(own().lines().count(), 1, "{}", own());
    for line in log.lines().filter(|line| line.contains("no patterns matched")) {
        let keys: Vec<String> =
            serde_json::from_str::<serde_json::Map<String, Value>>(line).unwrap().keys().cloned().collect();
        assert_eq!(keys, ["time", "level", "message", "worker_id", "tag"]);
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].as_str().unwrap().parse::<u64>().is_ok(), "{line}");
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "no patterns matched tag=\"nowhere\"");
        assert_eq!(line["worker_id"], 0);
    }
}
