//! What happens to streams of one tag: the filters that match it, in order, and the output that takes it.
//!
//! Made once per tag. Neighbouring filters that look into records share one decoding and one encoding; edits that do
//! not look at the record become one splice; a stream that no filter touches passes without a look at its bytes.

use super::errors::{ErrorEvent, ErrorEvents};
use crate::delivery::Receipt;
use crate::event::{EventStream, Tag};
use crate::msgpack::{Entries, Entry, Event, Splicer};
use crate::plugin::{
    AfterError, Filter, FilterContext, FilterCounters, FilterError, FilterStep, Output, RawFilter,
    RecordFilter, Select, StreamFilter, Verdict,
};
use crate::telemetry::Account;
use bumpalo::Bump;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The way of one tag.
pub(super) struct Pipeline {
    steps: Vec<Step>,
    counters: Vec<Arc<FilterCounters>>,
    /// Whether an event goes on after a filter raised: Fluentd's filter optimizer is at work.
    raised_go_on: bool,
    /// `None` if no `<match>` takes the tag.
    pub(super) output: Option<Arc<dyn Output>>,
}

/// One pass over a stream.
enum Step {
    Splice(Splicer),
    Select(Arc<dyn Select>),
    Raw(Arc<dyn RawFilter>),
    Records(Vec<RecordStep>),
    Stream(Arc<dyn StreamFilter>),
}

/// One filter of a pass that decodes records.
enum RecordStep {
    Splice(Splicer),
    Select(Arc<dyn Select>),
    Filter(Arc<dyn RecordFilter>),
}

/// Memory that a thread keeps between records for decoding them; above this it is given back.
const ARENA_KEPT_BYTES: usize = 1 << 20;

thread_local! {
    static ARENA: RefCell<Bump> = RefCell::new(Bump::new());
}

impl Pipeline {
    pub(super) fn new(tag: &Tag, filters: &[Arc<dyn Filter>], output: Option<Arc<dyn Output>>) -> Self {
        let mut steps = Vec::new();
        for filter in filters {
            add_step(&mut steps, filter.for_tag(tag));
        }
        let raised_go_on = !filters.iter().any(|filter| filter.takes_streams());
        let counters = filters.iter().filter_map(|filter| filter.counters().cloned()).collect();
        Self { steps, counters, raised_go_on, output }
    }

    pub(super) fn may_refuse_events(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Raw(_) | Step::Records(_) => true,
            Step::Stream(filter) => filter.may_refuse_events(),
            Step::Splice(_) | Step::Select(_) => false,
        })
    }

    /// Takes a stream through the filters.
    pub(super) async fn filter(
        &self,
        mut stream: EventStream,
        errors: &ErrorEvents,
        receipt: &mut Receipt,
    ) -> EventStream {
        for step in &self.steps {
            if stream.is_empty() {
                break;
            }
            let (before, reported) = (stream.count as u64, receipt.reported());
            let mut copied = 0;
            stream = match step {
                Step::Splice(splicer) => {
                    let mut out = Vec::with_capacity(stream.entries.len() + stream.entries.len() / 4);
                    splicer.splice_entries(&stream.entries, &mut out);
                    EventStream::new(stream.tag, out.into(), stream.count)
                }
                Step::Select(select) => select_entries(select.as_ref(), stream),
                Step::Raw(filter) => {
                    let filtered = filter_raw(filter, stream, self.raised_go_on);
                    copied = filtered.also_failed;
                    emit_all(filtered.failed, errors, receipt).await;
                    filtered.stream
                }
                Step::Records(chain) => {
                    let filtered = filter_records(chain, stream, self.raised_go_on);
                    copied = filtered.also_failed;
                    emit_all(filtered.failed, errors, receipt).await;
                    filtered.stream
                }
                Step::Stream(filter) => filter.filter(stream, receipt).await,
            };
            let after = stream.count as u64 + receipt.reported() - reported;
            copied = copied.max(after.saturating_sub(before));
            errors.ledger().add(Account::Copied, copied);
            errors.ledger().add(Account::Filtered, before + copied - after);
        }
        for counters in &self.counters {
            counters.records.fetch_add(stream.count as u64, Ordering::Relaxed);
            counters.bytes.fetch_add(stream.entries.len() as u64, Ordering::Relaxed);
        }
        stream
    }
}

async fn emit_all(failed: Vec<ErrorEvent>, errors: &ErrorEvents, receipt: &mut Receipt) {
    for event in failed {
        errors.emit(event, receipt).await;
    }
}

fn add_step(steps: &mut Vec<Step>, step: FilterStep) {
    match (step, steps.last_mut()) {
        (FilterStep::Pass, _) => {}
        (FilterStep::Splice(next), Some(Step::Splice(splicer))) => {
            *splicer = std::mem::take(splicer).then(next);
        }
        (FilterStep::Splice(next), Some(Step::Records(chain))) => chain.push(RecordStep::Splice(next)),
        (FilterStep::Splice(next), _) => steps.push(Step::Splice(next)),
        (FilterStep::Select(next), Some(Step::Records(chain))) => chain.push(RecordStep::Select(next)),
        (FilterStep::Select(next), _) => steps.push(Step::Select(next)),
        (FilterStep::Records(next), Some(Step::Records(chain))) => chain.push(RecordStep::Filter(next)),
        (FilterStep::Records(next), Some(last @ Step::Splice(_))) => {
            if let Step::Splice(splicer) = std::mem::replace(last, Step::Records(Vec::new())) {
                *last = Step::Records(vec![RecordStep::Splice(splicer), RecordStep::Filter(next)]);
            }
        }
        (FilterStep::Records(next), _) => steps.push(Step::Records(vec![RecordStep::Filter(next)])),
        (FilterStep::Raw(next), _) => steps.push(Step::Raw(next)),
        (FilterStep::Stream(next), _) => steps.push(Step::Stream(next)),
    }
}

/// Copies what is kept; a stream that is kept as a whole is not copied.
fn select_entries(select: &dyn Select, stream: EventStream) -> EventStream {
    let mut out: Option<Vec<u8>> = None;
    let mut count = 0;
    let mut seen = 0;
    for entry in Entries::new(&stream.entries) {
        let keeps = select.keeps_raw(entry.record);
        match &mut out {
            Some(out) if keeps => out.extend_from_slice(entry.raw),
            None if !keeps => {
                let mut kept = Vec::with_capacity(stream.entries.len());
                kept.extend_from_slice(&stream.entries[..seen]);
                out = Some(kept);
            }
            _ => {}
        }
        seen += entry.raw.len();
        count += usize::from(keeps);
    }
    match out {
        Some(out) => EventStream::new(stream.tag, out.into(), count),
        None => stream,
    }
}

/// What a pass over records left of a stream.
struct Filtered {
    stream: EventStream,
    /// For `@ERROR`.
    failed: Vec<ErrorEvent>,
    /// How many error events there are beyond one for each event that did not go on.
    also_failed: u64,
}

/// What the filter cannot do bytes to bytes is decoded.
fn filter_raw(filter: &Arc<dyn RawFilter>, stream: EventStream, raised_go_on: bool) -> Filtered {
    let mut out = Vec::with_capacity(stream.entries.len() + stream.entries.len() / 4);
    let mut failed = Vec::new();
    let (mut count, mut also_failed) = (0, 0);
    let mut decoding: Option<[RecordStep; 1]> = None;
    for entry in Entries::new(&stream.entries) {
        let (before, failed_before) = (out.len(), failed.len());
        let is_kept = match filter.filter_raw(&entry, &mut out) {
            Some(Ok(Verdict::Keep)) => true,
            Some(Ok(Verdict::Drop)) => {
                out.truncate(before);
                false
            }
            Some(Err(FilterError { class, message, then })) => {
                out.truncate(before);
                failed.push(error_event(&stream.tag, &entry, class, message));
                let goes_on = goes_on(then, raised_go_on);
                if goes_on {
                    out.extend_from_slice(entry.raw);
                }
                goes_on
            }
            None => {
                out.truncate(before);
                let chain = decoding.get_or_insert_with(|| [RecordStep::Filter(filter.clone())]);
                ARENA.with_borrow_mut(|arena| {
                    let event = filter_entry(chain, &stream.tag, &entry, arena, raised_go_on, &mut failed);
                    let is_kept = event.map(|event| event.encode(&mut out)).is_some();
                    tidy(arena);
                    is_kept
                })
            }
        };
        count += usize::from(is_kept);
        also_failed += (failed.len() - failed_before + usize::from(is_kept)).saturating_sub(1);
    }
    let stream = EventStream::new(stream.tag, out.into(), count);
    Filtered { stream, failed, also_failed: also_failed as u64 }
}

fn filter_records(chain: &[RecordStep], stream: EventStream, raised_go_on: bool) -> Filtered {
    let mut out = Vec::with_capacity(stream.entries.len() + stream.entries.len() / 4);
    let mut failed = Vec::new();
    let (mut count, mut also_failed) = (0, 0);
    ARENA.with_borrow_mut(|arena| {
        for entry in Entries::new(&stream.entries) {
            let before = failed.len();
            let kept = match filter_entry(chain, &stream.tag, &entry, arena, raised_go_on, &mut failed) {
                Some(event) => {
                    event.encode(&mut out);
                    1
                }
                None => 0,
            };
            count += kept;
            also_failed += (failed.len() - before + kept).saturating_sub(1);
            tidy(arena);
        }
    });
    let stream = EventStream::new(stream.tag, out.into(), count);
    Filtered { stream, failed, also_failed: also_failed as u64 }
}

/// Makes an arena ready for the next record.
fn tidy(arena: &mut Bump) {
    if arena.allocated_bytes() > ARENA_KEPT_BYTES {
        *arena = Bump::new();
    } else {
        arena.reset();
    }
}

fn error_event(tag: &Tag, entry: &Entry<'_>, class: &str, message: String) -> ErrorEvent {
    ErrorEvent {
        tag: tag.clone(),
        time: entry.time,
        record: Bytes::copy_from_slice(entry.record),
        class: class.to_owned(),
        message,
    }
}

/// Whether an event goes on after an error.
fn goes_on(then: AfterError, raised_go_on: bool) -> bool {
    match then {
        AfterError::Keep => true,
        AfterError::AsRaised => raised_go_on,
        AfterError::Drop => false,
    }
}

/// The event as it goes on, if it does.
fn filter_entry<'a>(
    chain: &[RecordStep],
    tag: &'a Tag,
    entry: &Entry<'a>,
    arena: &'a Bump,
    raised_go_on: bool,
    failed: &mut Vec<ErrorEvent>,
) -> Option<Event<'a>> {
    let mut fail = |class: &str, message: String| failed.push(error_event(tag, entry, class, message));
    let mut event = match Event::decode(tag, entry, arena) {
        Ok(event) => event,
        Err(error) => {
            fail("NoMethodError", format!("the record is not a map: {error}"));
            return None;
        }
    };
    let context = FilterContext { arena, tag };
    for step in chain {
        let verdict = match step {
            RecordStep::Splice(splicer) => {
                splicer.apply(&mut event.record);
                Ok(Verdict::Keep)
            }
            RecordStep::Select(select) if select.keeps(&event.record) => Ok(Verdict::Keep),
            RecordStep::Select(_) => Ok(Verdict::Drop),
            RecordStep::Filter(filter) => filter.filter(&mut event, &context),
        };
        match verdict {
            Ok(Verdict::Keep) => {}
            Ok(Verdict::Drop) => return None,
            Err(FilterError { class, message, then }) => {
                fail(class, message);
                if !goes_on(then, raised_go_on) {
                    return None;
                }
            }
        }
    }
    Some(event)
}
