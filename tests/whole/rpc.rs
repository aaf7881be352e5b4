//! `<system> rpc_endpoint`: signals by HTTP.

use crate::logweir::{Logweir, logweir, words};
use logweir_testing::{HttpAnswer, free_port, http_request};
use std::fs;
use std::path::Path;

/// A configuration that stores what a `sample` input makes, once somebody has it flushed.
fn config(here: &Path, system: &str) -> String {
    let here = here.display();
    format!(
        "<system>\n {system}\n</system>\n\
         <source>\n @type sample\n tag t\n sample {{\"n\":1}}\n rate 50\n</source>\n\
         <match t>\n @type file\n path {here}/out/events\n append true\n\
         <buffer>\n @type file\n path {here}/buffer\n flush_mode lazy\n timekey 1d\n </buffer>\n</match>\n\
         <match never>\n @type http\n endpoint http://127.0.0.1:9/\n <auth>\n method basic\n username u\n password hidden\n </auth>\n</match>\n\
         <label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n"
    )
}

fn get(port: u16, path: &str) -> HttpAnswer {
    http_request(port, "GET", path, &[], b"").unwrap()
}

/// Bytes in the output's files.
fn stored(dir: &Path) -> u64 {
    let files = fs::read_dir(dir.join("out")).into_iter().flatten().flatten();
    files
        .filter(|file| file.path().extension().is_some_and(|end| end == "log"))
        .map(|file| file.metadata().unwrap().len())
        .sum()
}

#[test]
fn buffers_are_flushed_the_configuration_is_read_again_and_the_process_stops() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let system = format!("rpc_endpoint 127.0.0.1:{port}");
    let mut process = Logweir::start(dir.path(), &config(dir.path(), &system));
    assert_eq!(get(port, "/api/config.dump").text(), r#"{"ok":true}"#);
    process.wait("the configuration in the log", |process| process.log().matches("rate 50").count() >= 2);
    assert!(!process.log().contains("hidden"), "secrets are masked");
    assert_eq!(get(port, "/api/config.getDump").status, 404, "not enabled");
    let unknown = get(port, "/api/plugins.unknown");
    assert_eq!((unknown.status, unknown.text().contains("plugins.unknown")), (404, true));

    assert_eq!(stored(dir.path()), 0, "nothing is flushed by itself");
    process.wait("records", |_| {
        get(port, "/api/plugins.flushBuffers");
        stored(dir.path()) > 0
    });

    let good = fs::read_to_string(dir.path().join("fluent.conf")).unwrap();
    fs::write(dir.path().join("fluent.conf"), "<match>\n").unwrap();
    assert_eq!(get(port, "/api/config.gracefulReload").status, 200);
    process.wait("the refusal", |process| process.log().contains("the running configuration stays"));
    fs::write(dir.path().join("fluent.conf"), good.replace("rate 50", "rate 60")).unwrap();
    assert_eq!(get(port, "/api/config.reload").status, 200);
    process
        .wait("the new configuration", |process| process.log().contains("the new configuration is running"));

    assert_eq!(get(port, "/api/processes.flushBuffersAndKillWorkers").text(), r#"{"ok":true}"#);
    process.wait_for_end();
}

#[test]
fn the_configuration_is_answered_where_that_is_enabled() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let system = format!("rpc_endpoint 127.0.0.1:{port}\n enable_get_dump true");
    let mut process = Logweir::start(dir.path(), &config(dir.path(), &system));
    let answer = http_request(port, "POST", "/api/config.getDump", &[], b"").unwrap();
    assert!(answer.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", answer.head);
    let text = answer.text();
    assert!(text.contains("rate 50") && text.contains(r#""ok":true"#) && !text.contains("hidden"), "{text}");
    get(port, "/api/processes.interruptWorkers");
    process.wait_for_end();
}

#[test]
fn what_is_no_endpoint_or_taken_forbids_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    for (endpoint, reason) in [("24444", "Invalid rpc_endpoint: 24444"), (&*taken, "already in use")] {
        let file = dir.path().join("fluent.conf");
        fs::write(&file, config(dir.path(), &format!("rpc_endpoint {endpoint}"))).unwrap();
        let output = logweir(&["-c", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains(reason), "{}", words(&output));
    }
}
