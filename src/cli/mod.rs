//! The command line: Fluentd's options (spec config-syntax 9) and Logweir's own sub-commands.

mod buffer;
#[cfg(test)]
mod fluentd_options;
mod options;
mod query;
mod store;
mod usage;

pub use crate::tools::{Form, Shape};
pub use buffer::{BufferCommand, BufferSource, ChunkForm, ExportOptions};
pub use options::{Command, Options, UsageError, parse};
pub use query::QueryOptions;
pub use store::{StoreOptions, StoreUser};
pub use usage::{FLUENTD_VERSION, USAGE, version_text};
