//! From messages to event streams: tags, checks, inflating, sources, acks.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use super::decoder::RawMessage;
use super::duplicates::Begin;
use super::entries::Rules;
use super::error::ConnectionError;
use super::message::{Body, Checked, Events, Message, check_packed, mended};
use super::options::{Compressed, OptionError, Options};
use super::preview::preview;
use super::replies::Reply;
use super::server::{Peer, Server};
use crate::inflate::Inflater;
use bytes::{Bytes, BytesMut};
use logweir_engine::delivery::{Origin, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::fault;
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Splicer, write_str};
use logweir_engine::net::Lease;
use logweir_engine::telemetry::{Account, Shown};
use tokio::sync::mpsc;

/// Turns one connection's messages into streams and emits them.
pub(super) struct Emitter<'s> {
    server: &'s Server,
    peer: &'s Peer,
    replies: mpsc::Sender<Reply>,
    /// Adds the peer's address and name to records.
    source: Option<Splicer>,
    /// The tag that came last, as it came and as it is used; most connections have few tags.
    tag: Option<(Bytes, Tag)>,
    batch: Batch,
    /// Whether an ack was written since the duplicates were last told that the sender goes on.
    acked: bool,
    /// Values that were no messages.
    broken: u64,
}

/// Events of consecutive Message-mode messages that are emitted together: an emit for each would cost more than all
/// the rest. They are copied, which is cheap, because they do not lie side by side in the read buffer.
#[derive(Default)]
struct Batch {
    tag: Option<Tag>,
    entries: BytesMut,
    count: usize,
}

/// A batch is emitted at this size even if more messages are at hand.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Entries that take less than this part of the memory that they lie in are copied out of it: whoever holds them would
/// hold all of it.
const COPY_BELOW: usize = 4;

/// Inflated bytes between two looks at the memory pool; at 400 MB/s a step takes less than a millisecond.
const INFLATE_STEP: usize = 256 * 1024;

impl<'s> Emitter<'s> {
    pub(super) fn new(server: &'s Server, peer: &'s Peer, replies: mpsc::Sender<Reply>) -> Self {
        Self {
            server,
            peer,
            replies,
            source: source(server, peer),
            tag: None,
            batch: Batch::default(),
            acked: false,
            broken: 0,
        }
    }

    /// Takes a message. `held` is the size of the memory that it lies in, `lease` what the connection holds.
    pub(super) async fn message(
        &mut self,
        raw: RawMessage,
        held: usize,
        lease: &mut Lease,
    ) -> Result<(), ConnectionError> {
        match Message::read(raw, self.server.settings.skip_invalid)? {
            Message::Heartbeat => self.heard(),
            Message::NotAnArray(value) => {
                self.heard();
                self.broken += 1;
                if self.broken > self.server.settings.broken_max {
                    return Err(ConnectionError::Broken(self.broken));
                }
                if !self.server.may_log(self.peer, "incoming chunk is broken") {
                    return Ok(());
                }
                log_warn!(
                    self.server.context.log,
                    "incoming chunk is broken:",
                    host = self.peer.host,
                    msg = Shown(preview(&value))
                );
            }
            Message::Events(events) => self.events(*events, held, lease).await?,
        }
        Ok(())
    }

    /// Emits what was gathered from small messages.
    pub(super) async fn flush(&mut self) -> Result<(), ConnectionError> {
        let Some(tag) = self.batch.tag.take() else { return Ok(()) };
        let entries = self.batch.entries.split().freeze();
        let count = std::mem::take(&mut self.batch.count);
        self.emit(EventStream::new(tag, entries, count), &mut Receipt::unwatched()).await
    }

    async fn events(
        &mut self,
        events: Events,
        held: usize,
        lease: &mut Lease,
    ) -> Result<(), ConnectionError> {
        let tag = self.tag(&events.tag);
        if self.server.settings.warn_above.is_some_and(|limit| events.size > limit)
            && self.server.may_log(self.peer, "chunk_size_warn_limit")
        {
            log_warn!(
                self.server.context.log,
                "Input chunk size is larger than 'chunk_size_warn_limit':",
                tag = tag,
                host = self.peer.host,
                limit = self.server.settings.warn_above,
                size = events.size
            );
        }
        // A value that is no map is an error only behind the events, as in Fluentd; damage and excess are one before.
        if let Err(error) = &events.options
            && *error != OptionError::NotAMap
        {
            return Err(error.clone().into());
        }
        let chunk = events.options.as_ref().is_ok_and(|options| options.chunk.is_some());
        match events.body {
            // Without an ack, a single event can wait for its neighbours.
            Body::Single(entry) if !chunk && events.options.is_ok() => {
                self.heard();
                // What a filter refuses must reach @ERROR in the order in which it was sent.
                let alone = self.server.context.router.may_refuse_events(&tag);
                self.gather(tag, &entry, held, lease).await?;
                return if alone { self.flush().await } else { Ok(()) };
            }
            Body::Nothing => {
                self.heard();
                return self.flush().await;
            }
            _ => self.flush().await?,
        }
        let encoding = events.encoding;
        let checked = match events.body {
            Body::Single(entry) => Checked { entries: entry, count: 1 },
            Body::Invalid(time, record) => {
                self.log_invalid(&tag, &time, &record);
                Checked { entries: Bytes::new(), count: 0 }
            }
            Body::Nothing => return Ok(()),
            Body::List { entries, count, usual } => {
                let rules = self.rules(events.tag_is_text, true);
                if usual && !rules.skip_all {
                    Checked { entries, count }
                } else {
                    mended(&entries, rules, |raw| self.log_skipped(&tag, raw))
                }
            }
            Body::Packed(ref payload) => {
                let options = events.options.as_ref().map_err(Clone::clone)?;
                let rules = self.rules(events.tag_is_text, false);
                let payload = self.inflate(&options.compressed, payload.clone(), held, lease).await?;
                check_packed(payload, rules, |raw| self.log_skipped(&tag, raw))?
            }
        };
        let stream = EventStream::new(tag, self.finish(checked.entries, held), checked.count);
        match events.options {
            Ok(Options { chunk: Some(chunk), .. }) => self.emit_acked(stream, chunk, encoding).await,
            options => {
                self.heard();
                self.emit(stream, &mut Receipt::unwatched()).await?;
                options.map(|_| ()).map_err(Into::into)
            }
        }
    }

    /// Emits a stream whose sender wants an ack, unless it is a re-send of one that is stored.
    async fn emit_acked(
        &mut self,
        stream: EventStream,
        chunk: Bytes,
        encoding: super::decoder::Encoding,
    ) -> Result<(), ConnectionError> {
        let Some(mut reply) = Reply::ack(&chunk, encoding) else {
            return self.emit(stream, &mut Receipt::unwatched()).await;
        };
        let attempt = loop {
            match self.server.duplicates.begin(&self.peer.id, &chunk, self.peer.connection) {
                Begin::New(attempt) => break attempt,
                Begin::Underway(underway) => underway.settled().await,
                Begin::Stored => {
                    self.server.context.not_emitted(Account::Duplicate, stream.count);
                    return self.reply(reply).await;
                }
            }
        };
        let origin = Origin::Forward { chunk, peer: self.peer.id.clone(), arrival: attempt.arrival() };
        let mut receipt = Receipt::durable(origin);
        fault!("events-received");
        self.emit(stream, &mut receipt).await?;
        fault!("events-emitted");
        reply.after = Some(receipt);
        reply.acknowledges = Some(attempt);
        self.reply(reply).await
    }

    async fn reply(&mut self, reply: Reply) -> Result<(), ConnectionError> {
        self.acked = true;
        self.replies.send(reply).await.map_err(|_| ConnectionError::RepliesEnded)
    }

    /// The sender has sent something that is no chunk: it has read its acks.
    fn heard(&mut self) {
        if std::mem::take(&mut self.acked) {
            self.server.duplicates.heard_from(self.peer.connection);
        }
    }

    async fn gather(
        &mut self,
        tag: Tag,
        entry: &[u8],
        held: usize,
        lease: &mut Lease,
    ) -> Result<(), ConnectionError> {
        if self.batch.tag.as_ref().is_some_and(|other| *other != tag)
            || self.batch.entries.len() > BATCH_BYTES_MAX
        {
            self.flush().await?;
        }
        lease.grow_to(held + self.batch.entries.len() + entry.len()).await;
        self.batch.tag = Some(tag);
        self.batch.count += 1;
        match &self.source {
            None => self.batch.entries.extend_from_slice(entry),
            Some(source) => {
                let mut out = Vec::with_capacity(entry.len() + 64);
                source.splice_entries(entry, &mut out);
                self.batch.entries.extend_from_slice(&out);
            }
        }
        Ok(())
    }

    async fn emit(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), ConnectionError> {
        if stream.is_empty() {
            return Ok(());
        }
        Ok(self.server.context.emit(stream, receipt).await?)
    }

    /// Adds the source's fields, and lets go of memory that is much larger than the entries.
    fn finish(&self, entries: Bytes, held: usize) -> Bytes {
        if let Some(source) = &self.source {
            let mut out = Vec::with_capacity(entries.len() + entries.len() / 4);
            source.splice_entries(&entries, &mut out);
            return out.into();
        }
        if entries.len() * COPY_BELOW < held {
            return Bytes::copy_from_slice(&entries);
        }
        entries
    }

    async fn inflate(
        &self,
        compressed: &Compressed,
        payload: Bytes,
        held: usize,
        lease: &mut Lease,
    ) -> Result<Bytes, ConnectionError> {
        let compression = match compressed.compression()? {
            // Fluentd takes an empty payload for no entries.
            Some(compression) if !payload.is_empty() => compression,
            _ => return Ok(payload),
        };
        let mut inflater = Inflater::new(compression, &payload, self.server.settings.inflate)?;
        let mut out = Vec::with_capacity(payload.len().saturating_mul(4).min(INFLATE_STEP));
        loop {
            lease.grow_to(held + out.len() + INFLATE_STEP).await;
            if inflater.step(&mut out, INFLATE_STEP)? {
                return Ok(out.into());
            }
            tokio::task::yield_now().await;
        }
    }

    fn tag(&mut self, wire: &Bytes) -> Tag {
        if let Some((last, tag)) = &self.tag
            && last == wire
        {
            return tag.clone();
        }
        let settings = &self.server.settings;
        let tag = match (&settings.tag, &settings.tag_prefix) {
            (None, None) => Tag::from_wire(wire),
            (Some(tag), None) => Tag::new(tag),
            (Some(tag), Some(prefix)) => Tag::new(&format!("{prefix}.{tag}")),
            (None, Some(prefix)) => Tag::new(&format!("{prefix}.{}", String::from_utf8_lossy(wire))),
        };
        self.tag = Some((wire.clone(), tag.clone()));
        tag
    }

    fn rules(&self, tag_is_text: bool, forward: bool) -> Rules {
        let settings = &self.server.settings;
        let tag_is_text = tag_is_text || settings.tag.is_some() || settings.tag_prefix.is_some();
        Rules {
            skip_invalid: settings.skip_invalid,
            skip_all: settings.skip_invalid && !tag_is_text,
            forward,
            timestamps: settings.timestamps,
        }
    }

    fn log_invalid(&self, tag: &Tag, time: &[u8], record: &[u8]) {
        self.server.context.not_emitted(Account::DroppedInvalid, 1);
        if !self.server.may_log(self.peer, "invalid event") {
            return;
        }
        log_warn!(
            self.server.context.log,
            "got invalid event and drop it:",
            host = self.peer.host,
            tag = tag,
            time = Shown(preview(time)),
            record = Shown(preview(record))
        );
    }

    fn log_skipped(&self, tag: &Tag, raw: &[u8]) {
        self.server.context.not_emitted(Account::DroppedInvalid, 1);
        if !self.server.may_log(self.peer, "invalid event") {
            return;
        }
        log_warn!(
            self.server.context.log,
            "skip invalid event:",
            host = self.peer.host,
            tag = tag,
            entry = Shown(preview(raw))
        );
    }
}

fn source(server: &Server, peer: &Peer) -> Option<Splicer> {
    let text = |value: &str| {
        let mut raw = Vec::new();
        write_str(&mut raw, value.as_bytes());
        raw
    };
    let mut splicer = Splicer::new();
    if let Some(key) = &server.settings.source_address_key {
        splicer = splicer.set(key.as_bytes(), &text(&peer.address.ip().to_canonical().to_string()));
    }
    if let Some(key) = &server.settings.source_hostname_key {
        splicer = splicer.set(key.as_bytes(), &text(&peer.host));
    }
    (!splicer.is_empty()).then_some(splicer)
}
