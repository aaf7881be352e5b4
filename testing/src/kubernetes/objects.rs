//! What the server holds, and its history.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// See the module.
pub(crate) struct Objects {
    objects: BTreeMap<(String, String, String), Value>,
    history: Vec<(u64, Change)>,
    version: u64,
    /// A watch from before that version is told 410.
    oldest: u64,
    pub(crate) gone_as_status: bool,
    pub(crate) tokens: Vec<String>,
    pub(crate) forbidden: Vec<String>,
    pub(crate) is_holding: bool,
    pub(crate) requests: Vec<String>,
    pub(crate) watches: usize,
    /// How often all watches were ended.
    pub(crate) ended: u64,
    /// What all watches that were open then were sent, whatever it is.
    pub(crate) sent: Vec<String>,
}

enum Change {
    Object { kind: String, before: Option<Value>, after: Option<Value> },
    Bookmark,
}

impl Objects {
    pub(crate) fn new(tokens: &[&str]) -> Self {
        Self {
            objects: BTreeMap::new(),
            history: Vec::new(),
            version: 1000,
            oldest: 0,
            gone_as_status: false,
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            forbidden: Vec::new(),
            is_holding: false,
            requests: Vec::new(),
            watches: 0,
            ended: 0,
            sent: Vec::new(),
        }
    }

    pub(crate) fn put(&mut self, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&object["kind"]);
        let key = (kind.clone(), text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        let before = self.objects.insert(key, object.clone());
        self.history.push((self.version, Change::Object { kind, before, after: Some(object) }));
    }

    pub(crate) fn delete(&mut self, kind: &str, namespace: &str, name: &str) {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        let before = self.objects.remove(&key).expect("the object");
        self.version += 1;
        self.history.push((
            self.version,
            Change::Object { kind: kind.to_owned(), before: Some(before), after: None },
        ));
    }

    pub(crate) fn bookmark(&mut self) {
        self.version += 10;
        self.history.push((self.version, Change::Bookmark));
    }

    pub(crate) fn forget_history(&mut self, as_status: bool) {
        self.version += 1;
        self.oldest = self.version;
        self.gone_as_status = as_status;
        self.history.clear();
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn is_forgotten(&self, version: u64) -> bool {
        version < self.oldest
    }

    /// The objects of a kind that a selector of nodes lets through.
    pub(crate) fn list(&self, kind: &str, node: Option<&str>) -> Vec<&Value> {
        let of_kind = self.objects.iter().filter(|((known, _, _), _)| known == kind);
        of_kind.map(|(_, object)| object).filter(|object| selects(node, object)).collect()
    }

    pub(crate) fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// The lines of a watch after `version`, and the version that they lead to.
    pub(crate) fn lines_after(
        &self,
        version: u64,
        kind: &str,
        node: Option<&str>,
        bookmarks: bool,
    ) -> (Vec<String>, u64) {
        let mut lines = Vec::new();
        for (at, change) in self.history.iter().filter(|(at, _)| *at > version) {
            match change {
                Change::Object { kind: changed, before, after } if changed == kind => {
                    let before = before.as_ref().filter(|object| selects(node, object));
                    let selected = after.as_ref().filter(|object| selects(node, object));
                    let (word, object) = match (before, selected) {
                        (None, Some(object)) => ("ADDED", object.clone()),
                        (Some(_), Some(object)) => ("MODIFIED", object.clone()),
                        (Some(object), None) => {
                            let mut object = object.clone();
                            object["metadata"]["resourceVersion"] = json!(at.to_string());
                            ("DELETED", object)
                        }
                        (None, None) => continue,
                    };
                    lines.push(json!({"type": word, "object": object}).to_string());
                }
                Change::Bookmark if bookmarks => {
                    let object = json!({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": at.to_string()}});
                    lines.push(json!({"type": "BOOKMARK", "object": object}).to_string());
                }
                _ => {}
            }
        }
        (lines, self.version)
    }
}

fn selects(node: Option<&str>, object: &Value) -> bool {
    node.is_none_or(|node| object["spec"]["nodeName"] == node)
}
