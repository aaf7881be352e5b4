//! What systemd is told (sd_notify(3)): when Logweir runs, reads its configuration again and stops, and that it is alive.
//!
//! | `$NOTIFY_SOCKET` is a path or `@` and an abstract name | one datagram of `NAME=value` lines for each change |
//! |---|---|
//! | `$WATCHDOG_USEC`, and `$WATCHDOG_PID` if it is this process | `WATCHDOG=1` twice in that time |

use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager; nothing happens where there is none.
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    log: PluginLog,
}

impl Notifier {
    /// To the socket that the environment names.
    pub(crate) fn from_environment(log: &PluginLog) -> Self {
        let socket = std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty());
        let socket = socket.and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                log_warn!(log, "cannot reach NOTIFY_SOCKET", path = name, error = error.to_string());
                None
            }
        });
        Self { socket, log: log.clone() }
    }

    /// Everything is started.
    pub(crate) fn ready(&self) {
        self.send(&format!("READY=1\nSTATUS=running\nMAINPID={}\n", std::process::id()));
    }

    /// Inputs run, and the rest waits for SIGWINCH.
    pub(crate) fn ready_with_source_only(&self) {
        let pid = std::process::id();
        self.send(&format!("READY=1\nSTATUS=inputs only, until SIGWINCH\nMAINPID={pid}\n"));
    }

    /// The configuration is being read again; [`Self::ready`] is to follow.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!(
            "RELOADING=1\nSTATUS=reading the configuration again\nMONOTONIC_USEC={microseconds}\n"
        ));
    }

    /// It is about to end.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping\n");
    }

    /// Says that the process is alive for as long as its tasks get their turn. Called within the runtime.
    pub(crate) fn keep_watchdog_quiet(&self) {
        let Some(socket) = self.socket.as_ref().and_then(|socket| socket.try_clone().ok()) else { return };
        let variable = |name: &str| std::env::var(name).ok();
        let own = std::process::id().to_string();
        let is_for_another = variable("WATCHDOG_PID").is_some_and(|pid| pid != own);
        let limit = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok()).map(Duration::from_micros);
        let Some(limit) = limit.filter(|limit| !limit.is_zero() && !is_for_another) else { return };
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(limit / 2);
            loop {
                interval.tick().await;
                // What does not arrive is noticed by whoever waits for it.
                let _ = socket.send(b"WATCHDOG=1\n");
            }
        });
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            log_warn!(self.log, "cannot tell the service manager", state = text, error = error.to_string());
        }
    }
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not read must not stop the process.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_path_or_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("logweir-test-{}", path.display());
        let receivers = [
            UnixDatagram::bind(&path).unwrap(),
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
        ];
        for (receiver, name) in receivers.iter().zip([path.display().to_string(), format!("@{name}")]) {
            let notifier = Notifier { socket: Some(connect(&name).unwrap()), log: PluginLog::program() };
            notifier.stopping();
            let mut bytes = [0; 100];
            let length = receiver.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"STOPPING=1\nSTATUS=stopping\n");
        }
        assert!(connect("/no/such/socket").is_err());
    }
}
