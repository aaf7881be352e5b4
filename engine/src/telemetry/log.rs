//! Where log lines go, and in which form.
//!
//! Text: `2023-11-14 22:13:20 +0000 [warn]: #0 [plugin_id] message key=value`, as Fluentd prints it. JSON: one object a
//! line with `time`, `level`, `message` (the text behind `#0`, as Fluentd has it) and `worker_id`, and beside what Fluentd has
//! the fields and the `plugin_id`. Lines can also be had as events ([`events`]) for `<label @FLUENT_LOG>`.

use super::rotate::{LogFile, Rotation};
use super::{Field, Level};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Fluentd's text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What `<system>` and the command line say about the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Least level that is printed.
    pub level: Level,
    /// Form.
    pub format: LogFormat,
    /// strftime pattern of the time.
    pub time_format: String,
    /// A file instead of standard output.
    pub path: Option<PathBuf>,
    /// When that file is rotated.
    pub rotation: Option<Rotation>,
    /// A message equal to the one before it is not printed again within this time.
    pub ignore_repeated_interval: Option<Duration>,
    /// A message is not printed again within this time, whatever came between.
    pub ignore_same_interval: Option<Duration>,
    /// Whether `#0` is printed; the program's own start-up lines go without.
    pub worker_prefix: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: LogFormat::Text,
            time_format: "%Y-%m-%d %H:%M:%S %z".to_owned(),
            path: None,
            rotation: None,
            ignore_repeated_interval: None,
            ignore_same_interval: None,
            worker_prefix: true,
        }
    }
}

/// A log line as an event: tag `fluent.LEVEL`, record `{"message": ..., fields}`.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// Its level.
    pub level: Level,
    /// The record.
    pub record: serde_json::Map<String, serde_json::Value>,
}

/// At most this many log events wait for the pipeline; more are printed but not routed.
const EVENTS_WAITING_MAX: usize = 1024;
/// At most this many different messages are remembered for `ignore_same_log_interval`.
const SAME_MESSAGES_MAX: usize = 1000;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static SINK: OnceLock<Mutex<Sink>> = OnceLock::new();

struct Sink {
    settings: LogSettings,
    file: Option<LogFile>,
    last: Option<(String, Instant)>,
    recent: std::collections::HashMap<String, Instant>,
    events: Option<mpsc::Sender<LogEvent>>,
}

/// The least level that is printed.
pub fn level() -> Level {
    let value = LEVEL.load(Ordering::Relaxed);
    [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error]
        .into_iter()
        .find(|level| *level as u8 == value)
        .unwrap_or(Level::Fatal)
}

/// Takes new settings into use. On an error the old ones stay.
pub fn configure(settings: LogSettings) -> io::Result<()> {
    let file = open(&settings)?;
    LEVEL.store(settings.level as u8, Ordering::Relaxed);
    let mut sink = sink();
    sink.file = file;
    sink.settings = settings;
    Ok(())
}

/// Opens the log file again, after it was rotated.
pub fn reopen() -> io::Result<()> {
    let mut sink = sink();
    sink.file = open(&sink.settings)?;
    Ok(())
}

/// Prints bytes as they are to where log lines go: the events of `@type stdout`.
pub fn print_raw(bytes: &[u8]) {
    sink().print(bytes, jiff::Zoned::now().date());
}

/// From now on log lines are also events. The last caller gets them.
pub fn events() -> mpsc::Receiver<LogEvent> {
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    sink().events = Some(sender);
    receiver
}

pub(super) fn write(
    level: Level,
    worker: u32,
    plugin_id: Option<&str>,
    message: &str,
    fields: &[(&str, &dyn Field)],
) {
    let mut text = String::with_capacity(message.len() + 64);
    if let Some(id) = plugin_id {
        text.push('[');
        text.push_str(id);
        text.push_str("] ");
    }
    text.push_str(message);
    for (key, value) in fields {
        text.push(' ');
        text.push_str(key);
        text.push('=');
        value.text(&mut text);
    }
    let mut sink = sink();
    if sink.is_repeated(&text) {
        return;
    }
    let now = jiff::Zoned::now();
    let time = now.strftime(&sink.settings.time_format).to_string();
    let worker = sink.settings.worker_prefix.then_some(worker);
    let line = match sink.settings.format {
        LogFormat::Text => match worker {
            Some(worker) => format!("{time} [{}]: #{worker} {text}\n", level.as_str()),
            None => format!("{time} [{}]: {text}\n", level.as_str()),
        },
        LogFormat::Json => {
            let mut object = serde_json::Map::new();
            object.insert("time".to_owned(), time.into());
            object.insert("level".to_owned(), level.as_str().into());
            object.insert("message".to_owned(), text.as_str().into());
            object.extend(worker.map(|worker| ("worker_id".to_owned(), worker.into())));
            for (key, value) in fields {
                object.entry(*key).or_insert_with(|| value.json());
            }
            if let Some(id) = plugin_id {
                object.entry("plugin_id").or_insert_with(|| id.into());
            }
            format!("{}\n", serde_json::Value::Object(object))
        }
    };
    sink.print(line.as_bytes(), now.date());
    if let Some(events) = &sink.events {
        let mut record: serde_json::Map<_, _> =
            fields.iter().map(|(key, value)| ((*key).to_owned(), value.json())).collect();
        record.insert("message".to_owned(), text.into());
        let _ = events.try_send(LogEvent { level, record });
    }
}

impl Sink {
    fn is_repeated(&mut self, text: &str) -> bool {
        let now = Instant::now();
        // Of the two, Fluentd heeds this one only.
        if let Some(interval) = self.settings.ignore_same_interval {
            if self.recent.get(text).is_some_and(|at| now.duration_since(*at) <= interval) {
                return true;
            }
            if self.recent.len() >= SAME_MESSAGES_MAX {
                self.recent.retain(|_, at| now.duration_since(*at) <= interval);
            }
            if self.recent.len() < SAME_MESSAGES_MAX {
                self.recent.insert(text.to_owned(), now);
            }
        } else if let Some(interval) = self.settings.ignore_repeated_interval {
            if let Some((last, at)) = &self.last
                && last == text
                && now.duration_since(*at) <= interval
            {
                return true;
            }
            self.last = Some((text.to_owned(), now));
        }
        false
    }

    fn print(&mut self, bytes: &[u8], today: jiff::civil::Date) {
        // A log that cannot be written must not stop the program; there is nowhere to report it.
        let _ = match &mut self.file {
            Some(file) => file.write(bytes, today),
            None => io::stdout().lock().write_all(bytes),
        };
    }
}

fn open(settings: &LogSettings) -> io::Result<Option<LogFile>> {
    settings.path.as_deref().map(|path| LogFile::open(path, settings.rotation.clone())).transpose()
}

fn sink() -> MutexGuard<'static, Sink> {
    let sink = SINK.get_or_init(|| {
        Mutex::new(Sink {
            settings: LogSettings::default(),
            file: None,
            last: None,
            recent: std::collections::HashMap::new(),
            events: None,
        })
    });
    sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_printed_before_are_left_out_for_a_while() {
        let hour = Some(Duration::from_secs(3600));
        let settings = LogSettings { ignore_repeated_interval: hour, ..LogSettings::default() };
        let mut sink = Sink { settings, file: None, last: None, recent: Default::default(), events: None };
        let left_out = |sink: &mut Sink, lines: &[&str]| -> Vec<bool> {
            lines.iter().map(|line| sink.is_repeated(line)).collect()
        };
        assert_eq!(left_out(&mut sink, &["a", "a", "b", "a"]), [false, true, false, false]);
        sink.settings.ignore_same_interval = hour;
        assert_eq!(left_out(&mut sink, &["a", "b", "a", "b", "c"]), [false, false, true, true, false]);
        sink.settings.ignore_same_interval = Some(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2)); // the clock has gone on
        assert_eq!(left_out(&mut sink, &["a"]), [false]);
    }
}
