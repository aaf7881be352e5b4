//! The page of a running Logweir.

use super::*;
use crate::logweir::{logweir, words};
use logweir_testing::{free_port, promtool};
use rustix::process::Signal;

/// A forward source, a file that is followed, a filter that counts, a file buffer.
fn config(here: &Path, [forward, metrics, monitor]: [u16; 3]) -> String {
    let here = here.display();
    metrics_conf(metrics)
        + &format!(
            "<source>\n @id in\n @type forward\n bind 127.0.0.1\n port {forward}\n</source>\n\
             <source>\n @id logs\n @type tail\n path {here}/logs/*.log\n pos_file {here}/pos\n tag logs\n read_from_head true\n\
             refresh_interval 1\n rotate_wait 1\n <parse>\n @type none\n </parse>\n</source>\n\
             <filter app.**>\n @type prometheus\n\
             <metric>\n name app_bytes_total\n type counter\n desc Bytes\n key $.http.bytes\n\
             <labels>\n status $.http.status\n </labels>\n </metric>\n\
             <metric>\n name app_events_total\n type counter\n desc Events\n </metric>\n\
             <labels>\n tag ${{tag_parts[1]}}\n </labels>\n</filter>\n\
             <match {{app.**,logs}}>\n @id out\n @type file\n path {here}/out/events\n append true\n\
             <buffer>\n @type file\n path {here}/buffer\n flush_mode lazy\n timekey 1d\n flush_at_shutdown false\n </buffer>\n</match>\n\
             <source>\n @type monitor_agent\n bind 127.0.0.1\n port {monitor}\n</source>\n{NO_OWN_LOG}"
        )
}

#[test]
fn what_records_bring_is_counted_over_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let [forward, metrics, monitor] = [(); 3].map(|()| free_port());
    fs::create_dir(dir.path().join("logs")).unwrap();
    let mut process = Logweir::start(dir.path(), &config(dir.path(), [forward, metrics, monitor]));
    // Losses are there before there are any.
    let at_first = page(metrics);
    let dropped = |reason: &str| {
        format!("logweir_records_dropped_total{{plugin_id=\"out\",type=\"file\",reason=\"{reason}\"}}")
    };
    assert_eq!(samples(&at_first).get(dropped("retry_limit").as_str()), Some(&0.0), "{at_first}");
    let pipelines =
        "logweir_records_dropped_total{plugin_id=\"pipelines\",type=\"pipelines\",reason=\"no_match\"}";
    assert_eq!(samples(&at_first).get(pipelines), Some(&0.0), "{at_first}");

    let record = json!({"http": {"status": 200, "bytes": 12}});
    send(forward, "app.web", "c1", &record, 10);
    send(forward, "app.web", "c2", &json!({"http": {"status": 500, "bytes": 0.5}}), 2);
    send(forward, "nobody", "c3", &record, 3);
    let expected = [
        ("app_bytes_total{status=\"200\",tag=\"web\"}", 120.0),
        ("app_bytes_total{status=\"500\",tag=\"web\"}", 1.0),
        ("app_events_total{tag=\"web\"}", 12.0),
        ("logweir_records_received_total{plugin_id=\"in\",type=\"forward\"}", 15.0),
        ("logweir_records_received_total{plugin_id=\"out\",type=\"file\"}", 12.0),
        (pipelines, 3.0),
        ("logweir_records_buffered{plugin_id=\"out\",type=\"file\"}", 12.0),
        ("logweir_buffer_chunks{plugin_id=\"out\",type=\"file\",state=\"staged\"}", 1.0),
        ("logweir_records_unexplained", 0.0),
        ("fluentd_output_status_emit_records{plugin_id=\"out\",type=\"file\"}", 12.0),
        ("fluentd_output_status_buffer_stage_length{plugin_id=\"out\",type=\"file\"}", 1.0),
        ("fluentd_status_retry_count{plugin_id=\"out\",plugin_category=\"output\",type=\"file\"}", 0.0),
    ];
    for (key, value) in expected {
        wait_for(&mut process, metrics, key, value);
    }

    process.signal(Signal::USR2);
    process.wait("the reload", |process| process.log().contains("the new configuration is running"));
    send(forward, "app.web", "c4", &record, 1);
    for (key, value) in [
        ("app_bytes_total{status=\"200\",tag=\"web\"}", 132.0),
        ("app_events_total{tag=\"web\"}", 13.0),
        ("logweir_records_received_total{plugin_id=\"in\",type=\"forward\"}", 16.0),
        // The buffer was found again.
        ("logweir_records_opening_total{plugin_id=\"out\",type=\"file\"}", 12.0),
        ("logweir_records_buffered{plugin_id=\"out\",type=\"file\"}", 13.0),
        ("logweir_records_unexplained", 0.0),
        ("fluentd_output_status_emit_records{plugin_id=\"out\",type=\"file\"}", 1.0),
    ] {
        wait_for(&mut process, metrics, key, value);
    }
    assert!(process.stop().success());
}

#[test]
fn files_that_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let [forward, metrics, monitor] = [(); 3].map(|()| free_port());
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let file = logs.join("a.log");
    fs::write(&file, "one\ntwo\n").unwrap();
    let mut process = Logweir::start(dir.path(), &config(dir.path(), [forward, metrics, monitor]));
    let key = |name: &str| {
        format!("fluentd_tail_file_{name}{{plugin_id=\"logs\",type=\"tail\",path=\"{}\"}}", file.display())
    };
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&file).unwrap()) as f64;
    for (name, value) in
        [("position", 8.0), ("inode", inode), ("opened", 1.0), ("rotated", 0.0), ("throttled", 0.0)]
    {
        wait_for(&mut process, metrics, &key(name), value);
    }
    // An unfinished line is not read.
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"thr").unwrap();
    wait_for(&mut process, metrics, "logweir_tail_files{plugin_id=\"logs\",type=\"tail\"}", 1.0);
    fs::rename(&file, dir.path().join("a.log.1")).unwrap();
    fs::write(&file, "four\n").unwrap();
    for (name, value) in [("rotated", 1.0), ("closed", 1.0), ("opened", 2.0), ("position", 5.0)] {
        wait_for(&mut process, metrics, &key(name), value);
    }
    let answer = http_request(monitor, "GET", "/api/plugins.json?@id=logs", &[], b"").unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let plugin = &answer["plugins"][0];
    assert_eq!(
        [&plugin["opened_file_count"], &plugin["closed_file_count"], &plugin["rotated_file_count"]],
        [&json!(2), &json!(1), &json!(1)],
        "{plugin}"
    );
    fs::remove_file(&file).unwrap();
    process.wait("the end of its metrics", |_| !page(metrics).contains("fluentd_tail_file_position{"));
    assert!(process.stop().success());
}

#[test]
fn promtool_takes_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let [forward, metrics, monitor] = [(); 3].map(|()| free_port());
    fs::create_dir(dir.path().join("logs")).unwrap();
    fs::write(dir.path().join("logs/a \"quoted\" \\ file.log"), "one\n").unwrap();
    let mut process = Logweir::start(dir.path(), &config(dir.path(), [forward, metrics, monitor]));
    send(forward, "app.web", "c1", &json!({"http": {"status": "a\n\"b\"\\", "bytes": 1}}), 1);
    process.wait("metrics of the tail", |_| page(metrics).contains("fluentd_tail_file_position{"));
    let all = page(metrics);
    assert!(all.contains(r#"app_bytes_total{status="a\n\"b\"\\",tag="web"} 1"#), "{all}");
    let said = promtool(dir.path(), &["check", "metrics"], all.as_bytes());
    // 3 is for names that break its rules, as Fluentd's do; 1 is for what is no text of metrics.
    assert!(matches!(said.status.code(), Some(0 | 3)), "{}\n{all}", words(&said));
    let complaints = words(&said);
    let own = complaints.lines().filter(|line| line.starts_with("logweir_") || line.starts_with("process_"));
    assert_eq!(own.count(), 0, "{complaints}");
}

#[test]
fn metrics_that_contradict_each_other_forbid_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let metric =
        |kind: &str| format!("<metric>\n    name m\n    type {kind}\n    desc d\n    key k\n  </metric>");
    let text = format!(
        "<filter a>\n  @type prometheus\n  {}\n</filter>\n<match **>\n  @type prometheus\n  {}\n</match>\n",
        metric("counter"),
        metric("gauge")
    );
    let file = dir.path().join("fluent.conf");
    fs::write(&file, text).unwrap();
    for args in [&["check"][..], &["--dry-run", "-c"]] {
        let file = file.display().to_string();
        let args: Vec<&str> = args.iter().copied().chain([file.as_str()]).collect();
        let output = logweir(&args);
        let said = words(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("m has already been registered as counter type"), "{said}");
        assert!(said.contains("fluent.conf:14:"), "the place: {said}");
        assert!(said.contains("fluent.conf:3:3"), "the other place: {said}");
    }
}
