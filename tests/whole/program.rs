//! The command line, the log, and signals.

use crate::logweir::{BINARY, Logweir, logweir, words};
use crate::pieces::tail;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const GOOD: &str = "<source>
  @type forward
  port 24224
</source>
<match **>
  @type stdout
</match>
";

/// Three mistakes.
const BROKEN: &str = "<source>
  @type forwrad
</source>
<filter **>
  @type grep
  <regexp>
    key message
  </regexp>
</filter>
<match **>
  @type file
</match>
";

#[test]
fn check_and_dry_run_accept_a_good_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "fluent.conf", GOOD);
    for args in [&["check", &file][..], &["--dry-run", "-c", &file], &["run", "--dry-run", "-c", &file]] {
        let output = logweir(args);
        let text = words(&output);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {text}");
        assert!(text.contains("starting fluentd-1.16.5 as dry run mode"), "{text}");
        assert!(text.contains("finished dry run mode"), "{text}");
        assert!(!text.contains("[error]") && !text.contains("[warn]"), "{text}");
    }
}

#[test]
fn check_and_dry_run_name_every_problem_of_a_file_and_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "fluent.conf", BROKEN);
    for args in [&["check", &file][..], &["--dry-run", "-c", &file]] {
        let output = logweir(args);
        let text = words(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert_eq!(text.matches("config error file=").count(), 3, "{text}");
        assert!(text.contains("Unknown input plugin 'forwrad'"), "{text}");
        assert!(text.contains("'pattern' parameter is required"), "{text}");
        assert!(text.contains("'path' parameter is required"), "{text}");
        for place in ["fluent.conf:2", "fluent.conf:6", "fluent.conf:10"] {
            assert!(text.contains(place), "{place} is not in {text}");
        }
        assert!(!text.contains("finished dry run mode"), "{text}");
    }
}

#[test]
fn a_broken_file_or_a_wrong_command_line_ends_a_start_with_status_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "fluent.conf", BROKEN);
    let missing = dir.path().join("missing.conf").display().to_string();
    for (args, says) in [
        (&["-c", &file][..], "config error file="),
        (&["-c", &missing], "missing.conf"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = logweir(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(words(&output).contains(says), "{}", words(&output));
    }
}

#[test]
fn config_prints_the_parse_tree_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "fluent.conf", GOOD);
    let output = logweir(&["config", &file, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let tree: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let element = |name: &str, arg: &str, attrs: serde_json::Value| serde_json::json!({"name": name, "arg": arg, "attrs": attrs, "elements": []});
    let source = element("source", "", serde_json::json!({"@type": "forward", "port": "24224"}));
    let match_ = element("match", "**", serde_json::json!({"@type": "stdout"}));
    assert_eq!(tree["name"], "ROOT");
    assert_eq!(tree["elements"], serde_json::json!([source, match_]));
}

#[test]
fn secrets_are_shown_by_config_only_when_asked_for_and_never_by_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "<source>
  @type forward
  port {}
  bind 127.0.0.1
  <transport tls>
    ca_private_key_passphrase GEHEIM
  </transport>
  <security>
    self_hostname here
    shared_key GEHEIM
    <user>
      username ann
      password \"GEHEIM\"
    </user>
  </security>
</source>
<match here.**>
  @type copy
  <store>
    @type forward
    <security>
      self_hostname here
      shared_key GEHEIM
    </security>
    <server>
      host 127.0.0.1
      shared_key GEHEIM
      password GEHEIM
    </server>
  </store>
  <store>
    @type clickhouse
    host 127.0.0.1
    database d
    table t
    password \"#{{'GEHEIM'}}\"
  </store>
</match>
<match **>
  @type a_plugin_of_somebody_else
  aws_sec_key GEHEIM
</match>
",
        logweir_testing::free_port()
    );
    let file = write(dir.path(), "fluent.conf", &text);
    for form in [&["config", &file][..], &["config", "--json", &file]] {
        let masked = logweir(form);
        assert_eq!(masked.status.code(), Some(0), "{}", words(&masked));
        assert_eq!(words(&masked).matches("xxxxxx").count(), 8, "{}", words(&masked));
        assert!(!words(&masked).contains("GEHEIM"), "{}", words(&masked));
        let shown = logweir(&[form, &["--show-secrets"]].concat());
        assert_eq!(words(&shown).matches("GEHEIM").count(), 8, "{}", words(&shown));
    }
    let text = text.split("<match **>").next().unwrap().replace("<transport tls>", "<transport tcp>");
    let text = text
        .replace("    ca_private_key_passphrase GEHEIM\n", "")
        .replace("@type clickhouse", "@type null #");
    let mut process = Logweir::start(dir.path(), &text);
    assert_eq!(process.stop().code(), Some(0));
    assert!(
        process.log().contains("shared_key xxxxxx") && !process.log().contains("GEHEIM"),
        "{}",
        process.log()
    );
}

#[test]
fn called_fluentd_it_is_fluentd() {
    let dir = tempfile::tempdir().unwrap();
    let fluentd = dir.path().join("fluentd");
    std::os::unix::fs::symlink(BINARY, &fluentd).unwrap();
    let output = Command::new(&fluentd).arg("--version").output().unwrap();
    assert!(words(&output).starts_with("fluentd 1.16.5"), "{}", words(&output));
    let file = write(dir.path(), "fluent.conf", GOOD);
    let output = Command::new(&fluentd).args(["--dry-run", "-c", &file]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
}

#[test]
fn sigusr1_flushes_what_waits_in_buffers() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.log"), "one\ntwo\n").unwrap();
    let mut logweir = Logweir::start(dir.path(), &tail_to_file(dir.path(), "flush_interval 1h"));
    // Positions are written once the lines are in the buffer.
    logweir.wait("a position", |_| position(dir.path()) == 8);
    assert!(!dir.path().join("out.log").exists());
    logweir.signal(Signal::USR1);
    logweir.wait("two lines", |_| out(dir.path()) == "one\ntwo\n");
    assert!(logweir.log().contains("force flushing buffered events"));
    assert_eq!(logweir.stop().code(), Some(0));
}

#[test]
fn a_graceful_stop_flushes_memory_buffers() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("in.log"), "one\ntwo\n").unwrap();
        let config = tail_to_file(dir.path(), "@type memory\nflush_interval 1h");
        let mut logweir = Logweir::start(dir.path(), &config);
        logweir.wait("a position", |_| position(dir.path()) == 8);
        logweir.signal(signal);
        assert_eq!(logweir.stop().code(), Some(0));
        assert_eq!(out(dir.path()), "one\ntwo\n");
        let log = logweir.log();
        let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?} in {log}"));
        assert!(at("Received graceful stop") < at("shutting down input plugin"));
        assert!(at("shutting down input plugin") < at("shutting down output plugin"));
        assert!(at("shutting down output plugin") < at("Worker 0 finished with status 0"));
    }
}

#[test]
fn the_log_goes_to_a_file_that_sigusr1_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.log"), "").unwrap();
    let file = write(dir.path(), "fluent.conf", &tail_to_file(dir.path(), "flush_interval 1h"));
    let log = dir.path().join("logweir.log");
    let mut command = Command::new(BINARY);
    command.arg("-c").arg(&file).arg("-o").arg(&log);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut logweir = Logweir::adopt(dir.path(), child);
    let rotated = dir.path().join("logweir.log.1");
    fs::rename(&log, &rotated).unwrap();
    logweir.signal(Signal::USR1);
    logweir.wait("a new log file", |_| log.exists());
    assert_eq!(logweir.stop().code(), Some(0));
    assert!(fs::read_to_string(rotated).unwrap().contains("fluentd worker is now running"));
    assert!(logweir.log().contains("Worker 0 finished with status 0"), "{}", logweir.log());
}

/// Lines of `in.log` into `out.log`, with `buffer` in the section of that name.
fn tail_to_file(dir: &Path, buffer: &str) -> String {
    let source = tail(dir, "lines", "none");
    let dir = dir.display();
    format!(
        "{source}<match lines>
  @type file
  path {dir}/out
  append true
  <format>
    @type single_value
  </format>
  <buffer []>
    path {dir}/buffer
    {buffer}
  </buffer>
</match>
"
    )
}

/// The offset in the pos file (`path TAB offset TAB inode`, both in hex), 0 if there is none.
fn position(dir: &Path) -> u64 {
    let text = fs::read_to_string(dir.join("in.pos")).unwrap_or_default();
    text.split('\t').nth(1).and_then(|offset| u64::from_str_radix(offset, 16).ok()).unwrap_or(0)
}

fn out(dir: &Path) -> String {
    fs::read_to_string(dir.join("out.log")).unwrap_or_default()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}
