//! One insert to one of several servers, stored once.
//!
//! | the table's engine | an insert whose answer was lost |
//! |---|---|
//! | deduplicates by token | is sent again, to any server: the token keeps it from being stored twice |
//! | does not | is sent again only if, and as far as, no server that it was sent to has a [`trace`](super::trace) of it; one that does not answer is waited for |
//!
//! An insert's query id is its token, so a server refuses to run it twice at the same time.

use super::cells::Block;
use super::cluster::{Cluster, ClusterError};
use super::doubts::Doubts;
use super::endpoint::{Endpoint, Failure};
use super::server_error::Remedy;
use super::table::Deduplication;
use super::target::Target;
use super::trace::{Trace, age_of, trace};
use logweir_engine::fault;
use logweir_engine::io::Timestamp;
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// Between two questions to a server that may have an insert and does not answer.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// See [`PAUSE_MIN`]: half of the time that has passed lies between them.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How to send.
pub(crate) struct SendOptions {
    /// Settings of the user's.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether the server gathers inserts.
    pub(crate) async_insert: bool,
    /// Whether inserts are named.
    pub(crate) deduplicate: bool,
    /// How long a silent server that may have an insert is waited for; `None`: until it answers.
    pub(crate) doubt_wait: Option<Duration>,
    /// For metrics.
    pub(crate) plugin_id: Arc<str>,
}

/// Sends inserts.
pub(crate) struct Sender {
    cluster: Arc<Cluster>,
    options: SendOptions,
    log: PluginLog,
    warned: AtomicBool,
    warned_late: AtomicBool,
}

impl Sender {
    /// Sends to `cluster`.
    pub(crate) fn new(cluster: Arc<Cluster>, options: SendOptions, log: PluginLog) -> Self {
        Self { cluster, options, log, warned: AtomicBool::new(false), warned_late: AtomicBool::new(false) }
    }

    /// Sends an insert until a server has stored it or none is left to try. `doubts` holds those that may
    /// have been stored before.
    pub(crate) async fn send(&self, insert: &Insert<'_>, doubts: &mut Doubts) -> Result<Sent, ClusterError> {
        let safe = insert.target.table.deduplication == Deduplication::Engine && self.options.deduplicate;
        let endpoints = self.cluster.ordered(insert.start);
        if safe {
            self.count_late(insert, doubts);
        } else if let Some(sent) = self.ask(&endpoints, insert, doubts).await? {
            return Ok(sent);
        }
        let mut last = None;
        for endpoint in endpoints {
            // Until the server has answered, it may be that it stored the insert and we do not live to hear of it.
            doubts.raise(insert.token, endpoint.url());
            let (settings, theirs) = (self.settings(&endpoint, insert), &self.options.settings);
            let outcome = endpoint.insert(insert.sql, &settings, theirs, &insert.block.body).await;
            let failure = match outcome {
                Ok(()) => {
                    doubts.settle(insert.token);
                    return Ok(Sent::Whole);
                }
                Err(failure) => failure,
            };
            let doubt = if safe { failure.may_have_stored() } else { failure.may_have_stored_some() };
            if !doubt {
                doubts.clear(insert.token, endpoint.url());
            }
            let elsewhere = match &failure {
                Failure::Unreached(_) => true,
                Failure::Lost(_) => safe,
                Failure::Refused(error) => error.remedy() == Remedy::Wait && (safe || !doubt),
                Failure::Held { .. } => false,
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

    /// Asks each server that may have the insert, before it is sent to any. `None` if none has it. A server that does not
    /// answer is waited for, unless that has taken too long.
    async fn ask(
        &self,
        endpoints: &[Arc<Endpoint>],
        insert: &Insert<'_>,
        doubts: &mut Doubts,
    ) -> Result<Option<Sent>, ClusterError> {
        let suspects: Vec<_> = endpoints.iter().filter(|e| doubts.has(insert.token, e.url())).collect();
        let mut silent = None;
        for endpoint in suspects {
            let url = endpoint.url().to_owned();
            fault!("doubt-found");
            // One that has just failed several times is not made to fail once more for each insert.
            let traced = match endpoint.is_open() || endpoints.len() == 1 {
                true => trace(endpoint, insert).await,
                false => Trace::NoAnswer(Failure::Unreached("it has failed repeatedly".to_owned())),
            };
            fault!("doubt-settled");
            match traced {
                Trace::Stored => {
                    doubts.settle(insert.token);
                    return Ok(Some(Sent::Whole));
                }
                Trace::Partly(missing) => return Ok(Some(Sent::Without(missing))),
                Trace::Running => {
                    let failure = Failure::Lost(format!("insert {} is still running", insert.token));
                    return Err(ClusterError { url, failure });
                }
                Trace::NoAnswer(failure) => {
                    doubts.raise(insert.token, &url);
                    silent = Some(ClusterError { url, failure });
                }
                Trace::None => doubts.clear(insert.token, &url),
                Trace::Unknown(why) => {
                    self.warn_unknown(&url, &why);
                    doubts.clear(insert.token, &url);
                }
            }
        }
        let Some(ClusterError { url, failure }) = silent else { return Ok(None) };
        let age = doubts.age(insert.token).unwrap_or_default();
        if endpoints.len() == 1 {
            return Err(ClusterError { url, failure });
        }
        if self.options.doubt_wait.is_none_or(|limit| age < limit) {
            let pause = (age / 2).clamp(PAUSE_MIN, PAUSE_MAX);
            return Err(ClusterError { url, failure: Failure::Held { reason: failure.to_string(), pause } });
        }
        log_warn!(
            self.log,
            "doubt_wait is over: an insert goes to another server, and is stored twice if the silent one has it",
            url = url,
            insert = insert.token,
            reason = failure.to_string()
        );
        self.count("logweir_clickhouse_doubtful_inserts_total");
        Ok(None)
    }

    /// Notes an insert that is sent again when its table may have forgotten that it has it.
    fn count_late(&self, insert: &Insert<'_>, doubts: &Doubts) {
        let Some(memory) = insert.target.table.memory else { return };
        let age = match doubts.everything {
            true => Some(age_of(insert.chunk_created)),
            false => doubts.age(insert.token),
        };
        if age.is_some_and(|age| age > memory) {
            self.count("logweir_clickhouse_late_retries_total");
            if !self.warned_late.swap(true, Ordering::Relaxed) {
                log_warn!(
                    self.log,
                    "an insert that may have been stored is sent again after a longer time than the table remembers \
                     inserts for, and may be stored twice; raise replicated_deduplication_window_seconds of the table",
                    table = insert.target.name.to_string(),
                    remembers_secs = memory.as_secs()
                );
            }
        }
    }

    fn count(&self, name: &'static str) {
        metrics::counter!(name, "plugin_id" => self.options.plugin_id.to_string()).increment(1);
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
        if self.options.deduplicate && version >= TOKEN_SINCE {
            settings.push(("insert_deduplicate", "1".to_owned()));
            settings.push(("insert_deduplication_token", insert.token.to_owned()));
        }
        if version >= ASYNC_SINCE {
            settings.push(("async_insert", u8::from(self.options.async_insert).to_string()));
            settings.push(("wait_for_async_insert", "1".to_owned()));
        }
        if insert.target.has_json && version >= JSON_SINCE {
            settings.push(("type_json_skip_duplicated_paths", "1".to_owned()));
        }
        if insert.target.table.deduplication == Deduplication::Unknown {
            // A Distributed table answers when its shards have the rows.
            settings.push(("insert_distributed_sync", "1".to_owned()));
        }
        if insert.target.table.deduplication != Deduplication::Engine || !self.options.deduplicate {
            settings.push(("log_queries", "1".to_owned()));
        }
        settings
    }

    fn warn_unknown(&self, url: &str, why: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log_warn!(
                self.log,
                "an insert whose answer was lost is sent again and may be stored twice: the table does not deduplicate, \
                 and the server does not say whether it stored it",
                url = url,
                reason = why
            );
        }
    }
}
