//! Pods and namespaces as the API server writes them in JSON, reduced to what records get.

use super::pairs::Pairs;
use super::settings::Shape;
use logweir_engine::event::EventTime;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) uid: Box<str>,
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
    pub(super) node: Option<Box<str>>,
    pub(super) containers: Vec<Container>,
    /// The ids of all its containers, those of earlier runs included.
    pub(super) container_ids: Vec<Box<str>>,
    /// Its fields in a record, from pod_id to master_url.
    pub(super) fields: Pairs,
}

/// A container of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: Box<str>,
    pub(super) image: Option<Box<str>>,
    pub(super) image_id: Option<Box<str>>,
    pub(super) id: Option<Box<str>>,
}

/// A namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) name: Box<str>,
    pub(super) uid: Box<str>,
    pub(super) created: Option<EventTime>,
    /// Its fields in a record: namespace_id, namespace_labels, namespace_annotations.
    pub(super) fields: Pairs,
}

/// The JSON of a pod, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct PodJson {
    metadata: MetadataJson,
    spec: Option<SpecJson>,
    status: Option<StatusJson>,
}

/// The JSON of a namespace.
#[derive(Debug, Deserialize)]
pub(super) struct NamespaceJson {
    metadata: MetadataJson,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataJson {
    uid: Box<str>,
    name: Box<str>,
    namespace: Option<Box<str>>,
    creation_timestamp: Option<Box<str>>,
    labels: Option<Map<String, Value>>,
    annotations: Option<Map<String, Value>>,
    owner_references: Option<Vec<OwnerJson>>,
}

#[derive(Debug, Deserialize)]
struct OwnerJson {
    kind: Option<Box<str>>,
    name: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecJson {
    node_name: Option<Box<str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusJson {
    #[serde(rename = "podIP")]
    pod_ip: Option<Box<str>>,
    container_statuses: Option<Vec<ContainerJson>>,
    init_container_statuses: Option<Vec<ContainerJson>>,
    ephemeral_container_statuses: Option<Vec<ContainerJson>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerJson {
    name: Box<str>,
    image: Option<Box<str>>,
    #[serde(rename = "imageID")]
    image_id: Option<Box<str>>,
    #[serde(rename = "containerID")]
    container_id: Option<Box<str>>,
    last_state: Option<LastStateJson>,
}

#[derive(Debug, Deserialize)]
struct LastStateJson {
    terminated: Option<TerminatedJson>,
}

#[derive(Debug, Deserialize)]
struct TerminatedJson {
    #[serde(rename = "containerID")]
    container_id: Option<Box<str>>,
}

impl PodJson {
    /// What of it goes into records.
    pub(super) fn reduce(self, shape: &Shape) -> Pod {
        let Self { metadata, spec, status } = self;
        let node = spec.and_then(|spec| spec.node_name).filter(|node| !node.is_empty());
        let mut fields = Pairs::default();
        fields.text("pod_id", &metadata.uid);
        if let Some(ip) = status.as_ref().and_then(|status| status.pod_ip.as_deref()) {
            fields.text("pod_ip", ip);
        }
        if let Some(node) = &node {
            fields.text("host", node);
        }
        if shape.owners {
            let owners: Vec<Value> = metadata.owner_references.iter().flatten().map(owner).collect();
            fields.json("ownerrefs", &Value::Array(owners));
        }
        if let Some(labels) = metadata.labels.as_ref().filter(|labels| shape.pod_labels && !labels.is_empty())
        {
            fields.map("labels", labels);
        }
        fields.some_map("annotations", &matching(&metadata, shape));
        if let Some(url) = &shape.master_url {
            fields.text("master_url", url);
        }
        let status = status.unwrap_or_default();
        let lists = [
            &status.container_statuses,
            &status.init_container_statuses,
            &status.ephemeral_container_statuses,
        ];
        let container_ids = lists.into_iter().flatten().flatten().flat_map(|status| status.ids()).collect();
        let containers = status.container_statuses.into_iter().flatten().map(ContainerJson::reduce).collect();
        Pod {
            uid: metadata.uid,
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name,
            node,
            containers,
            container_ids,
            fields,
        }
    }
}

impl ContainerJson {
    fn ids(&self) -> impl Iterator<Item = Box<str>> + '_ {
        let last = self.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let ids = [self.container_id.as_deref(), last.and_then(|last| last.container_id.as_deref())];
        ids.into_iter().flatten().filter_map(bare_id)
    }

    fn reduce(self) -> Container {
        Container {
            id: self.container_id.as_deref().and_then(bare_id),
            name: self.name,
            image: self.image,
            image_id: self.image_id.filter(|id| !id.is_empty()),
        }
    }
}

impl NamespaceJson {
    /// What of it goes into records.
    pub(super) fn reduce(self, shape: &Shape) -> Namespace {
        let metadata = self.metadata;
        let mut fields = Pairs::default();
        fields.text("namespace_id", &metadata.uid);
        let labels = metadata.labels.as_ref().filter(|labels| shape.namespace_labels && !labels.is_empty());
        if let Some(labels) = labels {
            fields.map("namespace_labels", labels);
        }
        fields.some_map("namespace_annotations", &matching(&metadata, shape));
        let created = metadata.creation_timestamp.as_deref().and_then(|text| {
            let time: jiff::Timestamp = text.parse().ok()?;
            Some(EventTime { sec: time.as_second(), nsec: time.subsec_nanosecond().unsigned_abs() })
        });
        Namespace { name: metadata.name, uid: metadata.uid, created, fields }
    }
}

/// The annotations whose names match, in the order of the expressions.
fn matching(metadata: &MetadataJson, shape: &Shape) -> Map<String, Value> {
    let mut found = Map::new();
    for regexp in &shape.annotations {
        for (name, value) in metadata.annotations.iter().flatten() {
            if regexp.is_match(name.as_bytes()) {
                found.insert(name.clone(), value.clone());
            }
        }
    }
    found
}

fn owner(owner: &OwnerJson) -> Value {
    serde_json::json!({ "kind": owner.kind, "name": owner.name })
}

/// `containerd://ID` without what names the runtime.
fn bare_id(id: &str) -> Option<Box<str>> {
    let bare = match id.split_once("://") {
        Some((runtime, rest))
            if !runtime.is_empty()
                && runtime.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) =>
        {
            rest
        }
        _ => id,
    };
    (!bare.is_empty()).then(|| bare.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{
        "metadata": {"name": "web-0", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
            "labels": {"app": "web", "a.b/c": "d"},
            "annotations": {"custom.two": "2", "other": "x", "custom.one": "1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": true}]},
        "spec": {"nodeName": "node-1", "containers": []},
        "status": {"podIP": "10.0.0.7", "phase": "Running",
            "containerStatuses": [{"name": "app", "image": "shop/web:1", "imageID": "shop/web@sha256:1",
                "containerID": "containerd://c2", "lastState": {"terminated": {"containerID": "containerd://c1"}}},
                {"name": "side", "image": "side", "imageID": "", "lastState": {}}],
            "initContainerStatuses": [{"name": "init", "containerID": "docker://c0"}]}}"#;

    fn pod(json: &str, shape: &Shape) -> Pod {
        serde_json::from_str::<PodJson>(json).unwrap().reduce(shape)
    }

    fn regexps(sources: &[&str]) -> Vec<logweir_engine::regexp::Regexp> {
        sources.iter().map(|source| logweir_engine::regexp::Regexp::parse_literal(source).unwrap()).collect()
    }

    #[test]
    fn a_pod_with_everything() {
        let shape = Shape {
            pod_labels: true,
            owners: true,
            master_url: Some("https://api".to_owned()),
            annotations: regexps(&["one", "^custom"]),
            ..Shape::default()
        };
        let pod = pod(POD, &shape);
        assert_eq!(
            (&*pod.uid, &*pod.namespace, &*pod.name, pod.node.as_deref()),
            ("u1", "shop", "web-0", Some("node-1"))
        );
        assert_eq!(
            pod.fields.to_json(),
            r#"{"pod_id":"u1","pod_ip":"10.0.0.7","host":"node-1","ownerrefs":[{"kind":"StatefulSet","name":"web"}],"labels":{"app":"web","a.b/c":"d"},"annotations":{"custom.one":"1","custom.two":"2"},"master_url":"https://api"}"#
        );
        assert_eq!(pod.container_ids.iter().map(|id| &**id).collect::<Vec<_>>(), ["c2", "c1", "c0"]);
        assert_eq!(pod.containers.len(), 2);
        assert_eq!(pod.containers[0].id.as_deref(), Some("c2"));
        assert_eq!((pod.containers[1].image.as_deref(), &pod.containers[1].image_id), (Some("side"), &None));
    }

    #[test]
    fn a_pod_with_next_to_nothing() {
        let shape = Shape { pod_labels: true, ..Shape::default() };
        for json in [
            r#"{"metadata":{"name":"p","namespace":"n","uid":"u"}}"#,
            r#"{"metadata":{"name":"p","namespace":"n","uid":"u","labels":null,"annotations":null},"spec":{},"status":{"containerStatuses":null}}"#,
        ] {
            let pod = pod(json, &shape);
            assert_eq!(pod.fields.to_json(), r#"{"pod_id":"u"}"#);
            assert!(pod.containers.is_empty() && pod.node.is_none());
        }
        assert_eq!(
            pod(POD, &Shape::default()).fields.to_json(),
            r#"{"pod_id":"u1","pod_ip":"10.0.0.7","host":"node-1"}"#
        );
        let owners = Shape { owners: true, ..Shape::default() };
        let alone = pod(r#"{"metadata":{"name":"p","namespace":"n","uid":"u"}}"#, &owners);
        assert_eq!(alone.fields.to_json(), r#"{"pod_id":"u","ownerrefs":[]}"#);
    }

    #[test]
    fn a_namespace() {
        let json = r#"{"metadata":{"name":"shop","uid":"n1","creationTimestamp":"2015-05-08T09:22:01Z",
            "labels":{"tenant":"test"},"annotations":{"team":"x"}}}"#;
        let shape = Shape { namespace_labels: true, annotations: regexps(&["team"]), ..Shape::default() };
        let namespace = serde_json::from_str::<NamespaceJson>(json).unwrap().reduce(&shape);
        assert_eq!(namespace.created, Some(EventTime::from_secs(1_431_076_921)));
        assert_eq!(
            namespace.fields.to_json(),
            r#"{"namespace_id":"n1","namespace_labels":{"tenant":"test"},"namespace_annotations":{"team":"x"}}"#
        );
    }

    #[test]
    fn ids_of_containers() {
        for (id, bare) in
            [("containerd://ab", Some("ab")), ("ab", Some("ab")), ("docker://", None), ("", None)]
        {
            assert_eq!(bare_id(id).as_deref(), bare);
        }
    }
}
