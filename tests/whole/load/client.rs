//! A forward client that wants acks, and never gives up.

use super::record;
use logweir_engine::msgpack::{write_map_len, write_str, write_u64};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// An ack that takes longer is not waited for: the chunk is sent again.
const ACK_MAX: Duration = Duration::from_secs(10);
/// Only a Logweir that hangs does not acknowledge for so long.
const DELIVER_MAX: Duration = Duration::from_secs(240);

/// See the module.
pub(crate) struct Client {
    name: String,
    port: u16,
    connection: Option<TcpStream>,
    next: u64,
    chunks: u64,
    abandoned: Arc<AtomicBool>,
}

impl Client {
    pub(crate) fn new(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port, connection: None, next: 0, chunks: 0, abandoned: Arc::default() }
    }

    /// One that gives up, after all, when `abandoned`: the test has failed.
    pub(crate) fn until(mut self, abandoned: Arc<AtomicBool>) -> Self {
        self.abandoned = abandoned;
        self
    }

    /// Sends the next `count` records as one chunk until that is acknowledged.
    pub(crate) fn deliver(&mut self, tag: &str, count: usize) {
        let id = format!("{}-{}", self.name, self.chunks);
        let message = message(tag, &id, &self.name, self.next..self.next + count as u64);
        let started = Instant::now();
        while let Err(error) = self.attempt(&message, &id) {
            self.connection = None;
            if self.abandoned.load(Ordering::Relaxed) {
                return;
            }
            assert!(started.elapsed() < DELIVER_MAX, "{id} is not acknowledged: {error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.chunks += 1;
        self.next += count as u64;
    }

    /// Its name, and how many records were acknowledged.
    pub(crate) fn promised(self) -> (String, u64) {
        (self.name, self.next)
    }

    fn attempt(&mut self, message: &[u8], id: &str) -> io::Result<()> {
        if self.connection.is_none() {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(ACK_MAX))?;
            stream.set_write_timeout(Some(ACK_MAX))?;
            self.connection = Some(stream);
        }
        let Some(stream) = &mut self.connection else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.write_all(message)?;
        let mut expected = Vec::new();
        write_map_len(&mut expected, 1);
        write_str(&mut expected, b"ack");
        write_str(&mut expected, id.as_bytes());
        let mut ack = vec![0; expected.len()];
        stream.read_exact(&mut ack)?;
        assert_eq!(ack, expected, "the ack of another chunk");
        Ok(())
    }
}

/// A PackedForward message.
fn message(tag: &str, id: &str, name: &str, numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut entries = Vec::new();
    let count = numbers.end - numbers.start;
    for n in numbers {
        entries.extend_from_slice(b"\x92\xd7\x00\x65\xa5\x09\xd5\x00\x00\x00\x05");
        entries.extend(rmp_serde::to_vec(&record(name, n)).expect("a record"));
    }
    let mut message = vec![0x93];
    write_str(&mut message, tag.as_bytes());
    message.push(0xc6);
    message.extend_from_slice(&u32::try_from(entries.len()).expect("a small chunk").to_be_bytes());
    message.extend(entries);
    write_map_len(&mut message, 2);
    write_str(&mut message, b"size");
    write_u64(&mut message, count);
    write_str(&mut message, b"chunk");
    write_str(&mut message, id.as_bytes());
    message
}
