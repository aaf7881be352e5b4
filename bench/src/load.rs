//! Forward clients: messages over some connections, each waiting for the ack of its message before the last few are out.

pub(crate) use crate::messages::Mode;
use crate::messages::{Message, Shape, make};
use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;

/// Messages that may wait for their ack on one connection,
const IN_FLIGHT: usize = 8;
/// and on all of them, but one on each.
const IN_FLIGHT_ALL: usize = 512;
/// Threads that send; each serves its connections in turns.
const THREADS_MAX: usize = 8;

/// What to send.
pub(crate) struct Load {
    /// Messages for each connection.
    connections: Vec<Vec<Message>>,
    /// Records in all of them.
    pub(crate) records: usize,
    /// Bytes of entries in all of them.
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) fn of(shape: &Shape) -> Self {
        let (connections, bytes) = make(shape);
        let batch = if shape.mode == Mode::Message { 1 } else { shape.batch };
        let records = connections.iter().map(Vec::len).sum::<usize>() * batch;
        Self { connections, records, bytes }
    }

    /// Opens all connections.
    pub(crate) fn connect(&self, port: u16) -> Result<Vec<TcpStream>, String> {
        let connect = |_| {
            let socket = TcpStream::connect(("127.0.0.1", port))?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        self.connections.iter().map(connect).collect::<std::io::Result<_>>().map_err(|e| e.to_string())
    }

    /// Connects, sends everything and waits for the last ack.
    pub(crate) fn send(&self, port: u16) -> Result<(), String> {
        self.send_over(&self.connect(port)?)
    }

    /// Sends everything and waits for the last ack.
    pub(crate) fn send_over(&self, sockets: &[TcpStream]) -> Result<(), String> {
        let in_flight = (IN_FLIGHT_ALL / self.connections.len()).clamp(1, IN_FLIGHT);
        let threads = self.connections.len().min(THREADS_MAX);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|first| {
                    let each = sockets.iter().zip(&self.connections).skip(first).step_by(threads);
                    let connections: Vec<_> = each.map(|(socket, messages)| (socket, &**messages)).collect();
                    scope.spawn(move || send_all(&connections, in_flight))
                })
                .collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result.map_err(|e| format!("sending: {e}")),
                Err(_) => Err("a sender panicked".to_owned()),
            })
        })
    }
}

/// A message on each connection, then the next one on each; the acks follow `in_flight` messages behind.
fn send_all(connections: &[(&TcpStream, &[Message])], in_flight: usize) -> std::io::Result<()> {
    let rounds = connections.iter().map(|(_, messages)| messages.len()).max().unwrap_or(0);
    for round in 0..rounds + in_flight {
        for (socket, messages) in connections {
            if let Some(message) = messages.get(round) {
                write_all(socket, [&message.head, &message.body, &message.options])?;
            }
            if let Some(message) = (round + 1).checked_sub(in_flight).and_then(|round| messages.get(round)) {
                expect(socket, &message.ack)?;
            }
        }
    }
    Ok(())
}

/// In one packet, if they fit: a real client sends a message with one call, too.
fn write_all(mut socket: &TcpStream, parts: [&[u8]; 3]) -> std::io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let written = socket.write_vectored(rest)?;
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

fn expect(mut socket: &TcpStream, ack: &[u8]) -> std::io::Result<()> {
    let mut got = vec![0; ack.len()];
    socket.read_exact(&mut got)?;
    if got == ack {
        return Ok(());
    }
    Err(std::io::Error::other("an ack for another chunk"))
}
