//! The command line: Fluentd's options (spec config-syntax 9) and Logweir's own sub-commands.

mod options;
mod query;
mod usage;

pub use options::{Command, Options, StoreOptions, StoreUser, UsageError, parse};
pub use query::QueryOptions;
pub use usage::{FLUENTD_VERSION, USAGE, version_text};
