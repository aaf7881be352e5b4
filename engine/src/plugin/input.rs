//! Where events come from.

use super::{FollowedFiles, PluginId};
use crate::delivery::{EmitError, Receipt};
use crate::event::EventStream;
use crate::net::ClosedConnections;
use crate::route::Router;
use crate::telemetry::{Account, Ledger, PluginLog};
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// An input plugin. Built once, started once.
pub trait Input: Send {
    /// Binds sockets and opens files, then goes on in tasks of `context.tasks` until `context.stop` is cancelled.
    /// After the cancellation the tasks end by themselves: what was read is emitted, positions are written.
    /// An error here stops the start of the program.
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>>;
}

/// Why a plugin cannot start: an address in use, a file that cannot be opened. Says what the user can do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// Class as Fluentd would name it (`Errno::EADDRINUSE`).
    pub class: &'static str,
    /// What happened and what to do.
    pub message: String,
}

impl StartError {
    /// From a message.
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// What a running input needs.
#[derive(Clone)]
pub struct InputContext {
    /// Its identity.
    pub id: PluginId,
    /// Its logger.
    pub log: PluginLog,
    /// Where its events go: the top level, or its `@label`.
    pub router: Arc<Router>,
    /// Spawn here, so that the program can wait for the end.
    pub tasks: TaskTracker,
    /// Cancelled when inputs must stop.
    pub stop: CancellationToken,
    /// Counters shown by monitoring.
    pub counters: Arc<InputCounters>,
}

/// Events that an input emitted, and what became of its connections.
#[derive(Debug, Default)]
pub struct InputCounters {
    /// Records emitted.
    pub records: AtomicU64,
    /// Bytes of entries emitted.
    pub bytes: AtomicU64,
    /// Where its records went.
    pub ledger: Ledger,
    /// Connections that ended otherwise than by their peer's wish.
    pub closed: ClosedConnections,
    /// The files that it follows, once it has begun to, if it is an input that does.
    pub followed: OnceLock<Arc<FollowedFiles>>,
}

impl InputCounters {
    /// For the plugin with that id and `@type`.
    pub fn of(plugin_id: &Arc<str>, type_name: &str) -> Self {
        Self {
            ledger: Ledger::new(plugin_id, type_name),
            closed: ClosedConnections::new(plugin_id),
            ..Self::default()
        }
    }
}

impl InputContext {
    /// Emits a stream. `Ok` means that each output took it or that its failure was absorbed (`@ERROR`, ignore_error).
    pub async fn emit(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        self.counters.records.fetch_add(stream.count as u64, Ordering::Relaxed);
        self.counters.bytes.fetch_add(stream.entries.len() as u64, Ordering::Relaxed);
        self.counters.ledger.add(Account::Received, stream.count as u64);
        let result = self.router.emit(stream, receipt).await;
        if let Err(error) = &result {
            self.counters.ledger.add(error.account(), receipt.take_refused());
        }
        result
    }

    /// Notes records that came and are not emitted: `account` says why.
    pub fn not_emitted(&self, account: Account, records: usize) {
        self.counters.ledger.add(Account::Received, records as u64);
        self.counters.ledger.add(account, records as u64);
    }
}
