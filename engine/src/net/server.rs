//! A server of TCP, TLS or Unix connections: one task for each, up to a limit, until it ends or must go.

use super::{Connections, Quiet, ReadLimits, Stream, Ticket, Transport, listen_tcp, listen_unix};
use crate::config::{Diagnostic, Params};
use crate::plugin::{InputContext, InputCounters, Param, ParamKind, StartError};
use crate::telemetry::{PluginLog, Shown};
use crate::{log_debug, log_info, log_trace, log_warn};
use rustix::net::sockopt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// File descriptors that the connections leave to the rest of the program, whatever `connection_limit` says.
const DESCRIPTORS_LEFT: u64 = 128;

/// After the program was told to stop, a connection whose events cannot be stored is kept for this long.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Wait before the next accept after one that failed, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// TCP keepalive: the first probe after this long, then as often, until the kernel gives up (9 probes).
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// The parameters of inputs that connections share: [`ServerOptions::new`] reads all but the last.
pub const CONNECTION_PARAMS: [Param; 4] = [
    Param::new("backlog", ParamKind::Integer, "Connections that may wait to be accepted"),
    // The usual maximum of one node's file descriptors with room for files.
    Param::new(
        "connection_limit",
        ParamKind::Integer,
        "Open connections; at the limit the peer with the most of them gives one up",
    )
    .own()
    .default("10000"),
    // No default: many senders may come from one address, that of a load balancer.
    Param::new(
        "peer_connection_limit",
        ParamKind::Integer,
        "Open connections of one address; those beyond are refused. As many as connection_limit if not set",
    )
    .own(),
    // Two of in_forward's largest messages, and thousands of the usual ones.
    Param::new(
        "receive_memory_limit",
        ParamKind::Size,
        "Bytes that all connections together may hold; when they do, reading waits",
    )
    .own()
    .default("512m"),
];

/// Stands for the peers on a Unix socket, which are on this machine and have no address.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How a server listens and whom it admits.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Address to listen on.
    pub bind: String,
    /// Port to listen on; 0 for any that is free.
    pub port: u16,
    /// Connections that may wait to be accepted.
    pub backlog: Option<u32>,
    /// Plain or TLS.
    pub transport: Transport,
    /// Notice dead peers with TCP keepalive packets.
    pub keepalive_packets: bool,
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address.
    pub peer_connections: usize,
    /// How long peers may take. The defaults, unless the plugin has [`READING_PARAMS`](super::READING_PARAMS).
    pub reading: ReadLimits,
}

impl ServerOptions {
    /// From the parameters `bind`, `port`, `backlog`, `connection_limit` and `peer_connection_limit` of an input.
    /// `keepalive_packets` is its `send_keepalive_packet`, if it has that.
    pub fn new(params: &Params, transport: Transport, keepalive_packets: bool) -> Result<Self, Diagnostic> {
        let options = Self { transport, keepalive_packets, ..Self::unix(params)? };
        Ok(Self { bind: params.string("bind"), port: port(params)?, ..options })
    }

    /// For [`StreamServer::listen_unix`]: from all of these but `bind` and `port`.
    pub fn unix(params: &Params) -> Result<Self, Diagnostic> {
        let positive = |name: &str| match params.int(name) {
            Some(value) if value < 1 => Err(params.error(name, format!("'{name}' must be at least 1"))),
            value => Ok(value),
        };
        let count = |limit: Option<i64>| {
            limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
        };
        Ok(Self {
            bind: String::new(),
            port: 0,
            backlog: positive("backlog")?.and_then(|backlog| u32::try_from(backlog).ok()),
            transport: Transport { tls: None, reset_on_close: false, receive_buffer: None },
            keepalive_packets: false,
            connections: count(positive("connection_limit")?),
            peer_connections: count(positive("peer_connection_limit")?),
            reading: ReadLimits::default(),
        })
    }
}

/// The parameter `port` of an input.
pub fn port(params: &Params) -> Result<u16, Diagnostic> {
    params
        .int("port")
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| params.error("port", "'port' must be a number from 0 to 65535"))
}

/// A server, listening or not yet.
pub struct StreamServer {
    options: ServerOptions,
    log: PluginLog,
    tasks: TaskTracker,
    stop: CancellationToken,
    tls: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    quiet: Quiet,
    counters: Arc<InputCounters>,
}

/// A connection that was admitted; TLS is set up if it is to be.
#[derive(Debug)]
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// The other end; 127.0.0.1:0 for one on a Unix socket.
    pub address: SocketAddr,
    /// Its place among the connections, to be touched when it does something useful.
    pub ticket: Ticket,
    /// Where the end of a connection is counted that deserves it.
    pub counters: Arc<InputCounters>,
}

impl StreamServer {
    /// A server for the input of that context.
    pub fn new(options: ServerOptions, context: &InputContext) -> Arc<Self> {
        let connections = connection_limit(&options, &context.log);
        Arc::new(Self {
            tls: options.transport.tls.clone().map(TlsAcceptor::from),
            connections: Connections::new(connections, options.peer_connections),
            quiet: Quiet::default(),
            counters: Arc::clone(&context.counters),
            options,
            log: context.log.clone(),
            tasks: context.tasks.clone(),
            stop: context.stop.clone(),
        })
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Whether a line about what `peer` did may be logged now; see [`Quiet::allows_about`].
    pub fn may_log(&self, peer: IpAddr, what: &'static str) -> bool {
        self.quiet.allows_about(&self.log, peer, what)
    }

    /// Counts a connection that was closed, or input that was thrown away, and answers whether a line about it may be
    /// logged.
    pub fn closed(&self, peer: IpAddr, reason: &'static str) -> bool {
        self.counters.closed.add(reason);
        self.may_log(peer, reason)
    }

    /// How long peers may take.
    pub fn limits(&self) -> ReadLimits {
        self.options.reading
    }

    /// Opens the socket and serves its connections in the background, each with a call of `serve`. When the program
    /// stops, no more connections are accepted, and those that are open are given some seconds to end by themselves.
    /// Answers the address of the socket.
    pub fn listen<S, F>(self: &Arc<Self>, serve: S) -> Result<SocketAddr, StartError>
    where
        S: Fn(Connection) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = listen_tcp(&self.options.bind, self.options.port, self.options.backlog)?;
        let address =
            listener.local_addr().map_err(|error| StartError::new("SystemCallError", error.to_string()))?;
        let server = self.clone();
        self.tasks.spawn(async move { server.accept(Listener::Tcp(listener), Arc::new(serve)).await });
        Ok(address)
    }

    /// The same on a Unix socket at `path`, which is removed when the program stops.
    pub fn listen_unix<S, F>(self: &Arc<Self>, path: &Path, serve: S) -> Result<(), StartError>
    where
        S: Fn(Connection) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = listen_unix(path, self.options.backlog, &self.log)?;
        let (server, path) = (self.clone(), path.to_owned());
        self.tasks.spawn(async move {
            server.accept(Listener::Unix(listener), Arc::new(serve)).await;
            // Whoever connects from now on is to see at once that nobody listens.
            let _ = std::fs::remove_file(path);
        });
        Ok(())
    }

    async fn accept<S, F>(self: Arc<Self>, listener: Listener, serve: Arc<S>)
    where
        S: Fn(Connection) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    failing = false;
                    if let Some(ticket) = self.admit(address) {
                        let (server, serve) = (self.clone(), serve.clone());
                        self.tasks.spawn(async move { server.serve(socket, address, ticket, &*serve).await });
                    }
                    // The scheduler would run the newest connection before those that came earlier.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        log_warn!(
                            self.log,
                            "cannot accept connections; raise the limit of open files if it is reached",
                            error = error.to_string()
                        );
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, address: SocketAddr) -> Option<Ticket> {
        let ticket = self.connections.admit(address.ip().to_canonical());
        if ticket.is_none() && self.closed(address.ip(), "connection_limit") {
            log_warn!(
                self.log,
                "connection refused: connection_limit is reached and this peer has as many connections as any, or it has \
                 peer_connection_limit of them",
                host = address.ip().to_string(),
                connections = self.connections.len()
            );
        }
        ticket
    }

    /// Serves a connection to its end, or until it must go: whatever it is waiting for, a place that is given to another
    /// peer and the end of the program do not wait with it.
    async fn serve<S, F>(&self, socket: Socket, address: SocketAddr, ticket: Ticket, serve: &S)
    where
        S: Fn(Connection) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let close = ticket.close().clone();
        let too_late = async {
            self.stop.cancelled().await;
            tokio::time::sleep(STOP_MAX).await;
        };
        let served = async {
            let opened = tokio::select! {
                opened = self.open(socket, address) => opened,
                () = self.stop.cancelled() => return,
            };
            if let Some(stream) = opened {
                let counters = Arc::clone(&self.counters);
                serve(Connection { stream, address, ticket, counters }).await;
            }
        };
        tokio::select! {
            biased;
            () = served => {}
            () = close.cancelled() => {
                if self.closed(address.ip(), "evicted") {
                    log_warn!(
                        self.log,
                        "connection closed: connection_limit is reached and this peer has the most connections",
                        host = address.ip().to_string(),
                        port = address.port()
                    );
                }
            }
            () = too_late => log_warn!(
                self.log,
                "connection closed: what it sent could not be stored before the stop",
                host = address.ip().to_string(),
                port = address.port()
            ),
        }
    }

    /// Sets the socket up, and TLS on it.
    async fn open(&self, socket: Socket, address: SocketAddr) -> Option<Stream> {
        let tcp = match socket {
            Socket::Tcp(tcp) => tcp,
            Socket::Unix(unix) => return Some(Stream::Unix(unix)),
        };
        if let Err(error) = self.set_options(&tcp) {
            log_debug!(self.log, "failed to set socket option", error = error.to_string());
        }
        let Some(acceptor) = &self.tls else { return Some(Stream::Plain(tcp)) };
        let (addr, port) = (address.ip().to_canonical().to_string(), address.port());
        match timeout(self.options.reading.handshake, acceptor.accept(tcp)).await {
            Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream.into()))),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                if self.closed(address.ip(), "tls_failed") {
                    log_warn!(
                        self.log,
                        "unexpected error before accepting TLS connection by OpenSSL",
                        addr = addr,
                        host = addr,
                        port = port,
                        error = error.to_string()
                    );
                }
                None
            }
            // A peer that closes during the handshake is a heartbeat or a port scan.
            Ok(Err(error)) => {
                log_trace!(
                    self.log,
                    "unexpected error before accepting TLS connection",
                    addr = addr,
                    port = port,
                    error = error.to_string()
                );
                None
            }
            Err(_) => {
                if self.closed(address.ip(), "tls_handshake_timeout") {
                    log_warn!(
                        self.log,
                        "TLS handshake timed out; the connection is closed",
                        addr = addr,
                        port = port
                    );
                }
                None
            }
        }
    }

    /// Options of an accepted socket.
    fn set_options(&self, tcp: &TcpStream) -> io::Result<()> {
        // Answers are small and somebody waits for each.
        tcp.set_nodelay(true)?;
        if self.options.transport.reset_on_close {
            sockopt::set_socket_linger(tcp, Some(Duration::ZERO))?;
        }
        if self.options.keepalive_packets {
            sockopt::set_socket_keepalive(tcp, true)?;
            sockopt::set_tcp_keepidle(tcp, KEEPALIVE_IDLE)?;
            sockopt::set_tcp_keepintvl(tcp, KEEPALIVE_IDLE)?;
        }
        if let Some(bytes) = self.options.transport.receive_buffer {
            sockopt::set_socket_recv_buffer_size(tcp, bytes)?;
        }
        Ok(())
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(tcp, address)| (Socket::Tcp(tcp), address)),
            Self::Unix(listener) => listener.accept().await.map(|(unix, _)| (Socket::Unix(unix), LOCAL)),
        }
    }
}

/// `connection_limit`, or what the limit of open files allows if that is less.
fn connection_limit(options: &ServerOptions, log: &PluginLog) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let allowed = limit.current.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_LEFT).max(1);
    let wanted = options.connections as u64;
    if allowed < wanted {
        log_info!(
            log,
            "connection_limit is lowered to what the limit of open files allows",
            connection_limit = Shown(wanted),
            connections = allowed
        );
    }
    wanted.min(allowed) as usize
}
