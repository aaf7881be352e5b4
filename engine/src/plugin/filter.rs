//! What happens to events between an input and an output.

use crate::delivery::Receipt;
use crate::event::{EventStream, Tag};
use crate::msgpack::{Entry, Event, Record, Splicer};
use bumpalo::Bump;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A filter plugin.
pub trait Filter: Send + Sync {
    /// What this filter does to streams of `tag`. Asked once per tag; the answer is kept in the tag's pipeline.
    fn for_tag(&self, tag: &Tag) -> FilterStep;

    /// Whether Fluentd's filter of this name has `filter_stream`, which changes what follows an error in its chain.
    fn takes_streams(&self) -> bool {
        false
    }

    /// Starts timers and connections, if it has any, in `tasks`, until `stop`.
    fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        let _ = (tasks, stop);
    }

    /// Where what it lets through is counted, if that is wanted.
    fn counters(&self) -> Option<&Arc<FilterCounters>> {
        None
    }
}

/// What a filter let through. Fluentd counts what is left behind the last filter of a chain for all of them.
#[derive(Debug, Default)]
pub struct FilterCounters {
    /// Records.
    pub records: AtomicU64,
    /// Bytes of entries.
    pub bytes: AtomicU64,
}

/// A filter whose work is counted.
pub struct CountedFilter {
    filter: Box<dyn Filter>,
    counters: Arc<FilterCounters>,
}

impl CountedFilter {
    /// Counts what `filter` lets through.
    pub fn new(filter: Box<dyn Filter>, counters: Arc<FilterCounters>) -> Self {
        Self { filter, counters }
    }
}

impl Filter for CountedFilter {
    fn for_tag(&self, tag: &Tag) -> FilterStep {
        self.filter.for_tag(tag)
    }

    fn takes_streams(&self) -> bool {
        self.filter.takes_streams()
    }

    fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        self.filter.start(tasks, stop);
    }

    fn counters(&self) -> Option<&Arc<FilterCounters>> {
        Some(&self.counters)
    }
}

/// A filter's work for one tag, from cheapest to dearest.
pub enum FilterStep {
    /// Nothing.
    Pass,
    /// Edits of top-level fields whose new values do not depend on the record: bytes to bytes.
    Splice(Splicer),
    /// Keeps or drops records without changing them.
    Select(Arc<dyn Select>),
    /// Makes other entries of entries, mostly without decoding them.
    Raw(Arc<dyn RawFilter>),
    /// Looks at or changes decoded records. Neighbouring steps of this kind share one decoding.
    Records(Arc<dyn RecordFilter>),
    /// Takes the stream as a whole.
    Stream(Arc<dyn StreamFilter>),
}

/// Decides which records go on. Asked with the raw record where nothing before it had to decode, else with the decoded
/// one; both must answer the same.
pub trait Select: Send + Sync {
    /// Whether the record, a raw MessagePack map, goes on.
    fn keeps_raw(&self, record: &[u8]) -> bool;

    /// Whether the decoded record goes on.
    fn keeps(&self, record: &Record<'_>) -> bool;
}

/// Works on one record at a time.
pub trait RecordFilter: Send + Sync {
    /// Edits `event` in place, or drops it. What lives longer than the call is allocated in `context.arena`.
    /// An error sends the original event to `@ERROR` and drops it here.
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError>;
}

/// A record filter that can do most records bytes to bytes.
pub trait RawFilter: RecordFilter {
    /// Appends what `entry` becomes to `out`. `None` if the record has to be decoded, for which [`RecordFilter::filter`] is
    /// asked instead; if this does answer, both must answer the same. What it appended counts only with
    /// [`Verdict::Keep`].
    fn filter_raw(&self, entry: &Entry<'_>, out: &mut Vec<u8>) -> Option<Result<Verdict, FilterError>>;
}

/// What a record filter may use.
pub struct FilterContext<'a> {
    /// Memory that lives until the stream has been encoded again.
    pub arena: &'a Bump,
    /// The stream's tag.
    pub tag: &'a Tag,
}

/// Whether an event goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Keep,
    /// It is dropped, silently, as configured.
    Drop,
}

/// Why a record could not be filtered; becomes an error event.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// Class as Fluentd names it.
    pub class: &'static str,
    /// What happened.
    pub message: String,
    /// Whether the event also goes on, as edited so far.
    pub then: AfterError,
}

/// What becomes of an event whose error has gone to `@ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterError {
    /// It ends there.
    Drop,
    /// It also goes on.
    Keep,
    /// As when a filter of Fluentd 1.16 raises: it goes on, unless a filter of the chain takes whole streams
    /// ([`Filter::takes_streams`]), then it ends.
    AsRaised,
}

/// Works on streams as a whole: joins, enriches from outside, prints.
pub trait StreamFilter: Send + Sync {
    /// Turns a stream into what goes on. May wait.
    fn filter<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> BoxFuture<'a, EventStream>;

    /// Whether it may send single events to `@ERROR` or elsewhere, so that streams must not be joined before it.
    fn may_refuse_events(&self) -> bool {
        true
    }
}
