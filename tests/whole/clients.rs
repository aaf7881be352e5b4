//! The client libraries that applications use, and another Logweir, send to a Logweir with a file buffer.

use crate::logweir::{Logweir, words};
use crate::pieces::{json_out, tail_json};
use logweir_testing::free_port;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Records that a client sends in one go.
const COUNT: u64 = 40;

const SECURITY: &str = "<security>
    self_hostname logs.example
    shared_key a key of ours
  </security>";

const SECURITY_WITH_USERS: &str = "<security>
    self_hostname logs.example
    shared_key a key of ours
    user_auth true
    <user>
      username app
      password correct horse
    </user>
  </security>";

#[test]
fn python() {
    let mut server = Server::start("", false);
    let python = cached("python/bin/python3").unwrap_or_else(|| PathBuf::from("python3"));
    let import = Command::new(&python).args(["-c", "import fluent.sender"]).output();
    assert!(import.is_ok_and(|output| output.status.success()), "PyPI's fluent-logger: run `make setup`");
    let script = client("send.py");
    succeed(Command::new(python).arg(script).arg(server.port.to_string()).arg(COUNT.to_string()).output());
    for tag in ["python.seconds", "python.nanoseconds", "python.async", "python.event"] {
        server.wait_for(tag);
    }
    let records = server.records("python.seconds");
    assert_eq!(records[0]["nested"], serde_json::json!({"list": [1, 2.5, null, true]}));
    assert_eq!(records[0]["text"], "grün");
}

#[test]
fn node_in_every_mode_with_acks() {
    let mut server = Server::start("", false);
    for mode in ["Message", "PackedForward", "CompressedPackedForward"] {
        node(&server, &format!("\"eventMode\": \"{mode}\""), mode);
        server.wait_for(&format!("{mode}.node"));
    }
    assert_eq!(
        server.records("PackedForward.node")[0]["nested"],
        serde_json::json!({"list": [1, 2.5, null, true]})
    );
}

#[test]
fn node_with_a_shared_key() {
    let mut server = Server::start(SECURITY, false);
    node(
        &server,
        r#""security": {"clientHostname": "client.example", "sharedKey": "a key of ours"}"#,
        "keyed",
    );
    server.wait_for("keyed.node");
    let wrong = r#""security": {"clientHostname": "client.example", "sharedKey": "another key"}"#;
    let refused = run_node(&server, wrong, "refused");
    assert!(
        !refused.status.success() && words(&refused).contains("shared_key mismatch"),
        "{}",
        words(&refused)
    );
    assert_eq!(server.records("refused.node").len(), 0);
}

#[test]
fn node_with_a_user_and_tls() {
    let mut server = Server::start(SECURITY_WITH_USERS, true);
    let certificate = Value::from(fs::read_to_string(server.dir().join("server.crt")).unwrap());
    let options = format!(
        r#""security": {{"clientHostname": "client.example", "sharedKey": "a key of ours", "username": "app",
           "password": "correct horse"}}, "tls": true, "tlsOptions": {{"ca": {certificate}}}"#
    );
    node(&server, &options, "secured");
    server.wait_for("secured.node");
}

#[test]
fn go_with_acks() {
    let mut server = Server::start("", false);
    go(&server, "tcp", "go.tcp");
    server.wait_for("go.tcp");
    let records = server.records("go.tcp");
    assert_eq!(records[0]["nested"], serde_json::json!({"list": [1, 2.5, null, true]}));
}

#[test]
fn go_with_acks_over_tls() {
    let mut server = Server::start("", true);
    go(&server, "tls", "go.tls");
    server.wait_for("go.tls");
}

#[test]
fn logweir_to_logweir_with_acks() {
    forwarded("", false, "");
}

#[test]
fn logweir_to_logweir_with_a_user_and_tls() {
    let sender = "transport tls
  tls_cert_path DIR/server.crt
  <security>
    self_hostname web.example
    shared_key a key of ours
  </security>";
    forwarded(SECURITY_WITH_USERS, true, sender);
}

/// A tail with an out_forward to a server with `security`. `sender` are lines of the out_forward.
fn forwarded(security: &str, tls: bool, sender: &str) {
    let mut server = Server::start(security, tls);
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..COUNT).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    fs::write(dir.path().join("in.log"), lines.concat()).unwrap();
    let sender = sender.replace("DIR", &server.dir().display().to_string());
    let here = dir.path().display();
    let output = format!(
        "<match forwarded>
  @type forward
  require_ack_response true
  {sender}
  <server>
    host 127.0.0.1
    port {}
    username app
    password correct horse
  </server>
  <buffer>
    @type file
    path {here}/buffer
    flush_mode immediate
  </buffer>
</match>
",
        server.port
    );
    let mut from = Logweir::start(dir.path(), &(tail_json(dir.path(), "forwarded") + &output));
    server.wait_for("forwarded");
    // A chunk leaves the sender's buffer once the receiver has answered for it.
    from.wait("an empty buffer", |_| buffered(dir.path()) == 0);
    assert_eq!(from.stop().code(), Some(0));
}

/// A Logweir that writes what it receives, with its tag, into `out.log`.
struct Server {
    logweir: Logweir,
    port: u16,
    dir: tempfile::TempDir,
}

impl Server {
    fn start(security: &str, tls: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (here, port) = (dir.path().display(), free_port());
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(dir.path().join("server.crt"), made.cert.pem()).unwrap();
        fs::write(dir.path().join("server.key"), made.signing_key.serialize_pem()).unwrap();
        let transport = format!(
            "<transport tls>\n    cert_path {here}/server.crt\n    private_key_path {here}/server.key\n  </transport>"
        );
        let transport = if tls { transport.as_str() } else { "" };
        let config = format!(
            "<source>
  @type forward
  bind 127.0.0.1
  port {port}
  {security}
  {transport}
</source>
"
        ) + &json_out(dir.path(), "<inject>\n    tag_key tag\n  </inject>");
        let logweir = Logweir::start(dir.path(), &config);
        Self { logweir, port, dir }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits for the records 0..COUNT of `tag`, each once.
    fn wait_for(&mut self, tag: &str) {
        let dir = self.dir.path();
        self.logweir.wait(tag, |_| records(dir, tag).len() as u64 >= COUNT);
        let mut numbers: Vec<u64> =
            self.records(tag).iter().map(|record| record["n"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..COUNT).collect::<Vec<u64>>());
    }

    fn records(&self, tag: &str) -> Vec<Value> {
        records(self.dir.path(), tag)
    }
}

/// The complete lines of `out.log` with a tag.
fn records(dir: &Path, tag: &str) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("out.log")).unwrap_or_default();
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let records = complete.map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["tag"] == tag).collect()
}

fn node(server: &Server, options: &str, tag: &str) {
    succeed(Ok(run_node(server, options, tag)));
}

fn run_node(server: &Server, options: &str, tag: &str) -> Output {
    let modules =
        cached("node/node_modules").expect("npm's fluent-logger is not installed: run `make setup`");
    let options = format!(
        "{{\"host\": \"127.0.0.1\", \"port\": {}, \"requireAckResponse\": true, {options}}}",
        server.port
    );
    let mut command = Command::new("node");
    command.arg(client("send.js")).arg(options).arg(tag).arg(COUNT.to_string()).env("NODE_PATH", modules);
    command.output().expect("node is not installed: run `make setup`")
}

fn go(server: &Server, network: &str, tag: &str) {
    const SOURCES: &str = "/usr/share/gocode/src/github.com/fluent/fluent-logger-golang";
    assert!(Path::new(SOURCES).exists(), "the Go client is not installed: run `make setup`");
    let mut command = Command::new("go");
    command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
    command.arg("run").arg(client("go/main.go")).arg(network).arg(server.port.to_string()).arg(tag);
    let output = command.arg(COUNT.to_string()).output();
    succeed(Ok(output.expect("go is not installed: run `make setup`")));
}

fn succeed(output: std::io::Result<Output>) {
    let output = output.unwrap();
    assert!(output.status.success(), "{}", words(&output));
}

fn client(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/whole/clients").join(file)
}

/// A path in the cache that `make setup` fills, if it is there.
fn cached(path: &str) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("LOGWEIR_CACHE").map(PathBuf::from).or_else(|| {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        base.map(|base| base.join("logweir"))
    });
    cache.map(|cache| cache.join(path)).filter(|path| path.exists())
}

/// Files in the buffer, which makes its folder when it needs it.
fn buffered(dir: &Path) -> usize {
    // Lock, marks and the spare file have names with a dot in front.
    let is_chunk = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("buffer.");
    fs::read_dir(dir.join("buffer")).map_or(0, |entries| entries.flatten().filter(is_chunk).count())
}
