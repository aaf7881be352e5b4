//! Chunks on disk and in memory.
//!
//! A buffer takes what inputs emit and keeps it, in chunks of equal metadata, until the output has written it:
//!
//! ```text
//! append -> staged chunk (one per metadata) -> queue -> taken by a flush thread -> purged
//!                                                 ^---- rolled back ----'
//! ```
//!
//! [`Buffer`] moves chunks along this way; the runtime in `engine/output` decides when.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod append;
mod batch;
mod body_reader;
#[allow(clippy::module_inception)]
mod buffer;
mod chunk;
mod commit;
mod compress;
mod ends;
mod file;
mod files;
mod fluentd;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod id;
pub mod inspect;
mod losses;
mod marks;
mod marks_file;
mod memory;
mod metadata;
mod names;
mod patience;
pub mod replay;
mod resume;
mod retire;
mod settings;
mod spans;
mod store;
mod taken_back;
#[cfg(test)]
mod tests;
mod unseen;

pub use append::{AppendError, Appended};
pub use batch::{Batch, Part};
pub use body_reader::{BodyInfo, BodyReader};
pub use buffer::{Buffer, OpenError, Stats};
pub use chunk::{Body, Chunk};
pub use files::{ChunkFiles, ChunkState, SingleKey};
pub use fluentd::{ExportFormat, ExportedChunk, Unfit, exported_body};
pub use id::ChunkId;
pub use metadata::{Metadata, Variable};
pub use settings::{Compression, Durability, Environment, FileSettings, Limits, Settings, Store};
