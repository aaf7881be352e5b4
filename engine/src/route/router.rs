//! One label's ordered list of filters and matches.

use super::errors::ErrorEvents;
use super::pattern::TagPatterns;
use super::pipeline::Pipeline;
use super::unmatched::Unmatched;
use super::workers::Workers;
use crate::delivery::{EmitError, Receipt};
use crate::event::{EventStream, Tag};
use crate::plugin::{Filter, Output};
use crate::telemetry::{Account, Ledger, PluginLog};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// What a directive does with the streams that match it.
pub enum Collector {
    /// Changes them and lets them on.
    Filter(Arc<dyn Filter>),
    /// Takes them; they go no further.
    Output(Arc<dyn Output>),
}

/// A `<filter>` or `<match>`.
pub struct Rule {
    /// Which tags it is for.
    pub patterns: TagPatterns,
    /// What it does.
    pub collector: Collector,
    /// The `<worker>` that it stands in.
    pub workers: Workers,
}

/// Routes streams of one label (or of the top level) by their tag.
pub struct Router {
    rules: Arc<[Rule]>,
    /// The workers whose rules are tried, in order.
    views: Vec<u32>,
    errors: ErrorEvents,
    unmatched: Unmatched,
    cache: RwLock<Cache>,
    hold: OnceLock<Hold>,
}

/// What takes all streams until it is over.
struct Hold {
    buffer: Arc<dyn Output>,
    is_over: AtomicBool,
}

/// Tags whose pipeline is remembered, in each of two generations. Senders choose tags, so this bounds memory.
const CACHED_TAGS_MAX: usize = 16_384;

/// When `young` is full it becomes `old`, and what was old and not asked for since is forgotten.
#[derive(Default)]
struct Cache {
    young: HashMap<Tag, Arc<Pipeline>>,
    old: HashMap<Tag, Arc<Pipeline>>,
}

impl Router {
    /// Rules in the order of the configuration. `quiet` does not warn of streams that no rule takes.
    pub fn new(
        rules: Vec<(TagPatterns, Collector)>,
        errors: ErrorEvents,
        log: PluginLog,
        quiet: bool,
    ) -> Arc<Self> {
        let all = |(patterns, collector)| Rule { patterns, collector, workers: Workers::ALL };
        Self::of_workers(rules.into_iter().map(all).collect(), Workers::ALL, 1, errors, log, quiet)
    }

    /// For the events of inputs in a `<worker>` of these `workers`, of `count` that there are.
    pub fn of_workers(
        rules: Arc<[Rule]>,
        workers: Workers,
        count: u32,
        errors: ErrorEvents,
        log: PluginLog,
        quiet: bool,
    ) -> Arc<Self> {
        let views = workers.representatives(rules.iter().map(|rule| rule.workers), count);
        let (unmatched, cache) = (Unmatched::new(log, quiet), RwLock::default());
        Arc::new(Self { rules, views, errors, unmatched, cache, hold: OnceLock::new() })
    }

    /// From now on all streams go into `buffer`, until [`Router::release`]. Later calls are ignored.
    pub fn hold(&self, buffer: Arc<dyn Output>) {
        let _ = self.hold.set(Hold { buffer, is_over: AtomicBool::new(false) });
    }

    /// Streams go by the rules again.
    pub fn release(&self) {
        if let Some(hold) = self.hold.get() {
            hold.is_over.store(true, Ordering::Release);
        }
    }

    /// Takes `stream` through the filters that match its tag and into the first output that does. A stream that no
    /// output takes is counted, logged and dropped. An error has been logged; a stream whose error an
    /// `@ERROR` label absorbed is no error.
    pub async fn emit(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        if stream.is_empty() {
            return Ok(());
        }
        if let Some(hold) = self.hold.get()
            && !hold.is_over.load(Ordering::Acquire)
        {
            return match hold.buffer.emit(stream.clone(), receipt).await {
                Ok(()) => Ok(()),
                // @ERROR does not run yet.
                Err(error) => self.errors.without_label().refused(stream, error, receipt).await,
            };
        }
        let pipeline = self.pipeline(&stream.tag);
        let stream = pipeline.filter(stream, &self.errors, receipt).await;
        if stream.is_empty() {
            return Ok(());
        }
        let Some(output) = &pipeline.output else {
            self.unmatched.take(&stream.tag);
            self.errors.ledger().add(Account::DroppedNoMatch, stream.count as u64);
            return Ok(());
        };
        match output.emit(stream.clone(), receipt).await {
            Ok(()) => Ok(()),
            Err(error) => self.errors.refused(stream, error, receipt).await,
        }
    }

    /// Emits a stream that comes from no input: Logweir's own log lines.
    pub async fn emit_own(&self, stream: EventStream) {
        let (ledger, mut receipt) = (self.ledger(), Receipt::unwatched());
        ledger.add(Account::Received, stream.count as u64);
        // An output that refuses has said so in the log.
        if let Err(error) = self.emit(stream, &mut receipt).await {
            ledger.add(error.account(), receipt.take_refused());
        }
    }

    /// Where the pipelines of the configuration book what belongs to no single plugin.
    pub fn ledger(&self) -> &Arc<Ledger> {
        self.errors.ledger()
    }

    /// Whether an output takes streams of `tag`.
    pub fn takes(&self, tag: &Tag) -> bool {
        self.pipeline(tag).output.is_some()
    }

    /// The output that takes streams of `tag`.
    pub fn output_of(&self, tag: &Tag) -> Option<Arc<dyn Output>> {
        self.pipeline(tag).output.clone()
    }

    /// Whether a filter of `tag` can refuse single events, so that streams must not be joined: an error event goes out before
    /// what else is in its stream.
    pub fn may_refuse_events(&self, tag: &Tag) -> bool {
        self.pipeline(tag).may_refuse_events()
    }

    /// Streams that no output took.
    pub fn unmatched_count(&self) -> u64 {
        self.unmatched.count()
    }

    fn pipeline(&self, tag: &Tag) -> Arc<Pipeline> {
        {
            let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(pipeline) = cache.young.get(tag) {
                return Arc::clone(pipeline);
            }
        }
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        let pipeline = cache.old.remove(tag).unwrap_or_else(|| Arc::new(self.build(tag)));
        if cache.young.len() >= CACHED_TAGS_MAX {
            cache.old = std::mem::take(&mut cache.young);
        }
        cache.young.insert(tag.clone(), Arc::clone(&pipeline));
        pipeline
    }

    /// By the rules of the first view that has an output for the tag; if none has, by those of the first.
    fn build(&self, tag: &Tag) -> Pipeline {
        let mut views = self.views.iter().map(|worker| self.view(tag, *worker));
        let first = views.next().unwrap_or_default();
        let taken = if first.output.is_some() { None } else { views.find(|way| way.output.is_some()) };
        let way = taken.unwrap_or(first);
        Pipeline::new(tag, &way.filters, way.output)
    }

    /// What takes the tag in a worker.
    fn view(&self, tag: &Tag, worker: u32) -> Way {
        let mut way = Way::default();
        for rule in self.rules.iter().filter(|rule| rule.workers.contains(worker)) {
            if rule.patterns.matches(tag.as_str()) {
                match &rule.collector {
                    Collector::Filter(filter) => way.filters.push(Arc::clone(filter)),
                    Collector::Output(output) => {
                        way.output = Some(Arc::clone(output));
                        break;
                    }
                }
            }
        }
        way
    }
}

/// The plugins on the way of a tag.
#[derive(Default)]
struct Way {
    filters: Vec<Arc<dyn Filter>>,
    output: Option<Arc<dyn Output>>,
}
