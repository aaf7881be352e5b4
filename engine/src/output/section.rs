//! The parameters of `<buffer>` and `<secondary>`, and those that every buffered output has beside its own.

use crate::plugin::{Param, ParamKind, SectionSpec, Status};

/// `<buffer CHUNK_KEYS>` of every output that has a buffer. The argument is a list of `tag`, `time`, record fields and
/// record accessors.
pub const BUFFER_SECTION: SectionSpec = SectionSpec {
    params: BUFFER_PARAMS,
    ..SectionSpec::new("buffer", "How events wait in chunks, and when the chunks are written")
};

/// `<secondary>`: an output that takes over chunks which the primary cannot write.
pub const SECONDARY_SECTION: SectionSpec = SectionSpec {
    plugin: Some(crate::plugin::Kind::Output),
    ..SectionSpec::new("secondary", "The output for chunks that could not be written")
};

/// Parameters that every output has beside its own.
pub const OUTPUT_PARAMS: &[Param] = &[
    Param::new("time_as_integer", ParamKind::Bool, "Store event times as whole seconds").default("false"),
    Param::new(
        "slow_flush_log_threshold",
        ParamKind::Float,
        "Seconds after which a write is reported as slow",
    )
    .default("20.0"),
];

const BUFFER_PARAMS: &[Param] = &[
    Param::new("timekey", ParamKind::Time, "Length of a time slice; required with the chunk key time"),
    Param::new("timekey_wait", ParamKind::Time, "Wait for late events after the end of a slice")
        .default("600"),
    Param::new("timekey_use_utc", ParamKind::Bool, "Slices and times in paths are in UTC").default("false"),
    Param::new("timekey_zone", ParamKind::String, "Time zone of slices and of times in paths"),
    Param::new(
        "flush_at_shutdown",
        ParamKind::Bool,
        "Write everything before the program ends; default: true for memory, false for file",
    ),
    Param::new(
        "flush_mode",
        ParamKind::Enum(&["default", "lazy", "interval", "immediate"]),
        "When chunks are queued: per time slice, per flush_interval, or with each emit",
    )
    .default("default"),
    Param::new("flush_interval", ParamKind::Time, "Age at which a chunk is queued").default("60"),
    Param::new("flush_thread_count", ParamKind::Integer, "Writes that may run at the same time").default("1"),
    Param::new("flush_thread_interval", ParamKind::Float, "Seconds between looks at an empty queue")
        .default("1.0"),
    Param::new("flush_thread_burst_interval", ParamKind::Float, "Seconds between writes of queued chunks")
        .default("1.0"),
    Param::new(
        "delayed_commit_timeout",
        ParamKind::Time,
        "How long Fluentd waits for an output that writes a chunk in the background",
    )
    .default("60")
    .status(Status::WithoutEffect(
        "a write ends when the chunk is written; what waits for its receiver has a parameter for that, such as \
         ack_response_timeout of out_forward",
    )),
    Param::new(
        "overflow_action",
        ParamKind::Enum(&["throw_exception", "block", "drop_oldest_chunk"]),
        "What happens to events when the buffer is full",
    )
    .default("throw_exception"),
    Param::new("retry_forever", ParamKind::Bool, "Ignore retry_timeout and retry_max_times").default("false"),
    Param::new("retry_timeout", ParamKind::Time, "How long after a first failure it is tried again")
        .default("72h"),
    Param::new("retry_max_times", ParamKind::Integer, "How many times it is tried again"),
    Param::new(
        "retry_secondary_threshold",
        ParamKind::Float,
        "Share of the retry time after which the secondary output is used",
    )
    .default("0.8"),
    Param::new(
        "retry_type",
        ParamKind::Enum(&["exponential_backoff", "periodic"]),
        "Whether waits between retries grow",
    )
    .default("exponential_backoff"),
    Param::new("retry_wait", ParamKind::Time, "First wait, or every wait, before a retry").default("1"),
    Param::new("retry_exponential_backoff_base", ParamKind::Float, "Factor by which waits grow").default("2"),
    Param::new("retry_max_interval", ParamKind::Time, "Longest wait between retries"),
    Param::new("retry_randomize", ParamKind::Bool, "Vary waits by an eighth").default("true"),
    Param::new(
        "chunk_limit_size",
        ParamKind::Size,
        "Size of a chunk; default: 8 MiB in memory, 256 MiB on disk",
    ),
    Param::new(
        "total_limit_size",
        ParamKind::Size,
        "Size of all chunks together; default: 512 MiB in memory, 64 GiB on disk",
    ),
    Param::new("queue_limit_length", ParamKind::Integer, "Sets total_limit_size to so many full chunks"),
    Param::new("chunk_limit_records", ParamKind::Integer, "Records in a chunk"),
    Param::new("chunk_full_threshold", ParamKind::Float, "Share of the limits at which a chunk is queued")
        .default("0.95"),
    Param::new(
        "queued_chunks_limit_size",
        ParamKind::Integer,
        "Queued chunks from which on no chunk is queued by its age; default: flush_thread_count",
    ),
    Param::new("compress", ParamKind::Enum(&["text", "gzip", "zstd"]), "Compression of chunks")
        .default("text"),
    Param::new(
        "decompression_size_limit",
        ParamKind::Size,
        "Size that one compressed append may have unpacked",
    ).since("1.19.3")
    .default("256m")
    .status(Status::WithoutEffect("what a buffer has compressed itself is unpacked up to a limit of its own")),
    Param::new("disable_chunk_backup", ParamKind::Bool, "Throw away chunks that can never be written")
        .default("false"),
    Param::new("path", ParamKind::String, "Folder or file pattern of a file buffer"),
    Param::new("path_suffix", ParamKind::String, "End of the names of a file buffer's files"),
    Param::new("file_permission", ParamKind::String, "Mode of a file buffer's files, octal"),
    Param::new("dir_permission", ParamKind::String, "Mode of a file buffer's folders, octal"),
    Param::new(
        "durability",
        ParamKind::Enum(&["synced", "page_cache"]),
        "What an acknowledged event of a file buffer survives: a power cut, or only the end of the process",
    ).own()
    .default("synced"),
    Param::new("calc_num_records", ParamKind::Bool, "Count the records of found chunks (file_single)")
        .default("true"),
    Param::new(
        "chunk_format",
        ParamKind::Enum(&["msgpack", "text", "auto"]),
        "What found chunks hold (file_single)",
    )
    .default("auto"),
];
