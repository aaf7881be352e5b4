//! Messages of forward clients, made before the clock starts.

use crate::logs::now;
use crate::record::{SERVIO_BYTES, sized};
use flate2::Compression;
use flate2::write::GzEncoder;
use logweir_engine::event::EventTime;
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{
    Time, write_array_len, write_bin, write_entry, write_map_len, write_str, write_u64,
};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How events are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Message,
    Forward,
    Packed,
    Compressed,
}

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) mode: Mode,
    /// In all messages; rounded up to whole messages.
    pub(crate) records: usize,
    /// Records a message.
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    /// Different tags, which the messages have in turns.
    pub(crate) tags: usize,
    /// Bytes of a record, about.
    pub(crate) record_bytes: usize,
    /// Whether a record is `{"stream", "log"}` with the JSON text in a field, as a container's log has it.
    pub(crate) as_text: bool,
}

impl Default for Shape {
    /// Of the scenarios.
    fn default() -> Self {
        Self {
            mode: Mode::Packed,
            records: 1_000_000,
            batch: 1000,
            connections: 4,
            tags: 1,
            record_bytes: SERVIO_BYTES,
            as_text: false,
        }
    }
}

/// A message, ready to be written, and the bytes of the ack that it is answered with.
pub(crate) struct Message {
    /// The array's head and the tag; the same for all messages of a tag.
    pub(crate) head: Arc<[u8]>,
    /// The entries; the same for all messages of a connection, so that millions of records fit in memory.
    pub(crate) body: Arc<[u8]>,
    /// The options with the chunk id.
    pub(crate) options: Vec<u8>,
    pub(crate) ack: Vec<u8>,
}

/// Bodies that are made; further connections share them.
const BODIES_MAX: usize = 8;

/// Messages for each connection with events of now, and the bytes of entries in all of them.
pub(crate) fn make(shape: &Shape) -> (Vec<Vec<Message>>, usize) {
    make_at(shape, &now(), EventTime::now())
}

/// The same with events of another time.
pub(crate) fn make_at(shape: &Shape, timestamp: &str, time: EventTime) -> (Vec<Vec<Message>>, usize) {
    let Shape { mode, records, connections, tags, .. } = *shape;
    let batch = if mode == Mode::Message { 1 } else { shape.batch };
    let per_connection = records.div_ceil(batch).div_ceil(connections).max(1);
    let bodies: Vec<(Arc<[u8]>, usize)> = (0..connections.min(BODIES_MAX))
        .map(|number| {
            let entries = entries(number as u64 * 1_000_000, batch, shape, timestamp, time);
            (wrap(mode, &entries).into(), entries.iter().map(Vec::len).sum())
        })
        .collect();
    let heads: Vec<Arc<[u8]>> = (0..tags).map(|tag| head(mode, tag, tags).into()).collect();
    // A chunk id that comes again is a re-send.
    static LOADS: AtomicUsize = AtomicUsize::new(0);
    let load = LOADS.fetch_add(1, Ordering::Relaxed);
    let mut bytes = 0;
    let of_connection = |connection: usize| {
        let (body, body_bytes) = &bodies[connection % bodies.len()];
        bytes += body_bytes * per_connection;
        let message = |number: usize| {
            let chunk = format!("{load:04x}{connection:04x}{number:08x}AAAAAA==");
            let head = &heads[(number * connections + connection) % tags];
            message(mode, Arc::clone(head), Arc::clone(body), batch, &chunk)
        };
        (0..per_connection).map(message).collect()
    };
    let messages = (0..connections).map(of_connection).collect();
    (messages, bytes)
}

/// `count` entries `[EventTime, record]`.
pub(crate) fn entries(
    first: u64,
    count: usize,
    shape: &Shape,
    timestamp: &str,
    time: EventTime,
) -> Vec<Vec<u8>> {
    (0..count as u64)
        .map(|n| {
            let text = sized(first + n, timestamp, shape.record_bytes);
            let (mut record, mut entry) = (Vec::new(), Vec::new());
            if shape.as_text {
                write_map_len(&mut record, 2);
                for part in ["stream", "stdout", "log", text.as_str()] {
                    write_str(&mut record, part.as_bytes());
                }
            } else {
                // The text is JSON of our own making.
                let _ = to_msgpack(text.as_bytes(), &mut record, ReadOptions::default());
            }
            write_entry(&mut entry, Time::Event(time), None, &record);
            entry
        })
        .collect()
}

fn head(mode: Mode, tag: usize, tags: usize) -> Vec<u8> {
    let mut head = Vec::with_capacity(24);
    write_array_len(&mut head, if mode == Mode::Message { 4 } else { 3 });
    let name = if tags == 1 { "servio.app".to_owned() } else { format!("servio.app.{tag:06}") };
    write_str(&mut head, name.as_bytes());
    head
}

/// A message's entries as the mode has them.
fn wrap(mode: Mode, entries: &[Vec<u8>]) -> Vec<u8> {
    let packed = entries.concat();
    let mut body = Vec::with_capacity(packed.len() + 8);
    match mode {
        // Time and record without their array head.
        Mode::Message => body.extend_from_slice(&packed[1..]),
        Mode::Forward => {
            write_array_len(&mut body, entries.len());
            body.extend_from_slice(&packed);
        }
        Mode::Packed => write_bin(&mut body, &packed),
        Mode::Compressed => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            // Writing to memory does not fail.
            let _ = gzip.write_all(&packed);
            write_bin(&mut body, &gzip.finish().unwrap_or_default());
        }
    }
    body
}

fn message(mode: Mode, head: Arc<[u8]>, body: Arc<[u8]>, records: usize, chunk: &str) -> Message {
    let mut options = Vec::with_capacity(64);
    write_map_len(&mut options, if mode == Mode::Compressed { 3 } else { 2 });
    write_str(&mut options, b"size");
    write_u64(&mut options, records as u64);
    if mode == Mode::Compressed {
        write_str(&mut options, b"compressed");
        write_str(&mut options, b"gzip");
    }
    write_str(&mut options, b"chunk");
    write_str(&mut options, chunk.as_bytes());
    let mut ack = Vec::with_capacity(32);
    write_map_len(&mut ack, 1);
    write_str(&mut ack, b"ack");
    write_str(&mut ack, chunk.as_bytes());
    Message { head, body, options, ack }
}

impl Message {
    /// All of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&*self.head, &*self.body, &self.options].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::msgpack::skip;
    use std::collections::HashSet;

    #[test]
    fn messages_are_whole_have_all_tags_and_the_records_asked_for() {
        for mode in [Mode::Message, Mode::Forward, Mode::Packed, Mode::Compressed] {
            let shape = Shape { mode, records: 600, batch: 10, connections: 3, tags: 7, ..Shape::default() };
            let (connections, bytes) = make(&shape);
            let all: Vec<&Message> = connections.iter().flatten().collect();
            assert_eq!(connections.len(), 3);
            assert_eq!(all.len(), if mode == Mode::Message { 600 } else { 60 });
            assert!((170_000..200_000).contains(&bytes), "{bytes}");
            let heads: HashSet<&[u8]> = all.iter().map(|message| &*message.head).collect();
            assert_eq!(heads.len(), 7);
            for message in all {
                let bytes = message.bytes();
                assert_eq!(skip(&bytes, 0).ok(), Some(bytes.len()));
            }
        }
    }
}
