//! The output: which node gets a chunk, and what runs beside.

use super::balancer::Balancer;
use super::doubts::{Doubt, Doubts};
use super::error::SendError;
use super::heartbeat;
use super::node::{Node, Undelivered};
use super::sending::Message;
use super::settings::{HeartbeatType, Settings};
use futures_util::future::BoxFuture;
use logweir_engine::buffer::Chunk;
use logweir_engine::plugin::{BufferedOutput, StartError, WriteError, WriteFuture};
use logweir_engine::telemetry::{Level, PluginLog};
use logweir_engine::{log_error, log_event, log_info, log_trace, log_warn};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// The output.
pub(super) struct Forward {
    pub(super) nodes: Arc<Nodes>,
    tasks: Mutex<JoinSet<()>>,
}

/// The nodes and whose turn it is.
pub(super) struct Nodes {
    pub(super) all: Vec<Arc<Node>>,
    pub(super) balancer: Balancer,
    pub(super) doubts: Doubts,
    pub(super) settings: Arc<Settings>,
    pub(super) log: PluginLog,
}

impl Forward {
    pub(super) fn new(settings: Settings, log: PluginLog) -> Self {
        let settings = Arc::new(settings);
        let all: Vec<_> = settings
            .servers
            .iter()
            .map(|server| Arc::new(Node::new(server.clone(), settings.clone(), log.clone())))
            .collect();
        // Without random numbers all nodes of a fleet would begin with the same server; they would still deliver.
        let random = crate::forward::random().map_or(1, u128::from_be_bytes);
        // With acks, a chunk's place in the list must be the same after a restart.
        let seed = if settings.ack_timeout.is_some() { 1 } else { random as u64 };
        let balancer = Balancer::new(seed, (random >> 64) as u32);
        let nodes = Arc::new(Nodes { all, balancer, doubts: Doubts::default(), settings, log });
        Self { nodes, tasks: Mutex::default() }
    }

    async fn start_nodes(&self) -> Result<(), StartError> {
        let nodes = &self.nodes;
        for node in &nodes.all {
            let server = &node.server;
            log_info!(
                nodes.log,
                format!("adding forwarding server '{}'", server.name),
                host = server.host,
                port = server.port,
                weight = server.weight
            );
            nodes.resolve(node).await?;
        }
        nodes.rebalance();
        if nodes.settings.verify_connection_at_startup {
            for node in &nodes.all {
                if let Err(error) = node.connect().await {
                    let message = format!("forward's connection setting error: {error}");
                    log_event!(nodes.log, Level::Fatal, message);
                    return Err(StartError::new("Fluent::UnrecoverableError", message));
                }
            }
        }
        let tasks = heartbeat::spawn(nodes).await.map_err(|error| {
            StartError::new("SocketError", format!("cannot open a socket for heartbeats: {error}"))
        })?;
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(())
    }
}

impl Nodes {
    /// Delivers a message to the first node that takes it; one that a server may have, to that server.
    pub(super) async fn send(&self, message: &Message<'_>, place: Option<u64>) -> Result<(), SendError> {
        if let Some(doubt) = self.doubts.of(message.id)
            && let Some(sent) = self.send_again(message, &doubt).await
        {
            return sent;
        }
        let mut last = SendError::NoNodes;
        for index in self.balancer.order(place) {
            let Some(node) = self.all.get(index).filter(|node| node.is_available()) else { continue };
            let Err(Undelivered { error, doubt }) = node.send(message, None).await else { return Ok(()) };
            // Another node would get no more of it.
            if matches!(error, SendError::Damaged) {
                return Err(error);
            }
            if !node.is_available() {
                self.rebalance();
            }
            if let Some(server) = doubt
                && !self.settings.doubt_wait.is_zero()
            {
                return Err(self.held(error, &self.doubts.raise(message.id, index, server)));
            }
            last = error;
        }
        Err(last)
    }

    /// Delivers a message to the server that may have it; `None` if that was waited for long enough.
    async fn send_again(&self, message: &Message<'_>, doubt: &Doubt) -> Option<Result<(), SendError>> {
        let node = self.all.get(doubt.node)?;
        // Whether it is there is found out faster like this than by heartbeats.
        let sent = node.send(message, doubt.server.as_ref()).await;
        let Err(Undelivered { error, .. }) = sent else {
            self.doubts.settle(message.id);
            return Some(Ok(()));
        };
        if matches!(error, SendError::Damaged) {
            return Some(Err(error));
        }
        if !node.is_available() {
            self.rebalance();
        }
        if doubt.age() < self.settings.doubt_wait {
            return Some(Err(self.held(error, doubt)));
        }
        log_warn!(
            self.log,
            "doubt_wait is over: a chunk goes to any server, and is stored twice if the silent one has it",
            server = self.called(doubt),
            chunk_id = message.id,
            error = error.to_string()
        );
        self.doubts.settle(message.id);
        None
    }

    /// The chunk waits. With one server there is nobody to whom others could go meanwhile.
    fn held(&self, error: SendError, doubt: &Doubt) -> SendError {
        if self.all.len() == 1 && !matches!(error, SendError::Elsewhere(_)) {
            return error;
        }
        SendError::Held { error: Box::new(error), server: self.called(doubt), pause: doubt.pause() }
    }

    fn called(&self, doubt: &Doubt) -> String {
        let node = self.all.get(doubt.node).map_or("", |node| &*node.server.name);
        match &doubt.server {
            Some(server) => format!("{server} at {node}"),
            None => node.to_owned(),
        }
    }

    /// Gives the turns anew.
    pub(super) fn rebalance(&self) {
        self.balancer.rebuild(&self.all, &self.log);
    }

    async fn resolve(&self, node: &Node) -> Result<(), StartError> {
        if self.settings.heartbeat == HeartbeatType::None {
            return Ok(());
        }
        let Err(error) = node.address().await else { return Ok(()) };
        if !self.settings.ignore_network_errors_at_startup {
            let message = format!(
                "{error}; correct the host of the server, or set ignore_network_errors_at_startup true to start without it"
            );
            return Err(StartError::new("SocketError", message));
        }
        log_warn!(
            self.log,
            "failed to resolve node name when configured",
            server = node.server.name,
            error = error.to_string()
        );
        node.disable();
        Ok(())
    }
}

/// The random half of a chunk's id.
fn place(chunk: &Chunk) -> u64 {
    chunk.id().0.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl BufferedOutput for Forward {
    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(async move {
            let nodes = &self.nodes;
            log_trace!(nodes.log, "writing a chunk to destination", chunk_id = chunk.id());
            if chunk.is_empty() {
                return Ok(());
            }
            let wants_ack = nodes.settings.ack_timeout.is_some();
            let compress = nodes.settings.compress;
            // A chunk that outlives the process goes to the node that the process before may have given it to.
            let place = chunk.path().filter(|_| wants_ack).map(|_| place(chunk));
            let sent = nodes.send(&Message::new(chunk, compress, wants_ack)?, place).await;
            let Err(SendError::Damaged) = sent else { return sent.map_err(WriteError::from) };
            let text = "the chunk's file is damaged. what is whole of it is sent";
            log_error!(nodes.log, text, chunk = chunk.id(), path = chunk.path().unwrap_or_default());
            let message = Message::gathered(chunk, compress, wants_ack)?;
            nodes.send(&message, place).await.map_err(WriteError::from)
        })
    }

    fn is_in_doubt(&self, chunk: &Chunk) -> bool {
        let nodes = &self.nodes;
        nodes.doubts.of(chunk.id()).is_some_and(|doubt| doubt.age() < nodes.settings.doubt_wait)
    }

    fn given_up(&self, chunk: &Chunk) {
        let nodes = &self.nodes;
        if let Some(doubt) = nodes.doubts.of(chunk.id()) {
            nodes.doubts.settle(chunk.id());
            log_warn!(
                nodes.log,
                "a chunk that a server may have was given up or taken by <secondary>: it may be in both places",
                server = nodes.called(&doubt),
                chunk_id = chunk.id()
            );
        }
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(self.start_nodes())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            tasks.shutdown().await;
            for node in &self.nodes.all {
                node.close_idle();
            }
        })
    }
}
