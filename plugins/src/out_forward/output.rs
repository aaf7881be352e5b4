//! The output: which node gets a chunk, and what runs beside.

use super::balancer::Balancer;
use super::error::SendError;
use super::heartbeat;
use super::node::Node;
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
        let seed = crate::forward::random()
            .map_or(1, |bytes| u64::from_be_bytes(*bytes.first_chunk().unwrap_or(&[1; 8])));
        let nodes = Arc::new(Nodes { all, balancer: Balancer::new(seed), settings, log });
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
    /// Delivers a message to the first node that takes it.
    pub(super) async fn send(&self, message: &Message<'_>) -> Result<(), SendError> {
        let mut last = SendError::NoNodes;
        for index in self.balancer.order() {
            let Some(node) = self.all.get(index).filter(|node| node.is_available()) else { continue };
            match node.send(message).await {
                // Another node would get no more of it.
                result @ (Ok(()) | Err(SendError::Damaged)) => return result,
                Err(error) => last = error,
            }
            if !node.is_available() {
                self.rebalance();
            }
        }
        Err(last)
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
            let sent = nodes.send(&Message::new(chunk, compress, wants_ack)?).await;
            let Err(SendError::Damaged) = sent else { return sent.map_err(WriteError::from) };
            let text = "the chunk's file is damaged. what is whole of it is sent";
            log_error!(nodes.log, text, chunk = chunk.id(), path = chunk.path().unwrap_or_default());
            let message = Message::gathered(chunk, compress, wants_ack)?;
            nodes.send(&message).await.map_err(WriteError::from)
        })
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
