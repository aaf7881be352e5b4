//! How far a chunk is between two attempts to write it, and why it is not written yet.

use super::cells::Given;
use super::cluster::ClusterError;
use super::doubts::Doubts;
use super::refused::Refused;
use super::server_error::{Remedy, ServerError};
use super::source::Position;
use super::target::Target;
use logweir_engine::buffer::Chunk;
use logweir_engine::plugin::WriteError;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far a chunk is, between attempts.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) since: Option<Instant>,
    /// The table as it was at the first attempt: later attempts give the same blocks.
    pub(crate) target: Option<Arc<Target>>,
    /// Parts that are stored, by where they begin, with where the next one begins.
    pub(crate) stored: HashMap<(Given, usize), Option<Position>>,
    /// Inserts that were stored although their part was divided.
    pub(crate) stored_tokens: HashSet<String>,
    /// Inserts of which a server was found to have a part.
    pub(crate) partly_stored: HashSet<String>,
    /// Inserts that may have been stored although no server said so.
    pub(crate) doubts: Doubts,
    pub(crate) refused: Refused,
    /// Fields without a column.
    pub(crate) unknown: HashMap<String, u64>,
    pub(crate) replaced: u64,
    pub(crate) rows: u64,
    pub(crate) refused_inserts: u32,
    /// Whether a conversion that the server refuses is the rows' fault: the table is as it was encoded for.
    pub(crate) rows_do_not_convert: bool,
}

/// Why a chunk is not written yet.
pub(crate) enum Problem {
    /// It may work later.
    Later(&'static str, String),
    /// It waits for one server, and other chunks do not.
    Held(String, Duration),
    /// It works when somebody has done something.
    Operator(String),
    /// The table has changed.
    Schema(String),
    /// The table has changed, or rows hold what cannot be converted.
    Conversion(String),
    /// It will never work.
    Never(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Later("IOError", format!("cannot read the chunk: {error}"))
    }
}

impl From<Problem> for WriteError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Later(class, message) => Self::retry(class, message),
            Problem::Held(message, pause) => Self::later("ClickHouse::ConnectionError", message, pause),
            Problem::Operator(message) => Self::operator("ClickHouse::ServerError", message),
            Problem::Schema(message) | Problem::Conversion(message) => {
                Self::retry("ClickHouse::SchemaError", message)
            }
            Problem::Never(message) => Self::reject("ClickHouse::DataError", message),
        }
    }
}

impl Progress {
    /// For how long it has been so that a server may have some of the chunk; `None` if none can have any.
    pub(crate) fn doubtful_for(&self, chunk: &Chunk) -> Option<Duration> {
        // Whether an earlier process sent it matters only to a table that is not known yet.
        let is_unknown = self.target.is_none() && chunk.deliveries() > 0;
        let is_begun = is_unknown || !self.stored_tokens.is_empty() || !self.partly_stored.is_empty();
        let since = self.since.filter(|_| is_begun).map(|since| since.elapsed());
        since.max(self.doubts.oldest())
    }
}

/// What follows from a refusal that nothing was done about.
pub(crate) fn problem(error: &ClusterError, refusal: &ServerError) -> Problem {
    match refusal.remedy() {
        Remedy::Schema | Remedy::Table => Problem::Schema(error.to_string()),
        Remedy::SchemaOrRows => Problem::Conversion(error.to_string()),
        // The user's own setting: ours are left out.
        Remedy::Operator | Remedy::DropSetting => Problem::Operator(to_be_done(error, refusal)),
        _ => Problem::Later("ClickHouse::ServerError", error.to_string()),
    }
}

/// An error with what helps against it.
pub(crate) fn to_be_done(error: &ClusterError, refusal: &ServerError) -> String {
    let hint = refusal.hint();
    format!("{error}; {hint}. Until then the data waits in the buffer, and Logweir tries again by itself")
}
