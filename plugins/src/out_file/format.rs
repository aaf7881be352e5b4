//! From an event to its text in the chunk.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{BuildContext, ChunkFormatter, FormatError, Formatter};
use std::sync::Arc;

/// `<format>`.
pub(super) struct EventFormat {
    formatter: Arc<dyn Formatter>,
}

impl EventFormat {
    pub(super) fn new(params: &Params, context: &mut BuildContext<'_>) -> Result<Self, Diagnostic> {
        Ok(Self { formatter: context.formatter(params, Some("out_file"))? })
    }
}

impl ChunkFormatter for EventFormat {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.formatter.format(tag, time, record, out)
    }
}
