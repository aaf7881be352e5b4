//! The lines of a trace that have come so far.

use super::detector::{Line, Rules, START, State};
use bumpalo::Bump;
use logweir_engine::msgpack::{Entry, Record, RecordView, Time, Value, ValueRef, write_entry};
use tokio::time::Instant;

/// See the module.
pub(super) struct Trace {
    /// The field of the text, once it is known.
    message: Option<String>,
    state: State,
    text: Vec<u8>,
    lines: usize,
    characters: usize,
    first: Option<First>,
    since: Instant,
}

/// The event of the first line.
struct First {
    entry: Vec<u8>,
    time: Time,
    /// Where the record begins in the entry.
    record_at: usize,
}

/// How large a trace may get, and how its lines are joined.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// 0: no limit.
    pub(super) lines: usize,
    /// 0: no limit.
    pub(super) characters: usize,
    pub(super) force_line_breaks: bool,
}

/// Where texts usually are.
const USUAL_FIELDS: [&str; 2] = ["message", "log"];

impl Trace {
    pub(super) fn new(message: Option<String>, now: Instant) -> Self {
        Self { message, state: START, text: Vec::new(), lines: 0, characters: 0, first: None, since: now }
    }

    /// Whether a line is held.
    pub(super) fn is_open(&self) -> bool {
        self.first.is_some()
    }

    /// When the first line came.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.first.as_ref().map_or(0, |first| first.entry.len())
    }

    /// Takes an event. What goes on is appended to `out`; the answer is how many events that is.
    pub(super) fn push(
        &mut self,
        entry: &Entry<'_>,
        rules: &Rules,
        limits: Limits,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut events = 0;
        let Some(text) = self.text_of(entry.record) else {
            events += self.give_up(out);
            out.extend_from_slice(entry.raw);
            return events + 1;
        };
        if limits.characters > 0 && self.characters + characters(text) > limits.characters {
            events += self.give_up(out);
        }
        let (state, line) = rules.step(self.state, text);
        self.state = state;
        match line {
            Line::Other => {
                events += self.flush(out);
                out.extend_from_slice(entry.raw);
                events += 1;
            }
            Line::First => {
                events += self.flush(out);
                self.add(entry, text, limits, now);
            }
            Line::Inside => self.add(entry, text, limits, now),
            Line::Last => {
                self.add(entry, text, limits, now);
                events += self.flush(out);
            }
        }
        if limits.lines > 0 && self.lines >= limits.lines {
            events += self.give_up(out);
        }
        events
    }

    /// What is held goes on as it is, and the next line is the first of another trace, or of none.
    pub(super) fn give_up(&mut self, out: &mut Vec<u8>) -> usize {
        self.state = START;
        self.flush(out)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> usize {
        let Some(first) = self.first.take() else { return 0 };
        if self.lines <= 1 {
            out.extend_from_slice(&first.entry);
        } else {
            let arena = Bump::new();
            let raw = &first.entry[first.record_at..];
            match (Record::decode(raw, &arena), &self.message) {
                (Ok(mut record), Some(message)) => {
                    let text = match record.get(message.as_bytes()) {
                        Some(Value::Bin(_)) => Value::Bin(&self.text),
                        _ => Value::Str(&self.text),
                    };
                    record.set_copied(message.as_bytes(), text);
                    let mut raw = Vec::new();
                    record.encode(&mut raw);
                    write_entry(out, first.time, None, &raw);
                }
                _ => out.extend_from_slice(&first.entry),
            }
        }
        self.text = Vec::new();
        self.lines = 0;
        self.characters = 0;
        1
    }

    fn add(&mut self, entry: &Entry<'_>, text: &[u8], limits: Limits, now: Instant) {
        if self.first.is_none() {
            let record_at = entry.raw.len() - entry.record.len();
            self.first = Some(First { entry: entry.raw.to_vec(), time: entry.time, record_at });
            self.since = now;
        } else if limits.force_line_breaks && !text.contains(&b'\n') {
            self.text.push(b'\n');
            self.characters += 1;
        }
        self.text.extend_from_slice(text);
        self.lines += 1;
        self.characters += characters(text);
    }

    fn text_of<'r>(&mut self, record: &'r [u8]) -> Option<&'r [u8]> {
        if self.message.is_none() {
            let found = USUAL_FIELDS.into_iter().find(|name| field(record, name).is_some());
            self.message = found.map(str::to_owned);
        }
        match ValueRef::read(field(record, self.message.as_deref()?)?) {
            Ok(ValueRef::Str(text) | ValueRef::Bin(text)) => Some(text),
            _ => None,
        }
    }
}

/// The raw value of a field.
pub(super) fn field<'r>(record: &'r [u8], key: &str) -> Option<&'r [u8]> {
    // What is no map has no fields.
    matches!(record.first(), Some(0x80..=0x8f | 0xde | 0xdf))
        .then(|| RecordView::new(record).get(key.as_bytes()))?
}

/// How many characters a text has, if it is UTF-8.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count()
}
