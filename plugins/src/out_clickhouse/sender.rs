//! One insert to one of several servers, stored once.
//!
//! | the table's engine | an insert whose answer was lost |
//! |---|---|
//! | deduplicates by token | is sent again, to any server: the token keeps it from being stored twice |
//! | does not | is sent again only if, and as far as, the server has no [`trace`](super::trace) of it |
//!
//! An insert's query id is its token, so a server refuses to run it twice at the same time.

use super::cells::Block;
use super::cluster::{Cluster, ClusterError};
use super::endpoint::{Endpoint, Failure};
use super::server_error::Remedy;
use super::table::Deduplication;
use super::target::Target;
use super::trace::{Trace, trace};
use logweir_engine::fault;
use logweir_engine::io::Timestamp;
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Since when servers know insert_deduplication_token.
const TOKEN_SINCE: (u32, u32) = (22, 2);
/// Since when they know async_insert.
pub(crate) const ASYNC_SINCE: (u32, u32) = (21, 11);
/// Since when they read JSON with the same path twice.
const JSON_SINCE: (u32, u32) = (24, 8);

/// What is sent.
pub(crate) struct Insert<'a> {
    /// `INSERT INTO ... FORMAT Native`.
    pub(crate) sql: &'a str,
    /// The rows.
    pub(crate) block: &'a Block,
    /// Where they go.
    pub(crate) target: &'a Target,
    /// Whether the body is in compressed frames.
    pub(crate) compressed: bool,
    /// The name of this insert, for ever.
    pub(crate) token: &'a str,
    /// Where to begin among servers that are equally well.
    pub(crate) start: usize,
    /// Before this the insert cannot have been sent.
    pub(crate) chunk_created: Timestamp,
}

/// How an insert ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is stored.
    Whole,
    /// An earlier attempt stored some of its partitions. These rows of the block are not stored.
    Without(Vec<u32>),
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
    pub(crate) async fn send(&self, insert: &Insert<'_>, doubts: &mut Doubts) -> Result<Sent, ClusterError> {
        let safe = insert.target.table.deduplication == Deduplication::Engine && self.deduplicate;
        let mut last = None;
        for endpoint in self.cluster.ordered(insert.start) {
            let doubted = doubts.has(insert.token);
            if !safe && doubted {
                fault!("doubt-found");
                let trace = trace(&endpoint, insert).await;
                fault!("doubt-settled");
                match trace {
                    Trace::Stored => {
                        doubts.settle(insert.token);
                        return Ok(Sent::Whole);
                    }
                    Trace::Partly(missing) => return Ok(Sent::Without(missing)),
                    Trace::Running => {
                        let failure = Failure::Lost(format!("insert {} is still running", insert.token));
                        return Err(ClusterError { url: endpoint.url().to_owned(), failure });
                    }
                    Trace::NoAnswer(failure) => {
                        let elsewhere = matches!(failure, Failure::Unreached(_));
                        let error = ClusterError { url: endpoint.url().to_owned(), failure };
                        if !elsewhere {
                            return Err(error);
                        }
                        last = Some(error);
                        continue;
                    }
                    Trace::None => {}
                    Trace::Unknown(why) => self.warn_unknown(&endpoint, &why),
                }
            }
            // Until the server has answered, it may be that it stored the insert and we do not live to hear of it.
            doubts.raise(insert.token);
            let settings = self.settings(&endpoint, insert);
            let outcome = endpoint.insert(insert.sql, &settings, &self.settings, &insert.block.body).await;
            let failure = match outcome {
                Ok(()) => {
                    doubts.settle(insert.token);
                    return Ok(Sent::Whole);
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
        if insert.target.has_json && version >= JSON_SINCE {
            settings.push(("type_json_skip_duplicated_paths", "1".to_owned()));
        }
        if insert.target.table.deduplication == Deduplication::Unknown {
            // A Distributed table answers when its shards have the rows.
            settings.push(("insert_distributed_sync", "1".to_owned()));
        }
        if insert.target.table.deduplication != Deduplication::Engine || !self.deduplicate {
            settings.push(("log_queries", "1".to_owned()));
        }
        settings
    }

    fn warn_unknown(&self, endpoint: &Endpoint, why: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log_warn!(
                self.log,
                "an insert whose answer was lost is sent again and may be stored twice: the table does not deduplicate, \
                 and the server does not say whether it stored it",
                url = endpoint.url(),
                reason = why
            );
        }
    }
}
