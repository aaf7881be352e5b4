//! The listening sockets, and what all connections share.

use super::connection;
use super::duplicates::Duplicates;
use super::handshake::Handshake;
use super::heartbeat;
use super::settings::Settings;
use futures_util::future::BoxFuture;
use logweir_engine::log_info;
use logweir_engine::net::{HostNames, MemoryPool, ServerOptions, StreamServer, bind_udp};
use logweir_engine::plugin::{Input, InputContext, StartError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The input before its start.
pub(super) struct Forward {
    pub(super) settings: Option<Settings>,
}

/// What all connections share.
pub(super) struct Server {
    pub(super) settings: Settings,
    pub(super) context: InputContext,
    pub(super) net: Arc<StreamServer>,
    pub(super) memory: Arc<MemoryPool>,
    pub(super) duplicates: Arc<Duplicates>,
    pub(super) names: HostNames,
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
        Self {
            net: StreamServer::new(settings.server.clone(), &context),
            memory: MemoryPool::new(settings.memory),
            duplicates: Arc::default(),
            names: HostNames::default(),
            number: AtomicU64::new(0),
            settings,
            context,
        }
    }

    /// Opens the sockets and serves them in the background. Answers the address of the TCP socket.
    pub(super) fn listen(self: &Arc<Self>) -> Result<SocketAddr, StartError> {
        let ServerOptions { bind, port, .. } = &self.settings.server;
        log_info!(self.context.log, "listening port", port = *port, bind = bind);
        let server = self.clone();
        let address = self.net.listen(move |connection| {
            let server = server.clone();
            async move { connection::serve(&server, connection).await }
        })?;
        let udp = bind_udp(bind, address.port())?;
        self.context.tasks.spawn(heartbeat::answer(udp, self.context.stop.clone(), self.context.log.clone()));
        Ok(address)
    }

    /// Opens a Unix socket and serves it in the background.
    pub(super) fn listen_unix(self: &Arc<Self>, path: &Path) -> Result<(), StartError> {
        log_info!(self.context.log, format!("listening fluent socket on {}", path.display()));
        let server = self.clone();
        self.net.listen_unix(path, move |connection| {
            let server = server.clone();
            async move { connection::serve(&server, connection).await }
        })
    }

    /// A number for a new connection.
    pub(super) fn number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a line about what `peer` sent may be logged now.
    pub(super) fn may_log(&self, peer: &Peer, what: &'static str) -> bool {
        self.net.may_log(peer.address.ip(), what)
    }

    /// Counts what was thrown away or closed, and answers whether a line about it may be logged now.
    pub(super) fn closed(&self, peer: &Peer, reason: &'static str) -> bool {
        self.net.closed(peer.address.ip(), reason)
    }

    /// A handshake with fresh secrets.
    pub(super) fn handshake(&self) -> io::Result<Handshake> {
        Ok(Handshake::new(crate::forward::random()?, crate::forward::random()?))
    }
}
