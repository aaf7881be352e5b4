//! One server: whether it is there, its address, its idle connections, and how a chunk gets to it.

use super::balancer::Balanced;
use super::connection::{Connection, connect};
use super::detector::FailureDetector;
use super::error::SendError;
use super::sending::{DeliveryError, Message};
use super::settings::{HeartbeatType, ServerSettings, Settings};
use futures_util::FutureExt;
use logweir_engine::fault;
use logweir_engine::log_warn;
use logweir_engine::net::{Stream, addresses};
use logweir_engine::telemetry::PluginLog;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// So many connections are made to meet one of the servers behind an address.
const MEETINGS_MAX: usize = 8;

/// Why a message was not delivered.
pub(super) struct Undelivered {
    pub(super) error: SendError,
    /// A server may have it all the same; what that one calls itself, if there was a handshake.
    pub(super) doubt: Option<Option<Arc<str>>>,
}

/// A server.
pub(super) struct Node {
    pub(super) server: ServerSettings,
    settings: Arc<Settings>,
    log: PluginLog,
    born: Instant,
    state: Mutex<State>,
    /// Connections that wait for their next chunk (keepalive), and until when.
    idle: Mutex<Vec<(Connection, Option<Instant>)>>,
}

struct State {
    available: bool,
    detector: FailureDetector,
    address: Option<(SocketAddr, Instant)>,
    resolved_once: bool,
}

impl Node {
    pub(super) fn new(server: ServerSettings, settings: Arc<Settings>, log: PluginLog) -> Self {
        let detector = FailureDetector::new(
            settings.heartbeat_interval.as_secs_f64(),
            settings.hard_timeout.as_secs_f64(),
            0.0,
        );
        let state = State { available: true, detector, address: None, resolved_once: false };
        Self { server, settings, log, born: Instant::now(), state: Mutex::new(state), idle: Mutex::default() }
    }

    /// Whether it may be given chunks. Without heartbeats it always may.
    pub(super) fn is_available(&self) -> bool {
        self.settings.heartbeat == HeartbeatType::None || self.state().available
    }

    /// It has failed: no chunks until heartbeats come again.
    pub(super) fn disable(&self) {
        self.state().available = false;
    }

    /// Delivers a message. If a server may have it already, `to` is what that one calls itself, and no other gets it.
    pub(super) async fn send(&self, message: &Message<'_>, to: Option<&Arc<str>>) -> Result<(), Undelivered> {
        let mut doubt = to.cloned().map(Some);
        let mut reused = self.take_idle(to);
        loop {
            let was_reused = reused.is_some();
            let found = match reused.take() {
                Some(connection) => Ok(connection),
                None => self.connect_to(doubt.as_ref().and_then(Option::as_ref)).await,
            };
            let mut connection = match found {
                Ok(connection) => connection,
                Err(error) => return Err(Undelivered { error, doubt }),
            };
            let (error, may_have_it) = match self.deliver(&mut connection.stream, message).await {
                Ok(()) => {
                    fault!("forward-acked");
                    self.heartbeat(false);
                    self.put_back(connection).await;
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if may_have_it {
                doubt = Some(connection.server.clone());
            }
            match error {
                // The server may have closed an idle connection while the chunk was on its way: that says nothing
                // about the server.
                DeliveryError::Io(_) | DeliveryError::Closed if was_reused => {}
                error => return Err(Undelivered { error: self.failed(error, message), doubt }),
            }
        }
    }

    /// Connects to the server that calls itself so, which may be one of several behind the node's address; to any if it
    /// is `None`, or if servers do not say.
    async fn connect_to(&self, name: Option<&Arc<str>>) -> Result<Connection, SendError> {
        let Some(name) = name else { return self.connect().await };
        for _ in 0..MEETINGS_MAX {
            let mut connection = self.connect().await?;
            if connection.server.as_ref().is_none_or(|server| server == name) {
                return Ok(connection);
            }
            // Nothing was sent on it; how it ends does not matter.
            let _ = connection.stream.shutdown().await;
        }
        Err(SendError::Elsewhere(Arc::clone(name)))
    }

    /// Connects, as a heartbeat or to see whether it can be done.
    pub(super) async fn connect(&self) -> Result<Connection, SendError> {
        let address = self.address().await?;
        let connected = connect(&self.settings, &self.server, address, &self.log).await;
        if matches!(connected, Err(SendError::Handshake(_))) {
            self.disable();
        }
        connected
    }

    /// The server's address, looked up if it is not known or too old.
    pub(super) async fn address(&self) -> Result<SocketAddr, SendError> {
        if let Some((address, at)) = self.state().address
            && self.settings.address_lifetime.is_none_or(|lifetime| at.elapsed() < lifetime)
        {
            return Ok(address);
        }
        let found = addresses(&self.server.host, self.server.port)
            .await
            .map_err(|error| SendError::Resolve { host: self.server.host.clone(), error })?;
        let index = if self.settings.random_address {
            // Random enough for spreading load.
            crate::forward::random().map_or(0, |bytes| usize::from(bytes[0]) % found.len())
        } else {
            0
        };
        let address = found[index];
        let mut state = self.state();
        state.address = Some((address, Instant::now()));
        state.resolved_once = true;
        Ok(address)
    }

    /// The address that was found last.
    pub(super) fn known_address(&self) -> Option<SocketAddr> {
        self.state().address.map(|(address, _)| address)
    }

    /// Whether its name was ever resolved.
    pub(super) fn was_resolved(&self) -> bool {
        self.state().resolved_once
    }

    /// It has shown that it is there. Answers whether it has recovered, which only `detect` may find.
    pub(super) fn heartbeat(&self, detect: bool) -> bool {
        let now = self.now();
        let mut state = self.state();
        state.detector.add(now);
        if !detect || state.available || state.detector.samples() <= self.settings.recover_samples {
            return false;
        }
        state.available = true;
        log_warn!(
            self.log,
            format!("recovered forwarding server '{}'", self.server.name),
            host = self.server.host,
            port = self.server.port
        );
        true
    }

    /// Looks at the time since the last heartbeat. Answers whether the node was just given up.
    pub(super) fn tick(&self) -> bool {
        let now = self.now();
        let mut state = self.state();
        let hard_timeout = state.detector.is_hard_timeout(now);
        if !state.available {
            if hard_timeout {
                state.detector.clear(now);
            }
            return false;
        }
        let (host, port) = (&self.server.host, self.server.port);
        let message = || format!("detached forwarding server '{}'", self.server.name);
        if hard_timeout {
            log_warn!(self.log, message(), host = host, port = port, hard_timeout = true);
        } else {
            let phi = state.detector.phi(now);
            let Some(threshold) = self.settings.phi_threshold.filter(|threshold| phi > *threshold) else {
                return false;
            };
            log_warn!(self.log, message(), host = host, port = port, phi = phi, phi_threshold = threshold);
        }
        state.available = false;
        state.address = None;
        state.detector.clear(now);
        true
    }

    /// Closes idle connections whose time is over.
    pub(super) fn purge_idle(&self) {
        let now = Instant::now();
        self.idle().retain(|(_, until)| until.is_none_or(|until| now < until));
    }

    /// Closes all idle connections.
    pub(super) fn close_idle(&self) {
        self.idle().clear();
    }

    /// The error comes with whether the server may have the chunk.
    async fn deliver(&self, stream: &mut Stream, message: &Message<'_>) -> Result<(), (DeliveryError, bool)> {
        fault!("forward-sending");
        if let Err(error) = message.write(stream, self.settings.send_timeout).await {
            let is_whole = message.wants_ack() && matches!(error, DeliveryError::Unflushed(_));
            return Err((error, is_whole));
        }
        fault!("forward-sent");
        let wait_max = self.settings.ack_timeout.unwrap_or_default();
        message.confirm(stream, wait_max, self.settings.read_bytes).await.map_err(|error| {
            let thrown_away = matches!(error, DeliveryError::WantsHandshake);
            (error, message.wants_ack() && !thrown_away)
        })
    }

    /// Logs why a chunk was not delivered, and gives the node up if it is to blame.
    fn failed(&self, error: DeliveryError, message: &Message<'_>) -> SendError {
        let (host, port) = (&self.server.host, self.server.port);
        match error {
            DeliveryError::Io(error) | DeliveryError::Unflushed(error) => SendError::Io(error),
            DeliveryError::Damaged => SendError::Damaged,
            DeliveryError::NoAck => {
                let text = "no response from node. regard it as unavailable.";
                log_warn!(self.log, text, host = host, port = port);
                self.disable();
                SendError::NoAck(text)
            }
            DeliveryError::Closed => {
                let text = "destination node closed the connection. regard it as unavailable.";
                log_warn!(self.log, text, host = host, port = port);
                self.disable();
                SendError::NoAck(text)
            }
            DeliveryError::WantsHandshake => {
                let text = "the server demands a handshake: add <security> with its shared_key";
                log_warn!(self.log, text, host = host, port = port);
                SendError::NoAck(text)
            }
            DeliveryError::OtherAck(ack) => {
                let text = "ack in response and chunk id in sent data are different";
                log_warn!(self.log, text, chunk_id = message.id, ack = ack);
                SendError::NoAck(text)
            }
        }
    }

    /// An idle connection on which nothing has happened: no end, and nothing that nobody asked for. Only one to the
    /// server that calls itself `to`, if that is said.
    fn take_idle(&self, to: Option<&Arc<str>>) -> Option<Connection> {
        let now = Instant::now();
        loop {
            let (mut connection, until) = self.idle().pop()?;
            let mut byte = [0];
            let alive = connection.stream.read(&mut byte).now_or_never().is_none();
            let is_meant = to.is_none() || connection.server.as_ref() == to;
            if alive && is_meant && until.is_none_or(|until| now < until) {
                return Some(connection);
            }
        }
    }

    async fn put_back(&self, mut connection: Connection) {
        if self.settings.keepalive {
            let until = self.settings.keepalive_timeout.map(|timeout| Instant::now() + timeout);
            self.idle().push((connection, until));
        } else {
            // Everything has been delivered or handed to the kernel; an error here changes nothing.
            let _ = connection.stream.shutdown().await;
        }
    }

    fn now(&self) -> f64 {
        self.born.elapsed().as_secs_f64()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Option<Instant>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Balanced for Arc<Node> {
    fn host(&self) -> &str {
        &self.server.host
    }

    fn port(&self) -> u16 {
        self.server.port
    }

    fn weight(&self) -> u32 {
        self.server.weight
    }

    fn is_standby(&self) -> bool {
        self.server.standby
    }

    fn is_available(&self) -> bool {
        Node::is_available(self)
    }
}
