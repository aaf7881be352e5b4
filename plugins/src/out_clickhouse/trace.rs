//! Whether a server has stored an insert whose answer nobody heard.
//!
//! | asked | what it says |
//! |---|---|
//! | the insert's [`session`](super::session) | it may still come; then what else is asked says nothing final unless it is there already |
//! | `system.processes` | the insert is still running |
//! | `system.query_log` | it ended, and wrote so many rows: an insert that is cut off before its first row also "ends well" |
//! | the table | its rows are there |
//!
//! A server that was killed has lost the last seconds of its query log, but not the rows. So silence in the log says little,
//! and the rows are compared: the insert is put into a temporary table, and the server says which of its rows the table
//! lacks. Where that cannot be done, silence counts if the server has been up since before the chunk was made.
//!
//! A server stores the rows of one insert and one partition as a whole, in one part, and merges parts as a whole. So the
//! rows of a partition are there if one part that is younger than the chunk has all of them, as often as the insert has
//! them, provided that no parts were merged while that was looked at. What this cannot tell apart is another insert of the same age with the same rows. That is why rows without a
//! time are not compared: among them equals are common.

use super::cells::Block;
use super::describe::TableName;
use super::endpoint::{Endpoint, Failure};
use super::sender::{ASYNC_SINCE, Insert};
use super::session::{self, Session};
use super::table::{literal, quoted};
use super::target::Target;
use super::type_name::Type;
use logweir_engine::io::Timestamp;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clocks are read one after the other, and servers count whole seconds.
const SLACK_SECONDS: u64 = 10;
/// How long the query log is waited for. Servers write it every 7.5 seconds.
const LOG_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOG_PAUSE: Duration = Duration::from_millis(100);
/// So often rows are compared while the table's parts change.
const COMPARISONS_MAX: usize = 20;
/// Code of a server that is too busy to answer.
const TOO_MANY_QUERIES: u32 = 202;

/// See the module.
#[derive(Debug)]
pub(crate) enum Trace {
    /// All of it.
    Stored,
    /// It is being stored.
    Running,
    /// Nothing.
    None,
    /// Nothing yet, but it may still be on its way.
    Coming,
    /// Only some of its partitions. These rows of the block are missing.
    Partly(Vec<u32>),
    /// There is no telling, and why.
    Unknown(String),
    /// The server does not answer now.
    NoAnswer(Failure),
}

/// Asks a server for an insert that may have been sent in these deliveries of the chunk.
pub(crate) async fn trace(
    endpoint: &Endpoint,
    insert: &Insert<'_>,
    deliveries: RangeInclusive<u16>,
) -> Trace {
    // First, so that what is not seen afterwards will never be.
    let state = match endpoint.keeps_sessions() {
        true => session::ask(endpoint, insert.token, deliveries).await,
        false => Ok(Session::Over),
    };
    match state {
        Ok(Session::Busy) => Trace::Running,
        Ok(Session::Idle) => match look(endpoint, insert).await {
            Trace::None | Trace::Partly(_) | Trace::Unknown(_) => Trace::Coming,
            trace => trace,
        },
        Ok(Session::Over) => look(endpoint, insert).await,
        Err(failure) => Trace::NoAnswer(failure),
    }
}

async fn look(endpoint: &Endpoint, insert: &Insert<'_>) -> Trace {
    let logged = ask_log(endpoint, insert).await;
    if let Ok(trace @ (Trace::Stored | Trace::Running)) = logged {
        return trace;
    }
    let mut reason = None;
    if let Some(comparison) = Comparison::new(insert.target, insert.block) {
        match comparison.missing(endpoint, insert).await {
            Ok(missing) if missing.is_empty() => return Trace::Stored,
            Ok(missing) if missing.len() >= insert.block.rows => return Trace::None,
            Ok(missing) => return Trace::Partly(missing),
            Err(Failure::Refused(error)) if error.code != Some(TOO_MANY_QUERIES) => {
                reason = Some(format!("its rows cannot be compared: {error}"));
            }
            Err(failure) => return Trace::NoAnswer(failure),
        }
    }
    logged.unwrap_or_else(|silence| match reason {
        Some(reason) => Trace::Unknown(format!("{silence}; and {reason}")),
        None => Trace::Unknown(silence),
    })
}

/// What processes and query log say: nothing, if the log is complete. An error says why its silence means nothing.
async fn ask_log(endpoint: &Endpoint, insert: &Insert<'_>) -> Result<Trace, String> {
    let id = literal(insert.token);
    // This question is logged itself, behind all that ended before it: a log that shows it shows the insert, if that ended.
    // What a flush has written is not always all: servers put flushes together.
    let question = format!("asked-{}-{}", insert.token, now().0);
    let settings = [("query_id", question.clone()), ("log_queries", "1".to_owned())];
    // Parts of this insert have names that begin as its own.
    let running = format!("SELECT count() FROM system.processes WHERE startsWith(query_id, {id})");
    if numbers(endpoint, &running, &settings).await? != [0] {
        return Ok(Trace::Running);
    }
    let logged = format!(
        "SELECT sum(query_id = {id} AND written_rows >= {}), sum(query_id = {question}) FROM system.query_log \
         WHERE event_date >= toDate({}) AND query_id IN ({id}, {question}) AND toUInt8(type) = 2",
        insert.block.rows,
        literal(&day_before(insert.chunk.created())),
        question = literal(&question)
    );
    let asked = Instant::now();
    loop {
        // What is logged is shown after some seconds, or at once on request, if the user may request it.
        let flushed = endpoint.query("SYSTEM FLUSH LOGS", "TabSeparated").await;
        match numbers(endpoint, &logged, &[]).await?[..] {
            [stored, _] if stored > 0 => return Ok(Trace::Stored),
            [_, shown] if shown > 0 => break,
            _ if asked.elapsed() < LOG_WAIT_MAX => tokio::time::sleep(LOG_PAUSE).await,
            _ => {
                return Err(match flushed {
                    Ok(_) => "its query log shows nothing new".to_owned(),
                    Err(failure) => format!("SYSTEM FLUSH LOGS: {failure}"),
                });
            }
        }
    }
    let uptime = numbers(endpoint, "SELECT uptime()", &[]).await?;
    match age_seconds(insert.chunk.created()) {
        Some(age) if uptime.first().is_some_and(|uptime| *uptime > age.saturating_add(SLACK_SECONDS)) => {
            Ok(Trace::None)
        }
        _ => Err(
            "the server was started after the insert may have been sent, and its query log may have lost it"
                .to_owned(),
        ),
    }
}

/// The first row of an answer, all of whose columns are numbers.
async fn numbers(
    endpoint: &Endpoint,
    sql: &str,
    settings: &[(&'static str, String)],
) -> Result<Vec<u64>, String> {
    let answer =
        endpoint.query_with(sql, "TabSeparated", settings).await.map_err(|failure| failure.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    let row: Result<Vec<u64>, _> = text.trim().split('\t').map(str::parse).collect();
    row.map_err(|_| format!("not numbers: {text}"))
}

/// What is needed to find the rows of an insert in its table.
struct Comparison<'a> {
    target: &'a Target,
    columns: Vec<(&'a str, &'a str)>,
    time: &'a str,
}

impl<'a> Comparison<'a> {
    /// `None` if rows can be changed by the engine, or have no time.
    fn new(target: &'a Target, block: &Block) -> Option<Self> {
        let columns: Vec<_> = block.columns.iter().map(|index| &target.layout.columns[*index]).collect();
        let times = || {
            let is_time = |kind: &Type| matches!(kind, Type::DateTime { .. } | Type::DateTime64 { .. });
            columns.iter().filter(move |column| is_time(&column.kind)).map(|column| &*column.name)
        };
        // One that the partitions depend on spares the server most of the table.
        let time =
            times().find(|name| target.table.partition_key.contains(*name)).or_else(|| times().next())?;
        let columns = columns.iter().map(|column| (&*column.name, &*column.type_name)).collect();
        target.table.keeps_rows.then_some(Self { target, columns, time })
    }

    /// The rows of the block, by number, in partitions that are not stored.
    async fn missing(&self, endpoint: &Endpoint, insert: &Insert<'_>) -> Result<Vec<u32>, Failure> {
        let session = [
            ("session_id", format!("{}-{}", insert.token, now().0)),
            ("session_timeout", "60".to_owned()),
            // Rows are numbered in the order in which they are read.
            ("max_threads", "1".to_owned()),
        ];
        let columns: Vec<String> =
            self.columns.iter().map(|(name, kind)| format!("{} {kind}", quoted(name))).collect();
        let create = format!("CREATE TEMPORARY TABLE {SENT} ({})", columns.join(", "));
        endpoint.query_with(&create, "TabSeparated", &session).await?;
        let found = self.compare(endpoint, insert, &session).await;
        // Should this fail, the server drops it with the session.
        let _ = endpoint.query_with(&format!("DROP TABLE {SENT}"), "TabSeparated", &session).await;
        found
    }

    async fn compare(
        &self,
        endpoint: &Endpoint,
        insert: &Insert<'_>,
        session: &[(&'static str, String)],
    ) -> Result<Vec<u32>, Failure> {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| quoted(name)).collect();
        let sql = format!("INSERT INTO {SENT} ({}) FORMAT Native", names.join(", "));
        let mut settings = session.to_vec();
        if insert.compressed {
            settings.push(("decompress", "1".to_owned()));
        }
        if endpoint.version().is_none_or(|version| version >= ASYNC_SINCE) {
            // The rows are to be there when they are compared.
            settings.push(("async_insert", "0".to_owned()));
        }
        endpoint.insert(&sql, &settings, &[], &insert.block.body).await?;
        // The list of parts and the rows are not read at one moment: a merge in between makes rows be looked for in parts that are gone.
        for _ in 0..COMPARISONS_MAX {
            let before = self.parts(endpoint).await?;
            let missing = self.select(endpoint, insert, session).await?;
            if missing.is_empty() || self.parts(endpoint).await? == before {
                return Ok(missing);
            }
        }
        Err(Failure::Lost(
            "the parts of the table do not stay the same for as long as a look at them takes".to_owned(),
        ))
    }

    async fn select(
        &self,
        endpoint: &Endpoint,
        insert: &Insert<'_>,
        session: &[(&'static str, String)],
    ) -> Result<Vec<u32>, Failure> {
        let age = age_seconds(insert.chunk.created()).unwrap_or(0);
        let target = self.target;
        let sql = select(&target.name, &target.table.partition_key, &self.columns, self.time, age);
        let answer = endpoint.query_with(&sql, "TabSeparated", session).await?;
        let text = String::from_utf8_lossy(&answer);
        let numbers = text.lines().map(|line| line.trim().parse::<u32>());
        numbers.collect::<Result<_, _>>().map_err(|_| Failure::Lost("not row numbers".to_owned()))
    }

    /// The names of the parts that the table has now. One that is gone never comes back.
    async fn parts(&self, endpoint: &Endpoint) -> Result<Vec<u8>, Failure> {
        let name = &self.target.name;
        let sql = format!(
            "SELECT name FROM system.parts WHERE database = {} AND table = {} AND active ORDER BY name",
            literal(&name.database),
            literal(&name.table)
        );
        endpoint.query(&sql, "TabSeparated").await.map(|answer| answer.to_vec())
    }
}

/// The rows of [`SENT`], by number, in partitions of which no part of the table `name` is younger than `age` seconds and
/// has all of their rows. Its own names begin with `logweir_`, because a name of a column would be taken for it.
fn select(name: &TableName, partition_key: &str, columns: &[(&str, &str)], time: &str, age: u64) -> String {
    let values: Vec<String> =
        columns.iter().map(|(name, _)| format!("ifNull(toString({}), '\\\\N')", quoted(name))).collect();
    let hash = format!("cityHash64({})", values.join(", "));
    let partition = match partition_key {
        "" => "''".to_owned(),
        key => format!("toString(tuple({key}))"),
    };
    let time = quoted(time);
    let table = name.sql();
    let young = format!(
        "SELECT name FROM system.parts WHERE database = {} AND table = {} AND active AND modification_time >= now() - {}",
        literal(&name.database),
        literal(&name.table),
        age.saturating_add(SLACK_SECONDS)
    );
    format!(
        "SELECT logweir_n FROM (SELECT rowNumberInAllBlocks() AS logweir_n, {partition} AS logweir_p FROM {SENT}) \
         WHERE logweir_p NOT IN (\
           SELECT logweir_p FROM (\
             SELECT logweir_p, logweir_part, sum(least(logweir_sent, logweir_stored)) AS logweir_found FROM (\
               SELECT {partition} AS logweir_p, {hash} AS logweir_h, count() AS logweir_sent FROM {SENT} \
               GROUP BY logweir_p, logweir_h\
             ) AS logweir_a ALL INNER JOIN (\
               SELECT {hash} AS logweir_h, _part AS logweir_part, count() AS logweir_stored FROM {table} \
               WHERE {time} >= (SELECT min({time}) FROM {SENT}) AND {time} <= (SELECT max({time}) FROM {SENT}) \
               AND _part IN ({young}) AND {hash} IN (SELECT {hash} FROM {SENT}) GROUP BY logweir_h, logweir_part\
             ) AS logweir_b USING logweir_h GROUP BY logweir_p, logweir_part\
           ) AS logweir_c ALL INNER JOIN (\
             SELECT {partition} AS logweir_p, count() AS logweir_whole FROM {SENT} GROUP BY logweir_p\
           ) AS logweir_d USING logweir_p WHERE logweir_found = logweir_whole\
         ) ORDER BY logweir_n"
    )
}

/// The temporary table.
const SENT: &str = "logweir_sent";

/// How long ago a moment was; zero if clocks have been set back.
pub(crate) fn age_of(moment: Timestamp) -> Duration {
    Duration::from_micros(now().0.saturating_sub(moment.0))
}

/// How long ago a moment was; `None` if clocks have been set back.
fn age_seconds(moment: Timestamp) -> Option<u64> {
    let micros = now().0.checked_sub(moment.0)?;
    Some(micros / 1_000_000)
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// The day before a moment, as SQL writes it: servers may be in any time zone.
fn day_before(moment: Timestamp) -> String {
    let second = moment.secs().saturating_sub(86_400);
    jiff::Timestamp::from_second(second)
        .map(|stamp| stamp.strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}
