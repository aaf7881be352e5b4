//! The parameter tables of in_tail.

use logweir_engine::plugin::{Param, ParamKind, SectionSpec};

/// What `<group>` takes for a path of Kubernetes' containers if no pattern is given.
const GROUP_PATTERN: &str = r"/^\/var\/log\/containers\/(?<podname>[a-z0-9]([-a-z0-9]*[a-z0-9])?(\/[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)_(?<namespace>[^_]+)_(?<container>.+)-(?<docker_id>[a-z0-9]{64})\.log$/";

pub(super) const PARAMS: &[Param] = &[
    Param::new(
        "path",
        ParamKind::String,
        "Files to read: a list of paths and patterns, with strftime directives",
    )
    .required(),
    Param::new("path_delimiter", ParamKind::String, "What separates the paths").default(","),
    Param::new(
        "glob_policy",
        ParamKind::Enum(&["backward_compatible", "extended", "always"]),
        "Which characters make a path a pattern: *, or also ?[], or also {}",
    )
    .since("1.17")
    .default("backward_compatible"),
    Param::new(
        "tag",
        ParamKind::String,
        "Tag of the events; a * in it is the file's path with dots for slashes",
    )
    .required(),
    Param::new("exclude_path", ParamKind::Array, "Paths and patterns that are not read").default("[]"),
    Param::new("rotate_wait", ParamKind::Time, "Seconds for which a file that was rotated away is read on")
        .default("5"),
    Param::new("pos_file", ParamKind::String, "Where positions are kept, in Fluentd's format"),
    Param::new("pos_file_compaction_interval", ParamKind::Time, "Seconds between clean-ups of the pos file"),
    Param::new(
        "read_from_head",
        ParamKind::Bool,
        "Whether files that are there at the first start are read from their beginning",
    )
    .default("false"),
    Param::new("refresh_interval", ParamKind::Time, "Seconds between looks for new files").default("60"),
    Param::new("read_lines_limit", ParamKind::Integer, "Lines in one batch of events").default("1000"),
    Param::new(
        "read_bytes_limit_per_second",
        ParamKind::Size,
        "Bytes read of one file in a second; -1 for no limit",
    )
    .default("-1"),
    Param::new(
        "multiline_flush_interval",
        ParamKind::Time,
        "Seconds after which the lines of an unfinished event are emitted",
    ),
    Param::new(
        "emit_unmatched_lines",
        ParamKind::Bool,
        "Whether lines that do not parse become {\"unmatched_line\": line}",
    )
    .default("false"),
    Param::new("enable_watch_timer", ParamKind::Bool, "Whether files are looked at each second")
        .default("true"),
    Param::new("enable_stat_watcher", ParamKind::Bool, "Whether inotify reports changes").default("true"),
    Param::new(
        "encoding",
        ParamKind::String,
        "Encoding of the events' strings; without it they are byte arrays",
    ),
    Param::new("from_encoding", ParamKind::String, "Encoding of the files; needs encoding"),
    Param::new("path_key", ParamKind::String, "Field that takes the file's path"),
    Param::new("open_on_every_update", ParamKind::Bool, "Whether files are closed after each read")
        .default("false"),
    Param::new(
        "limit_recently_modified",
        ParamKind::Time,
        "Only files that were modified within so many seconds",
    ),
    Param::new(
        "skip_refresh_on_startup",
        ParamKind::Bool,
        "Whether the first look for files waits for refresh_interval",
    )
    .default("false"),
    Param::new(
        "ignore_repeated_permission_error",
        ParamKind::Bool,
        "Whether an unreadable file is named only once",
    )
    .default("false"),
    Param::new("path_timezone", ParamKind::String, "Zone of the dates in path"),
    Param::new(
        "follow_inodes",
        ParamKind::Bool,
        "Whether files are known by inode, so that patterns may cover rotated names",
    )
    .default("false"),
    Param::new("max_line_size", ParamKind::Size, "Bytes; longer lines are skipped with a warning"),
];

pub(super) const SECTIONS: &[SectionSpec] = &[
    SectionSpec { required: true, ..SectionSpec::PARSE },
    SectionSpec {
        params: &[
            Param::new(
                "pattern",
                ParamKind::Regexp,
                "Named captures of the path, by which files are grouped",
            )
            .default(GROUP_PATTERN),
            Param::new("rate_period", ParamKind::Time, "Seconds for which a limit holds").default("5"),
        ],
        sections: &[SectionSpec {
            params: &[
                Param::new("match", ParamKind::Hash, "Captures and the patterns that they must match")
                    .default(r#"{"namespace": "/.*/", "podname": "/.*/"}"#),
                Param::new(
                    "limit",
                    ParamKind::Integer,
                    "Lines of all files of the group in a period; -1 for no limit",
                )
                .default("-1"),
            ],
            required: true,
            repeated: true,
            ..SectionSpec::new("rule", "A group and its limit")
        }],
        ..SectionSpec::new("group", "Limits on the lines of groups of files")
    },
];
