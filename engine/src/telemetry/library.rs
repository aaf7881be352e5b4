//! What libraries say through `tracing` (hyper, rustls, the ClickHouse client), brought into Logweir's log.

use super::{Field, Level, PluginLog, Shown};
use std::fmt::Write;
use tracing::field::Visit;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Prints warnings and errors of libraries from now on; everything if the log level is `trace`.
pub fn listen_to_libraries() {
    // A second call, as in tests, changes nothing.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Bridge));
}

struct Bridge;

impl<S> Layer<S> for Bridge
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _context: Context<'_, S>) -> bool {
        *metadata.level() <= tracing::Level::WARN || super::level() == Level::Trace
    }

    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            _ => Level::Trace,
        };
        let log = PluginLog::program();
        if log.enabled(level) {
            let mut text = Text::default();
            event.record(&mut text);
            let target = Shown(event.metadata().target());
            log.print(level, &text.message, &[("library", &target as &dyn Field)]);
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let separator = if self.message.is_empty() { "" } else { " " };
        let _ = match field.name() {
            "message" => write!(self.message, "{separator}{value:?}"),
            name => write!(self.message, "{separator}{name}={value:?}"),
        };
    }
}
