//! What stands between the router and an output: chunking, the buffer, flushing, retries, the secondary.
//!
//! ```text
//! emit -> chunking -> Buffer -> flush tasks -> BufferedOutput::write -> commit
//!                       ^                          | fails
//!                       '------- retry state <-----+-> <secondary> -> backup directory
//! ```
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod backup;
mod blocking;
mod buffered;
mod chunking;
mod counters;
mod destination;
mod direct;
mod failure;
mod flush;
mod keys;
mod location;
mod placeholders;
mod reemit;
mod retry;
mod runtime;
mod secondary;
mod section;
mod settings;
mod slices;
#[cfg(test)]
mod tests;

pub use blocking::blocking;
pub use buffered::{Buffered, with_buffer};
pub use counters::{OutputCounters, OutputStatus, RetryStatus};
pub use destination::{Destination, file_error_class, file_write_error, is_writable};
pub use direct::without_buffer;
pub use keys::{ChunkKeys, FieldKey};
pub use placeholders::Template;
pub use reemit::Reemit;
pub use retry::{RetryRules, RetryState, RetryType};
pub use section::{BUFFER_SECTION, OUTPUT_PARAMS, SECONDARY_SECTION};
pub use slices::{SliceFinder, TimeSlices};
