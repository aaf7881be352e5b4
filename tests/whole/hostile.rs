//! Peers that are broken, slow or evil, against the whole program: each attack ends with its connection, an honest peer is
//! served meanwhile and has all its acknowledgements, memory stays under its bound, the log names the peer once, and a
//! counter counts.

mod books;
mod floods;
mod forward;
mod handshake;
mod lines;
mod pressure;
mod secrets;
mod tags;
mod tls;
mod web;

use crate::logweir::Logweir;
use crate::pieces::json_out;
use logweir_testing::{free_port, http_request};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Only a program that hangs is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Logweir's own log lines are no events.
const NO_OWN_LOG: &str = "<label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n";

/// A Logweir with a source under attack, whose events go to `out.log`, and a monitor.
struct Target {
    logweir: Logweir,
    port: u16,
    monitor: u16,
    dir: tempfile::TempDir,
    /// The `n` of honest records that were acknowledged.
    acknowledged: BTreeSet<u64>,
    started: Instant,
}

impl Target {
    /// `source` is the inside of the attacked `<source>`, without its port.
    fn start(source: &str) -> Self {
        Self::start_with(source, None)
    }

    fn start_with(source: &str, open_files: Option<u64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, monitor) = (free_port(), free_port());
        let config = format!(
            "<source>
  @id in
  port {port}
  {source}
</source>
<source>
  @type monitor_agent
  bind 127.0.0.1
  port {monitor}
</source>
{NO_OWN_LOG}"
        ) + &json_out(dir.path(), "@id out");
        // The bounds of memory must hold with more cores than this machine may have.
        let threads = |command: &mut Command| {
            command.env("TOKIO_WORKER_THREADS", "8");
        };
        let logweir = Logweir::start_with(dir.path(), &config, open_files, threads);
        Self { logweir, port, monitor, dir, acknowledged: BTreeSet::new(), started: Instant::now() }
    }

    /// Sends records over a connection of its own, and waits for each acknowledgement.
    fn serve_honest_peer(&mut self) {
        let stream = Peer::connect(self.port);
        self.serve_honest(stream);
    }

    fn serve_honest(&mut self, mut peer: Peer) {
        for _ in 0..3 {
            let n = self.acknowledged.len() as u64;
            peer.send(&acked_message("honest", n));
            let mut ack = [0; 64];
            let count = peer.0.read(&mut ack).expect("an acknowledgement");
            assert!(String::from_utf8_lossy(&ack[..count]).contains(&format!("chunk-{n}")), "{ack:?}");
            self.acknowledged.insert(n);
        }
    }

    /// How many connections were closed for `reason`.
    fn closed(&self, reason: &str) -> u64 {
        books(self.monitor)["connections_closed"]["in"][reason].as_u64().unwrap_or(0)
    }

    /// Checks what holds after every attack: memory, the honest records, the books.
    fn finish(mut self, memory_mib: u64) {
        let peak = peak_memory_mib(self.logweir.pid());
        assert!(peak < memory_mib, "{peak} MiB at the peak, of {memory_mib}");
        let expected: Vec<u64> = self.acknowledged.iter().copied().collect();
        let out = self.dir.path().join("out.log");
        self.logweir.wait("the honest records", |_| numbers(&out).len() >= expected.len());
        assert_eq!(numbers(&out), expected, "each acknowledged record once");
        let monitor = self.monitor;
        self.logweir.wait("balanced books", |_| books(monitor)["records"]["total"]["unexplained"] == 0);
        assert!(self.logweir.stop().success());
    }

    /// Checks that the log has lines that contain one of `texts`, and at most so many for each minute that the test takes: the
    /// same complaint about the same peer comes once a minute.
    fn complains(&self, texts: &[&str], times_a_minute: usize) {
        let lines: usize = texts.iter().map(|text| self.lines(text)).sum();
        let minutes = 1 + self.started.elapsed().as_secs() as usize / 60;
        let is_right = (1..=times_a_minute * minutes).contains(&lines);
        assert!(is_right, "{texts:?} are in the log {lines} times:\n{}", self.logweir.log());
    }

    /// Lines of the log that contain `text`.
    fn lines(&self, text: &str) -> usize {
        self.logweir.log().lines().filter(|line| line.contains(text)).count()
    }
}

/// A connection.
struct Peer(TcpStream);

impl Peer {
    fn connect(port: u16) -> Self {
        Self::patient(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap())
    }

    /// From another address of this machine: another peer.
    fn connect_from(address: Ipv4Addr, port: u16) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((address, 0))).unwrap();
        connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        Self::patient(TcpStream::from(socket))
    }

    fn patient(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends as much as is taken before the connection is closed.
    fn try_send(&mut self, bytes: &[u8]) {
        match self.0.write_all(bytes) {
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            result => result.unwrap(),
        }
    }

    /// Waits until the other side has closed; answers what it said before.
    fn closed(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        match self.0.read_to_end(&mut said) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            result => {
                result.expect("the connection is closed");
            }
        }
        said
    }
}

/// `["honest", [[time, {"n": n}]], {"chunk": "chunk-n"}]` and the like.
fn acked_message(tag: &str, n: u64) -> Vec<u8> {
    let record = serde_json::json!({"n": n});
    let option = serde_json::json!({"chunk": format!("chunk-{n}")});
    rmp_serde::to_vec(&(tag, [(1_700_000_000, record)], option)).unwrap()
}

/// `["tag", bin, option]`
fn packed_message(tag: &str, payload: &[u8], option: Value) -> Vec<u8> {
    let mut message = vec![0x93, 0xa0 | tag.len() as u8];
    message.extend_from_slice(tag.as_bytes());
    message.push(0xc6);
    message.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    message.extend_from_slice(payload);
    message.extend_from_slice(&rmp_serde::to_vec(&option).unwrap());
    message
}

/// The `n` of the records in a file, sorted.
fn numbers(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let complete = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let mut numbers: Vec<u64> =
        complete.map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// What the monitor says of records and connections.
fn books(monitor: u16) -> Value {
    let answer = http_request(monitor, "GET", "/api/logweir.json", &[], b"").unwrap();
    serde_json::from_str(&answer.text()).unwrap()
}

/// The most memory that a process has had so far, MiB.
fn peak_memory_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
