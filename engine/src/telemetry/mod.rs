//! Logweir's own log and metrics.

mod field;
mod log;
mod plugin_log;

pub use field::{Field, Shown, inspect};
pub use log::{LogEvent, LogFormat, LogSettings, configure, events, level, reopen};
pub use plugin_log::{Level, PluginLog};
