//! What tcp and udp make of a message: the events of `<parse>`, with tag and time from `<extract>`.
//!
//! In Fluentd a time that cannot be read closes a TCP connection and loses the events before it; here only its own message
//! is lost, as over UDP.

use super::{Events, Interpret, Message, Peer, preview};
use logweir_engine::delivery::EmitError;
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::net::Quiet;
use logweir_engine::plugin::{Extract, ParseFailure, ParseOutput, Parser};
use logweir_engine::telemetry::{PluginLog, Shown};
use logweir_engine::{log_error, log_warn};
use std::sync::Arc;

/// How messages travel; log lines differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// Over connections.
    Tcp,
    /// As datagrams.
    Udp,
}

/// See the module.
pub(crate) struct Records {
    pub(crate) tag: Tag,
    pub(crate) parser: Arc<dyn Parser>,
    pub(crate) extract: Option<Extract>,
    pub(crate) transfer: Transfer,
    pub(crate) log: PluginLog,
    pub(crate) quiet: Quiet,
}

impl Interpret for Records {
    fn interpret(&self, message: Message<'_>, events: &mut Events<'_>) {
        let mut output = ParseOutput::new();
        output.set_binary(message.is_binary);
        let parsed = self.parser.parse(message.text, &mut output);
        for (index, entry) in output.entries().iter().enumerate() {
            if self.extract.is_none() {
                let time = entry.time.unwrap_or_else(EventTime::now);
                events.add(&self.tag, time, output.record(index), message.peer.source());
                continue;
            }
            let mut record = output.record(index).to_vec();
            if let Err(reason) = self.extracted(&mut record, entry.time, message.peer, events) {
                self.log_invalid(message, &reason);
            }
        }
        match parsed {
            Ok(()) => {}
            Err(ParseFailure::Unmatched) => self.log_unmatched(message),
            Err(ParseFailure::Invalid(reason)) => self.log_invalid(message, &reason),
        }
    }

    fn refused(&self, error: &EmitError, _tag: &Tag, peer: Option<&Peer>) -> bool {
        let (class, text) = (Shown(error.class()), error.to_string());
        match (self.transfer, peer) {
            _ if !self.quiet.allows(&self.log) => {}
            (Transfer::Tcp, Some(peer)) => log_error!(
                self.log,
                "unexpected error on reading data",
                host = peer.host,
                port = peer.address.port(),
                error_class = class,
                error = text
            ),
            _ => log_error!(
                self.log,
                "unexpected error in processing UDP data",
                error_class = class,
                error = text
            ),
        }
        // A datagram has no sender that could be told.
        self.transfer == Transfer::Tcp
    }
}

impl Records {
    fn extracted(
        &self,
        record: &mut Vec<u8>,
        time: Option<EventTime>,
        peer: &Peer,
        events: &mut Events<'_>,
    ) -> Result<(), String> {
        let Some(extract) = &self.extract else { return Ok(()) };
        let tag = extract.tag(record, 0);
        let time = match time {
            Some(time) => Some(time),
            None => extract.time(record, 0)?,
        };
        let time = time.unwrap_or_else(EventTime::now);
        events.add(tag.as_ref().unwrap_or(&self.tag), time, record, peer.source());
        Ok(())
    }

    fn log_unmatched(&self, message: Message<'_>) {
        if !self.quiet.allows(&self.log) {
            return;
        }
        let (text, host) = (preview(message.text), &message.peer.host);
        match self.transfer {
            Transfer::Tcp => log_warn!(self.log, "pattern not matched", message = text, host = host),
            Transfer::Udp => log_warn!(self.log, "pattern not matched", data = text, host = host),
        }
    }

    fn log_invalid(&self, message: Message<'_>, reason: &str) {
        if self.quiet.allows(&self.log) {
            log_warn!(
                self.log,
                "invalid message is dropped",
                message = preview(message.text),
                host = message.peer.host,
                error = reason
            );
        }
    }
}
