//! Connections to syslog servers, kept from one chunk to the next.

use logweir_engine::net::tls::TlsClient;
use logweir_engine::net::{Stream, addresses};
use rustix::net::sockopt;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Idle connections that are kept. With placeholders in `host` there may be a server for each tag.
const IDLE_MAX: usize = 64;

/// `keep_alive` and its siblings; `None` if it is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeepAlive {
    pub(super) idle: Option<Duration>,
    pub(super) count: Option<u32>,
    pub(super) interval: Option<Duration>,
}

/// Makes connections.
pub(super) struct Connector {
    pub(super) tls: Option<TlsClient>,
    /// For a connection to be made, and for a piece to be taken; none waits for ever.
    pub(super) timeout: Option<Duration>,
    pub(super) keep_alive: Option<KeepAlive>,
    idle: Mutex<HashMap<String, Vec<Stream>>>,
}

impl Connector {
    pub(super) fn new(
        tls: Option<TlsClient>,
        timeout: Option<Duration>,
        keep_alive: Option<KeepAlive>,
    ) -> Self {
        Self { tls, timeout, keep_alive, idle: Mutex::default() }
    }

    /// A connection to a server: one that is kept and that the server has not closed, or a new one.
    pub(super) async fn connection(&self, host: &str, port: u16) -> io::Result<Stream> {
        let key = key(host, port);
        loop {
            let kept = self.idle().get_mut(&key).and_then(Vec::pop);
            match kept {
                Some(mut stream) => {
                    if is_open(&mut stream) {
                        return Ok(stream);
                    }
                }
                None => return within(self.timeout, self.connect(host, port)).await,
            }
        }
    }

    /// Keeps a connection for the next chunk.
    pub(super) fn keep(&self, host: &str, port: u16, stream: Stream) {
        let mut idle = self.idle();
        if idle.values().map(Vec::len).sum::<usize>() >= IDLE_MAX {
            idle.clear();
        }
        idle.entry(key(host, port)).or_default().push(stream);
    }

    /// Closes all that are kept.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for mut stream in idle.into_values().flatten() {
            // Says goodbye in TLS; whoever does not listen any more does not matter.
            let _ = timeout(CLOSE_MAX, stream.shutdown()).await;
        }
    }

    async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(tcp) => return self.prepare(tcp, host).await,
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn prepare(&self, tcp: TcpStream, host: &str) -> io::Result<Stream> {
        if let Some(keep_alive) = self.keep_alive {
            sockopt::set_socket_keepalive(&tcp, true)?;
            if let Some(idle) = keep_alive.idle {
                sockopt::set_tcp_keepidle(&tcp, idle)?;
            }
            if let Some(count) = keep_alive.count {
                sockopt::set_tcp_keepcnt(&tcp, count)?;
            }
            if let Some(interval) = keep_alive.interval {
                sockopt::set_tcp_keepintvl(&tcp, interval)?;
            }
        }
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        let name = host.parse::<IpAddr>().is_err().then_some(host);
        Ok(Stream::Tls(Box::new(tls.connect(tcp, name).await?)))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Stream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CLOSE_MAX: Duration = Duration::from_secs(1);

fn key(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// Whether the server has not closed a connection that was kept: what is written to one that it has closed is lost without an
/// error. What it says is thrown away.
fn is_open(stream: &mut Stream) -> bool {
    use futures_util::FutureExt;
    let mut said = [0; 512];
    loop {
        match stream.read(&mut said).now_or_never() {
            None => return true,
            Some(Ok(count)) if count > 0 => {}
            Some(_) => return false,
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

/// A socket for datagrams to a server, and its address.
pub(super) async fn datagrams(host: &str, port: u16) -> io::Result<(UdpSocket, SocketAddr)> {
    let address = addresses(host, port).await?.into_iter().next();
    let address = address.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    Ok((UdpSocket::bind(local).await?, address))
}
