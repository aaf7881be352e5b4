//! The bodies of the fuzz targets, as plain functions, so that the corpora can be replayed by `cargo test` on a stable
//! toolchain. A target is a function here, a line in [`TARGETS`], a file in `fuzz_targets/` with its entry in `Cargo.toml`, and
//! seeds in `corpus/`.

mod buffer;
mod clickhouse;
mod config;
mod expressions;
mod forward;
mod inputs;
mod json;
mod msgpack;
mod parsers;
mod regexp;
mod time;

pub use buffer::{chunk_files, fluentd_chunks};
pub use clickhouse::clickhouse_column;
pub use config::config_text;
pub use expressions::expressions;
pub use forward::{client_handshake, forward_messages, inflate};
pub use inputs::{http_bodies, syslog_frames};
pub use json::{json_from_msgpack, json_to_msgpack};
pub use msgpack::{accessor, record, scan_entries, splice};
pub use parsers::parsers;
pub use regexp::{regexp, regexp_direct};
pub use time::time_text;

/// A target's body. It panics if a property is violated.
pub type Target = fn(&[u8]);

/// All targets by name.
pub static TARGETS: &[(&str, Target)] = &[
    ("accessor", accessor),
    ("chunk_files", chunk_files),
    ("clickhouse_column", clickhouse_column),
    ("client_handshake", client_handshake),
    ("config_text", config_text),
    ("expressions", expressions),
    ("fluentd_chunks", fluentd_chunks),
    ("forward_messages", forward_messages),
    ("http_bodies", http_bodies),
    ("inflate", inflate),
    ("json_from_msgpack", json_from_msgpack),
    ("json_to_msgpack", json_to_msgpack),
    ("parsers", parsers),
    ("record", record),
    ("regexp", regexp),
    ("regexp_direct", regexp_direct),
    ("scan_entries", scan_entries),
    ("splice", splice),
    ("syslog_frames", syslog_frames),
    ("time_text", time_text),
];

/// Takes small choices from the front of a fuzzer's input, so that the rest can be raw bytes.
pub struct Choices<'a> {
    data: &'a [u8],
}

impl<'a> Choices<'a> {
    /// From the start of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    /// One byte; 0 at the end.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        first
    }

    /// A run of bytes with its length (up to 255) in front.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.data.len());
        let (taken, rest) = self.data.split_at(length);
        self.data = rest;
        taken
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.data
    }
}
