//! The logger that each plugin gets: Fluentd's levels, the plugin's `@id` as prefix, its own `@log_level`.

use super::Field;
use std::sync::Arc;

/// Fluentd's log levels, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    /// The name in configurations and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal]
            .into_iter()
            .find(|level| level.as_str() == name)
    }
}

/// A plugin's logger. Use it through [`crate::log_warn!`] and its siblings:
///
/// ```ignore
/// log_warn!(self.log, "incoming chunk is broken:", host = peer, msg = value);
/// ```
///
/// prints `2023-11-14 22:13:20 +0000 [warn]: #0 [plugin_id] incoming chunk is broken: host="127.0.0.1" msg=1`.
#[derive(Clone, Debug)]
pub struct PluginLog {
    id: Option<Arc<str>>,
    level: Option<Level>,
    worker: u32,
}

impl PluginLog {
    /// For a plugin: `id` is its configured `@id`, `level` its `@log_level`.
    pub fn new(id: Option<Arc<str>>, level: Option<Level>) -> Self {
        Self { id, level, worker: 0 }
    }

    /// For the program itself.
    pub fn program() -> Self {
        Self::new(None, None)
    }

    /// Of a plugin that stands in `<worker N>`: its lines say `#N`.
    #[must_use]
    pub fn in_worker(mut self, worker: u32) -> Self {
        self.worker = worker;
        self
    }

    /// The worker that its lines name.
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// Whether a message of `level` would be printed.
    pub fn enabled(&self, level: Level) -> bool {
        level >= self.level.unwrap_or_else(super::log::level)
    }

    /// Prints a message with its fields. Called by the macros.
    pub fn print(&self, level: Level, message: &str, fields: &[(&str, &dyn Field)]) {
        super::log::write(level, self.worker, self.id.as_deref(), message, fields);
    }
}

/// `log_event!(log, Level::Warn, "message {}", x; key = value, ...)`: the general form of the five below.
#[macro_export]
macro_rules! log_event {
    ($log:expr, $level:expr, $message:expr $(, $key:ident = $value:expr)* $(,)?) => {
        if $log.enabled($level) {
            $log.print($level, ::std::convert::AsRef::<str>::as_ref(&$message), &[
                $((stringify!($key), &$value as &dyn $crate::telemetry::Field)),*
            ]);
        }
    };
}

/// Logs at `trace`.
#[macro_export]
macro_rules! log_trace {
    ($log:expr, $($rest:tt)*) => { $crate::log_event!($log, $crate::telemetry::Level::Trace, $($rest)*) };
}

/// Logs at `debug`.
#[macro_export]
macro_rules! log_debug {
    ($log:expr, $($rest:tt)*) => { $crate::log_event!($log, $crate::telemetry::Level::Debug, $($rest)*) };
}

/// Logs at `info`.
#[macro_export]
macro_rules! log_info {
    ($log:expr, $($rest:tt)*) => { $crate::log_event!($log, $crate::telemetry::Level::Info, $($rest)*) };
}

/// Logs at `warn`.
#[macro_export]
macro_rules! log_warn {
    ($log:expr, $($rest:tt)*) => { $crate::log_event!($log, $crate::telemetry::Level::Warn, $($rest)*) };
}

/// Logs at `error`.
#[macro_export]
macro_rules! log_error {
    ($log:expr, $($rest:tt)*) => { $crate::log_event!($log, $crate::telemetry::Level::Error, $($rest)*) };
}
