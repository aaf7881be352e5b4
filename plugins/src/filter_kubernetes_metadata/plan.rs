//! What the records of one container get: the fields `docker` and `kubernetes`, encoded once and copied into each.

use super::identity::Identity;
use super::object::{Namespace, Pod};
use super::pairs::Pairs;
use super::settings::Orphans;
use logweir_engine::msgpack::Splicer;
use std::sync::Arc;

/// What is known of a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) pod: Option<Arc<Pod>>,
    pub(super) namespace: Option<Arc<Namespace>>,
    /// Without a pod: whether what identifies the container stands for the pod's id.
    pub(super) key_as_pod_id: bool,
    /// Nothing is known, and the record goes to the orphaned namespace.
    pub(super) is_orphan: bool,
}

impl Facts {
    /// Whether these come to the same fields.
    pub(super) fn same(&self, other: &Self) -> bool {
        let same_pod = match (&self.pod, &other.pod) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let same_namespace = match (&self.namespace, &other.namespace) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_pod
            && same_namespace
            && self.key_as_pod_id == other.key_as_pod_id
            && self.is_orphan == other.is_orphan
    }
}

/// See the module.
pub(super) struct Plan {
    pub(super) splicer: Splicer,
    /// By how much a record grows, about.
    pub(super) bytes: usize,
}

impl Plan {
    /// `with_image`: whether the container's image is wanted.
    pub(super) fn new(
        identity: &Identity,
        facts: &Facts,
        orphans: Option<&Orphans>,
        with_image: bool,
    ) -> Self {
        let pod = facts.pod.as_deref();
        let container =
            pod.and_then(|pod| pod.containers.iter().find(|container| container.name == identity.container));
        let container = container.filter(|_| with_image);
        let orphans = orphans.filter(|_| facts.is_orphan);
        let mut fields = Pairs::default();
        fields.text("container_name", &identity.container);
        let namespace = pod.map_or(&*identity.namespace, |pod| &*pod.namespace);
        fields.text("namespace_name", orphans.map_or(namespace, |orphans| orphans.name.as_str()));
        fields.text("pod_name", pod.map_or(&*identity.pod, |pod| &*pod.name));
        if let Some(container) = container {
            if let Some(image) = &container.image {
                fields.text("container_image", image);
            }
            if let Some(id) = &container.image_id {
                fields.text("container_image_id", id);
            }
        }
        match (pod, &identity.key) {
            (Some(pod), _) => fields.append(&pod.fields),
            (None, Some(key)) if facts.key_as_pod_id => fields.text("pod_id", key),
            _ => {}
        }
        if let Some(namespace) = &facts.namespace {
            fields.append(&namespace.fields);
        }
        if let Some(orphans) = orphans {
            fields.text("orphaned_namespace", &identity.namespace);
            fields.text("namespace_id", &orphans.id);
        }
        // The tag knows better than the pod's status, which has the id of the container that runs now.
        let id = identity.container_id.as_deref().filter(|id| !id.is_empty());
        let id = id.or_else(|| container.and_then(|container| container.id.as_deref()));
        let mut splicer = Splicer::new();
        let mut bytes = 0;
        if let Some(id) = id {
            let mut docker = Pairs::default();
            docker.text("container_id", id);
            let docker = docker.to_map();
            bytes += docker.len() + "docker".len() + 1;
            splicer = splicer.set(b"docker", &docker);
        }
        let kubernetes = fields.to_map();
        bytes += kubernetes.len() + "kubernetes".len() + 1;
        Self { splicer: splicer.set(b"kubernetes", &kubernetes), bytes }
    }
}
