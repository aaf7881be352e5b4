//! Fluentd's own chunk files.

mod content;
mod export;
mod meta;
mod single;

pub(crate) use content::{FluentdContent, compression_of, count_lines, count_records, remove};
pub use export::{ExportFormat, ExportedChunk, Unfit, exported_body};
pub(crate) use meta::{Meta, read_keys, write_keys};
pub(crate) use single::metadata_of_key;
