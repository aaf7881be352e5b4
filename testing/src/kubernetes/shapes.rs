//! Pods and namespaces as the API server writes them.

use serde_json::{Map, Value, json};

/// A pod to be put into the server.
#[derive(Clone, Debug)]
pub struct Pod<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// The node it runs on.
    pub node: &'a str,
    /// Names and ids of its containers; each has the image `registry/NAME:1`.
    pub containers: &'a [(&'a str, &'a str)],
    /// Its labels.
    pub labels: &'a [(&'a str, &'a str)],
}

impl Pod<'_> {
    /// As the server's JSON, with more than anybody reads.
    pub fn json(&self) -> Value {
        let statuses: Vec<Value> = self
            .containers
            .iter()
            .map(|(name, id)| {
                json!({
                    "name": name, "ready": true, "restartCount": 0, "started": true,
                    "image": format!("registry/{name}:1"), "imageID": format!("registry/{name}@sha256:1"),
                    "containerID": format!("containerd://{id}"), "lastState": {}, "state": {"running": {}},
                })
            })
            .collect();
        let containers: Vec<Value> = self.containers.iter().map(|(name, _)| json!({"name": name})).collect();
        json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": self.name, "namespace": self.namespace, "uid": self.uid,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": map(self.labels), "annotations": {"example.com/team": "a", "other": "\"}],\n"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "owner", "uid": "o"}],
            },
            "spec": {"nodeName": self.node, "containers": containers},
            "status": {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}], "containerStatuses": statuses},
        })
    }
}

/// A namespace that was made in 2020.
pub fn namespace(name: &str, uid: &str, labels: &[(&str, &str)]) -> Value {
    json!({
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": {
            "name": name, "uid": uid, "creationTimestamp": "2020-01-01T00:00:00Z",
            "labels": map(labels), "annotations": {"example.com/owner": "b"},
        },
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    })
}

fn map(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}
