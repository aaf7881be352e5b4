//! Fluentd's own chunk files.

mod content;
mod meta;

pub(crate) use content::{FluentdContent, count_records, remove};
pub(crate) use meta::{Meta, read_keys, write_keys};
