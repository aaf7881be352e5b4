//! One insert to one of several servers, stored once.
//!
//! | the table's engine | an insert whose answer was lost |
//! |---|---|
//! | deduplicates by token | is sent again, to any server: the token keeps it from being stored twice |
//! | does not | is sent again only if, and as far as, no server that it was sent to has a [`trace`](super::trace) of it or may still get it; one that does not answer is waited for |
//!
//! An insert's query id is its token, so a server refuses to run it twice at the same time. Into a table that does not
//! deduplicate it goes in a [`session`](super::session) of its own, and the chunk's file says that its delivery has begun.

use super::cells::Block;
use super::cluster::{Cluster, ClusterError};
use super::doubts::Doubts;
use super::endpoint::{Endpoint, Failure};
use super::server_error::Remedy;
use super::session::{self, SESSION_IS_LOCKED, SESSION_NOT_FOUND};
use super::table::Deduplication;
use super::target::Target;
use super::trace::{Trace, age_of, trace};
use logweir_engine::buffer::Chunk;
use logweir_engine::fault;
use logweir_engine::log_warn;
use logweir_engine::output::blocking;
use logweir_engine::telemetry::PluginLog;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    /// Of which chunk it is.
    pub(crate) chunk: &'a Chunk,
}

/// How an insert ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is stored.
    Whole,
    /// An earlier attempt stored some of its partitions. These rows of the block are not stored.
    Without(Vec<u32>),
}

/// A session that was opened for an insert.
struct OpenSession {
    name: String,
    since: Instant,
}

/// Between two questions to a server that may have an insert and does not answer.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// See [`PAUSE_MIN`]: half of the time that has passed lies between them.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Before a server is asked again for an insert that it is storing.
const RUNNING_PAUSE: Duration = Duration::from_secs(1);
/// A server answers first and lets go of the session then: so often an insert comes too early.
const LOCKED_TRIES: u32 = 40;
/// Between two of those.
const LOCKED_PAUSE: Duration = Duration::from_millis(25);

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
    warned_sessions: AtomicBool,
    warned_full: AtomicBool,
}

impl Sender {
    /// Sends to `cluster`.
    pub(crate) fn new(cluster: Arc<Cluster>, options: SendOptions, log: PluginLog) -> Self {
        Self {
            cluster,
            options,
            log,
            warned: AtomicBool::new(false),
            warned_late: AtomicBool::new(false),
            warned_sessions: AtomicBool::new(false),
            warned_full: AtomicBool::new(false),
        }
    }

    /// Whether an insert into the table may be repeated as often as need be.
    pub(crate) fn is_safe(&self, target: &Target) -> bool {
        target.table.deduplication == Deduplication::Engine && self.options.deduplicate
    }

    /// Sends an insert until a server has stored it or none is left to try. `doubts` holds those that may
    /// have been stored before.
    pub(crate) async fn send(&self, insert: &Insert<'_>, doubts: &mut Doubts) -> Result<Sent, ClusterError> {
        let safe = self.is_safe(insert.target);
        let endpoints = self.cluster.ordered(insert.start);
        if safe {
            self.count_late(insert, doubts);
        } else if let Some(sent) = self.ask(&endpoints, insert, doubts).await? {
            return Ok(sent);
        }
        let mut last = None;
        for endpoint in endpoints {
            let session = match safe {
                true => None,
                false => match self.open_session(&endpoint, insert, doubts).await {
                    Ok(session) => session,
                    Err(failure) => {
                        let elsewhere = match &failure {
                            Failure::Refused(error) => error.remedy() == Remedy::Wait,
                            _ => true,
                        };
                        let error = ClusterError { url: endpoint.url().to_owned(), failure };
                        if !elsewhere {
                            return Err(error);
                        }
                        last = Some(error);
                        continue;
                    }
                },
            };
            // Until the server has answered, it may be that it stored the insert and we do not live to hear of it.
            let was_raised = doubts.is_raised(insert.token, endpoint.url());
            doubts.set_out(insert.token, endpoint.url(), doubts.delivery);
            let failure = match self.insert(&endpoint, insert, session).await {
                Ok(()) => {
                    doubts.settle(insert.token);
                    return Ok(Sent::Whole);
                }
                Err(failure) => failure,
            };
            let doubt = if safe { failure.may_have_stored() } else { failure.may_have_stored_some() };
            let deliveries = insert.chunk.deliveries();
            // An insert that deduplicates is sent although it may be stored already: this answer is not about that.
            let is_still_raised = doubt || (safe && was_raised);
            if !is_still_raised {
                doubts.clear(insert.token, endpoint.url(), deliveries);
            } else if failure.is_answer() {
                doubts.end(insert.token, endpoint.url(), deliveries);
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

    /// Opens a session for an insert, and notes in the chunk's file that a delivery has begun. `None` if the server keeps none.
    async fn open_session(
        &self,
        endpoint: &Endpoint,
        insert: &Insert<'_>,
        doubts: &mut Doubts,
    ) -> Result<Option<OpenSession>, Failure> {
        loop {
            let delivery = doubts.delivery.unwrap_or_else(|| insert.chunk.deliveries().saturating_add(1));
            let session = OpenSession { name: session::name(insert.token, delivery), since: Instant::now() };
            let mut is_kept = endpoint.keeps_sessions();
            if is_kept && !session::open(endpoint, &session.name).await? {
                endpoint.has_no_sessions();
                self.warn_sessions(endpoint.url(), "the server has none");
                is_kept = false;
            }
            if doubts.delivery.is_none() {
                doubts.delivery = Some(self.begin_delivery(insert.chunk).map_err(|error| {
                    Failure::Unreached(format!(
                        "nothing is sent: the buffer cannot note that the delivery of the chunk begins: {error}"
                    ))
                })?);
            }
            if !is_kept {
                return Ok(None);
            }
            // The disk may have taken its time.
            if session.since.elapsed() < session::patience() {
                return Ok(Some(session));
            }
        }
    }

    fn begin_delivery(&self, chunk: &Chunk) -> io::Result<u16> {
        match blocking(|| chunk.begin_delivery()) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // What is delivered makes room.
                if !self.warned_full.swap(true, Ordering::Relaxed) {
                    log_warn!(
                        self.log,
                        "no space to note that a chunk is being delivered: it is delivered all the same, and may be stored twice if \
                         Logweir is killed meanwhile",
                        chunk = chunk.id()
                    );
                }
                Ok(chunk.count_delivery())
            }
            begun => begun,
        }
    }

    /// Sends an insert in its session. Where there is one, notes whether it was found.
    async fn insert(
        &self,
        endpoint: &Endpoint,
        insert: &Insert<'_>,
        session: Option<OpenSession>,
    ) -> Result<(), Failure> {
        let (mut settings, theirs) = (self.settings(endpoint, insert), &self.options.settings);
        if let Some(session) = &session {
            settings.extend(session::settings(&session.name));
        }
        let mut tries = 0;
        let outcome = loop {
            let outcome = endpoint.insert(insert.sql, &settings, theirs, &insert.block.body).await;
            tries += 1;
            match &outcome {
                Err(Failure::Refused(error))
                    if error.code == Some(SESSION_IS_LOCKED) && session.is_some() && tries < LOCKED_TRIES =>
                {
                    tokio::time::sleep(LOCKED_PAUSE).await;
                }
                _ => break outcome,
            }
        };
        if let Some(session) = session {
            let is_lost = matches!(&outcome, Err(Failure::Refused(e)) if e.code == Some(SESSION_NOT_FOUND));
            let is_late = session.since.elapsed() >= session::patience();
            if !(is_lost && is_late) && endpoint.note_session(!is_lost) {
                self.warn_sessions(endpoint.url(), "several servers seem to answer at this address");
            }
        }
        outcome
    }

    /// Asks each server that may have the insert, before it is sent to any. `None` if none has it. A server that does not
    /// answer is waited for, unless that has taken too long.
    async fn ask(
        &self,
        endpoints: &[Arc<Endpoint>],
        insert: &Insert<'_>,
        doubts: &mut Doubts,
    ) -> Result<Option<Sent>, ClusterError> {
        // What the questions take is not the silent server's fault.
        let age = doubts.age(insert.token).unwrap_or_default();
        // Parts of the chunk may have been sent in the delivery that is under way, but not this insert.
        let before = doubts.delivery.map_or(insert.chunk.deliveries(), |delivery| delivery.saturating_sub(1));
        let suspects: Vec<_> = endpoints.iter().filter(|e| doubts.has(insert.token, e.url())).collect();
        let mut silent = None;
        for endpoint in suspects {
            let url = endpoint.url().to_owned();
            fault!("doubt-found");
            // One that has just failed several times is not made to fail once more for each insert.
            let traced = match endpoint.is_open() || endpoints.len() == 1 {
                true => {
                    let unknown = doubts.over(insert.token, &url).saturating_add(1);
                    trace(endpoint, insert, unknown..=before).await
                }
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
                    let reason = format!("insert {} is still running", insert.token);
                    let failure = Failure::Held { reason, pause: RUNNING_PAUSE };
                    return Err(ClusterError { url, failure });
                }
                Trace::Coming => {
                    let reason = format!("insert {} may still be on its way", insert.token);
                    let failure = Failure::Held { reason, pause: session::over_after(endpoint.version()) };
                    return Err(ClusterError { url, failure });
                }
                Trace::NoAnswer(failure) => {
                    doubts.raise(insert.token, &url);
                    silent = Some(ClusterError { url, failure });
                }
                Trace::None => doubts.clear(insert.token, &url, before),
                Trace::Unknown(why) => {
                    self.warn_unknown(&url, &why);
                    doubts.clear(insert.token, &url, before);
                }
            }
        }
        let Some(ClusterError { url, failure }) = silent else { return Ok(None) };
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
        self.count_doubtful();
        Ok(None)
    }

    /// Notes that something may be stored twice.
    pub(crate) fn count_doubtful(&self) {
        self.count("logweir_clickhouse_doubtful_inserts_total");
    }

    /// Notes an insert that is sent again when its table may have forgotten that it has it.
    fn count_late(&self, insert: &Insert<'_>, doubts: &Doubts) {
        let Some(memory) = insert.target.table.memory else { return };
        let age = match doubts.is_of_before {
            true => Some(age_of(insert.chunk.created())),
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

    fn warn_sessions(&self, url: &str, why: &str) {
        if !self.warned_sessions.swap(true, Ordering::Relaxed) {
            log_warn!(
                self.log,
                "inserts are sent without a session of their own: one whose connection is lost and that comes late is stored \
                 twice, as the table does not deduplicate",
                url = url,
                reason = why
            );
        }
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
