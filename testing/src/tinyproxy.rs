//! A Tinyproxy (Debian's package `tinyproxy-bin`), for tests of what goes through an HTTP proxy.

use crate::process::Process;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long it may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running Tinyproxy.
pub struct TinyProxy {
    process: Process,
    port: u16,
}

impl TinyProxy {
    /// Starts one that lets in who says `user` and `password`.
    pub fn start(user: &str, password: &str) -> Self {
        let port = crate::free_port();
        let mut process = Process::new("logweir-tinyproxy-");
        let file = process.dir().join("tinyproxy.conf");
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Info\nBasicAuth {user} {password}\n"
        );
        std::fs::write(&file, config).expect("tinyproxy.conf");
        process.start(&["tinyproxy", "-d", "-c", &file.display().to_string()].map(str::to_owned));
        let mut proxy = Self { process, port };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                !proxy.process.has_ended() && started.elapsed() < START_TIMEOUT,
                "tinyproxy did not start (apt-get install tinyproxy-bin): {}",
                proxy.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged: `Request (file descriptor N): METHOD TARGET HTTP/1.1` for each request, among other lines.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.process.dir().join("stdout")).unwrap_or_default()
    }
}
