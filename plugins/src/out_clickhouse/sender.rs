//! One insert to one of several servers, stored once.
//!
//! | the table's engine | an insert whose answer was lost |
//! |---|---|
//! | deduplicates by token | is sent again, to any server: the token keeps it from being stored twice |
//! | does not | is sent again only if the server that got it has no trace of its success in `system.query_log` |
//!
//! An insert's query id is its token, so a server refuses to run it twice at the same time.

use super::cluster::{Cluster, ClusterError};
use super::endpoint::{Endpoint, Failure};
use super::server_error::Remedy;
use super::table::{Deduplication, literal};
use bytes::Bytes;
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Since when servers know insert_deduplication_token.
const TOKEN_SINCE: (u32, u32) = (22, 2);
/// Since when they know async_insert.
const ASYNC_SINCE: (u32, u32) = (21, 11);
/// Since when they read JSON with the same path twice.
const JSON_SINCE: (u32, u32) = (24, 8);

/// What is sent.
pub(crate) struct Insert<'a> {
    /// `INSERT INTO ... FORMAT Native`.
    pub(crate) sql: &'a str,
    /// The body.
    pub(crate) body: &'a [Bytes],
    /// Whether the body is in compressed frames.
    pub(crate) compressed: bool,
    /// The name of this insert, for ever.
    pub(crate) token: &'a str,
    /// What the table makes of a repeated insert.
    pub(crate) deduplication: &'a Deduplication,
    /// Whether a column is of type JSON.
    pub(crate) has_json: bool,
    /// Where to begin among servers that are equally well.
    pub(crate) start: usize,
    /// `YYYY-MM-DD` before which the insert cannot have been sent.
    pub(crate) not_before: &'a str,
}

/// Inserts that may have been stored although no server said so.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Each that is not settled may have been sent by an earlier process.
    pub(crate) everything: bool,
    doubtful: HashSet<String>,
    settled: HashSet<String>,
}

impl Doubts {
    fn has(&self, token: &str) -> bool {
        self.doubtful.contains(token) || (self.everything && !self.settled.contains(token))
    }

    fn raise(&mut self, token: &str) {
        self.doubtful.insert(token.to_owned());
    }

    fn settle(&mut self, token: &str) {
        self.doubtful.remove(token);
        if self.everything {
            self.settled.insert(token.to_owned());
        }
    }
}

/// Sends inserts.
pub(crate) struct Sender {
    cluster: Arc<Cluster>,
    settings: Vec<(String, String)>,
    async_insert: bool,
    deduplicate: bool,
    log: PluginLog,
    warned: AtomicBool,
}

/// What a server's query log knows of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    Stored,
    Running,
    None,
    /// The server keeps no log, or does not show it.
    Unknown,
}

impl Sender {
    /// Sends to `cluster` with these settings of the user's.
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        settings: Vec<(String, String)>,
        async_insert: bool,
        deduplicate: bool,
        log: PluginLog,
    ) -> Self {
        Self { cluster, settings, async_insert, deduplicate, log, warned: AtomicBool::new(false) }
    }

    /// Sends an insert until a server has stored it or none is left to try. `doubts` holds those that may
    /// have been stored before.
    pub(crate) async fn send(&self, insert: &Insert<'_>, doubts: &mut Doubts) -> Result<(), ClusterError> {
        let safe = *insert.deduplication == Deduplication::Engine && self.deduplicate;
        let mut last = None;
        for endpoint in self.cluster.ordered(insert.start) {
            let doubted = doubts.has(insert.token);
            if !safe && doubted {
                match self.trace(&endpoint, insert).await {
                    Trace::Stored => {
                        doubts.settle(insert.token);
                        return Ok(());
                    }
                    Trace::Running => {
                        let failure = Failure::Lost(format!("insert {} is still running", insert.token));
                        return Err(ClusterError { url: endpoint.url().to_owned(), failure });
                    }
                    Trace::None => {}
                    Trace::Unknown => self.warn_unknown(&endpoint),
                }
            }
            // Until the server has answered, it may be that it stored the insert and we do not live to hear of it.
            doubts.raise(insert.token);
            let settings = self.settings(&endpoint, insert);
            let outcome = endpoint.insert(insert.sql, &settings, &self.settings, insert.body).await;
            let failure = match outcome {
                Ok(()) => {
                    doubts.settle(insert.token);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            let doubt = failure.may_have_stored();
            if !doubt && !doubted {
                doubts.settle(insert.token);
            }
            let elsewhere = match &failure {
                Failure::Unreached(_) => true,
                Failure::Lost(_) => safe,
                Failure::Refused(error) => error.remedy() == Remedy::Wait && (safe || !doubt),
            };
            let error = ClusterError { url: endpoint.url().to_owned(), failure };
            if !elsewhere {
                return Err(error);
            }
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| ClusterError {
            url: String::new(),
            failure: Failure::Unreached("no server is configured".to_owned()),
        }))
    }

    /// The settings of an insert that correctness needs, each only where the server knows it.
    fn settings(&self, endpoint: &Endpoint, insert: &Insert<'_>) -> Vec<(&'static str, String)> {
        let version = endpoint.version().unwrap_or((u32::MAX, 0));
        let mut settings = vec![
            ("query_id", insert.token.to_owned()),
            // One insert is to be one block on the server: blocks smaller than this are put together.
            ("min_insert_block_size_rows", "1048449".to_owned()),
            ("min_insert_block_size_bytes", "268435456".to_owned()),
        ];
        if insert.compressed {
            settings.push(("decompress", "1".to_owned()));
        }
        if self.deduplicate && version >= TOKEN_SINCE {
            settings.push(("insert_deduplicate", "1".to_owned()));
            settings.push(("insert_deduplication_token", insert.token.to_owned()));
        }
        if version >= ASYNC_SINCE {
            settings.push(("async_insert", u8::from(self.async_insert).to_string()));
            settings.push(("wait_for_async_insert", "1".to_owned()));
        }
        if insert.has_json && version >= JSON_SINCE {
            settings.push(("type_json_skip_duplicated_paths", "1".to_owned()));
        }
        if *insert.deduplication == Deduplication::Unknown {
            // A Distributed table answers when its shards have the rows.
            settings.push(("insert_distributed_sync", "1".to_owned()));
        }
        if *insert.deduplication != Deduplication::Engine || !self.deduplicate {
            settings.push(("log_queries", "1".to_owned()));
        }
        settings
    }

    /// Whether a server has stored the insert before.
    async fn trace(&self, endpoint: &Endpoint, insert: &Insert<'_>) -> Trace {
        let id = literal(insert.token);
        // Logged itself, so that a server that keeps a log has one.
        let count = async |sql: &str| {
            let answer = endpoint.query_logged(sql, "TabSeparated").await.ok()?;
            std::str::from_utf8(&answer).ok()?.trim().parse::<u64>().ok()
        };
        match count(&format!("SELECT count() FROM system.processes WHERE query_id = {id}")).await {
            Some(0) => {}
            Some(_) => return Trace::Running,
            None => return Trace::Unknown,
        }
        // What is logged is shown after some seconds, or at once on request, if the user may request it.
        let flushed = endpoint.query("SYSTEM FLUSH LOGS", "TabSeparated").await.is_ok();
        let finished = format!(
            "SELECT count() FROM system.query_log WHERE event_date >= toDate({}) AND query_id = {id} AND toUInt8(type) = 2",
            literal(insert.not_before)
        );
        match count(&finished).await {
            Some(0) if flushed => Trace::None,
            Some(0) | None => Trace::Unknown,
            Some(_) => Trace::Stored,
        }
    }

    fn warn_unknown(&self, endpoint: &Endpoint) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log_warn!(
                self.log,
                "an insert whose answer was lost is sent again and may be stored twice: the table does not deduplicate, \
                 and system.query_log does not say",
                url = endpoint.url()
            );
        }
    }
}
