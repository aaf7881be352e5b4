//! The connection of `fluent-cat`.

use logweir_engine::json::{JsonStyle, from_msgpack};
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two attempts.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// A connection that was not used for so long is made anew, as Fluentd's is: its peer may have closed it.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Where the forward input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(PathBuf),
}

/// Sends messages.
pub(super) struct Sender {
    address: Address,
    retry_limit: u32,
    connection: Option<(Connection, Instant)>,
}

enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Sender {
    pub(super) fn new(address: Address, retry_limit: u32) -> Self {
        Self { address, retry_limit, connection: None }
    }

    /// Sends `message`. One that cannot be sent is printed: `!TIME:RECORD`.
    pub(super) fn send(&mut self, message: &[u8], record: &[u8], time: i64) -> Result<(), String> {
        let mut failures = 0;
        loop {
            let error = match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            eprintln!("{error}");
            self.connection = None;
            failures += 1;
            if failures > self.retry_limit {
                let mut text = Vec::new();
                let _ = from_msgpack(record, &mut text, JsonStyle::Oj); // as much of it as there is text for
                println!("!{time}:{}", String::from_utf8_lossy(&text));
                return Err("exceed retry limit".to_owned());
            }
            std::thread::sleep(RETRY_WAIT);
        }
    }

    fn try_send(&mut self, message: &[u8]) -> Result<(), String> {
        let mut connection = match self.connection.take() {
            Some((connection, used)) if used.elapsed() < IDLE_MAX && !connection.is_closed() => connection,
            _ => self.address.connect().map_err(|error| format!("connect failed: {error}"))?,
        };
        connection.write_all(message).map_err(|error| format!("write failed: {error}"))?;
        self.connection = Some((connection, Instant::now()));
        Ok(())
    }

    /// Everything has been sent.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.connection {
            Some((Connection::Tcp(stream), _)) => stream.shutdown(Shutdown::Write),
            Some((Connection::Unix(stream), _)) => stream.shutdown(Shutdown::Write),
            None => Ok(()),
        }
        .map_err(|error| format!("the connection broke: {error}"))
    }
}

impl Address {
    fn connect(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(host, port) => TcpStream::connect((host.as_str(), *port)).map(Connection::Tcp),
            Self::Unix(path) => UnixStream::connect(path).map(Connection::Unix),
        }
    }
}

impl Connection {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Whether the peer has closed it, as far as that is known: a message would be lost without an error.
    fn is_closed(&self) -> bool {
        let Self::Tcp(stream) = self else { return false };
        let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        let is_open = match peeked {
            Ok(bytes) => bytes > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        !(stream.set_nonblocking(false).is_ok() && is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn a_peer_that_has_closed_gets_the_next_message_on_a_new_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut sender = Sender::new(Address::Tcp("127.0.0.1".to_owned(), port), 0);
        sender.send(b"one", b"\x80", 0).unwrap();
        let (mut first, _) = listener.accept().unwrap();
        let mut bytes = [0; 3];
        first.read_exact(&mut bytes).unwrap();
        drop(first);
        let (connection, _) = sender.connection.as_ref().unwrap();
        while !connection.is_closed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        sender.send(b"two", b"\x80", 0).unwrap();
        sender.finish().unwrap();
        let mut rest = String::new();
        listener.accept().unwrap().0.read_to_string(&mut rest).unwrap();
        assert_eq!((&bytes, rest.as_str()), (b"one", "two"));
    }

    #[test]
    fn nobody_there_is_an_error_after_the_last_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let mut sender = Sender::new(Address::Unix(dir.path().join("none")), 0);
        assert_eq!(sender.send(b"x", b"\x81\xa1a\x01", 5).unwrap_err(), "exceed retry limit");
    }
}
