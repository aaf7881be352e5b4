//! Connections to a node: TCP or TLS, with the handshake if one is configured.

use super::error::SendError;
use super::handshake::{Credentials, Handshake};
use super::settings::{ServerSettings, Settings};
use logweir_engine::msgpack::{ScanErrorKind, skip};
use logweir_engine::net::Stream;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_debug, log_warn};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// HELO and PONG take some hundred bytes; a server that sends more than this before them is none.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// A connection on which chunks may be sent.
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// What the server calls itself, if there was a handshake.
    pub(super) server: Option<Arc<str>>,
}

/// Connects to a node and passes its handshake.
pub(super) async fn connect(
    settings: &Settings,
    server: &ServerSettings,
    address: SocketAddr,
    log: &PluginLog,
) -> Result<Connection, SendError> {
    log_debug!(log, "connect new socket", host = server.host, port = server.port);
    let mut stream = within(settings.connect_timeout, open(settings, server, address)).await?;
    let Some(credentials) = &server.credentials else { return Ok(Connection { stream, server: None }) };
    let passed = within(Some(settings.hard_timeout), shake_hands(&mut stream, credentials)).await;
    let (host, port) = (&server.host, server.port);
    match passed {
        Ok(Ok(name)) => {
            log_debug!(log, "connection established", host = host, port = port);
            return Ok(Connection { stream, server: Some(name.into()) });
        }
        Ok(Err(Refusal::Helo)) => {
            log_warn!(log, format!("received invalid helo message from {}", server.name));
        }
        Ok(Err(Refusal::Pong(reason))) => {
            log_warn!(log, format!("connection refused to {}: {reason}", server.name));
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            log_warn!(log, "disconnected", host = host, port = port);
        }
        Err(error) => {
            log_warn!(log, "disconnected by error", host = host, port = port, error = error.to_string());
        }
    }
    Err(SendError::Handshake(server.name.clone()))
}

async fn open(settings: &Settings, server: &ServerSettings, address: SocketAddr) -> io::Result<Stream> {
    let tcp = TcpStream::connect(address).await?;
    // A chunk is written in few large pieces, and an ack is waited for.
    tcp.set_nodelay(true)?;
    match &settings.tls {
        None => Ok(Stream::Plain(tcp)),
        Some(tls) => Ok(Stream::Tls(Box::new(tls.connect(tcp, server.tls_name.as_deref()).await?))),
    }
}

/// Why a handshake failed other than by the loss of the connection.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Helo,
    Pong(String),
}

async fn shake_hands(stream: &mut Stream, credentials: &Credentials) -> io::Result<Result<String, Refusal>> {
    let mut received = Vec::new();
    let helo = read_value(stream, &mut received, HANDSHAKE_BYTES_MAX, 512).await?;
    let Some((handshake, ping)) = Handshake::begin(credentials, &helo)? else {
        return Ok(Err(Refusal::Helo));
    };
    stream.write_all(&ping).await?;
    stream.flush().await?;
    let pong = read_value(stream, &mut received, HANDSHAKE_BYTES_MAX, 512).await?;
    Ok(handshake.finish(credentials, &pong).map_err(Refusal::Pong))
}

/// Reads one MessagePack value of at most `bytes_max` bytes, `read_bytes` at a time. What follows it stays in
/// `received`.
pub(super) async fn read_value(
    stream: &mut Stream,
    received: &mut Vec<u8>,
    bytes_max: usize,
    read_bytes: usize,
) -> io::Result<Vec<u8>> {
    loop {
        match skip(received, 0) {
            Ok(end) => {
                let rest = received.split_off(end);
                return Ok(std::mem::replace(received, rest));
            }
            Err(error) if error.kind != ScanErrorKind::Truncated || received.len() > bytes_max => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "what the server sent is no forward protocol",
                ));
            }
            Err(_) => {}
        }
        received.reserve(read_bytes);
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// `future`, or an error after `limit`.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match limit {
        None => future.await,
        Some(limit) => timeout(limit, future).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    }
}
