//! The listening sockets, and what all connections share.

use super::connection;
use super::duplicates::Duplicates;
use super::handshake::Handshake;
use super::heartbeat;
use super::limits::{DESCRIPTORS_LEFT, STOP_MAX};
use super::quiet::Quiet;
use super::settings::{KEEPALIVE_IDLE, Settings};
use futures_util::future::BoxFuture;
use logweir_engine::net::{Connections, HostNames, MemoryPool, Ticket, bind_udp, listen_tcp};
use logweir_engine::plugin::{Input, InputContext, StartError};
use logweir_engine::telemetry::Shown;
use logweir_engine::{log_info, log_warn};
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The input before its start.
pub(super) struct Forward {
    pub(super) settings: Option<Settings>,
}

/// What all connections share.
pub(super) struct Server {
    pub(super) settings: Settings,
    pub(super) context: InputContext,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) connections: Arc<Connections>,
    pub(super) memory: Arc<MemoryPool>,
    pub(super) duplicates: Arc<Duplicates>,
    pub(super) names: HostNames,
    quiet: Quiet,
    number: AtomicU64,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Its address, or its name if names are looked up.
    pub(super) host: Arc<str>,
    /// By what its chunks are remembered.
    pub(super) id: Arc<str>,
    /// Number of the connection.
    pub(super) connection: u64,
}

/// Wait before the next accept after one that failed, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Input for Forward {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(settings) = self.settings.take() else { return Ok(()) };
            let server = Arc::new(Server::new(settings, context));
            server.listen()?;
            Ok(())
        })
    }
}

impl Server {
    pub(super) fn new(settings: Settings, context: InputContext) -> Self {
        let connections = connection_limit(&settings, &context);
        Self {
            tls: settings.transport.tls.clone().map(TlsAcceptor::from),
            connections: Connections::new(connections),
            memory: MemoryPool::new(settings.memory),
            duplicates: Arc::default(),
            names: HostNames::default(),
            quiet: Quiet::default(),
            number: AtomicU64::new(0),
            settings,
            context,
        }
    }

    /// Opens the sockets and serves them in the background. Answers the address of the TCP socket.
    pub(super) fn listen(self: &Arc<Self>) -> Result<SocketAddr, StartError> {
        let Settings { bind, port, backlog, .. } = &self.settings;
        log_info!(self.context.log, "listening port", port = *port, bind = bind);
        let tcp = listen_tcp(bind, *port, *backlog)?;
        let address =
            tcp.local_addr().map_err(|error| StartError::new("SystemCallError", error.to_string()))?;
        let udp = bind_udp(bind, address.port())?;
        let server = self.clone();
        self.context.tasks.spawn(async move { server.accept(tcp).await });
        self.context.tasks.spawn(heartbeat::answer(udp, self.context.stop.clone(), self.context.log.clone()));
        Ok(address)
    }

    /// A number for a new connection.
    pub(super) fn number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a line about what a peer sent may be logged now.
    pub(super) fn may_log(&self) -> bool {
        self.quiet.allows(&self.context.log)
    }

    /// A handshake with fresh secrets.
    pub(super) fn handshake(&self) -> io::Result<Handshake> {
        Ok(Handshake::new(crate::forward::random()?, crate::forward::random()?))
    }

    /// Options of an accepted socket.
    pub(super) fn set_options(&self, tcp: &TcpStream) -> io::Result<()> {
        // Acks are small and somebody waits for each.
        tcp.set_nodelay(true)?;
        if self.settings.transport.reset_on_close {
            sockopt::set_socket_linger(tcp, Some(Duration::ZERO))?;
        }
        if self.settings.keepalive_packets {
            sockopt::set_socket_keepalive(tcp, true)?;
            sockopt::set_tcp_keepidle(tcp, KEEPALIVE_IDLE)?;
            sockopt::set_tcp_keepintvl(tcp, KEEPALIVE_IDLE)?;
        }
        if let Some(bytes) = self.settings.transport.receive_buffer {
            sockopt::set_socket_recv_buffer_size(tcp, bytes)?;
        }
        Ok(())
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.context.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, address)) => {
                    failing = false;
                    self.admit(tcp, address);
                    // The scheduler would run the newest connection before those that came earlier.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        log_warn!(
                            self.context.log,
                            "cannot accept connections; raise the limit of open files if it is reached",
                            error = error.to_string()
                        );
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, tcp: TcpStream, address: SocketAddr) {
        match self.connections.admit(address.ip().to_canonical()) {
            Some(ticket) => {
                let server = self.clone();
                self.context.tasks.spawn(async move { server.serve(tcp, address, ticket).await });
            }
            None if !self.may_log() => {}
            None => log_warn!(
                self.context.log,
                "connection refused: connection_limit is reached and this peer has as many connections as any",
                host = address.ip().to_string(),
                connections = self.connections.len()
            ),
        }
    }

    /// Serves a connection to its end, or until it must go: whatever it is waiting for, a place that is given to another
    /// peer and the end of the program do not wait with it.
    async fn serve(&self, tcp: TcpStream, address: SocketAddr, ticket: Ticket) {
        let too_late = async {
            self.context.stop.cancelled().await;
            tokio::time::sleep(STOP_MAX).await;
        };
        tokio::select! {
            biased;
            () = connection::serve(self, tcp, address, &ticket) => {}
            () = ticket.close().cancelled() => {
                if self.may_log() {
                    log_warn!(
                        self.context.log,
                        "connection closed: connection_limit is reached and this peer has the most connections",
                        host = address.ip().to_string(),
                        port = address.port()
                    );
                }
            }
            () = too_late => log_warn!(
                self.context.log,
                "connection closed: what it sent could not be stored before the stop",
                host = address.ip().to_string(),
                port = address.port()
            ),
        }
    }
}

/// `connection_limit`, or what the limit of open files allows if that is less.
fn connection_limit(settings: &Settings, context: &InputContext) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let allowed = limit.current.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_LEFT).max(1);
    let wanted = settings.connections as u64;
    if allowed < wanted {
        log_info!(
            context.log,
            "connection_limit is lowered to what the limit of open files allows",
            connection_limit = Shown(wanted),
            connections = allowed
        );
    }
    wanted.min(allowed) as usize
}
