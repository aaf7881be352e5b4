//! What the store is told: by lists, by watches, and by answers to questions.

use super::{CROWDED_REST, NamespaceEntry, Resource, Store};
use crate::filter_kubernetes_metadata::object::{Namespace, Pod};
use crate::filter_kubernetes_metadata::pods::Freshness;
use crate::filter_kubernetes_metadata::questions::Question;
use crate::filter_kubernetes_metadata::stats::Stat;
use std::sync::Arc;
use std::time::Instant;

impl Store {
    /// A question could not be asked: too many are.
    pub(in super::super) fn not_asked(&mut self, question: &Question, now: Instant) {
        self.questions.forget(question);
        // What was found with it is looked at again then.
        for known in self.containers.values_mut() {
            let again = now + CROWDED_REST;
            known.good_until = Some(known.good_until.map_or(again, |until| until.min(again)));
        }
    }

    /// The server does not have what it was asked for. What was known of it is known to be of the past.
    pub(in super::super) fn not_found(&mut self, question: &Question, now: Instant) {
        match question {
            Question::Pod { namespace, name } => {
                if let Some(entry) = self.pods.by_name(namespace, name) {
                    entry.freshness = Freshness::Deleted;
                }
            }
            Question::Namespace { name } => {
                if let Some(entry) = self.namespaces.peek_mut(name) {
                    entry.freshness = Freshness::Deleted;
                }
            }
        }
        self.questions.not_found(question, now);
        self.generation += 1;
    }

    /// The server did not answer.
    pub(in super::super) fn failed(&mut self, question: &Question, now: Instant) {
        self.questions.failed(question, now);
        self.generation += 1;
    }

    /// The answer to a question about a pod.
    pub(in super::super) fn pod_fetched(&mut self, pod: Pod, now: Instant) {
        self.stats.bump(Stat::PodCacheApiUpdates);
        self.answered(&pod.namespace, Some(&pod.name));
        // What the watch has told is at least as new.
        let is_watched =
            self.pods.by_uid(&pod.uid).is_some_and(|entry| entry.freshness == Freshness::Watched);
        if !is_watched {
            let freshness = self.freshness(self.is_ours(&pod), now);
            self.pods.insert(pod, freshness, self.list);
        }
    }

    /// The answer to a question about a namespace.
    pub(in super::super) fn namespace_fetched(&mut self, namespace: Namespace, now: Instant) {
        self.stats.bump(Stat::NamespaceCacheApiUpdates);
        self.answered(&namespace.name, None);
        let freshness = self.freshness(self.is_watching[Resource::Namespaces as usize], now);
        self.put_namespace(namespace, freshness, self.list);
    }

    /// A list begins. Answers its number, which its items are told with.
    pub(in super::super) fn begin_list(&mut self) -> u64 {
        self.list += 1;
        self.list
    }

    /// A pod of a list.
    pub(in super::super) fn pod_listed(&mut self, pod: Pod, list: u64, now: Instant) {
        let is_known = self.pods.by_uid(&pod.uid).is_some();
        // Pods of other nodes push none out that records have asked for.
        if is_known || self.rules.node.is_some() || !self.pods.is_full() {
            self.stats.bump(Stat::PodCacheHostUpdates);
            self.answered(&pod.namespace, Some(&pod.name));
            let freshness = self.freshness(true, now);
            self.pods.insert(pod, freshness, list);
        }
    }

    /// A namespace of a list.
    pub(in super::super) fn namespace_listed(&mut self, namespace: Namespace, list: u64, now: Instant) {
        if self.namespaces.peek(&namespace.name).is_some() || !self.namespaces.is_full() {
            self.stats.bump(Stat::NamespaceCacheHostUpdates);
            self.answered(&namespace.name, None);
            let freshness = self.freshness(true, now);
            self.put_namespace(namespace, freshness, list);
        }
    }

    /// A list is complete: what it does not have, and the watch would have told of, is deleted.
    pub(in super::super) fn end_list(&mut self, resource: Resource, list: u64) {
        let is_gone = |freshness: Freshness, listed: u64| freshness == Freshness::Watched && listed < list;
        match resource {
            Resource::Pods => {
                for entry in self.pods.entries().filter(|entry| is_gone(entry.freshness, entry.listed)) {
                    entry.freshness = Freshness::Deleted;
                }
            }
            Resource::Namespaces => {
                let entries = self.namespaces.values_mut();
                for entry in entries.filter(|entry| is_gone(entry.freshness, entry.listed)) {
                    entry.freshness = Freshness::Deleted;
                }
            }
        }
        self.awaited[resource as usize] = false;
        self.is_watching[resource as usize] = true;
        self.generation += 1;
    }

    /// The first list will not come soon: it is not waited for any more.
    pub(in super::super) fn no_longer_awaited(&mut self, resource: Resource) {
        self.awaited[resource as usize] = false;
        self.generation += 1;
    }

    /// The watch is not at work and will not be soon: what it told is good for as long as an answer would be.
    pub(in super::super) fn watch_lost(&mut self, resource: Resource, now: Instant) {
        if !std::mem::replace(&mut self.is_watching[resource as usize], false) {
            return;
        }
        let until = self.freshness(false, now);
        let ages = |freshness: &mut Freshness| {
            if *freshness == Freshness::Watched {
                *freshness = until;
            }
        };
        match resource {
            Resource::Pods => self.pods.entries().for_each(|entry| ages(&mut entry.freshness)),
            Resource::Namespaces => self.namespaces.values_mut().for_each(|entry| ages(&mut entry.freshness)),
        }
        self.generation += 1;
    }

    /// The watch tells of a pod that is new or has changed.
    pub(in super::super) fn pod_changed(&mut self, pod: Pod, is_new: bool, now: Instant) {
        let is_known = self.pods.by_uid(&pod.uid).is_some();
        if is_known || self.rules.node.is_some() {
            let stat = if is_known { Stat::PodCacheWatchUpdates } else { Stat::PodCacheHostUpdates };
            self.stats.bump(stat);
            self.answered(&pod.namespace, Some(&pod.name));
            let freshness = self.freshness(true, now);
            self.pods.insert(pod, freshness, self.list);
        } else {
            self.stats.bump(if is_new { Stat::PodCacheWatchIgnored } else { Stat::PodCacheWatchMisses });
            self.answered(&pod.namespace, Some(&pod.name));
        }
    }

    /// The watch tells of a namespace that is new or has changed.
    pub(in super::super) fn namespace_changed(&mut self, namespace: Namespace, is_new: bool, now: Instant) {
        let is_known = self.namespaces.peek(&namespace.name).is_some();
        self.stats.bump(match (is_known, is_new) {
            (true, _) => Stat::NamespaceCacheWatchUpdates,
            (false, true) => Stat::NamespaceCacheWatchIgnored,
            (false, false) => Stat::NamespaceCacheWatchMisses,
        });
        self.answered(&namespace.name, None);
        if is_known || !self.namespaces.is_full() {
            let freshness = self.freshness(true, now);
            self.put_namespace(namespace, freshness, self.list);
        }
    }

    /// The watch tells that a pod is deleted. It stays for lines that are still to be read.
    pub(in super::super) fn pod_deleted(&mut self, uid: &str) {
        self.stats.bump(Stat::PodCacheWatchDeleteIgnored);
        if let Some(entry) = self.pods.by_uid(uid) {
            entry.freshness = Freshness::Deleted;
        }
    }

    /// The watch tells that a namespace is deleted.
    pub(in super::super) fn namespace_deleted(&mut self, name: &str, uid: &str) {
        self.stats.bump(Stat::NamespaceCacheWatchDeletesIgnored);
        if let Some(entry) = self.namespaces.peek_mut(name).filter(|entry| &*entry.namespace.uid == uid) {
            entry.freshness = Freshness::Deleted;
        }
    }

    fn put_namespace(&mut self, namespace: Namespace, freshness: Freshness, list: u64) {
        match self.namespaces.peek_mut(&namespace.name) {
            Some(entry) => {
                entry.namespace = Arc::new(namespace);
                entry.freshness = freshness;
                entry.listed = entry.listed.max(list);
            }
            None => {
                let name = namespace.name.clone();
                let entry = NamespaceEntry { namespace: Arc::new(namespace), freshness, listed: list };
                self.namespaces.insert(name, entry);
            }
        }
    }

    /// Whether the watch tells of this pod.
    fn is_ours(&self, pod: &Pod) -> bool {
        // Without a node, it tells of all, but what it told before this one was asked for is passed over.
        self.is_watching[Resource::Pods as usize] && self.rules.node.is_some() && self.rules.node == pod.node
    }

    fn freshness(&self, is_watched: bool, now: Instant) -> Freshness {
        match is_watched {
            true => Freshness::Watched,
            false => Freshness::Until(self.rules.ttl.map(|ttl| now + ttl)),
        }
    }

    fn answered(&mut self, namespace: &str, pod: Option<&str>) {
        let question = match pod {
            Some(name) => Question::Pod { namespace: namespace.into(), name: name.into() },
            None => Question::Namespace { name: namespace.into() },
        };
        self.questions.forget(&question);
        self.generation += 1;
    }
}
