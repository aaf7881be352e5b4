//! From a message to its event.

use super::priority::{Priorities, split};
use crate::socket::{Events, Interpret, Message, Peer, preview};
use logweir_engine::delivery::EmitError;
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::msgpack::{ValueRef, write_bin, write_map_len, write_str};
use logweir_engine::net::Quiet;
use logweir_engine::plugin::{FieldPlace, ParseFailure, ParseOutput, Parser};
use logweir_engine::telemetry::{PluginLog, Shown, inspect};
use logweir_engine::{log_error, log_warn};
use std::sync::Arc;

/// What is made of messages.
pub(super) struct Syslog {
    pub(super) parser: Arc<dyn Parser>,
    /// Whether the parser is given the priority and writes it into the field `pri`.
    pub(super) parser_reads_priority: bool,
    pub(super) emit_unmatched_lines: bool,
    pub(super) priorities: Priorities,
    pub(super) log: PluginLog,
    pub(super) quiet: Quiet,
}

impl Interpret for Syslog {
    fn interpret(&self, message: Message<'_>, events: &mut Events<'_>) {
        let (pri, text) = match self.parser_reads_priority {
            true => (None, message.text),
            false => match split(message.text) {
                Some((pri, text)) => (Some(pri), text),
                None => {
                    self.add_unmatched(message, events);
                    if self.quiet.allows(&self.log) {
                        let shown = inspect(&preview(message.text));
                        let host = &message.peer.host;
                        log_warn!(self.log, format!("invalid syslog message: {shown}"), host = host);
                    }
                    return;
                }
            },
        };
        let mut output = ParseOutput::new();
        output.set_binary(message.is_binary);
        let parsed = self.parser.parse(text, &mut output);
        for (index, entry) in output.entries().iter().enumerate() {
            let Some(time) = entry.time else {
                return self.failed(message, events);
            };
            if !self.add(pri, time, output.record(index), message.peer, events) {
                return self.invalid(message, "the record has no priority", events);
            }
        }
        match parsed {
            Ok(()) => {}
            Err(ParseFailure::Unmatched) => self.failed(message, events),
            Err(ParseFailure::Invalid(reason)) => self.invalid(message, &reason, events),
        }
    }

    fn refused(&self, error: &EmitError, tag: &Tag, peer: Option<&Peer>) -> bool {
        if self.quiet.allows(&self.log) {
            let host = peer.map(|peer| peer.host.clone());
            log_error!(
                self.log,
                "syslog failed to emit",
                host = host,
                error_class = Shown(error.class()),
                error = error.to_string(),
                tag = tag
            );
        }
        false
    }
}

impl Syslog {
    /// Adds an event with what its priority gives it; `false` if it has none.
    fn add(
        &self,
        pri: Option<u64>,
        time: EventTime,
        record: &[u8],
        peer: &Peer,
        events: &mut Events<'_>,
    ) -> bool {
        let mut taken = Vec::new();
        let (pri, record) = match pri {
            Some(pri) => (pri, record),
            None => {
                let Some(place) = FieldPlace::find(record, b"pri") else { return false };
                let pri = match ValueRef::read(&record[place.value.clone()]) {
                    Ok(ValueRef::Int(pri)) => pri as u64,
                    Ok(ValueRef::UInt(pri)) => pri,
                    _ => return false,
                };
                taken.extend_from_slice(record);
                place.remove(&mut taken, 0);
                (pri, &taken[..])
            }
        };
        let priority = self.priorities.of(pri);
        match &priority.fields {
            None => events.add(&priority.tag, time, record, peer.source()),
            Some(fields) => {
                let mut named = Vec::with_capacity(record.len() + 64);
                fields.splice(record, &mut named);
                events.add(&priority.tag, time, &named, peer.source());
            }
        }
        true
    }

    fn add_unmatched(&self, message: Message<'_>, events: &mut Events<'_>) {
        if !self.emit_unmatched_lines {
            return;
        }
        let mut record = Vec::with_capacity(message.text.len() + 24);
        write_map_len(&mut record, 1);
        write_str(&mut record, b"unmatched_line");
        match message.is_binary {
            true => write_bin(&mut record, message.text),
            false => write_str(&mut record, message.text),
        }
        events.add(&self.priorities.unmatched, EventTime::now(), &record, message.peer.source());
    }

    fn failed(&self, message: Message<'_>, events: &mut Events<'_>) {
        self.add_unmatched(message, events);
        if self.quiet.allows(&self.log) {
            let (data, host) = (preview(message.text), &message.peer.host);
            log_warn!(self.log, "failed to parse message", data = data, host = host);
        }
    }

    fn invalid(&self, message: Message<'_>, reason: &str, events: &mut Events<'_>) {
        self.add_unmatched(message, events);
        if self.quiet.allows(&self.log) {
            let (data, host) = (preview(message.text), &message.peer.host);
            log_error!(self.log, "invalid input", data = data, host = host, error = reason);
        }
    }
}
