//! An HAProxy (Debian's package `haproxy`), for tests of several servers behind one address.

use crate::process::Process;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running HAProxy.
pub struct HaProxy {
    _process: Process,
}

impl HaProxy {
    /// Runs a configuration that binds `port` of this machine, and waits until it does.
    pub fn start(config: &str, port: u16) -> Self {
        let program = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
        let program = program.into_iter().find(|path| Path::new(path).is_file());
        let program = program.expect("these tests need HAProxy: apt-get install haproxy");
        let mut process = Process::new("logweir-haproxy-");
        let file = process.dir().join("haproxy.cfg");
        std::fs::write(&file, config).expect("haproxy.cfg");
        process.start(&[program.to_owned(), "-db".to_owned(), "-f".to_owned(), file.display().to_string()]);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.has_ended() || started.elapsed() > START_TIMEOUT {
                let said = std::fs::read_to_string(process.dir().join("stdout")).unwrap_or_default();
                panic!("haproxy did not start: {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { _process: process }
    }
}
