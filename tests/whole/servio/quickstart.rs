//! conf/quickstart.conf and tools/quickstart (`make run`): the logs of a small company, and what one sends, in one table.

use super::*;
use crate::logweir::{BINARY, words};
use logweir_testing::{Libchdb, free_port};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// Into a server, without what it makes up itself.
#[test]
fn files_and_the_forward_protocol_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let server = ClickHouse::start();
    make_table(&server);
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("app.log"), format!("{}\n", record("app", 0))).unwrap();
    let (port, log) = (free_port(), fs::File::create(dir.path().join("logweir.log")).unwrap());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/quickstart.conf");
    let mut command = Command::new(BINARY);
    command.arg("-c").arg(config).arg("--suppress-config-dump").stdin(Stdio::null());
    command.env("ENVIRONMENT", "production").env("QUICKSTART_DIR", dir.path()).env("QUICKSTART_RATE", "0");
    command.env("FORWARD_PORT", port.to_string());
    command.env("CLICKHOUSE_HOST", "127.0.0.1").env("CLICKHOUSE_PORT", server.port().to_string());
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut logweir = Logweir::adopt(dir.path(), child);

    // A file that comes later, and what a fluent-logger sends.
    fs::write(logs.join("api.log"), format!("{}\n{}\n", record("api", 0), record("api", 1))).unwrap();
    let message = rmp_serde::to_vec(&json!(["app.x", 1_705_314_645, record("worker", 0)])).unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(&message).unwrap();
    wait_for_rows(&mut logweir, &server, &dir.path().join("buffer"), 4);
    assert_eq!(logweir.stop().code(), Some(0));
    // Neither its own log events nor anything else.
    assert_stored_once(&server, &[("app", 1), ("api", 2), ("worker", 1)]);
    assert!(!logweir.log().contains("has no column"), "{}", logweir.log());
}

/// The script as `make run` calls it, to its end.
fn quickstart(variables: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/quickstart"));
    command.env("QUICKSTART_BIN", Path::new(BINARY).parent().unwrap()).env("TMPDIR", dir.path());
    command.env("FORWARD_PORT", free_port().to_string()).env_remove("CLICKHOUSE_HOST");
    command.env("QUICKSTART_SECONDS", "180").envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = words(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "it leaves something behind: {text}");
    text
}

/// Each question has an answer, and the errors are those of the services that have some.
fn assert_answered(text: &str) {
    let answers: Vec<&str> = text.split("\n-- ").skip(1).collect();
    let found = [
        ("Find all errors in the last hour", "│ error │"),
        ("Find slow API requests", "│ api     │"),
        ("Count errors by service", "│ worker  │"),
        ("Find failed payments", "│ Payment failed │"),
    ];
    assert_eq!(answers.len(), found.len(), "{text}");
    for (answer, (title, row)) in answers.iter().zip(found) {
        assert!(answer.starts_with(title) && answer.contains(row), "{title}, {row}: {text}");
    }
}

#[test]
fn the_script_answers_out_of_the_embedded_store() {
    let Some(libchdb) = Libchdb::path() else { return };
    let port = free_port().to_string();
    let text = quickstart(&[("LOGWEIR_LIBCHDB", libchdb.to_str().unwrap()), ("CLICKHOUSE_PORT", &port)]);
    assert!(text.contains(&format!(": the embedded store at 127.0.0.1:{port}")), "{text}");
    assert_answered(&text);
}

#[test]
fn the_script_answers_out_of_a_server() {
    let server = ClickHouse::start();
    let port = server.port().to_string();
    let text = quickstart(&[("CLICKHOUSE_HOST", "127.0.0.1"), ("CLICKHOUSE_PORT", &port)]);
    assert!(text.contains(&format!(": ClickHouse at 127.0.0.1:{port}")), "{text}");
    assert_answered(&text);
    for service in SERVICES {
        let count =
            server.query(&format!("SELECT count() FROM servio_logs.logs WHERE service = '{service}'"));
        assert!(count.parse::<u64>().unwrap() > 50, "{service}: {count}");
    }
}
