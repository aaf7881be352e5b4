//! Why a chunk is not written yet, and what its buffer is told.

use super::cluster::ClusterError;
use super::endpoint::Failure;
use super::server_error::{Remedy, ServerError};
use super::target::TargetError;
use logweir_engine::plugin::WriteError;
use std::io;
use std::time::Duration;

/// Why a chunk is not written yet.
pub(super) enum Problem {
    /// It may work later.
    Later(&'static str, String),
    /// It waits for one server, and other chunks do not.
    Held(String, Duration),
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
            Problem::Schema(message) | Problem::Conversion(message) => {
                Self::retry("ClickHouse::SchemaError", message)
            }
            Problem::Never(message) => Self::reject("ClickHouse::DataError", message),
        }
    }
}

/// The table cannot be described.
pub(super) fn target_problem(error: TargetError) -> WriteError {
    match &error {
        TargetError::Layout { .. } => WriteError::retry("ClickHouse::SchemaError", error.to_string()),
        TargetError::Cluster(ClusterError { failure: Failure::Refused(refusal), .. }) => {
            let hint = match refusal.remedy() {
                Remedy::Table => " (create it, or set create_table true)",
                _ => "",
            };
            WriteError::retry("ClickHouse::ServerError", format!("{error}{hint}"))
        }
        TargetError::Cluster(_) => WriteError::retry("ClickHouse::ConnectionError", error.to_string()),
    }
}

/// The server refuses an insert, and dividing it does not help.
pub(super) fn problem(error: &ClusterError, refusal: &ServerError) -> Problem {
    match refusal.remedy() {
        Remedy::Schema | Remedy::Table => Problem::Schema(error.to_string()),
        Remedy::SchemaOrRows => Problem::Conversion(error.to_string()),
        _ => Problem::Later("ClickHouse::ServerError", error.to_string()),
    }
}
