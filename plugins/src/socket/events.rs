//! Events on their way from messages to the router.

use super::Peer;
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::msgpack::{Splicer, write_event_time};
use logweir_engine::plugin::InputContext;
use std::collections::VecDeque;

/// Events are emitted at this size even if more messages are at hand.
const BYTES_MAX: usize = 256 << 10;

/// A log line shows at most this much of a message.
const PREVIEW_BYTES: usize = 1024;

/// A text that came from a peer.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) text: &'a [u8],
    /// Whether pieces of it are byte arrays rather than strings: Ruby tags what comes from sockets as binary.
    pub(crate) is_binary: bool,
    pub(crate) peer: &'a Peer,
}

/// What an input makes of messages.
pub(crate) trait Interpret: Send + Sync + 'static {
    /// Adds the events that a message means. A message that means none is logged.
    fn interpret(&self, message: Message<'_>, events: &mut Events<'_>);

    /// Logs that events were refused: those of `peer`, or of several. Answers whether the connection that they came over
    /// must end.
    fn refused(&self, error: &EmitError, tag: &Tag, peer: Option<&Peer>) -> bool;
}

/// Events that were not emitted yet: those that lie side by side and share a tag become one stream, because an emit for
/// each would cost more than all the rest.
pub(crate) struct Events<'c> {
    context: &'c InputContext,
    /// Whether single events may be joined even where a filter may refuse one of them: then it reaches `@ERROR` before
    /// those that were sent before it, as it does in Fluentd where that emits streams.
    always_join: bool,
    streams: VecDeque<Stream>,
    bytes: usize,
}

struct Stream {
    tag: Tag,
    entries: Vec<u8>,
    count: usize,
    may_grow: bool,
}

impl<'c> Events<'c> {
    pub(crate) fn new(context: &'c InputContext, always_join: bool) -> Self {
        Self { context, always_join, streams: VecDeque::new(), bytes: 0 }
    }

    /// Adds an event: a raw record, to which `source` adds where it came from.
    pub(crate) fn add(&mut self, tag: &Tag, time: EventTime, record: &[u8], source: Option<&Splicer>) {
        if !self.streams.back().is_some_and(|last| last.may_grow && last.tag == *tag) {
            self.streams.push_back(Stream {
                tag: tag.clone(),
                entries: Vec::new(),
                count: 0,
                may_grow: self.always_join || !self.context.router.may_refuse_events(tag),
            });
        }
        let Some(stream) = self.streams.back_mut() else { return };
        let before = stream.entries.len();
        stream.entries.push(0x92);
        write_event_time(&mut stream.entries, time);
        match source {
            Some(source) => source.splice(record, &mut stream.entries),
            None => stream.entries.extend_from_slice(record),
        }
        stream.count += 1;
        self.bytes += stream.entries.len() - before;
    }

    /// Bytes of the events that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether enough events wait to be emitted.
    pub(crate) fn are_many(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// Emits all events. Each stream that is refused is lost, and told to `refused`; if that answers that no more should be
    /// emitted, those behind it are lost too, and the answer is `false`.
    pub(crate) async fn emit(&mut self, refused: impl Fn(&EmitError, &Tag) -> bool) -> bool {
        self.bytes = 0;
        while let Some(Stream { tag, entries, count, .. }) = self.streams.pop_front() {
            let stream = EventStream::new(tag.clone(), entries.into(), count);
            let emitted = self.context.emit(stream, &mut Receipt::unwatched()).await;
            if let Err(error) = emitted
                && refused(&error, &tag)
            {
                self.streams.clear();
                return false;
            }
        }
        true
    }
}

/// A message as a log line shows it: cut short if it is long.
pub(crate) fn preview(text: &[u8]) -> String {
    if text.len() <= PREVIEW_BYTES {
        return String::from_utf8_lossy(text).into_owned();
    }
    format!("{}... ({} bytes)", String::from_utf8_lossy(&text[..PREVIEW_BYTES]), text.len())
}
