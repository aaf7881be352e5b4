//! Forward clients: messages are made before the clock starts, then sent over some connections, each waiting for the
//! ack of its message before the last few are out.

use crate::logs::now;
use crate::record::json;
use flate2::Compression;
use flate2::write::GzEncoder;
use logweir_engine::event::EventTime;
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{
    Time, write_array_len, write_bin, write_entry, write_map_len, write_str, write_u64,
};
use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// How events are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Message,
    Forward,
    Packed,
    Compressed,
}

/// Messages that may wait for their ack on one connection.
const IN_FLIGHT: usize = 8;

/// What to send.
pub(crate) struct Load {
    /// Messages for each connection, ready to be written, with the bytes of the ack that each is answered with.
    connections: Vec<Vec<Message>>,
    /// Records in all of them.
    pub(crate) records: usize,
    /// Bytes of entries in all of them.
    pub(crate) bytes: usize,
}

struct Message {
    /// Everything up to the options, the same for all messages of a connection.
    body: Arc<[u8]>,
    /// The options with the chunk id.
    options: Vec<u8>,
    ack: Vec<u8>,
}

impl Load {
    /// `records` records in messages of `batch`, spread over `connections`. All messages of a connection but for their
    /// chunk id are the same bytes, so that a million records fit in memory.
    /// With `as_text` a record is `{"stream", "log"}` with the JSON text in a field, as a container's log has it.
    pub(crate) fn prepare(
        mode: Mode,
        as_text: bool,
        records: usize,
        batch: usize,
        connections: usize,
    ) -> Self {
        let batch = if mode == Mode::Message { 1 } else { batch };
        let per_connection = records.div_ceil(batch).div_ceil(connections).max(1);
        let mut load = Self { connections: Vec::new(), records: 0, bytes: 0 };
        for connection in 0..connections {
            let entries = entries(connection as u64 * 1_000_000, batch, as_text);
            let body: Arc<[u8]> = wrap(mode, &entries).into();
            let mut messages = Vec::with_capacity(per_connection);
            for number in 0..per_connection {
                let chunk = format!("{connection:04x}{number:012x}AAAAAA==");
                messages.push(message(mode, Arc::clone(&body), entries.len(), &chunk));
                load.records += batch;
                load.bytes += entries.iter().map(Vec::len).sum::<usize>();
            }
            load.connections.push(messages);
        }
        load
    }

    /// Sends everything and waits for the last ack.
    pub(crate) fn send(&self, port: u16) -> Result<(), String> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter()
                .map(|messages| scope.spawn(move || send_all(messages, port)))
                .collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result.map_err(|e| format!("sending: {e}")),
                Err(_) => Err("a sender panicked".to_owned()),
            })
        })
    }
}

fn send_all(messages: &[Message], port: u16) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    let mut waiting = std::collections::VecDeque::new();
    for message in messages {
        write_both(&mut socket, &message.body, &message.options)?;
        waiting.push_back(&message.ack);
        if waiting.len() >= IN_FLIGHT {
            expect(&mut socket, waiting.pop_front())?;
        }
    }
    while !waiting.is_empty() {
        expect(&mut socket, waiting.pop_front())?;
    }
    Ok(())
}

/// In one packet, if they fit: a real client sends a message with one call, too.
fn write_both(socket: &mut TcpStream, first: &[u8], second: &[u8]) -> std::io::Result<()> {
    let written = socket.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
    socket.write_all(first.get(written..).unwrap_or_default())?;
    socket.write_all(second.get(written.saturating_sub(first.len())..).unwrap_or_default())
}

fn expect(socket: &mut TcpStream, ack: Option<&Vec<u8>>) -> std::io::Result<()> {
    let Some(ack) = ack else { return Ok(()) };
    let mut got = vec![0; ack.len()];
    socket.read_exact(&mut got)?;
    if got == *ack {
        return Ok(());
    }
    Err(std::io::Error::other("an ack for another chunk"))
}

/// `count` entries `[EventTime, record]`.
fn entries(first: u64, count: usize, as_text: bool) -> Vec<Vec<u8>> {
    let timestamp = now();
    (0..count as u64)
        .map(|n| {
            let text = json(first + n, &timestamp);
            let (mut record, mut entry) = (Vec::new(), Vec::new());
            if as_text {
                write_map_len(&mut record, 2);
                for part in ["stream", "stdout", "log", text.as_str()] {
                    write_str(&mut record, part.as_bytes());
                }
            } else {
                // The text is JSON of our own making.
                let _ = to_msgpack(text.as_bytes(), &mut record, ReadOptions::default());
            }
            write_entry(&mut entry, Time::Event(EventTime::now()), None, &record);
            entry
        })
        .collect()
}

fn wrap(mode: Mode, entries: &[Vec<u8>]) -> Vec<u8> {
    let packed = entries.concat();
    let mut body = Vec::with_capacity(packed.len() + 64);
    write_array_len(&mut body, if mode == Mode::Message { 4 } else { 3 });
    write_str(&mut body, b"servio.app");
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

fn message(mode: Mode, body: Arc<[u8]>, records: usize, chunk: &str) -> Message {
    let mut options = Vec::with_capacity(96);
    write_map_len(&mut options, if mode == Mode::Compressed { 3 } else { 2 });
    write_str(&mut options, b"size");
    write_u64(&mut options, records as u64);
    if mode == Mode::Compressed {
        write_str(&mut options, b"compressed");
        write_str(&mut options, b"gzip");
    }
    write_str(&mut options, b"chunk");
    write_str(&mut options, chunk.as_bytes());
    let mut ack = Vec::new();
    write_map_len(&mut ack, 1);
    write_str(&mut ack, b"ack");
    write_str(&mut ack, chunk.as_bytes());
    Message { body, options, ack }
}
