//! What the tests of these inputs share: running ones, and their peers.

use super::{ConnectionInput, DatagramInput, Interpret, listen, receive};
use crate::testing::{Pipeline, Sink};
use logweir_engine::json::{self, JsonStyle};
use logweir_engine::msgpack::{Entries, Time};
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TlsClient, protocol_versions};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// An input on a free port of the loopback interface.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) sink: Sink,
    pipeline: Pipeline,
}

impl Running {
    pub(crate) fn connections<I: Interpret>(input: ConnectionInput<I>) -> Self {
        let pipeline = Pipeline::new();
        let address = listen(input, &pipeline.context).unwrap();
        Self { address, sink: pipeline.sink.clone(), pipeline }
    }

    pub(crate) fn datagrams<I: Interpret>(input: DatagramInput<I>) -> Self {
        let pipeline = Pipeline::new();
        let address = receive(input, &pipeline.context).unwrap();
        Self { address, sink: pipeline.sink.clone(), pipeline }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` over a connection of their own, which stays open.
    pub(crate) async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut peer = self.connect().await;
        peer.write_all(bytes).await.unwrap();
        peer
    }

    pub(crate) async fn send_datagrams(&self, texts: &[&[u8]]) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for text in texts {
            socket.send_to(text, self.address).await.unwrap();
        }
    }

    /// Waits for `count` events: `TAG TIME RECORD` each, where the present time is `now`.
    pub(crate) async fn events(&self, count: usize) -> Vec<String> {
        events_of(&self.sink, count).await
    }

    /// Waits until the input has tried to emit so many events, whatever became of them.
    pub(crate) async fn tried(&self, count: u64) {
        let tried = async {
            while self.pipeline.context.counters.records.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, tried).await.expect("events that are emitted");
    }

    pub(crate) async fn stop(self) -> Sink {
        self.pipeline.stop().await
    }
}

/// See [`Running::events`].
pub(crate) async fn events_of(sink: &Sink, count: usize) -> Vec<String> {
    sink.wait_for(count).await.iter().map(|(tag, entry)| shown(tag, entry)).collect()
}

/// Waits for the end of the connection; answers what came before it.
pub(crate) async fn closed(peer: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    // An RST is an end too.
    let _ = timeout(PATIENCE, peer.read_to_end(&mut read)).await.expect("an end");
    read
}

fn shown(tag: &str, entry: &[u8]) -> String {
    let parsed = Entries::new(entry).next().unwrap();
    let now = logweir_engine::event::EventTime::now().sec;
    let time = match parsed.time {
        Time::Event(time) if (now - 60..=now).contains(&time.sec) => "now".to_owned(),
        Time::Event(time) if time.nsec == 0 => time.sec.to_string(),
        Time::Event(time) => format!("{}.{:09}", time.sec, time.nsec),
        other => format!("{other:?}"),
    };
    let mut text = format!("{tag} {time} ").into_bytes();
    json::from_msgpack(parsed.record, &mut text, JsonStyle::Oj).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// TLS on a connection, whatever the server's certificate is.
pub(crate) async fn tls(tcp: TcpStream) -> TlsStream<TcpStream> {
    let options = ClientOptions {
        versions: protocol_versions("tls_version", None, None, None).unwrap(),
        insecure: true,
        verify_hostname: false,
        trusted: Vec::new(),
        certificates: None,
        key: None,
        passphrase: None,
    };
    let names = ClientParameters { trusted: "", certificates: "", key: "" };
    TlsClient::new(&options, names).unwrap().connect(tcp, None).await.unwrap()
}
