//! A running server and a peer that writes what a test wants.

use super::super::PLUGIN;
use super::super::server::Server;
use super::super::settings::Settings;
use crate::testing::{Pipeline, Sink, with_params};
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{write_array_len, write_bin, write_event_time, write_map_len, write_str};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server on a free port of the loopback interface.
pub(super) struct Running {
    pub(super) server: Arc<Server>,
    pub(super) address: SocketAddr,
    pub(super) sink: Sink,
    pipeline: Pipeline,
}

impl Running {
    pub(super) fn start(parameters: &str) -> Self {
        let text = format!("port 0\nbind 127.0.0.1\n{parameters}");
        let settings = with_params(&PLUGIN, &text, |params, context| Settings::new(params, context)).unwrap();
        let pipeline = Pipeline::new();
        let server = Arc::new(Server::new(settings, pipeline.context.clone()));
        let address = server.listen().unwrap();
        Self { server, address, sink: pipeline.sink.clone(), pipeline }
    }

    pub(super) async fn connect(&self) -> Peer {
        Peer(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends all `bytes` on a connection of its own and waits for `count` events.
    pub(super) async fn receives(&self, bytes: &[u8], count: usize) -> Vec<(String, Vec<u8>)> {
        let mut peer = self.connect().await;
        peer.send(bytes).await;
        self.sink.wait_for(count).await
    }

    pub(super) async fn stop(self) -> Sink {
        self.pipeline.stop().await
    }
}

pub(super) struct Peer(pub(super) TcpStream);

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

impl Peer {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads exactly `expected`.
    pub(super) async fn expect(&mut self, expected: &[u8]) {
        let mut read = vec![0; expected.len()];
        timeout(PATIENCE, self.0.read_exact(&mut read)).await.expect("an answer").unwrap();
        assert_eq!(read, expected);
    }

    /// Reads what comes in one segment.
    pub(super) async fn read(&mut self) -> Vec<u8> {
        let mut read = vec![0; 4096];
        let count = timeout(PATIENCE, self.0.read(&mut read)).await.expect("an answer").unwrap();
        read.truncate(count);
        read
    }

    /// Whether nothing comes for a while and the connection stays.
    pub(super) async fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        timeout(Duration::from_millis(150), self.0.read(&mut byte)).await.is_err()
    }

    /// Waits for the end of the connection; answers what came before it.
    pub(super) async fn closed(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        // An RST is an end too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut read)).await.expect("an end");
        read
    }
}

/// `[time, {"k": "v"}]` with an EventTime of that second.
pub(super) fn entry(second: i64) -> Vec<u8> {
    let mut out = vec![0x92];
    write_event_time(&mut out, EventTime::from_secs(second));
    out.extend_from_slice(b"\x81\xa1k\xa1v");
    out
}

pub(super) fn message_mode(tag: &str, second: i64, option: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, if option.is_empty() { 3 } else { 4 });
    write_str(&mut out, tag.as_bytes());
    out.extend_from_slice(&entry(second)[1..]);
    out.extend_from_slice(option);
    out
}

pub(super) fn forward_mode(tag: &str, entries: &[Vec<u8>], option: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, if option.is_empty() { 2 } else { 3 });
    write_str(&mut out, tag.as_bytes());
    write_array_len(&mut out, entries.len());
    out.extend_from_slice(&entries.concat());
    out.extend_from_slice(option);
    out
}

pub(super) fn packed_mode(tag: &str, payload: &[u8], option: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_array_len(&mut out, if option.is_empty() { 2 } else { 3 });
    write_str(&mut out, tag.as_bytes());
    write_bin(&mut out, payload);
    out.extend_from_slice(option);
    out
}

/// An option map of strings.
pub(super) fn option(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_map_len(&mut out, pairs.len());
    for (key, value) in pairs {
        write_str(&mut out, key.as_bytes());
        write_str(&mut out, value.as_bytes());
    }
    out
}

pub(super) fn ack(chunk: &str) -> Vec<u8> {
    option(&[("ack", chunk)])
}
