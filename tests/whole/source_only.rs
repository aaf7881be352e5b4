//! `with_source_only`: inputs alone, until SIGWINCH.

use crate::logweir::Logweir;
use logweir_testing::{free_port, http_request};
use rustix::process::Signal;
use std::fs;
use std::path::Path;

fn post(port: u16, n: u64) {
    let json = ["Content-Type: application/json"];
    let answer = http_request(port, "POST", "/t", &json, format!("{{\"n\":{n}}}").as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// An input into the top level and one into a label, each with its file.
fn config(here: &Path, system: &str, top: u16, label: u16) -> String {
    let here = here.display();
    let input = |port: u16, more: &str| {
        format!("<source>\n @type http\n bind 127.0.0.1\n port {port}\n {more}\n</source>\n")
    };
    let output = |name: &str| {
        format!(
            "<match **>\n @type file\n path {here}/{name}\n append true\n <format>\n @type json\n </format>\n\
             <buffer []>\n path {here}/buffer-{name}\n flush_mode immediate\n </buffer>\n</match>\n"
        )
    };
    format!(
        "<system>\n root_dir {here}/root\n {system}\n</system>\n{}{}{}<label @X>\n\
         <filter **>\n @type record_transformer\n <record>\n label X\n </record>\n </filter>\n{}</label>\n\
         <label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n",
        input(top, ""),
        input(label, "@label @X"),
        output("top"),
        output("label"),
    )
}

fn lines(here: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(here.join(format!("{name}.log"))).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn events_wait_through_a_kill_and_go_on_where_they_would_have_gone() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let (top, label) = (free_port(), free_port());
    let mut process = Logweir::start(here, &config(here, "with_source_only true", top, label));
    for n in 0..3 {
        post(top, n);
        post(label, n);
    }
    process.kill();
    process.start_again();
    post(top, 3);
    assert!(
        process.log().contains("with-source-only: the emitted data will be stored in the buffer files under")
    );
    assert_eq!((lines(here, "top").len(), lines(here, "label").len()), (0, 0));
    assert!(!here.join("buffer-top").exists(), "outputs have not started");
    process.signal(Signal::WINCH);
    process.wait("what has waited", |_| lines(here, "top").len() >= 4 && lines(here, "label").len() >= 3);
    post(top, 4);
    process.wait("what came later", |_| lines(here, "top").len() >= 5);
    process.signal(Signal::HUP);
    process.wait("a reload", |process| process.log().contains("the new configuration is running"));
    post(top, 5);
    process.wait("what came after a reload", |_| lines(here, "top").len() >= 6);
    process.signal(Signal::WINCH);
    process.wait("a word", |process| process.log().contains("do nothing for canceling with-source-only"));
    assert_eq!(process.stop().code(), Some(0));
    assert_eq!(lines(here, "top"), (0..6).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
    assert_eq!(
        lines(here, "label"),
        (0..3).map(|n| format!("{{\"n\":{n},\"label\":\"X\"}}")).collect::<Vec<_>>()
    );
}

#[test]
fn what_is_left_is_taken_out_by_a_start_without_the_mode() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let (top, label) = (free_port(), free_port());
    let mut process = Logweir::start(here, &config(here, "with_source_only true", top, label));
    post(top, 1);
    post(label, 2);
    assert_eq!(process.stop().code(), Some(0));
    fs::write(here.join("fluent.conf"), config(here, "", top, label)).unwrap();
    process.start_again();
    process.wait("both", |_| !lines(here, "top").is_empty() && !lines(here, "label").is_empty());
    assert_eq!(process.stop().code(), Some(0));
    process.start_again();
    assert_eq!(process.stop().code(), Some(0));
    assert_eq!(lines(here, "top"), [r#"{"n":1}"#]);
    assert_eq!(lines(here, "label"), [r#"{"n":2,"label":"X"}"#]);
}

#[test]
fn outputs_that_cannot_start_end_the_process_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let (top, label) = (free_port(), free_port());
    let mut process = Logweir::start(here, &config(here, "with_source_only true", top, label));
    post(top, 1);
    // A file where the output's folder should be.
    fs::write(here.join("buffer-top"), "").unwrap();
    process.signal(Signal::WINCH);
    let status = loop {
        if let Some(status) = process.ended() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(1), "{}", process.log());
    assert!(process.log().contains("the other plugins cannot start"), "{}", process.log());
    fs::remove_file(here.join("buffer-top")).unwrap();
    fs::write(here.join("fluent.conf"), config(here, "", top, label)).unwrap();
    process.start_again();
    process.wait("the event", |_| lines(here, "top") == [r#"{"n":1}"#]);
    assert_eq!(process.stop().code(), Some(0));
}
