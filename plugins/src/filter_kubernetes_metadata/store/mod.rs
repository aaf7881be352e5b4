//! What is known of pods, namespaces and containers: bounded, told by lists, watches and answers, asked by records.

mod told;

use super::identity::Identity;
use super::object::{Namespace, Pod};
use super::plan::{Facts, Plan};
use super::pods::{Freshness, Pods};
use super::questions::{Advice, Question, Questions};
use super::recent::Recent;
use super::settings::{Orphans, Settings};
use super::stats::{Stat, Stats};
use logweir_engine::event::EventTime;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Store {
    rules: Rules,
    stats: Arc<Stats>,
    pods: Pods,
    namespaces: Recent<Box<str>, NamespaceEntry>,
    questions: Questions,
    containers: Recent<Identity, Known>,
    /// Grows with each change of what is known.
    generation: u64,
    /// The first lists of pods and of namespaces are still to come.
    awaited: [bool; 2],
    /// The watches of pods and of namespaces are at work.
    is_watching: [bool; 2],
    /// How many lists there were.
    list: u64,
}

struct Rules {
    has_server: bool,
    node: Option<Box<str>>,
    ttl: Option<Duration>,
    wants_namespaces: bool,
    with_image: bool,
    orphans: Option<Orphans>,
}

struct NamespaceEntry {
    namespace: Arc<Namespace>,
    freshness: Freshness,
    listed: u64,
}

/// What records of a container get, as of a generation.
struct Known {
    plan: Arc<Plan>,
    facts: Facts,
    generation: u64,
    /// Until when that holds without a change.
    good_until: Option<Instant>,
}

/// The answer to a record.
pub(super) struct Found {
    pub(super) plan: Arc<Plan>,
    /// What the API server should be asked for.
    pub(super) ask: Vec<Question>,
    /// More will be known soon.
    pub(super) is_pending: bool,
}

/// What is listed and watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Pods,
    Namespaces,
}

/// Something that may be known.
struct Answer<T> {
    value: Option<Arc<T>>,
    ask: Option<Question>,
    is_pending: bool,
    good_until: Option<Instant>,
}

impl<T> Answer<T> {
    fn of(value: Option<Arc<T>>) -> Self {
        Self { value, ask: None, is_pending: false, good_until: None }
    }
}

/// How long what could not be asked for waits to be asked for again.
const CROWDED_REST: Duration = Duration::from_secs(1);

impl Store {
    pub(super) fn new(settings: &Settings, stats: Arc<Stats>) -> Self {
        let size = settings.cache_size;
        let wants_namespaces = settings.shape.namespaces;
        Self {
            rules: Rules {
                has_server: settings.server.is_some(),
                node: settings.node.as_deref().map(Box::from),
                ttl: settings.cache_ttl,
                wants_namespaces,
                with_image: settings.shape.containers,
                orphans: settings.orphans.clone(),
            },
            stats,
            pods: Pods::new(size),
            namespaces: Recent::new(size),
            questions: Questions::new(size),
            containers: Recent::new(size),
            generation: 0,
            awaited: [settings.watch, settings.watch && wants_namespaces],
            is_watching: [false, false],
            list: 0,
        }
    }

    /// What a record of `time` gets, and what should be asked for to know more.
    pub(super) fn find(&mut self, identity: &Identity, time: Option<EventTime>, now: Instant) -> Found {
        let generation = self.generation;
        match self.containers.get(identity) {
            Some(known)
                if known.generation == generation && known.good_until.is_none_or(|until| now < until) =>
            {
                return Found { plan: Arc::clone(&known.plan), ask: Vec::new(), is_pending: false };
            }
            Some(_) => {}
            None => self.stats.bump(Stat::IdCacheMiss),
        }
        let pod = self.pod(identity, now);
        let namespace = self.namespace(identity, now);
        let is_pending = pod.is_pending || namespace.is_pending;
        let good_until = [pod.good_until, namespace.good_until].into_iter().flatten().min();
        let ask = [pod.ask, namespace.ask].into_iter().flatten().collect();
        let facts = self.facts(pod.value, namespace.value, time);
        let before = self.containers.peek(identity).filter(|known| known.facts.same(&facts));
        let plan = match before {
            Some(known) => Arc::clone(&known.plan),
            None => {
                self.count(&facts);
                let orphans = self.rules.orphans.as_ref();
                Arc::new(Plan::new(identity, &facts, orphans, self.rules.with_image))
            }
        };
        // While an answer is waited for, every record asks anew.
        if !is_pending && identity.is_plausible() {
            let known = Known { plan: Arc::clone(&plan), facts, generation, good_until };
            self.containers.insert(identity.clone(), known);
        }
        Found { plan, ask, is_pending }
    }

    fn facts(
        &self,
        pod: Option<Arc<Pod>>,
        namespace: Option<Arc<Namespace>>,
        time: Option<EventTime>,
    ) -> Facts {
        let nothing = pod.is_none() && namespace.is_none();
        // A namespace that is younger than the record is another one than the record's.
        let is_older = |namespace: &Arc<Namespace>| match (namespace.created, time) {
            (Some(created), Some(time)) => created <= time,
            _ => false,
        };
        Facts {
            key_as_pod_id: pod.is_none() && namespace.as_ref().is_some_and(is_older),
            is_orphan: nothing
                && self.rules.has_server
                && self.rules.wants_namespaces
                && self.rules.orphans.is_some(),
            pod,
            namespace,
        }
    }

    fn count(&self, facts: &Facts) {
        if facts.is_orphan {
            self.stats.bump(Stat::IdCacheOrphanedRecord);
        } else if facts.pod.is_none() && facts.namespace.is_some() {
            self.stats.bump(Stat::IdCachePodNotFoundNamespace);
        }
    }

    fn pod(&mut self, identity: &Identity, now: Instant) -> Answer<Pod> {
        if !self.rules.has_server {
            return Answer::of(None);
        }
        let found = self.pods.of(identity);
        let value = match found.map(|(entry, is_exact)| (Arc::clone(&entry.pod), entry.freshness, is_exact)) {
            // Of the deleted one's name; it may be its successor's line, of which nothing is known yet.
            Some((pod, Freshness::Deleted, false)) => {
                let question =
                    Question::Pod { namespace: identity.namespace.clone(), name: identity.pod.clone() };
                let answer = self.ask(Answer::of(None), question, Resource::Pods, identity, now);
                return Answer { value: Some(pod), ..answer };
            }
            Some((pod, Freshness::Watched | Freshness::Deleted | Freshness::Until(None), _)) => {
                return Answer::of(Some(pod));
            }
            Some((pod, Freshness::Until(Some(until)), _)) if now < until => {
                return Answer { good_until: Some(until), ..Answer::of(Some(pod)) };
            }
            Some((pod, _, _)) => Some(pod),
            None => None,
        };
        let (namespace, name) = match &value {
            Some(pod) => (pod.namespace.clone(), pod.name.clone()),
            None => (identity.namespace.clone(), identity.pod.clone()),
        };
        let question = Question::Pod { namespace, name };
        self.ask(Answer::of(value), question, Resource::Pods, identity, now)
    }

    fn namespace(&mut self, identity: &Identity, now: Instant) -> Answer<Namespace> {
        if !self.rules.has_server || !self.rules.wants_namespaces {
            return Answer::of(None);
        }
        let found = self.namespaces.get(&identity.namespace);
        let value = match found.map(|entry| (Arc::clone(&entry.namespace), entry.freshness)) {
            Some((namespace, Freshness::Watched | Freshness::Deleted | Freshness::Until(None))) => {
                return Answer::of(Some(namespace));
            }
            Some((namespace, Freshness::Until(Some(until)))) if now < until => {
                return Answer { good_until: Some(until), ..Answer::of(Some(namespace)) };
            }
            Some((namespace, _)) => Some(namespace),
            None => None,
        };
        let question = Question::Namespace { name: identity.namespace.clone() };
        self.ask(Answer::of(value), question, Resource::Namespaces, identity, now)
    }

    /// An answer that is not known, or no longer fresh: what is known stays good meanwhile.
    fn ask<T>(
        &mut self,
        answer: Answer<T>,
        question: Question,
        resource: Resource,
        identity: &Identity,
        now: Instant,
    ) -> Answer<T> {
        if !identity.is_plausible() {
            return answer;
        }
        let is_known = answer.value.is_some();
        if self.awaited[resource as usize] {
            return Answer { is_pending: !is_known, ..answer };
        }
        match self.questions.advise(&question, now) {
            Advice::Ask { wait } => Answer { ask: Some(question), is_pending: wait && !is_known, ..answer },
            Advice::Asked { wait } => Answer { is_pending: wait && !is_known, ..answer },
            Advice::Later(until) => Answer { good_until: Some(until), ..answer },
        }
    }

    /// How many pods and namespaces are remembered.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.pods.len(), self.namespaces.len())
    }

    /// How many containers are remembered.
    #[cfg(test)]
    pub(super) fn containers(&self) -> usize {
        self.containers.len()
    }
}
