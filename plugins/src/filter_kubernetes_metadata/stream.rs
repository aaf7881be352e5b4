//! The filter for the events of one tag.

use super::identity::{Identity, Names};
use super::plan::Plan;
use super::shared::Shared;
use futures_util::future::BoxFuture;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime};
use logweir_engine::msgpack::{Entries, Entry};
use logweir_engine::plugin::StreamFilter;
use memchr::memmem;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// See the module.
pub(super) struct AddMetadata {
    pub(super) shared: Arc<Shared>,
    /// What the tag says.
    pub(super) of_tag: Option<Identity>,
}

/// Entries one after the other that come from the same container, or from none.
struct Run {
    entries: Range<usize>,
    count: usize,
    /// The container, by its number.
    container: Option<usize>,
}

/// Containers that a stream names, with the time of the first record of each.
#[derive(Default)]
struct Containers(Vec<(Identity, Option<EventTime>)>);

impl StreamFilter for AddMetadata {
    fn filter<'a>(&'a self, stream: EventStream, _: &'a mut Receipt) -> BoxFuture<'a, EventStream> {
        Box::pin(async move {
            self.shared.stats.stream_seen();
            let mut wait = None;
            if self.may_name_containers(&stream.entries) {
                return self.filter_each(stream, &mut wait).await;
            }
            let Some(identity) = &self.of_tag else { return stream };
            let time = Entries::new(&stream.entries).next().and_then(|entry| entry.time.to_event_time());
            let plan = self.shared.plan(identity, time, &mut wait).await;
            let mut out = Vec::with_capacity(stream.entries.len() + stream.count * plan.bytes);
            plan.splicer.splice_entries(&stream.entries, &mut out);
            EventStream::new(stream.tag, out.into(), stream.count)
        })
    }

    fn may_refuse_events(&self) -> bool {
        false
    }
}

impl AddMetadata {
    /// Whether records of the stream may name their container themselves. Those that do have a field of this name, which is
    /// much cheaper to look for than to look into each record.
    fn may_name_containers(&self, entries: &[u8]) -> bool {
        let settings = &self.shared.settings;
        (settings.lookup_from_k8s_field && memmem::find(entries, b"container_id").is_some())
            || (settings.journal_regexp.is_some() && memmem::find(entries, b"CONTAINER_ID_FULL").is_some())
    }

    async fn filter_each(&self, stream: EventStream, wait: &mut Option<Instant>) -> EventStream {
        let (runs, containers) = self.runs(&stream.entries);
        let mut plans: Vec<Arc<Plan>> = Vec::with_capacity(containers.0.len());
        for (identity, time) in &containers.0 {
            plans.push(self.shared.plan(identity, *time, wait).await);
        }
        let grown =
            |run: &Run| run.container.and_then(|n| plans.get(n)).map_or(0, |plan| plan.bytes * run.count);
        let mut out = Vec::with_capacity(stream.entries.len() + runs.iter().map(grown).sum::<usize>());
        for run in &runs {
            let entries = &stream.entries[run.entries.clone()];
            match run.container.and_then(|n| plans.get(n)) {
                Some(plan) => plan.splicer.splice_entries(entries, &mut out),
                None => out.extend_from_slice(entries),
            }
        }
        EventStream::new(stream.tag, out.into(), stream.count)
    }

    /// Divides a stream by the containers that its records name.
    fn runs(&self, entries: &[u8]) -> (Vec<Run>, Containers) {
        let mut containers = Containers::default();
        let mut runs: Vec<Run> = Vec::new();
        let mut walk = Entries::new(entries);
        let mut start = 0;
        while let Some(entry) = walk.next() {
            let container = self.container(&entry, &mut containers);
            let end = walk.position();
            match runs.last_mut().filter(|run| run.container == container) {
                Some(run) => {
                    run.entries.end = end;
                    run.count += 1;
                }
                None => runs.push(Run { entries: start..end, count: 1, container }),
            }
            start = end;
        }
        (runs, containers)
    }

    fn container(&self, entry: &Entry<'_>, containers: &mut Containers) -> Option<usize> {
        let settings = &self.shared.settings;
        let of_fields = || settings.lookup_from_k8s_field.then(|| Names::of_fields(entry.record)).flatten();
        let of_journal =
            || settings.journal_regexp.as_ref().and_then(|regexp| Names::of_journal(regexp, entry.record));
        if let Some(names) = of_fields().or_else(of_journal) {
            return Some(containers.number(entry, |known| names.are_of(known), || names.to_identity()));
        }
        let of_tag = self.of_tag.as_ref()?;
        Some(containers.number(entry, |known| known == of_tag, || of_tag.clone()))
    }
}

impl Containers {
    /// The number of a container, which is made only if it has none.
    fn number(
        &mut self,
        entry: &Entry<'_>,
        is_it: impl Fn(&Identity) -> bool,
        make: impl FnOnce() -> Identity,
    ) -> usize {
        // Records of one container tend to come together.
        match self.0.iter().rposition(|(known, _)| is_it(known)) {
            Some(number) => number,
            None => {
                self.0.push((make(), entry.time.to_event_time()));
                self.0.len() - 1
            }
        }
    }
}
