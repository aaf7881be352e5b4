//! `logweir` without arguments on a machine without a configuration.

use crate::logweir::{BINARY, Logweir, words};
use crate::machine::{INSIDE, in_a_machine_of_its_own};
use logweir_testing::{Libchdb, free_port, http_request};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Where a configuration would be looked for, so none of this can be tried.
const FLUENTDS_FILE: &str = "/etc/fluent/fluent.conf";

/// `logweir` with a state directory in `dir`.
fn command(dir: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.env("XDG_STATE_HOME", dir.join("state")).env_remove("FLUENT_CONF").stdin(Stdio::null());
    command
}

fn start(dir: &Path) -> Logweir {
    let log = fs::File::create(dir.join("logweir.log")).unwrap();
    Logweir::adopt(dir, command(dir).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
}

struct Ports {
    forward: u16,
    http: u16,
    store: u16,
}

#[test]
fn takes_logs_into_the_store_and_says_how() {
    if Path::new(FLUENTDS_FILE).exists() {
        eprintln!("not run: there is a {FLUENTDS_FILE}");
        return;
    }
    if Libchdb::path().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    if std::env::var_os(INSIDE).is_some() {
        takes_logs(dir.path(), &Ports { forward: 24224, http: 9880, store: 8123 });
    } else if !in_a_machine_of_its_own("first_start::takes_logs_into_the_store_and_says_how") {
        // As it was written at an earlier start, and then changed.
        let ports = Ports { forward: free_port(), http: free_port(), store: free_port() };
        let state = dir.path().join("state/logweir");
        fs::create_dir_all(&state).unwrap();
        let text = include_str!("../../conf/first-start.conf")
            .replace("/var/lib/logweir", state.to_str().unwrap())
            .replace("port 24224", &format!("port {}", ports.forward))
            .replace("port 9880", &format!("port {}", ports.http))
            .replace("port 8123", &format!("port {}", ports.store));
        fs::write(state.join("fluent.conf"), text).unwrap();
        takes_logs(dir.path(), &ports);
    }
}

fn takes_logs(dir: &Path, ports: &Ports) {
    let mut logweir = start(dir);
    let state = dir.join("state/logweir");
    let file = state.join("fluent.conf");
    logweir.wait("the page", |logweir| logweir.log().contains("Ctrl-C ends Logweir."));
    let page = logweir.log();
    let forward = format!("forward://127.0.0.1:{}\n", ports.forward);
    let http = format!("http://127.0.0.1:{}/my.app\n", ports.http);
    for part in [file.to_str().unwrap(), &forward, &http, "logweir query", "logweir -c FILE"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }

    // Rows go after 30 days, so the time is no fixed one.
    let now = jiff::Timestamp::now().as_second();
    let message = rmp_serde::to_vec(&json!(["my.sender", now, {"message": "by forward"}])).unwrap();
    TcpStream::connect(("127.0.0.1", ports.forward)).unwrap().write_all(&message).unwrap();
    let json = ["Content-Type: application/json"];
    let answer = http_request(ports.http, "POST", "/my.app", &json, br#"{"message":"by HTTP"}"#).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ask = || {
        let mut query = command(dir);
        query.args(["query", "--url", &format!("http://127.0.0.1:{}", ports.store)]);
        let output: Output = query.arg("SELECT tag, message FROM logs ORDER BY tag").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let rows = "my.app\tby HTTP\nmy.sender\tby forward\n";
    logweir.wait("the rows", |_| ask() == rows);

    // A second one does not start, and says whose port it would need.
    let second = command(dir).output().unwrap();
    let text = words(&second);
    assert_eq!(second.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("port {} for the forward protocol is taken", ports.forward)), "{text}");
    assert!(text.contains(file.to_str().unwrap()), "{text}");
    assert_eq!(logweir.stop().code(), Some(0));

    // What is in the file counts from now on, and what was stored is still there.
    let changed = fs::read_to_string(&file).unwrap().replace("port 9880", "port 9881");
    fs::write(&file, &changed).unwrap();
    let mut logweir = start(dir);
    logweir.wait("the rows of before", |_| ask() == rows);
    assert_eq!(fs::read_to_string(&file).unwrap(), changed);
    assert_eq!(logweir.stop().code(), Some(0));
}

#[test]
fn called_as_fluentd_or_with_a_path_it_needs_a_configuration() {
    if Path::new(FLUENTDS_FILE).exists() {
        eprintln!("not run: there is a {FLUENTDS_FILE}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let fluentd = dir.path().join("fluentd");
    std::os::unix::fs::symlink(BINARY, &fluentd).unwrap();
    let mut as_fluentd = Command::new(&fluentd);
    as_fluentd.env("XDG_STATE_HOME", dir.path().join("state")).env_remove("FLUENT_CONF");
    let mut named = command(dir.path());
    named.env("FLUENT_CONF", dir.path().join("none.conf"));
    let mut with_option = command(dir.path());
    with_option.arg("-q");
    for mut command in [as_fluentd, named, with_option] {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = words(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
        assert!(text.contains("No such file or directory"), "{command:?}: {text}");
    }
    assert!(!dir.path().join("state").exists());
}

#[test]
fn without_the_engine_it_says_what_to_install() {
    if Path::new(FLUENTDS_FILE).exists() {
        eprintln!("not run: there is a {FLUENTDS_FILE}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path()).env("LOGWEIR_LIBCHDB", "/nonexistent/libchdb.so").output().unwrap();
    let text = words(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("LOGWEIR_LIBCHDB says /nonexistent/libchdb.so, which does not exist"), "{text}");
    assert!(text.contains("`logweir -c FILE`"), "{text}");
}
