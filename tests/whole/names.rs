//! The name of a ClickHouse that moves to another address: Logweir finds it there.
//!
//! It runs in a mount namespace of its own, with an /etc/hosts of the test's. Where the kernel or a container allows none, the
//! test says so and does nothing.

use crate::load::{COLUMNS, Client, ENGINE, config};
use crate::logweir::{BINARY, Logweir};
use logweir_testing::{ClickHouse, free_port};
use std::fs;
use std::process::{Command, Stdio};

/// A user that is not root needs a user namespace for that.
const UNSHARE: [&str; 3] = ["--map-root-user", "--mount", "--"];

#[test]
fn a_name_is_looked_up_again() {
    if !Command::new("unshare").args(UNSHARE).arg("true").status().is_ok_and(|status| status.success()) {
        return eprintln!("not run: this machine allows no mount namespaces");
    }
    let server = ClickHouse::shared();
    server.query("CREATE DATABASE names");
    server.query(&format!("CREATE TABLE names.t {COLUMNS} {ENGINE}"));
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let hosts = dir.path().join("hosts");
    // Nobody listens at this address.
    fs::write(&hosts, "127.0.0.1 localhost\n127.3.3.3 clickhouse.test\n").unwrap();
    let output = config::clickhouse(server.port(), "names").replace("host 127.0.0.1", "host clickhouse.test");
    let text = config::inputs(dir.path(), port) + &config::matched(dir.path(), &output, "");
    fs::write(dir.path().join("fluent.conf"), text).unwrap();
    let log = fs::File::create(dir.path().join("logweir.log")).unwrap();
    let mut command = Command::new("unshare");
    command.args(UNSHARE).args(["sh", "-c", "mount --bind \"$1\" /etc/hosts && exec \"$2\" -c \"$3\"", "sh"]);
    command.arg(&hosts).arg(BINARY).arg(dir.path().join("fluent.conf"));
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut logweir = Logweir::adopt(dir.path(), command.spawn().unwrap());
    let mut client = Client::new("client", port);
    client.deliver("app.a", 10);
    logweir.wait("a write that fails", |logweir| logweir.log().contains("failed to flush the buffer"));
    assert!(logweir.log().contains("http://clickhouse.test:"), "{}", logweir.log());
    // Written in place: a new file would not be the one that is mounted.
    fs::write(&hosts, "127.0.0.1 localhost clickhouse.test\n").unwrap();
    logweir.wait("the rows", |_| server.query("SELECT count() FROM names.t") == "10");
    assert_eq!(logweir.stop().code(), Some(0));
    server.query("DROP DATABASE names");
}
