//! Fluentd's small commands, called by the names that they have there.

use crate::logweir::{BINARY, Logweir, logweir, words};
use logweir_testing::{free_port, http_request};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A link of that name to the program, in `dir`.
fn link(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    if !path.exists() {
        std::os::unix::fs::symlink(BINARY, &path).unwrap();
    }
    path
}

fn run(program: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that does not read its input has said why.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn fluent_cat_sends_lines_maps_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let (here, port) = (dir.path().display(), free_port());
    let config = format!(
        "<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>\n\
         <match cat.**>\n @type file\n path {here}/out\n append true\n\
         <format>\n @type out_file\n time_format %s.%N\n </format>\n\
         <buffer []>\n path {here}/buffer\n flush_mode immediate\n </buffer>\n</match>\n"
    );
    let mut process = Logweir::start(dir.path(), &config);
    let cat = link(dir.path(), "fluent-cat");
    let port = port.to_string();
    let at = ["-p", &port, "--event-time", "2024-01-02T03:04:05.5Z"];
    let sent = |more: &[&str], input: &[u8]| {
        let output = run(&cat, &[&at, more].concat(), input);
        assert!(output.status.success(), "{more:?}: {}", words(&output));
    };
    sent(&["cat.json"], b"{\"n\":1}\n{\"n\":[\"\xc3\xa9\"]}\n");
    sent(&["--none", "--message-key", "line", "cat.none"], b"a b\nc");
    sent(&["-f", "msgpack", "cat.msgpack"], b"\x81\xa1n\x02");
    sent(&["--time-as-integer", "cat.whole"], b"{\"n\":3}\n");
    let lines = || {
        let text = fs::read_to_string(dir.path().join("out.log")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    process.wait("all events", |_| lines().len() >= 6);
    assert_eq!(
        lines(),
        [
            "1704164645.000000000\tcat.whole\t{\"n\":3}",
            "1704164645.500000000\tcat.json\t{\"n\":1}",
            "1704164645.500000000\tcat.json\t{\"n\":[\"é\"]}",
            "1704164645.500000000\tcat.msgpack\t{\"n\":2}",
            "1704164645.500000000\tcat.none\t{\"line\":\"a b\"}",
            "1704164645.500000000\tcat.none\t{\"line\":\"c\"}",
        ]
    );
    let broken = run(&cat, &["-p", &port, "cat.x"], b"[1]\n");
    assert_eq!(broken.status.code(), Some(1));
    assert!(words(&broken).contains("Input must be a map (got Array)"), "{}", words(&broken));
    assert_eq!(process.stop().code(), Some(0));
    let nobody = run(&cat, &["-p", &port, "--retry-limit", "0", "cat.x"], b"{\"lost\":true}\n");
    assert_eq!(nobody.status.code(), Some(1));
    let said = words(&nobody);
    assert!(said.contains("connect failed") && said.contains(":{\"lost\":true}"), "{said}");
}

#[test]
fn fluent_cat_writes_to_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fluent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let socket = path.to_string_lossy();
    let args = ["cat", "-u", "-s", &socket, "--event-time", "1970-01-01T00:00:01Z", "t"];
    let output = run(Path::new(BINARY), &args, b"{}\n");
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(reader.join().unwrap(), b"\x92\xa1t\x91\x92\xd7\x00\0\0\0\x01\0\0\0\0\x80");
}

#[test]
fn fluent_ctl_sends_the_signals() {
    let dir = tempfile::tempdir().unwrap();
    let config = "<source>\n @type sample\n tag t\n</source>\n<match **>\n @type null\n</match>\n";
    let mut process = Logweir::start(dir.path(), config);
    let (ctl, pid) = (link(dir.path(), "fluent-ctl"), process.pid().to_string());
    let told = |command: &str| {
        let output = run(&ctl, &[command, &pid], b"");
        assert!(output.status.success(), "{command}: {}", words(&output));
    };
    told("flush");
    process.wait("USR1", |process| process.log().contains("force flushing buffered events"));
    told("reload");
    process.wait("USR2", |process| process.log().contains("signal=USR2"));
    process.wait("a reload", |process| process.log().contains("the new configuration is running"));
    told("restart");
    process.wait("HUP", |process| process.log().contains("signal=HUP"));
    told("shutdown");
    process.wait_for_end();
    for (args, says) in
        [(&["flush"][..], "PID isn't specified!"), (&["start", "1"], "Unknown command: start")]
    {
        let output = run(&ctl, args, b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains(says), "{}", words(&output));
    }
}

#[test]
fn fluent_binlog_reader_shows_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let (here, port) = (dir.path().display(), free_port());
    let config = format!(
        "<source>\n @type http\n bind 127.0.0.1\n port {port}\n</source>\n\
         <match app.**>\n @type forward\n <server>\n host 127.0.0.1\n port {}\n </server>\n\
         <buffer tag>\n @type file\n path {here}/buffer\n flush_mode interval\n flush_interval 1h\n compress gzip\n </buffer>\n</match>\n\
         <label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n",
        free_port()
    );
    let mut process = Logweir::start(dir.path(), &config);
    for n in 0..7 {
        let body = format!("{{\"n\":{n}}}");
        let target = format!("/app.x?time={}.25", 1_700_000_000 + n);
        let answer =
            http_request(port, "POST", &target, &["Content-Type: application/json"], body.as_bytes());
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(process.stop().code(), Some(0));
    let mut names = fs::read_dir(dir.path().join("buffer")).unwrap().map(|entry| entry.unwrap().path());
    let ours = names.find(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.')).unwrap();
    // Two entries as Fluentd has them, and what is left of a third.
    let theirs = dir.path().join("buffer.b5e6d2f0c1a2b3c4d5e6f708192a3b4c5.log");
    fs::write(&theirs, b"\x92\xd7\x00\0\0\0\x01\0\0\0\x02\x81\xa1a\x01\x92\x05\x81\xa1a\x02\x92\x06\x81\xa1")
        .unwrap();
    let bare = dir.path().join("bare.bin");
    fs::write(&bare, b"\x92\x05\x81\xa1a\x02").unwrap();
    let reader = link(dir.path(), "fluent-binlog-reader");
    let shown = |args: &[&str], file: &Path| {
        let file = file.to_string_lossy().into_owned();
        let mut command = Command::new(&reader);
        let output = command.args(args).arg(file).env("TZ", "UTC").output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap())
    };
    let json = ["cat", "-f", "json"];
    assert_eq!(shown(&json, &ours), ((0..7).map(|n| format!("{{\"n\":{n}}}\n")).collect(), 0));
    assert_eq!(shown(&["head", "-f", "json", "-n", "2"], &ours), ("{\"n\":0}\n{\"n\":1}\n".to_owned(), 0));
    let first = shown(&["head", "-n", "1"], &ours).0;
    assert_eq!(first, format!("2023-11-14T22:13:20+00:00\t{}\t{{\"n\":0}}\n", ours.display()));
    assert_eq!(shown(&["head"], &ours).0.lines().count(), 5);
    assert_eq!(shown(&json, &theirs), ("{\"a\":1}\n{\"a\":2}\n".to_owned(), 2));
    assert_eq!(shown(&["head", "-f", "json", "-n", "1"], &theirs).0, "{\"a\":1}\n");
    let ltsv = ["cat", "-f", "ltsv", "-e", "label_delimiter==", "-e", "add_newline=false"];
    assert_eq!(shown(&ltsv, &bare), ("a=2".to_owned(), 0));
    let stdout = shown(&["cat", "-f", "stdout"], &bare).0;
    assert_eq!(stdout, format!("1970-01-01 00:00:05.000000000 +0000 {}: {{\"a\":2}}\n", bare.display()));
    assert_eq!(shown(&["cat", "-f", "nope"], &bare).1, 1);
    let formats = words(&run(&reader, &["formats"], b""));
    assert!(formats.lines().any(|line| line == "out_file"), "{formats}");
}

#[test]
fn plugins_are_described_as_fluentd_describes_them() {
    let dir = tempfile::tempdir().unwrap();
    let program = link(dir.path(), "fluent-plugin-config-format");
    let markdown = words(&run(&program, &["input", "tail"], b""));
    assert!(markdown.starts_with("## Fluent::Plugin::TailInput\n"), "{markdown}");
    let json = run(&program, &["--format=json", "--compact", "output", "stdout"], b"");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["Fluent::Plugin::StdoutOutput"].is_object(), "{json}");
    let refused = run(&program, &["input"], b"");
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("Must specify plugin type and name"), "{}", words(&refused));
    let doc = logweir(&["doc", "input:tail", "-f", "txt"]);
    assert!(words(&doc).contains("read_from_head: bool: (false)"), "{}", words(&doc));
    assert!(words(&logweir(&["doc", "input:tail"])).starts_with("input:tail\n"));
}
