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
