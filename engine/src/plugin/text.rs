//! Between text and records.

use super::FormatError;
use crate::event::{EventTime, Tag};
use crate::msgpack::{Time, add_fields, write_bin, write_str};

/// Turns text into records.
pub trait Parser: Send + Sync {
    /// Parses `text` (one line without its terminator, one datagram, one body) and adds the events to `out`.
    /// Adds nothing and answers `Ok` if the text means no event. Events that were added before a failure stay.
    ///
    /// An event without a time in the text has the present one, unless estimate_current_event is false: then its
    /// entry has no time. in_tail takes such a line for one that does not match.
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure>;

    /// How lines are joined before they are parsed, if this parser wants several at once.
    fn multiline(&self) -> Option<&dyn Multiline> {
        None
    }
}

/// How a parser of several lines wants them joined. Lines are given and joined with their line ends; the last one of
/// a joined text goes before it is parsed.
pub trait Multiline: Send + Sync {
    /// Whether first lines are told apart (format_firstline). If so, an event is a first line and all lines up to the next
    /// one. If not, lines are added until the text parses.
    fn has_firstline(&self) -> bool;

    /// Whether `line` begins an event.
    fn is_firstline(&self, line: &[u8]) -> bool;
}

/// Why text became no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFailure {
    /// It does not look like what the parser reads (`pattern not matched`).
    #[error("pattern not matched")]
    Unmatched,
    /// It does, but a value in it is wrong (Fluentd's ParserError: `invalid time format: value = ...`).
    #[error("{0}")]
    Invalid(String),
}

/// Entries as they are written by a [`Parser`]: a parser writes each record's MessagePack map straight behind the
/// place that is kept for its time, so that nothing is copied when the time becomes known.
///
/// ```text
/// 0x92 | d7 00 sec:u32 nsec:u32 | map          (one entry, 11 bytes before the map)
/// ```
#[derive(Debug, Default)]
pub struct ParseOutput {
    bytes: Vec<u8>,
    entries: Vec<ParsedEntry>,
    open: Option<usize>,
    binary: bool,
    unmatched: usize,
}

/// Where an entry lies in a [`ParseOutput`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedEntry {
    /// Offset of the entry's first byte (0x92).
    pub start: usize,
    /// Offset behind the record's last byte.
    pub end: usize,
    /// The time found in the text; without one the place holds the time 0 and the caller sets it.
    pub time: Option<EventTime>,
}

impl ParsedEntry {
    const HEAD: usize = 11;

    /// Offset of the record's map.
    pub fn record_start(&self) -> usize {
        self.start + Self::HEAD
    }
}

impl ParseOutput {
    /// Nothing parsed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a piece of the parsed text to the open entry: as a string, or as [`ParseOutput::set_binary`] says.
    pub fn write_text(&mut self, text: &[u8]) {
        if self.binary { write_bin(&mut self.bytes, text) } else { write_str(&mut self.bytes, text) }
    }

    /// Appends fields to the record of the last entry: `write` appends key and value in turn and answers how many pairs.
    pub fn add_fields_to_last(&mut self, write: impl FnOnce(&mut Vec<u8>) -> usize) {
        if let Some(last) = self.entries.last_mut() {
            add_fields(&mut self.bytes, last.record_start(), write);
            last.end = self.bytes.len();
        }
    }

    /// Forgets all entries; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.open = None;
        self.unmatched = 0;
    }

    /// Notes that a piece of the text, one of several, does not match: for who tells of each.
    pub fn note_unmatched(&mut self) {
        self.unmatched += 1;
    }

    /// How many pieces were noted; 0 if the text has none of its own.
    pub fn unmatched(&self) -> usize {
        self.unmatched
    }

    /// Whether pieces of the text are written as byte arrays (`bin`) rather than strings. Ruby packs a string so that is
    /// tagged as binary, and Fluentd leaves lines of files without a configured encoding tagged so; JSON texts are
    /// always strings.
    pub fn set_binary(&mut self, binary: bool) {
        self.binary = binary;
    }

    /// See [`ParseOutput::set_binary`].
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// Begins an entry; the caller then appends exactly one MessagePack map to the answered buffer.
    pub fn begin(&mut self) -> &mut Vec<u8> {
        self.open = Some(self.bytes.len());
        self.bytes.extend_from_slice(&[0x92, 0xd7, 0x00, 0, 0, 0, 0, 0, 0, 0, 0]);
        &mut self.bytes
    }

    /// The buffer of the entry that is open.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Where the open entry's map begins in the buffer.
    pub fn open_record_start(&self) -> usize {
        self.open.unwrap_or(self.bytes.len()) + ParsedEntry::HEAD
    }

    /// Ends the open entry.
    pub fn commit(&mut self, time: Option<EventTime>) {
        let Some(start) = self.open.take() else { return };
        self.entries.push(ParsedEntry { start, end: self.bytes.len(), time });
        if let Some(time) = time {
            self.set_time(self.entries.len() - 1, time);
        }
    }

    /// Takes the open entry back.
    pub fn abort(&mut self) {
        if let Some(start) = self.open.take() {
            self.bytes.truncate(start);
        }
    }

    /// Opens the last entry again, so that its record can be changed; answers the time it had.
    pub fn reopen_last(&mut self) -> Option<EventTime> {
        let entry = self.entries.pop()?;
        self.bytes.truncate(entry.end);
        self.open = Some(entry.start);
        entry.time
    }

    /// Keeps the first `count` entries.
    pub fn truncate(&mut self, count: usize) {
        if count < self.entries.len() {
            self.open = None;
            self.bytes.truncate(self.entries[count].start);
            self.entries.truncate(count);
        }
    }

    /// The entries parsed so far.
    pub fn entries(&self) -> &[ParsedEntry] {
        &self.entries
    }

    /// The raw map of entry `index`.
    pub fn record(&self, index: usize) -> &[u8] {
        let entry = self.entries[index];
        &self.bytes[entry.record_start()..entry.end]
    }

    /// Writes the time of entry `index` into its place.
    pub fn set_time(&mut self, index: usize, time: EventTime) {
        let entry = &mut self.entries[index];
        entry.time = Some(time);
        let at = entry.start + 3;
        self.bytes[at..at + 4].copy_from_slice(&(time.sec as u32).to_be_bytes());
        self.bytes[at + 4..at + 8].copy_from_slice(&time.nsec.to_be_bytes());
    }

    /// All bytes: concatenated entries, if every time has been set.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes out, leaving nothing parsed.
    pub fn take(&mut self) -> Vec<u8> {
        self.take_leaving(0)
    }

    /// The same, leaving room for `bytes`: to grow there step by step costs more than what is written.
    pub fn take_leaving(&mut self, bytes: usize) -> Vec<u8> {
        self.entries.clear();
        self.open = None;
        std::mem::replace(&mut self.bytes, Vec::with_capacity(bytes))
    }
}

/// Turns records into text.
pub trait Formatter: Send + Sync {
    /// Appends one event's text, with its newline if it has one, to `out`. `record` is a raw MessagePack map.
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError>;

    /// The MIME type of the text, for out_http.
    fn content_type(&self) -> &'static str {
        "application/octet-stream"
    }
}
