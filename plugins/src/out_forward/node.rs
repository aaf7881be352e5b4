//! One server: whether it is there, its address, its idle connections, and how a chunk gets to it.

use super::balancer::Balanced;
use super::connection::connect;
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

/// A server.
pub(super) struct Node {
    pub(super) server: ServerSettings,
    settings: Arc<Settings>,
    log: PluginLog,
    born: Instant,
    state: Mutex<State>,
    /// Connections that wait for their next chunk (keepalive), and until when.
    idle: Mutex<Vec<(Stream, Option<Instant>)>>,
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

    /// Delivers a message.
    pub(super) async fn send(&self, message: &Message<'_>) -> Result<(), SendError> {
        let mut reused = self.take_idle();
        loop {
            let was_reused = reused.is_some();
            let mut stream = match reused.take() {
                Some(stream) => stream,
                None => self.connect().await?,
            };
            match self.deliver(&mut stream, message).await {
                Ok(()) => {
                    fault!("forward-acked");
                    self.heartbeat(false);
                    self.put_back(stream).await;
                    return Ok(());
                }
                // The server may have closed an idle connection while the chunk was on its way: that says nothing
                // about the server.
                Err(DeliveryError::Io(_) | DeliveryError::Closed) if was_reused => {}
                Err(error) => return Err(self.failed(error, message)),
            }
        }
    }

    /// Connects, as a heartbeat or to see whether it can be done.
    pub(super) async fn connect(&self) -> Result<Stream, SendError> {
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

    async fn deliver(&self, stream: &mut Stream, message: &Message<'_>) -> Result<(), DeliveryError> {
        fault!("forward-sending");
        message.write(stream, self.settings.send_timeout).await?;
        fault!("forward-sent");
        let wait_max = self.settings.ack_timeout.unwrap_or_default();
        message.confirm(stream, wait_max, self.settings.read_bytes).await
    }

    /// Logs why a chunk was not delivered, and gives the node up if it is to blame.
    fn failed(&self, error: DeliveryError, message: &Message<'_>) -> SendError {
        let (host, port) = (&self.server.host, self.server.port);
        match error {
            DeliveryError::Io(error) => SendError::Io(error),
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

    /// An idle connection on which nothing has happened: no end, and nothing that nobody asked for.
    fn take_idle(&self) -> Option<Stream> {
        let now = Instant::now();
        loop {
            let (mut stream, until) = self.idle().pop()?;
            let mut byte = [0];
            let alive = stream.read(&mut byte).now_or_never().is_none();
            if alive && until.is_none_or(|until| now < until) {
                return Some(stream);
            }
        }
    }

    async fn put_back(&self, mut stream: Stream) {
        if self.settings.keepalive {
            let until = self.settings.keepalive_timeout.map(|timeout| Instant::now() + timeout);
            self.idle().push((stream, until));
        } else {
            // Everything has been delivered or handed to the kernel; an error here changes nothing.
            let _ = stream.shutdown().await;
        }
    }

    fn now(&self) -> f64 {
        self.born.elapsed().as_secs_f64()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Stream, Option<Instant>)>> {
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
