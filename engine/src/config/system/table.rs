//! The parameters of `<system>` (Fluentd's system_config.rb).

use crate::plugin::{Param, ParamKind, SectionSpec, Status};

/// `<system>`
pub const SYSTEM: SectionSpec = SectionSpec {
    params: PARAMS,
    sections: &[LOG, METRICS, COUNTER_SERVER, COUNTER_CLIENT, SOURCE_ONLY_BUFFER],
    ..SectionSpec::new("system", "Process-wide settings")
};

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal"];

static PARAMS: &[Param] = &[
    Param::new("workers", ParamKind::Integer, "Worker processes that the configuration is written for")
        .default("1"),
    Param::new("restart_worker_interval", ParamKind::Time, "Wait before a worker is started again")
        .default("0")
        .status(Status::WithoutEffect("there are no worker processes that could end by themselves")),
    Param::new("root_dir", ParamKind::String, "Base folder of buffers, storage and backup"),
    Param::new("log_level", ParamKind::Enum(LEVELS), "Least level that is logged").default("info"),
    Param::new("suppress_repeated_stacktrace", ParamKind::Bool, "Leave out repeated stack traces")
        .default("true")
        .status(Status::WithoutEffect("no stack traces are logged")),
    Param::new("ignore_repeated_log_interval", ParamKind::Time, "How long a repeated line is dropped"),
    Param::new(
        "ignore_same_log_interval",
        ParamKind::Time,
        "How long a line that was logged before is dropped",
    ),
    Param::new("emit_error_log_interval", ParamKind::Time, "How long emit errors are logged once"),
    Param::new("suppress_config_dump", ParamKind::Bool, "Do not log the configuration at start")
        .default("false"),
    Param::new("log_event_verbose", ParamKind::Bool, "Log events with more fields").default("false"),
    Param::new("without_source", ParamKind::Bool, "Ignore <source> directives").default("false"),
    Param::new(
        "with_source_only",
        ParamKind::Bool,
        "Start inputs only, and keep what they take in <source_only_buffer> until SIGWINCH",
    )
    .since("1.18")
    .default("false"),
    Param::new("rpc_endpoint", ParamKind::String, "host:port of the RPC server"),
    Param::new("enable_get_dump", ParamKind::Bool, "Serve the configuration by RPC").default("false"),
    Param::new("process_name", ParamKind::String, "Name in the process list"),
    Param::new("strict_config_value", ParamKind::Bool, "Refuse values that are not wholly of their type")
        .default("false"),
    Param::new(
        "enable_msgpack_time_support",
        ParamKind::Bool,
        "Take MessagePack's own timestamps (ext -1) for times",
    )
    .default("false"),
    Param::new("disable_shared_socket", ParamKind::Bool, "Do not share sockets between workers")
        .default("false")
        .status(Status::WithoutEffect("there is one process, with its own sockets")),
    Param::new(
        "enable_input_metrics",
        ParamKind::Bool,
        "Count what inputs emit; default: false, with fluentd_compat 1.19 true",
    ),
    Param::new("enable_size_metrics", ParamKind::Bool, "Count the sizes of events").default("false"),
    Param::new("enable_jit", ParamKind::Bool, "Compile Ruby")
        .default("false")
        .status(Status::WithoutEffect("there is no Ruby to compile")),
    Param::new(
        "fluentd_compat",
        ParamKind::Enum(&["1.16", "1.19"]),
        "The version of Fluentd that is followed where two differ",
    )
    .default("1.16")
    .own(),
    Param::new("file_permission", ParamKind::String, "Mode of created files, octal"),
    Param::new("dir_permission", ParamKind::String, "Mode of created folders, octal"),
    Param::new(
        "config_include_dir",
        ParamKind::String,
        "Folder whose .conf, .yaml and .yml files are read behind the main file",
    )
    .since("1.19"),
];

const LOG: SectionSpec = SectionSpec {
    params: &[
        Param::new("path", ParamKind::String, "Log file"),
        Param::new("format", ParamKind::Enum(&["text", "json"]), "Form of a log line").default("text"),
        Param::new("time_format", ParamKind::String, "strftime format of its time")
            .default("%Y-%m-%d %H:%M:%S %z"),
        Param::new("rotate_age", ParamKind::String, "daily, weekly, monthly, or how many old files are kept"),
        Param::new("rotate_size", ParamKind::Size, "Size at which the log file is rotated"),
        Param::new("forced_stacktrace_level", ParamKind::Enum(STACKTRACE_LEVELS), "Level of stack traces")
            .since("1.19")
            .default("none")
            .status(Status::WithoutEffect("no stack traces are logged")),
    ],
    ..SectionSpec::new("log", "Logweir's own log")
};

const STACKTRACE_LEVELS: &[&str] = &["none", "trace", "debug", "info", "warn", "error", "fatal"];

/// Those of a `<buffer>` that Fluentd 1.18 lets be set, with the same defaults but one: where Fluentd drops the oldest chunk of
/// a full buffer, records are refused here, so that inputs wait and nothing that was acknowledged is lost.
const SOURCE_ONLY_BUFFER: SectionSpec = SectionSpec {
    params: &[
        Param::new(
            "flush_thread_count",
            ParamKind::Integer,
            "How many chunks are taken out at the same time",
        )
        .default("1"),
        Param::new(
            "overflow_action",
            ParamKind::Enum(&["throw_exception", "block", "drop_oldest_chunk"]),
            "What happens when the buffer is full",
        )
        .default("throw_exception"),
        Param::new("path", ParamKind::String, "Its folder"),
        Param::new("flush_interval", ParamKind::Time, "Age at which a chunk is taken out after SIGWINCH"),
        Param::new("chunk_limit_size", ParamKind::Size, "Size of a chunk"),
        Param::new("total_limit_size", ParamKind::Size, "Size of the buffer"),
        Param::new("compress", ParamKind::Enum(&["text", "gzip"]), "Whether chunks are compressed"),
    ],
    ..SectionSpec::new("source_only_buffer", "Where with_source_only keeps what inputs take")
};

const METRICS: SectionSpec = SectionSpec {
    params: &[
        Param::new("@type", ParamKind::String, "Where metrics are kept").default("local"),
        Param::new("labels", ParamKind::Hash, "Labels of all metrics").default("{}"),
    ],
    ..SectionSpec::new("metrics", "Logweir's own metrics")
};

const COUNTER_SERVER: SectionSpec = SectionSpec {
    params: &[
        Param::new("scope", ParamKind::String, "Scope").required(),
        Param::new("port", ParamKind::Integer, "Port"),
        Param::new("bind", ParamKind::String, "Address"),
        Param::new("backup_path", ParamKind::String, "Backup file").required(),
    ],
    ..SectionSpec::new("counter_server", "Fluentd's counter server")
};

const COUNTER_CLIENT: SectionSpec = SectionSpec {
    params: &[
        Param::new("port", ParamKind::Integer, "Port"),
        Param::new("host", ParamKind::String, "Host").required(),
        Param::new("timeout", ParamKind::Time, "Timeout"),
    ],
    ..SectionSpec::new("counter_client", "Fluentd's counter client")
};

/// `(section, why)`: what is understood and has no effect, so that writing it deserves a word.
pub(super) const SECTIONS_WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("counter_server", "no plugin of Logweir counts by it"),
    ("counter_client", "no plugin of Logweir counts by it"),
];
