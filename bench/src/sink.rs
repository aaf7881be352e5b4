//! A forward server that counts what it gets and acknowledges it, for scenarios that forward.

use logweir_engine::msgpack::{Entries, Reader, ValueRef, skip, write_map_len, write_str};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts records.
pub(crate) struct Sink {
    port: u16,
    records: Arc<AtomicUsize>,
}

impl Sink {
    /// Listens on a free port until the process ends.
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let records = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&records);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || serve(socket, &counter));
            }
        });
        Ok(Self { port, records })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }
}

fn serve(mut socket: TcpStream, counter: &AtomicUsize) {
    let mut held = Vec::new();
    let mut block = vec![0; 256 << 10];
    while let Ok(read) = socket.read(&mut block) {
        if read == 0 {
            return;
        }
        held.extend_from_slice(&block[..read]);
        let mut at = 0;
        while at < held.len() {
            let Ok(end) = skip(&held, at) else { break };
            let (records, ack) = message(&held[at..end]);
            counter.fetch_add(records, Ordering::Relaxed);
            if ack.is_some_and(|ack| socket.write_all(&ack).is_err()) {
                return;
            }
            at = end;
        }
        held.drain(..at);
    }
}

/// Records of a message in PackedForward mode (Fluentd, Logweir) or Forward mode (Fluent Bit), and the ack that it asks for.
fn message(bytes: &[u8]) -> (usize, Option<Vec<u8>>) {
    let mut reader = Reader::new(bytes);
    let mut fields = || -> Option<(usize, Option<Vec<u8>>)> {
        reader.read_array_len().ok()?;
        reader.skip().ok()?;
        let records = match reader.read_value().ok()? {
            ValueRef::Bin(entries) | ValueRef::Str(entries) => Entries::new(entries).count(),
            ValueRef::Array(entries) => Reader::new(entries).read_array_len().ok()?,
            // Message mode: that was the time, and the record is next.
            _ => {
                reader.skip().ok()?;
                1
            }
        };
        let mut ack = None;
        for _ in 0..reader.read_map_len().unwrap_or(0) {
            let key = reader.read_str().ok()?;
            let value = reader.read_value().ok()?;
            if let (b"chunk", ValueRef::Str(id)) = (key, value) {
                let mut out = Vec::new();
                write_map_len(&mut out, 1);
                write_str(&mut out, b"ack");
                write_str(&mut out, id);
                ack = Some(out);
            }
        }
        Some((records, ack))
    };
    fields().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::event::EventTime;
    use logweir_engine::msgpack::{Time, write_array_len, write_bin, write_entry};

    fn entries() -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..3 {
            write_entry(&mut out, Time::Event(EventTime::now()), None, b"\x80");
        }
        out
    }

    /// `[tag, ...middle, {"chunk": "id"}]`
    fn with_option(parts: usize, middle: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_array_len(&mut out, parts);
        write_str(&mut out, b"tag");
        out.extend_from_slice(middle);
        write_map_len(&mut out, 1);
        write_str(&mut out, b"chunk");
        write_str(&mut out, b"id");
        out
    }

    #[test]
    fn records_of_each_mode_are_counted_and_acknowledged() {
        let (mut packed, mut forward) = (Vec::new(), Vec::new());
        write_bin(&mut packed, &entries());
        write_array_len(&mut forward, 3);
        forward.extend_from_slice(&entries());
        let ack = Some(b"\x81\xa3ack\xa2id".to_vec());
        assert_eq!(message(&with_option(3, &packed)), (3, ack.clone()));
        assert_eq!(message(&with_option(3, &forward)), (3, ack.clone()));
        assert_eq!(message(&with_option(4, &entries()[1..entries().len() / 3])), (1, ack));
    }
}
