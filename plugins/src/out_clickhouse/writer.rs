//! Chunks into tables: which inserts a chunk needs, and what is done when one fails.

use super::cells::Given;
use super::cluster::{Cluster, ClusterError};
use super::config::{Config, RowErrors};
use super::describe::TableName;
use super::encode::{EncodeOptions, Encoded, Part, Picked, Selection, encode, groups, sorted};
use super::endpoint::Failure;
use super::progress::{Problem, Progress, problem, to_be_done};
use super::refused::{Refusal, dead_letter, describe};
use super::sender::{Insert, SendOptions, Sender, Sent};
use super::server_error::{Remedy, ServerError};
use super::source::{Position, Source};
use super::table::quoted;
use super::target::{Target, TargetError, Targets};
use logweir_engine::buffer::{Chunk, ChunkId};
use logweir_engine::event::Tag;
use logweir_engine::fault;
use logweir_engine::io::Timestamp;
use logweir_engine::log_warn;
use logweir_engine::msgpack::Entry;
use logweir_engine::output::blocking;
use logweir_engine::plugin::WriteError;
use logweir_engine::route::ErrorEvents;
use logweir_engine::telemetry::PluginLog;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many inserts of one chunk may be refused for their data before the chunk is given up. Finding one bad row among a
/// million takes 20.
const REFUSED_INSERTS_MAX: u32 = 500;
/// Chunks whose writing was begun and not ended. Those beyond are begun anew.
const CHUNKS_MAX: usize = 10_000;

/// Writes chunks.
pub(crate) struct Writer {
    config: Config,
    targets: Targets,
    sender: Sender,
    chunks: Mutex<HashMap<ChunkId, Arc<tokio::sync::Mutex<Progress>>>>,
    errors: ErrorEvents,
    log: PluginLog,
    plugin_id: Arc<str>,
    /// Chunks made before were perhaps sent by the process before.
    started: Timestamp,
    begun: Instant,
}

/// What an attempt works on.
#[derive(Clone, Copy)]
struct Job<'a> {
    source: Source<'a>,
    target: &'a Target,
    /// Hexadecimal digits of the chunk's id.
    id: &'a str,
    entries: usize,
    start: usize,
    chunk: &'a Chunk,
}

impl Writer {
    /// A writer for a configuration.
    pub(crate) fn new(config: Config, errors: ErrorEvents, log: PluginLog, plugin_id: Arc<str>) -> Self {
        let cluster = Arc::new(Cluster::new(&config.urls, &config.access));
        let options = SendOptions {
            settings: config.settings.clone(),
            async_insert: config.async_insert,
            deduplicate: config.deduplicate,
            doubt_wait: config.doubt_wait,
            plugin_id: Arc::clone(&plugin_id),
        };
        let sender = Sender::new(Arc::clone(&cluster), options, log.clone());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            targets: Targets::new(cluster, log.clone()),
            sender,
            chunks: Mutex::default(),
            errors,
            log,
            plugin_id,
            started: Timestamp(now.as_micros() as u64),
            begun: Instant::now(),
            config,
        }
    }

    /// Looks at the table, if its name does not depend on the chunk, so that warnings come at the start. A server that is
    /// not there yet is no problem.
    pub(crate) async fn look_ahead(&self) {
        if self.config.database.is_constant() && self.config.table.is_constant() {
            let name = TableName {
                database: self.config.database.text().to_owned(),
                table: self.config.table.text().to_owned(),
            };
            if let Err(error) = self.targets.refresh(&name, &self.config).await {
                log_warn!(self.log, format!("{error}; it is tried again with the first chunk"));
            }
        }
    }

    /// Writes a chunk.
    pub(crate) async fn write(&self, chunk: &Chunk) -> Result<(), WriteError> {
        let name = TableName {
            database: self.config.database.expand(chunk)?,
            table: self.config.table.expand(chunk)?,
        };
        let progress = self.progress(chunk.id());
        let mut progress = progress.lock().await;
        progress.since.get_or_insert_with(Instant::now);
        progress.doubts.delivery = None;
        let source = Source {
            chunk,
            tag: chunk.metadata().tag.as_ref().map(|tag| tag.as_str().as_bytes()),
            tagged: chunk.is_formatted(),
            fallback_time: chunk.created().secs(),
        };
        let outcome = self.write_source(chunk, source, &name, &mut progress).await;
        if outcome.is_ok() {
            self.forget(chunk);
        }
        outcome
    }

    /// Whether a server may have some of the chunk, so that it is too early to give it to anybody else.
    pub(crate) fn is_in_doubt(&self, chunk: &Chunk) -> bool {
        let age = match self.known(chunk) {
            Some(progress) => match progress.try_lock() {
                Ok(progress) => progress.doubtful_for(chunk),
                Err(_) => Some(Duration::ZERO), // it is being written
            },
            None => (chunk.deliveries() > 0).then(|| self.begun.elapsed()),
        };
        age.is_some_and(|age| self.config.doubt_wait.is_none_or(|limit| age < limit))
    }

    /// The chunk went elsewhere.
    pub(crate) fn given_up(&self, chunk: &Chunk) {
        let doubtful = match self.forget(chunk) {
            Some(progress) => {
                progress.try_lock().is_ok_and(|progress| progress.doubtful_for(chunk).is_some())
            }
            None => chunk.deliveries() > 0,
        };
        if doubtful {
            self.sender.count_doubtful();
            log_warn!(
                self.log,
                "a chunk of which a server may have rows was given up or taken by <secondary>: rows of it may be in both places",
                chunk = chunk.id()
            );
        }
    }

    fn known(&self, chunk: &Chunk) -> Option<Arc<tokio::sync::Mutex<Progress>>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).get(&chunk.id()).cloned()
    }

    fn forget(&self, chunk: &Chunk) -> Option<Arc<tokio::sync::Mutex<Progress>>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).remove(&chunk.id())
    }

    async fn write_source(
        &self,
        chunk: &Chunk,
        source: Source<'_>,
        name: &TableName,
        progress: &mut Progress,
    ) -> Result<(), WriteError> {
        let id = chunk.id().hex();
        let mut refreshed = false;
        loop {
            let target = match &progress.target {
                Some(target) => Arc::clone(target),
                None => {
                    let target = self.targets.get(name, &self.config).await;
                    let target = target.map_err(|error| self.target_problem(error))?;
                    // The process before may have sent what this one has only read from the disk.
                    if self.sender.is_safe(&target) {
                        progress.doubts.is_of_before = chunk.created() < self.started;
                    } else if chunk.deliveries() > 0 {
                        progress.doubts.doubt_everything();
                    }
                    target
                }
            };
            progress.target = Some(Arc::clone(&target));
            if source.tag.is_none() && !source.tagged && target.layout.needs_tag {
                self.targets.warn_of_tag(&target);
            }
            let job = Job {
                source,
                target: &target,
                id: &id,
                entries: usize::try_from(chunk.records()).unwrap_or(usize::MAX),
                start: usize::from(chunk.id().0[15]),
                chunk,
            };
            match self.insert_chunk(job, progress).await {
                Ok(()) => {
                    self.settle(job, progress).await.map_err(Problem::from)?;
                    return Ok(());
                }
                Err(problem @ (Problem::Schema(_) | Problem::Conversion(_))) if !refreshed => {
                    refreshed = true;
                    let fresh = self.targets.refresh(name, &self.config).await;
                    let fresh = fresh.map_err(|error| self.target_problem(error))?;
                    match (fresh.table == target.table, problem) {
                        (true, Problem::Conversion(_)) => progress.rows_do_not_convert = true,
                        (true, problem) => return Err(problem.into()),
                        (false, _) => {
                            progress.target = Some(fresh);
                            progress.refused.clear();
                        }
                    }
                }
                Err(problem) => {
                    // Whatever went wrong, the table is looked at before the next chunk.
                    self.targets.forget(name);
                    return Err(problem.into());
                }
            }
        }
    }

    /// All inserts of a chunk.
    async fn insert_chunk(&self, job: Job<'_>, progress: &mut Progress) -> Result<(), Problem> {
        let groups = blocking(|| groups(job.source, &job.target.layout))?;
        if self.config.row_errors == RowErrors::FailChunk {
            self.refuse_faulty_chunk(job, &groups)?;
        }
        for given in groups {
            let mut next = Some(Position::default());
            while let Some(from) = next {
                if let Some(rest) = progress.stored.get(&(given, from.ordinal)) {
                    next = *rest;
                    continue;
                }
                let part = Part { given, selection: Selection::Range { from, to: usize::MAX } };
                let encoded = self.encode(job, &part, progress)?;
                let rest = encoded.rest;
                let (unknown, replaced) = (encoded.unknown.clone(), encoded.replaced);
                self.insert_part(job, encoded, progress).await?;
                for (field, count) in unknown {
                    *progress.unknown.entry(field).or_default() += count;
                }
                progress.replaced += replaced;
                progress.stored.insert((given, from.ordinal), rest);
                next = rest;
            }
        }
        Ok(())
    }

    fn encode(&self, job: Job<'_>, part: &Part, progress: &mut Progress) -> Result<Encoded, Problem> {
        let options = EncodeOptions {
            compression: self.config.compression,
            on_fault: self.config.row_errors.on_fault(),
            rows_max: self.config.rows_max,
            bytes_max: self.config.bytes_max,
        };
        let encoded = blocking(|| encode(job.source, &job.target.layout, part, &options))?;
        for (ordinal, fault) in &encoded.faults {
            progress.refused.insert(*ordinal, Refusal::Column(*fault));
        }
        Ok(encoded)
    }

    /// One part of a chunk, divided as far as the server demands.
    async fn insert_part(
        &self,
        job: Job<'_>,
        whole: Encoded,
        progress: &mut Progress,
    ) -> Result<(), Problem> {
        let mut waiting = vec![whole];
        while let Some(encoded) = waiting.pop() {
            if encoded.block.rows == 0 {
                continue;
            }
            let token = format!("{}{}", job.id, encoded.part.suffix(job.entries));
            if progress.stored_tokens.contains(&token) {
                continue;
            }
            let error = match self.send(job, &encoded, &token, progress).await {
                Ok(Sent::Whole) => {
                    progress.rows += encoded.block.rows as u64;
                    progress.stored_tokens.insert(token);
                    fault!("part-stored");
                    continue;
                }
                Ok(Sent::Without(rows)) => {
                    let missing = blocking(|| encoded.missing(job.source, &job.target.layout, &rows))?;
                    if progress.partly_stored.insert(token) {
                        progress.rows += (encoded.block.rows - rows.len()) as u64;
                    }
                    waiting.push(self.encode(job, &missing, progress)?);
                    continue;
                }
                Err(error) => error,
            };
            let refusal = match &error.failure {
                Failure::Refused(refusal) => refusal,
                Failure::Held { pause, .. } => return Err(Problem::Held(error.to_string(), *pause)),
                _ => return Err(Problem::Later("ClickHouse::ConnectionError", error.to_string())),
            };
            let remedy = match refusal.remedy() {
                Remedy::SchemaOrRows if progress.rows_do_not_convert => Remedy::Divide,
                remedy => remedy,
            };
            let halves = match remedy {
                Remedy::Divide => {
                    progress.refused_inserts += 1;
                    if progress.refused_inserts > REFUSED_INSERTS_MAX {
                        return Err(Problem::Never(format!(
                            "the server refuses too many rows of this chunk, lastly: {error}"
                        )));
                    }
                    let halves = blocking(|| encoded.part.halves(job.source))?;
                    if halves.is_none() {
                        self.refuse_rows(job, &encoded.part, refusal, progress);
                        continue;
                    }
                    halves
                }
                Remedy::FewerPartitions => {
                    let part = self.by_partition(job, &encoded.part)?;
                    blocking(|| part.halves(job.source))?
                }
                _ => None,
            };
            let Some(halves) = halves else { return Err(problem(&error, refusal)) };
            for half in halves.iter().rev() {
                waiting.push(self.encode(job, half, progress)?);
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        job: Job<'_>,
        encoded: &Encoded,
        token: &str,
        progress: &mut Progress,
    ) -> Result<Sent, ClusterError> {
        let columns: Vec<String> = encoded
            .block
            .columns
            .iter()
            .map(|index| quoted(&job.target.layout.columns[*index].name))
            .collect();
        let sql = format!("INSERT INTO {} ({}) FORMAT Native", job.target.name.sql(), columns.join(", "));
        let insert = Insert {
            sql: &sql,
            block: &encoded.block,
            target: job.target,
            compressed: self.config.compression.framed(),
            token,
            start: job.start,
            chunk: job.chunk,
        };
        let outcome = self.sender.send(&insert, &mut progress.doubts).await;
        let bytes: usize = encoded.block.body.iter().map(bytes::Bytes::len).sum();
        let result = if outcome.is_ok() { "ok" } else { "error" };
        metrics::counter!("logweir_clickhouse_inserts_total", "plugin_id" => self.plugin_id.to_string(), "result" => result)
            .increment(1);
        metrics::counter!("logweir_clickhouse_sent_bytes_total", "plugin_id" => self.plugin_id.to_string())
            .increment(bytes as u64);
        outcome
    }

    /// The part in the order of the column that decides on partitions, if that is a point in time.
    fn by_partition(&self, job: Job<'_>, part: &Part) -> io::Result<Part> {
        let layout = &job.target.layout;
        let words = job.target.table.partition_key.split(|c: char| !c.is_alphanumeric() && c != '_');
        let column = words
            .filter_map(|word| layout.columns.iter().position(|column| column.name == word))
            .find(|index| layout.columns[*index].width().is_some());
        let order = column.map(|column| blocking(|| sorted(job.source, layout, part, column))).transpose()?;
        Ok(match order.flatten() {
            Some(order) => {
                let to = order.len();
                Part {
                    given: part.given,
                    selection: Selection::Picked { order, from: 0, to, why: Picked::ByPartition },
                }
            }
            None => part.clone(),
        })
    }

    /// The server refuses a part that cannot be divided.
    fn refuse_rows(&self, job: Job<'_>, part: &Part, refusal: &ServerError, progress: &mut Progress) {
        let refuse = |ordinal: u32| (ordinal, Refusal::Server(refusal.message.clone()));
        match &part.selection {
            Selection::Range { from, to } => {
                let to = (*to).min(job.entries);
                progress.refused.extend((from.ordinal..to).map(|ordinal| refuse(ordinal as u32)));
            }
            Selection::Picked { order, from, to, .. } => {
                progress.refused.extend(order[*from..*to].iter().map(|ordinal| refuse(*ordinal)));
            }
        }
    }

    /// `on_row_error fail_chunk`: nothing is sent of a chunk with a faulty row.
    fn refuse_faulty_chunk(
        &self,
        job: Job<'_>,
        groups: &std::collections::BTreeSet<Given>,
    ) -> Result<(), Problem> {
        for given in groups {
            let mut scratch = Progress::default();
            let mut next = Some(Part::all(*given));
            while let Some(part) = next {
                let encoded = self.encode(job, &part, &mut scratch)?;
                if let Some((ordinal, fault)) = encoded.faults.first() {
                    let mut message = String::new();
                    let describe =
                        |_, entry: &Entry<'_>| message = describe(fault, &job.target.layout, entry.record);
                    blocking(|| job.source.pick(&[*ordinal], describe))?;
                    return Err(Problem::Never(format!("row {ordinal}: {message}")));
                }
                next = encoded
                    .rest
                    .map(|from| Part { given: *given, selection: Selection::Range { from, to: usize::MAX } });
            }
        }
        Ok(())
    }

    /// After the last insert: refused rows go their way, and everything is counted.
    async fn settle(&self, job: Job<'_>, progress: &mut Progress) -> io::Result<()> {
        let id = || self.plugin_id.to_string();
        metrics::counter!("logweir_clickhouse_rows_total", "plugin_id" => id()).increment(progress.rows);
        metrics::counter!("logweir_clickhouse_replaced_values_total", "plugin_id" => id())
            .increment(progress.replaced);
        metrics::counter!("logweir_clickhouse_refused_rows_total", "plugin_id" => id())
            .increment(progress.refused.len() as u64);
        for (field, count) in &progress.unknown {
            metrics::counter!("logweir_clickhouse_unknown_fields_total", "plugin_id" => id())
                .increment(*count);
            self.targets.warn_once(&format!(
                "{}: field {field:?} has no column and is not stored; add a column, or set extra_column",
                job.target.name
            ));
        }
        if progress.refused.is_empty() {
            return Ok(());
        }
        let refused = progress.refused.len() as u64;
        match self.config.row_errors {
            RowErrors::Drop => {
                job.chunk.set_aside(0, refused);
                log_warn!(
                    self.log,
                    "dropped rows that the table cannot hold",
                    table = job.target.name.to_string(),
                    rows = refused
                );
            }
            _ => {
                let tag = Tag::new(&format!("clickhouse.{}", job.target.name));
                dead_letter(&progress.refused, job.source, &job.target.layout, &tag, &self.errors).await?;
                job.chunk.set_aside(refused, 0);
            }
        }
        Ok(())
    }

    fn target_problem(&self, error: TargetError) -> WriteError {
        let TargetError::Cluster(cluster) = &error else {
            return WriteError::retry("ClickHouse::SchemaError", error.to_string());
        };
        let Failure::Refused(refusal) = &cluster.failure else {
            return WriteError::retry("ClickHouse::ConnectionError", error.to_string());
        };
        let is_one = self.config.database.is_constant() && self.config.table.is_constant();
        match refusal.remedy() {
            Remedy::Operator => Problem::Operator(to_be_done(cluster, refusal)).into(),
            Remedy::Table if is_one => Problem::Operator(to_be_done(cluster, refusal)).into(),
            // One of many tables: what goes into the others waits no longer than the limit of retries.
            Remedy::Table => {
                WriteError::retry("ClickHouse::ServerError", format!("{error}; {}", refusal.hint()))
            }
            _ => WriteError::retry("ClickHouse::ServerError", error.to_string()),
        }
    }

    fn progress(&self, id: ChunkId) -> Arc<tokio::sync::Mutex<Progress>> {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.len() >= CHUNKS_MAX {
            chunks.retain(|_, progress| Arc::strong_count(progress) > 1);
        }
        Arc::clone(chunks.entry(id).or_default())
    }
}
