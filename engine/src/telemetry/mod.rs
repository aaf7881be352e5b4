//! Logweir's own log and metrics.

mod field;
mod ledger;
mod library;
mod log;
mod plugin_log;
pub mod prometheus;
mod rotate;

pub use field::{Field, Shown, inspect};
pub use ledger::{Account, Balance, Ledger, Totals};
pub use library::listen_to_libraries;
pub use log::{LogEvent, LogFormat, LogSettings, configure, events, level, print_raw, reopen};
pub use plugin_log::{Level, PluginLog};
pub use rotate::{Period, Rotation};
