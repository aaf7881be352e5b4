//! What stands between the router and an output: chunking, the buffer, flushing, retries, the secondary.

mod counters;
mod jitter;
mod retry;
mod section;

pub use counters::{OutputCounters, RetryStatus};
pub use retry::{RetryRules, RetryState, RetryType};
pub use section::{
    BUFFER_SECTION, FILE_CHUNK_BYTES, FILE_TOTAL_BYTES, MEMORY_CHUNK_BYTES, MEMORY_TOTAL_BYTES,
    OUTPUT_PARAMS, SECONDARY_SECTION,
};

use crate::config::{Diagnostic, Params};
use crate::plugin::{BufferSupport, BufferedOutput, BuildContext, Output};
use std::sync::Arc;

/// Puts the buffer that `params` configures in front of `output`. Called for every output that
/// [`BuildContext::output`] builds.
pub fn with_buffer(
    params: &Params,
    _support: BufferSupport,
    _output: Box<dyn BufferedOutput>,
    _context: &mut BuildContext<'_>,
) -> Result<Arc<dyn Output>, Diagnostic> {
    Err(params.error_here("no buffers yet"))
}
