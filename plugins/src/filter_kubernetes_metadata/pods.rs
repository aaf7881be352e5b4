//! The pods that are known, found by uid, by container or by name.

use super::identity::Identity;
use super::object::Pod;
use super::recent::Recent;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// See the module.
pub(super) struct Pods {
    by_uid: Recent<Box<str>, PodEntry>,
    /// `namespace/name` to uid: the latest pod of that name.
    by_name: HashMap<Box<str>, Box<str>>,
    /// Container id to uid.
    by_container: HashMap<Box<str>, Box<str>>,
}

/// A pod and how good it is.
pub(super) struct PodEntry {
    pub(super) pod: Arc<Pod>,
    pub(super) freshness: Freshness,
    /// The list that had it last.
    pub(super) listed: u64,
}

/// How long something that was told stays true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// As long as the watch says nothing else.
    Watched,
    /// Until then; without a time, for ever.
    Until(Option<Instant>),
    /// It is deleted, and changes no more. It stays for its last lines, until newer ones need its room.
    Deleted,
}

impl Pods {
    pub(super) fn new(len_max: usize) -> Self {
        Self { by_uid: Recent::new(len_max), by_name: HashMap::new(), by_container: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_uid.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_uid.is_full()
    }

    /// The pod of a container: the one that has this very container if there is one, else the latest of that name; and
    /// whether it is the former.
    pub(super) fn of(&mut self, identity: &Identity) -> Option<(&mut PodEntry, bool)> {
        let key = identity.key.as_deref().unwrap_or_default();
        let exact = match self.by_uid.peek(key) {
            Some(_) => Some(key),
            None => self.by_container.get(key).map(|uid| &**uid),
        };
        let uid = match exact {
            Some(uid) => uid,
            None => self.by_name.get(&*full_name(&identity.namespace, &identity.pod))?,
        };
        self.by_uid.get(uid).map(|entry| (entry, exact.is_some()))
    }

    pub(super) fn by_uid(&mut self, uid: &str) -> Option<&mut PodEntry> {
        self.by_uid.peek_mut(uid)
    }

    pub(super) fn by_name(&mut self, namespace: &str, name: &str) -> Option<&mut PodEntry> {
        let uid = self.by_name.get(&*full_name(namespace, name))?;
        self.by_uid.peek_mut(uid)
    }

    /// Puts a pod in, or in place of what was known of it.
    pub(super) fn insert(&mut self, pod: Pod, freshness: Freshness, listed: u64) {
        // How lately it was used stays as it is; a new one counts as used.
        if let Some(entry) = self.by_uid.peek_mut(&pod.uid) {
            let pod = Arc::new(pod);
            let old = std::mem::replace(&mut entry.pod, Arc::clone(&pod));
            entry.freshness = freshness;
            entry.listed = entry.listed.max(listed);
            self.unlink(&old);
            self.link(&pod);
            return;
        }
        self.link(&pod);
        let entry = PodEntry { pod: Arc::new(pod), freshness, listed };
        for gone in self.by_uid.insert(entry.pod.uid.clone(), entry) {
            self.unlink(&gone.pod);
        }
    }

    /// Every entry, for a change that does not count as a use.
    pub(super) fn entries(&mut self) -> impl Iterator<Item = &mut PodEntry> {
        self.by_uid.values_mut()
    }

    fn link(&mut self, pod: &Pod) {
        self.by_name.insert(full_name(&pod.namespace, &pod.name), pod.uid.clone());
        for id in &pod.container_ids {
            self.by_container.insert(id.clone(), pod.uid.clone());
        }
    }

    fn unlink(&mut self, pod: &Pod) {
        let name = full_name(&pod.namespace, &pod.name);
        // The name may be another pod's by now.
        if self.by_name.get(&name) == Some(&pod.uid) {
            self.by_name.remove(&name);
        }
        for id in &pod.container_ids {
            if self.by_container.get(id) == Some(&pod.uid) {
                self.by_container.remove(id);
            }
        }
    }
}

fn full_name(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}
