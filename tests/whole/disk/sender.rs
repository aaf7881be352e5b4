//! A forward sender that waits for acks and keeps account of them.

use crate::logweir::words;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::process::Output;
use std::time::{Duration, Instant};

/// Sends chunks of numbered records. One that is not acknowledged is sent again, under the same id, before the next one.
pub(super) struct Sender {
    port: u16,
    patience: Duration,
    connection: Option<TcpStream>,
    next: u64,
    open: Option<Range<u64>>,
    acknowledged: Vec<u64>,
}

impl Sender {
    pub(super) fn new(port: u16, patience: Duration) -> Self {
        Self { port, patience, connection: None, next: 0, open: None, acknowledged: Vec::new() }
    }

    /// Sends the chunk that is not acknowledged yet, or a new one of `count` records; whether the ack came.
    pub(super) fn send(&mut self, count: u64) -> bool {
        let range = self.open.take().unwrap_or_else(|| {
            self.next += count;
            self.next - count..self.next
        });
        let acked = self.attempt(&range).is_some();
        if acked {
            self.acknowledged.extend(range);
        } else {
            (self.connection, self.open) = (None, Some(range));
        }
        acked
    }

    /// Sends as long as it takes (a minute at most), until nothing is open and a new chunk was acknowledged too.
    pub(super) fn send_until_acknowledged(&mut self, count: u64) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let was_open = self.open.is_some();
            if self.send(count) && !was_open {
                return true;
            }
            if self.open.is_some() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        false
    }

    pub(super) fn sent(&self) -> u64 {
        self.next
    }

    pub(super) fn acknowledged(&self) -> &[u64] {
        &self.acknowledged
    }

    /// Each acknowledged record must be there once, and no other more than once.
    pub(super) fn check(&self, found: &BTreeMap<u64, usize>) {
        let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "stored more than once: {twice:?}");
        let lost: Vec<_> = self.acknowledged.iter().filter(|number| !found.contains_key(number)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }

    fn attempt(&mut self, range: &Range<u64>) -> Option<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
                connection.set_read_timeout(Some(self.patience)).ok()?;
                connection.set_write_timeout(Some(self.patience)).ok()?;
                none.insert(connection)
            }
        };
        let id = format!("{:016}", range.start);
        connection.write_all(&message(range, &id)).ok()?;
        // {"ack": id}
        let mut answer = [0; 6 + 16];
        connection.read_exact(&mut answer).ok()?;
        (answer[..5] == *b"\x81\xa3ack" && answer[6..] == *id.as_bytes()).then_some(())
    }
}

/// `["app", [[0, {"i": number, "text": "..."}], ...], {"chunk": id}]`
fn message(range: &Range<u64>, id: &str) -> Vec<u8> {
    let mut out = b"\x93\xa3app\xdd".to_vec();
    out.extend_from_slice(&((range.end - range.start) as u32).to_be_bytes());
    for number in range.clone() {
        out.extend_from_slice(b"\x92\x00\x82\xa1i\xcf");
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(b"\xa4text\xb0................");
    }
    out.extend_from_slice(b"\x81\xa5chunk\xb0");
    out.extend_from_slice(id.as_bytes());
    out
}

/// The numbers of the records that `logweir buffer cat --json` shows, and how often.
pub(super) fn numbers_in(output: &Output) -> BTreeMap<u64, usize> {
    assert!(output.status.success(), "{}", words(output));
    let mut found = BTreeMap::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).unwrap();
        *found.entry(line["record"]["i"].as_u64().unwrap()).or_default() += 1;
    }
    found
}
