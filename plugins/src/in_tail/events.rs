//! Lines to events: parsed straight into the entries of a stream.

use super::lines::{READ_BYTES, chomp};
use super::settings::Settings;
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::log_warn;
use logweir_engine::msgpack::{RecordView, Splicer, ValueRef, write_map_len, write_str};
use logweir_engine::plugin::{ParseFailure, ParseOutput};
use logweir_engine::telemetry::{PluginLog, Shown, inspect};
use std::path::Path;
use std::sync::Arc;

/// Memory that is kept ready for the next batch; most batches are of one read.
const ROOM_BYTES_MAX: usize = 2 * READ_BYTES;

/// Gathers the events of one file's batch.
pub(super) struct Events {
    settings: Arc<Settings>,
    output: ParseOutput,
    log: PluginLog,
}

impl Events {
    pub(super) fn new(settings: Arc<Settings>, log: PluginLog) -> Self {
        let mut output = ParseOutput::new();
        output.set_binary(settings.binary);
        Self { settings, output, log }
    }

    /// Adds what a text means, if it means something; `false` without a word if not.
    pub(super) fn try_add(&mut self, text: &[u8], path: &Path) -> bool {
        let first = self.output.entries().len();
        let parsed = self.settings.parser.parse(chomp(text), &mut self.output).is_ok();
        let count = self.output.entries().len();
        for index in first..count {
            if self.output.entries()[index].time.is_none() {
                self.output.set_time(index, EventTime::now());
            }
        }
        if count > first {
            self.add_path(first, path);
        }
        parsed && count > first
    }

    /// Adds what a text (a line, or the joined lines of an event) means. A text that means nothing is logged, and becomes
    /// an event if emit_unmatched_lines says so.
    pub(super) fn add(&mut self, text: &[u8], path: &Path) {
        let text = chomp(text);
        let first = self.output.entries().len();
        let result = self.settings.parser.parse(text, &mut self.output);
        match result {
            Ok(()) if self.output.entries().len() > first => {
                for index in first..self.output.entries().len() {
                    if self.output.entries()[index].time.is_none() {
                        self.output.set_time(index, EventTime::now());
                    }
                }
                self.add_path(first, path);
            }
            Ok(()) | Err(ParseFailure::Unmatched) => {
                self.add_unmatched(text, path);
                let line = inspect(&String::from_utf8_lossy(text));
                log_warn!(self.log, format!("pattern not matched: {line}"));
            }
            Err(ParseFailure::Invalid(message)) => {
                let line = String::from_utf8_lossy(text);
                log_warn!(self.log, "invalid line found", file = path, line = Shown(line), error = message);
            }
        }
    }

    /// `{"unmatched_line": text}`, if such events are wanted.
    pub(super) fn add_unmatched(&mut self, text: &[u8], path: &Path) {
        if !self.settings.emit_unmatched_lines {
            return;
        }
        let first = self.output.entries().len();
        let out = self.output.begin();
        write_map_len(out, 1);
        write_str(out, b"unmatched_line");
        self.output.write_text(text);
        self.output.commit(Some(EventTime::now()));
        self.add_path(first, path);
    }

    /// Takes the events out as a stream.
    pub(super) fn take(&mut self, tag: Tag) -> EventStream {
        let count = self.output.entries().len();
        let room = self.output.bytes().len().min(ROOM_BYTES_MAX);
        EventStream::new(tag, self.output.take_leaving(room).into(), count)
    }

    /// `record[path_key] ||= path`, for the entries from `first` on.
    fn add_path(&mut self, first: usize, path: &Path) {
        let Some(key) = &self.settings.path_key else { return };
        let text = path.as_os_str().as_encoded_bytes();
        let last = self.output.entries().len();
        if last == first + 1 && RecordView::new(self.output.record(first)).get(key.as_bytes()).is_none() {
            // The usual case: one event at the end of the buffer, which grows in place.
            self.output.add_fields_to_last(|out| {
                write_str(out, key.as_bytes());
                write_str(out, text);
                1
            });
            return;
        }
        let records: Vec<(Vec<u8>, EventTime)> = (first..last)
            .map(|index| {
                (self.output.record(index).to_vec(), self.output.entries()[index].time.unwrap_or_default())
            })
            .collect();
        self.output.truncate(first);
        let mut value = Vec::new();
        write_str(&mut value, text);
        let splicer = Splicer::new().set(key.as_bytes(), &value);
        for (record, time) in records {
            let present =
                RecordView::new(&record).get(key.as_bytes()).and_then(|raw| ValueRef::read(raw).ok());
            let out = self.output.begin();
            if matches!(present, None | Some(ValueRef::Nil | ValueRef::Bool(false))) {
                splicer.splice(&record, out);
            } else {
                out.extend_from_slice(&record);
            }
            self.output.commit(Some(time));
        }
    }
}
