//! Process-wide settings.

use crate::telemetry::{Level, LogFormat};
use std::path::PathBuf;
use std::time::Duration;

/// Process-wide settings: the `<system>` section, overridden by the command line.
#[derive(Clone, Debug)]
pub struct System {
    /// Worker processes that the configuration is written for.
    pub workers: u32,
    /// Wait before a worker that ended is started again.
    pub restart_worker_interval: Duration,
    /// Base of `worker0/<@id>/...` for buffers, storage and backup.
    pub root_dir: Option<PathBuf>,
    /// Least level that is logged.
    pub log_level: Level,
    /// Whether a stack trace that equals the one before is left out.
    pub suppress_repeated_stacktrace: bool,
    /// For how long a message that repeats the one before is dropped.
    pub ignore_repeated_log_interval: Option<Duration>,
    /// For how long a message that was printed before is dropped.
    pub ignore_same_log_interval: Option<Duration>,
    /// For how long emit errors are logged once.
    pub emit_error_log_interval: Option<Duration>,
    /// Whether the configuration is not logged at start.
    pub suppress_config_dump: bool,
    /// Whether log events carry more fields.
    pub log_event_verbose: bool,
    /// Whether `<source>` directives are ignored.
    pub without_source: bool,
    /// `host:port` of the RPC server.
    pub rpc_endpoint: Option<String>,
    /// Whether the RPC server answers with the configuration.
    pub enable_get_dump: bool,
    /// Name of the process in the process list.
    pub process_name: Option<String>,
    /// Whether ill-formed values are errors rather than guesses.
    pub strict_config_value: bool,
    /// Whether times and timestamps of MessagePack's own extension are understood.
    pub enable_msgpack_time_support: bool,
    /// Whether sockets are not shared between workers.
    pub disable_shared_socket: bool,
    /// Whether inputs count what they emit.
    pub enable_input_metrics: bool,
    /// Whether the sizes of events are counted.
    pub enable_size_metrics: bool,
    /// Of no effect here: there is no Ruby to compile.
    pub enable_jit: bool,
    /// Mode of files that are created.
    pub file_permission: Option<u32>,
    /// Mode of folders that are created.
    pub dir_permission: Option<u32>,
    /// `<log>`
    pub log: LogSection,
}

/// `<log>` of `<system>`
#[derive(Clone, Debug)]
pub struct LogSection {
    /// Log file; standard output if there is none.
    pub path: Option<PathBuf>,
    /// Text or JSON.
    pub format: LogFormat,
    /// strftime format of the time of a line.
    pub time_format: String,
    /// When the log file is rotated, or how many are kept.
    pub rotate_age: Option<RotateAge>,
    /// Bytes at which the log file is rotated.
    pub rotate_size: Option<u64>,
}

/// When a log file is rotated, or how many old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateAge {
    /// Each day.
    Daily,
    /// Each week.
    Weekly,
    /// Each month.
    Monthly,
    /// By size, with this many files kept.
    Files(u64),
}

impl Default for System {
    fn default() -> Self {
        Self {
            workers: 1,
            restart_worker_interval: Duration::ZERO,
            root_dir: None,
            log_level: Level::Info,
            suppress_repeated_stacktrace: true,
            ignore_repeated_log_interval: None,
            ignore_same_log_interval: None,
            emit_error_log_interval: None,
            suppress_config_dump: false,
            log_event_verbose: false,
            without_source: false,
            rpc_endpoint: None,
            enable_get_dump: false,
            process_name: None,
            strict_config_value: false,
            enable_msgpack_time_support: false,
            disable_shared_socket: false,
            enable_input_metrics: false,
            enable_size_metrics: false,
            enable_jit: false,
            file_permission: None,
            dir_permission: None,
            log: LogSection::default(),
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            path: None,
            format: LogFormat::Text,
            time_format: "%Y-%m-%d %H:%M:%S %z".to_owned(),
            rotate_age: None,
            rotate_size: None,
        }
    }
}
