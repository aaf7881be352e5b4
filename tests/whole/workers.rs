//! `<worker N>`: one process stands for all workers of Fluentd.

use crate::logweir::{Logweir, logweir, words};
use logweir_testing::{free_port, http_request};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// Logweir's own log lines are no events.
const NO_OWN_LOG: &str = "<label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n";

fn post(port: u16, tag: &str, text: &str) {
    let json = ["Content-Type: application/json"];
    let body = format!("{{\"message\":\"{text}\"}}");
    let answer = http_request(port, "POST", &format!("/{tag}"), &json, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn input(port: u16) -> String {
    format!("<source>\n @type http\n bind 127.0.0.1\n port {port}\n</source>\n")
}

/// An output that writes at once.
fn output(here: &Path, pattern: &str, path: &str, more: &str) -> String {
    let here = here.display();
    format!(
        "<match {pattern}>\n @type file\n path \"{here}/{path}\"\n append true\n <format>\n @type json\n </format>\n{more}\
         <buffer []>\n path \"{here}/buffer-{path}\"\n flush_mode immediate\n </buffer>\n</match>\n"
    )
}

#[test]
fn events_go_past_the_plugins_of_their_worker_only() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let (zero, one, none) = (free_port(), free_port(), free_port());
    let config = format!(
        "<system>\n workers 3\n log_level debug\n</system>\n\
         <worker 0>\n{}{}</worker>\n\
         <worker 1-2>\n\
         <source>\n @type exec\n command echo $SERVERENGINE_WORKER_ID\n tag exec\n <parse>\n @type none\n </parse>\n</source>\n{}{}\
         <filter **>\n @type record_transformer\n <record>\n by \"#{{ENV['SERVERENGINE_WORKER_ID']}}\"\n </record>\n </filter>\n{}\
         </worker>\n{}{NO_OWN_LOG}",
        input(zero),
        output(here, "zero.**", "out#{worker_id}", ""),
        input(one),
        "<match never>\n @type null\n</match>\n",
        output(here, "**", "out#{worker_id}", "<inject>\n worker_id_key w\n </inject>\n"),
        input(none),
    );
    let mut process = Logweir::start(here, &config);
    post(zero, "zero.a", "from 0");
    post(zero, "other", "lost");
    post(one, "zero.a", "from 1");
    post(none, "zero.a", "anywhere, for 0");
    post(none, "other", "anywhere, for 1");
    let lines = |name: &str| {
        let text = fs::read_to_string(here.join(name)).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    process.wait("all events", |_| lines("out0.log").len() + lines("out1.log").len() == 5);
    assert_eq!(process.stop().code(), Some(0));
    assert_eq!(lines("out0.log"), [r#"{"message":"anywhere, for 0"}"#, r#"{"message":"from 0"}"#]);
    let by_1 = |text: &str| format!(r#"{{"message":"{text}","by":"1","w":1}}"#);
    assert_eq!(lines("out1.log"), [by_1("1"), by_1("anywhere, for 1"), by_1("from 1")]);
    assert!(process.log().contains("[debug]: #1 Executing command"), "{}", process.log());
    assert!(process.log().contains("no patterns matched tag=\"other\""), "{}", process.log());
}

/// Fluentd's workers share the socket of a source that stands in no `<worker>`.
#[test]
fn one_forward_source_serves_all_workers() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let source = format!("<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>\n");
    let out = output(dir.path(), "**", "out", "");
    let config = format!("<system>\n workers 2\n</system>\n{source}{out}{NO_OWN_LOG}");
    let mut process = Logweir::start(dir.path(), &config);
    let peers: Vec<TcpStream> = (0..4)
        .map(|n| {
            let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let event = ("t", 1_700_000_000, serde_json::json!({"n": n}));
            peer.write_all(&rmp_serde::to_vec(&event).unwrap()).unwrap();
            peer
        })
        .collect();
    let lines = || fs::read_to_string(dir.path().join("out.log")).unwrap_or_default().lines().count();
    process.wait("the events of all connections", |_| lines() == peers.len());
    assert_eq!(process.stop().code(), Some(0));
    assert_eq!(process.log().matches("listening port").count(), 1, "{}", process.log());
}

#[test]
fn two_inputs_on_one_port_are_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let source = input(free_port());
    let config = format!(
        "<system>\n workers 2\n</system>\n<worker 0>\n{source}</worker>\n<worker 1>\n{source}</worker>\n{}",
        "<match **>\n @type null\n</match>\n"
    );
    let mut process = Logweir::not_started(dir.path(), &config);
    process.spawn(&[]);
    let status = loop {
        match process.ended() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(1));
    let log = process.log();
    assert!(log.contains("another program, or another input, listens there already"), "{log}");
}

#[test]
fn wrong_workers_are_fluentds_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fluent.conf");
    let null = "<match **>\n @type null\n</match>\n";
    let label = "<label @X>\n <match **>\n @type null\n </match>\n</label>\n";
    let to_label = "<source>\n @type sample\n tag t\n @label @X\n</source>\n";
    for (inside, says) in [
        (format!("<worker>\n{null}</worker>\n"), "Missing worker id on <worker> directive"),
        (format!("<worker x>\n{null}</worker>\n"), "worker id should be integer: x"),
        (
            format!("<worker 2>\n{null}</worker>\n"),
            "worker id 2 specified by <worker> directive is not allowed",
        ),
        (format!("<worker 1-0>\n{null}</worker>\n"), "greater first_worker_id<1> than last_worker_id<0>"),
        (
            format!("<worker 0-1>\n{null}</worker>\n<worker 1-1>\n{null}</worker>\n"),
            "specified worker_id<1> collisions is detected",
        ),
        (
            "<worker 0>\n<system>\n</system>\n</worker>\n".to_owned(),
            "<worker> section cannot have <system> directive",
        ),
        (format!("<worker 1>\n{label}</worker>\n{to_label}"), "@X label not found"),
        (format!("<worker 1>\n{label}</worker>\n<worker 0>\n{to_label}</worker>\n"), "@X label not found"),
    ] {
        fs::write(&file, format!("<system>\n workers 2\n</system>\n{inside}")).unwrap();
        let output = logweir(&["check", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(1), "{inside}");
        assert!(words(&output).contains(says), "{says}: {}", words(&output));
    }
    fs::write(&file, format!("<system>\n workers 2\n</system>\n<worker 1>\n{label}{to_label}</worker>\n"))
        .unwrap();
    let good = logweir(&["check", &file.to_string_lossy()]);
    assert_eq!(good.status.code(), Some(0), "{}", words(&good));
}

#[test]
fn what_each_worker_of_a_former_fluentd_left_is_delivered_once() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let mut expected = Vec::new();
    let mut leave = |folder: String, digit: char| {
        let (folder, line) = (here.join(&folder), format!("from {folder}\n"));
        fs::create_dir_all(&folder).unwrap();
        let hex = digit.to_string().repeat(32);
        // A chunk of Fluentd 0.12's, whose name says all; out_file's chunks hold text.
        fs::write(folder.join(format!("buffer.q{hex}.log")), &line).unwrap();
        expected.push(line.trim_end().to_owned());
    };
    leave("buffer".to_owned(), 'a');
    for (worker, digit) in [(0, 'b'), (1, 'c'), (5, 'd')] {
        leave(format!("buffer/worker{worker}"), digit);
        leave(format!("root/worker{worker}/by_root/buffer"), digit);
    }
    let shown = here.display();
    let output = |id: &str, buffer: &str| {
        format!(
            "<match {id}>\n @type file\n @id {id}\n path {shown}/out-{id}\n append true\n <format>\n @type single_value\n </format>\n\
             <buffer []>\n @type file\n {buffer}\n flush_mode interval\n flush_interval 1h\n </buffer>\n</match>\n"
        )
    };
    let config = format!(
        "<system>\n workers 2\n root_dir {shown}/root\n</system>\n{}{}{NO_OWN_LOG}",
        output("by_path", &format!("path {shown}/buffer")),
        output("by_root", ""),
    );
    let mut process = Logweir::start(here, &config);
    let lines = || {
        let text = ["out-by_path.log", "out-by_root.log"]
            .map(|name| fs::read_to_string(here.join(name)).unwrap_or_default())
            .concat();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    expected.sort();
    process.wait("all chunks", |_| lines().len() >= expected.len());
    assert_eq!(process.stop().code(), Some(0));
    process.start_again();
    assert_eq!(process.stop().code(), Some(0));
    assert_eq!(lines(), expected);
    for folder in ["buffer", "buffer/worker1", "buffer/worker5", "root/worker5/by_root/buffer"] {
        let names = fs::read_dir(here.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let chunks = names.filter(|name| name.to_string_lossy().starts_with("buffer.")).count();
        assert_eq!(chunks, 0, "{folder}");
    }
}

#[test]
fn one_process_takes_no_more_than_one_worker_without_a_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fluent.conf");
    fs::write(&file, "<system>\n workers 2\n</system>\n<match **>\n @type null\n</match>\n").unwrap();
    let path = file.to_string_lossy();
    let output = logweir(&["--no-supervisor", "--workers", "2", "-c", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("multi workers is not supported with --no-supervisor"));
    let output = logweir(&["--no-supervisor", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words(&output).contains("invalid number of workers (must be 1 or unspecified)"),
        "{}",
        words(&output)
    );
    fs::write(dir.path().join("root"), "").unwrap();
    fs::write(&file, format!("<system>\n root_dir {}/root\n</system>\n", dir.path().display())).unwrap();
    let output = logweir(&["check", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("non directory entry exists:"), "{}", words(&output));
}
