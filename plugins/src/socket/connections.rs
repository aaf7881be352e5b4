//! Messages over TCP and TLS.

use super::frames::Frame;
use super::{Events, Framer, Framing, Interpret, Message, SourceKeys, preview};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::EmitError;
use logweir_engine::event::Tag;
use logweir_engine::net::{
    Connection, Fill, HostNames, MemoryPool, Network, ReadFailure, Reading, ServerOptions, StreamServer,
    error_class,
};
use logweir_engine::plugin::{InputContext, StartError};
use logweir_engine::telemetry::Shown;
use logweir_engine::{log_debug, log_error, log_info, log_warn};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// An input over connections, before its start.
pub(crate) struct ConnectionInput<I> {
    pub(crate) options: ServerOptions,
    /// `receive_memory_limit`
    pub(crate) memory: u64,
    /// Where peers may come from; `None` for everywhere.
    pub(crate) allowed: Option<Vec<Network>>,
    pub(crate) framing: Framing,
    /// `message_length_limit`
    pub(crate) bytes_max: Option<usize>,
    pub(crate) source: SourceKeys,
    /// See [`Events::new`].
    pub(crate) always_join: bool,
    pub(crate) interpret: I,
}

impl<I> ConnectionInput<I> {
    /// The parameter `receive_memory_limit`.
    pub(crate) fn memory(params: &Params) -> u64 {
        params.size("receive_memory_limit").unwrap_or(u64::MAX)
    }

    /// The networks of the sections `<client>` in `<security>`.
    pub(crate) fn allowed(params: &Params) -> Result<Option<Vec<Network>>, Diagnostic> {
        let Some(security) = params.section("security") else { return Ok(None) };
        security.sections("client").iter().map(Network::of_client).collect::<Result<_, _>>().map(Some)
    }
}

/// Serves the input's connections in the background. Answers the address that it listens on.
pub(crate) fn listen<I: Interpret>(
    input: ConnectionInput<I>,
    context: &InputContext,
) -> Result<SocketAddr, StartError> {
    let net = StreamServer::new(input.options.clone(), context);
    let server = Arc::new(Server {
        memory: MemoryPool::new(input.memory),
        names: HostNames::default(),
        net: net.clone(),
        context: context.clone(),
        input,
    });
    net.listen(move |connection| {
        let server = server.clone();
        async move { server.serve(connection).await }
    })
}

struct Server<I> {
    input: ConnectionInput<I>,
    context: InputContext,
    net: Arc<StreamServer>,
    memory: Arc<MemoryPool>,
    names: HostNames,
}

/// Why a connection ends before its peer closes it.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{0}")]
    Frame(#[from] super::FrameError),
    #[error("{0}")]
    Read(#[from] ReadFailure),
    /// Its events were refused, as has been logged.
    #[error("the events were refused")]
    Refused,
}

impl<I: Interpret> Server<I> {
    async fn serve(&self, connection: Connection) {
        let address = connection.address;
        if !self.admits(address.ip()) {
            if self.net.closed(address.ip(), "denied") {
                let client = address.ip().to_canonical();
                log_warn!(self.context.log, format!("anonymous client '{client}' denied"));
            }
            return;
        }
        if let Err(end) = self.receive(connection).await {
            self.log_end(address, &end);
        }
    }

    fn admits(&self, address: IpAddr) -> bool {
        self.input.allowed.as_ref().is_none_or(|all| all.iter().any(|network| network.contains(address)))
    }

    async fn receive(&self, connection: Connection) -> Result<(), End> {
        let Connection { stream, address, ticket, .. } = connection;
        let input = &self.input;
        let peer = input.source.resolved_peer(address, &self.names).await;
        let stop = self.context.stop.clone();
        let mut reading = Reading::new(stream, self.memory.lease(), false, self.net.limits(), stop);
        let mut framer = Framer::new(&input.framing, input.bytes_max);
        let mut events = Events::new(&self.context, input.always_join);
        let refused = |error: &EmitError, tag: &Tag| input.interpret.refused(error, tag, Some(&peer));
        // Fluentd's buffer of a connection is text until the first byte beyond ASCII comes, and binary from then on.
        let mut is_binary = false;
        loop {
            while let Some(frame) = framer.next(&mut reading.buffer)? {
                ticket.touch();
                reading.message_done();
                match frame {
                    Frame::Message(text) => {
                        let message = Message { text: &text, is_binary, peer: &peer };
                        input.interpret.interpret(message, &mut events);
                        reading.lease.grow_to(text.len() + reading.buffer.capacity() + events.bytes()).await;
                    }
                    Frame::Dropped { size, head } => self.log_long(
                        "The received data is larger than 'message_length_limit', dropped:",
                        address.ip(),
                        &framer,
                        size,
                        &head,
                    ),
                    Frame::Cleared { size, head } => self.log_long(
                        "The buffer size exceeds 'message_length_limit', cleared:",
                        address.ip(),
                        &framer,
                        size,
                        &head,
                    ),
                }
                if events.are_many() && !events.emit(refused).await {
                    return Err(End::Refused);
                }
                // A buffer full of small messages would keep this thread from the other connections for long.
                tokio::task::coop::consume_budget().await;
            }
            if !events.emit(refused).await {
                return Err(End::Refused);
            }
            reading.lease.shrink_to(reading.buffer.capacity());
            let before = reading.buffer.len();
            let filled = reading.fill(framer.progress(before)).await?;
            is_binary |= !reading.buffer[before..].is_ascii();
            if filled == Fill::More {
                continue;
            }
            if !reading.buffer.is_empty() {
                log_debug!(
                    self.context.log,
                    "the connection ended within a message, which is dropped",
                    host = peer.host,
                    message = preview(&reading.buffer)
                );
            }
            return Ok(());
        }
    }

    fn log_long(&self, message: &str, peer: IpAddr, framer: &Framer, size: usize, head: &[u8]) {
        if self.net.closed(peer, "message_length_limit") {
            let head = String::from_utf8_lossy(head).into_owned();
            log_info!(self.context.log, message, limit = framer.bytes_max(), size = size, head = head);
        }
    }

    fn log_end(&self, address: SocketAddr, end: &End) {
        let log = &self.context.log;
        let (host, port) = (address.ip().to_canonical().to_string(), address.port());
        match end {
            End::Refused => {}
            End::Read(ReadFailure::Idle) => {
                self.net.closed(address.ip(), "idle");
                log_debug!(
                    log,
                    "connection closed: nothing was sent for idle_timeout",
                    host = host,
                    port = port
                );
            }
            End::Read(ReadFailure::Read(error)) => log_debug!(
                log,
                "connection lost",
                host = host,
                port = port,
                error_class = Shown(error_class(error)),
                error = error.to_string()
            ),
            End::Read(ReadFailure::TooSlow(_)) if !self.net.closed(address.ip(), "too_slow") => {}
            End::Frame(_) if !self.net.closed(address.ip(), "malformed") => {}
            End::Read(ReadFailure::TooSlow(reason)) => {
                log_warn!(log, "connection closed", host = host, port = port, reason = *reason);
            }
            End::Frame(error) => log_error!(
                log,
                "unexpected error on reading data",
                host = host,
                port = port,
                error_class = Shown("ArgumentError"),
                error = error.to_string()
            ),
        }
    }
}
