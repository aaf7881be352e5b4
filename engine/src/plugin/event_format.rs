//! `<inject>` and `<format>` together: from an event to the text that an output writes.

use super::{BuildContext, ChunkFormatter, FormatError, Formatter, Inject};
use crate::config::{Diagnostic, Params};
use crate::event::Tag;
use crate::msgpack::Time;
use std::cell::RefCell;
use std::sync::Arc;

/// Injects fields into a record, if `<inject>` says so, and formats it.
pub struct EventFormat {
    inject: Option<Inject>,
    formatter: Arc<dyn Formatter>,
}

impl EventFormat {
    /// From the sections of `owner`; `default` is the `@type` of `<format>` when none is written.
    pub fn from_params(
        owner: &Params,
        default: &str,
        context: &mut BuildContext<'_>,
    ) -> Result<Self, Diagnostic> {
        let inject = Inject::from_params(owner, &context.log)?;
        Ok(Self::new(inject, context.formatter(owner, Some(default))?))
    }

    /// Of these parts.
    pub fn new(inject: Option<Inject>, formatter: Arc<dyn Formatter>) -> Self {
        Self { inject, formatter }
    }

    /// The formatter.
    pub fn formatter(&self) -> &Arc<dyn Formatter> {
        &self.formatter
    }
}

thread_local! {
    /// The record with its injected fields; kept, so that nothing is allocated for each record.
    static INJECTED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that a record has blown up to more than this is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl ChunkFormatter for EventFormat {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let Some(inject) = &self.inject else { return self.formatter.format(tag, time, record, out) };
        // Taken out while it is used: a formatter that formats for itself finds an empty one.
        let mut injected = INJECTED.take();
        injected.clear();
        inject.inject(tag, time, record, &mut injected);
        let formatted = self.formatter.format(tag, time, &injected, out);
        if injected.capacity() <= KEPT_BYTES_MAX {
            INJECTED.set(injected);
        }
        formatted
    }
}
