//! conf/quickstart.conf, as tools/quickstart (`make run`) runs it: sample log files and the forward protocol into one table.

use super::*;
use crate::logweir::BINARY;
use logweir_testing::free_port;
use std::net::TcpStream;
use std::process::{Command, Stdio};

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
    command.env("ENVIRONMENT", "production").env("QUICKSTART_DIR", dir.path());
    command.env("FORWARD_PORT", port.to_string()).env("CLICKHOUSE_PORT", server.port().to_string());
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
