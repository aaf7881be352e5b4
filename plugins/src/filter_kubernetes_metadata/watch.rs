//! Lists what there is, then watches what changes: Kubernetes' protocol for keeping a copy.
//!
//! A list has a version; a watch begins at one and answers one JSON object a line, `{"type": T, "object": O}`, for as long as
//! the server likes. Bookmarks are events that only say how far it is. A watch that ends is begun again where it was; when the
//! server no longer remembers that version (410), everything is listed again.

use super::api::{Api, OBJECT_BYTES_MAX};
use super::backoff::Backoff;
use super::error::ApiError;
use super::health::Action;
use super::items::{ItemReader, Piece};
use super::object::{NamespaceJson, PodJson};
use super::shared::Shared;
use super::stats::Stat;
use super::store::Resource;
use logweir_engine::{log_debug, log_error, log_info, log_warn};
use memchr::memchr;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long the server is asked to keep a watch open; a bit more for each other watcher, so that not all come back at once.
const WATCH_SECONDS: u64 = 300;
/// How much longer it may take before the connection counts as broken.
const WATCH_GRACE: Duration = Duration::from_secs(30);
/// A watch that ends sooner than that without an event counts as a failure.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// One that keeps the pods or the namespaces of the store up to date.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    api: Arc<Api>,
    resource: Resource,
    /// Where the next watch begins; `None`: list first.
    version: Option<String>,
    backoff: Backoff,
    /// Whether the watch has told something since it was begun.
    has_moved: bool,
}

/// `{"type": ...}` of an event.
#[derive(Deserialize)]
struct EventHead<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct EventOf<T> {
    object: T,
}

/// Any object, or the metadata of a list, as far as its version.
#[derive(Deserialize)]
struct Versioned {
    metadata: VersionJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionJson {
    resource_version: Option<String>,
}

/// The object of an ERROR event.
#[derive(Deserialize)]
struct StatusJson {
    code: Option<u16>,
    message: Option<String>,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, api: Arc<Api>, resource: Resource) -> Self {
        let backoff = Backoff::new(shared.settings.retries);
        Self { shared, api, resource, version: None, backoff, has_moved: false }
    }

    /// Works until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.go_on()).await;
    }

    async fn go_on(&mut self) {
        loop {
            let began = Instant::now();
            self.has_moved = false;
            let result = self.round().await;
            let was_short = !self.has_moved && began.elapsed() < SHORT_WATCH;
            match result {
                Ok(()) if !was_short => {
                    self.backoff.reset();
                    continue;
                }
                Ok(()) => log_debug!(self.shared.log, "the watch ended at once", resource = self.name()),
                Err(ApiError::Gone(message)) => {
                    log_info!(
                        self.shared.log,
                        format!("410 Gone encountered. Listing {} again.", self.name()),
                        error = message
                    );
                    self.count(Stat::PodWatchGoneNotices, Stat::NamespaceWatchGoneNotices);
                    self.version = None;
                    // The first time that is as it should be; again and again before anything is told, it is not.
                    if self.backoff.failures() == 0 {
                        self.backoff.fail();
                        continue;
                    }
                }
                Err(error) => {
                    self.count(Stat::PodWatchFailures, Stat::NamespaceWatchFailures);
                    if let Some(health) = &self.shared.health {
                        health.failed(self.action(), &error);
                    }
                }
            }
            self.rest().await;
        }
    }

    /// Waits after a failure, longer each time.
    async fn rest(&mut self) {
        let resource = self.resource;
        self.shared.tell(|store| store.no_longer_awaited(resource));
        let rest = self.backoff.fail();
        if self.backoff.failures() == self.shared.settings.retries.max_times {
            log_error!(
                self.shared.log,
                format!(
                    "watching {} failed {} times in a row; it goes on, and what is known is asked for again after cache_ttl",
                    self.name(),
                    self.backoff.failures()
                )
            );
            let now = Instant::now();
            self.shared.tell(|store| store.watch_lost(resource, now));
        }
        tokio::time::sleep(rest).await;
    }

    /// A list if one is needed, and one watch to its end.
    async fn round(&mut self) -> Result<(), ApiError> {
        let version = match self.version.clone() {
            Some(version) => version,
            None => {
                let version = self.list().await?;
                self.version = Some(version.clone());
                version
            }
        };
        self.watch(&version).await
    }

    async fn list(&mut self) -> Result<String, ApiError> {
        let path = format!("/{}?resourceVersion=0{}", self.name(), self.selector());
        let mut body = self.api.get(&path).await?.into_body();
        let list = self.shared.tell(|store| store.begin_list());
        let mut reader = ItemReader::default();
        let mut version = None;
        while let Some(bytes) = Api::piece(&mut body, self.api.read_timeout()).await? {
            let found = |piece: Piece<'_>| match piece {
                Piece::Metadata(json) => {
                    version = serde_json::from_slice::<VersionJson>(json)
                        .ok()
                        .and_then(|json| json.resource_version);
                }
                Piece::Item(json) => self.item(json, list),
            };
            reader
                .push(&bytes, OBJECT_BYTES_MAX, found)
                .map_err(|error| ApiError::Broken(format!("GET {path}: {error}")))?;
        }
        let broken = |what: &str| ApiError::Broken(format!("GET {path}: {what}"));
        if !reader.is_complete() {
            return Err(broken("the answer is cut off"));
        }
        let version = version.ok_or_else(|| broken("the answer has no resourceVersion"))?;
        let resource = self.resource;
        self.shared.tell(|store| store.end_list(resource, list));
        self.answered();
        Ok(version)
    }

    fn item(&self, json: &[u8], list: u64) {
        let (now, shape) = (Instant::now(), &self.shared.settings.shape);
        let result = match self.resource {
            Resource::Pods => serde_json::from_slice::<PodJson>(json)
                .map(|pod| self.shared.store().pod_listed(pod.reduce(shape), list, now)),
            Resource::Namespaces => serde_json::from_slice::<NamespaceJson>(json)
                .map(|namespace| self.shared.store().namespace_listed(namespace.reduce(shape), list, now)),
        };
        if let Err(error) = result {
            self.not_understood(&error);
        }
    }

    async fn watch(&mut self, version: &str) -> Result<(), ApiError> {
        let seconds = WATCH_SECONDS + self.backoff.jitter(WATCH_SECONDS);
        let path = format!(
            "/{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}{}",
            self.name(),
            quoted(version),
            self.selector()
        );
        let mut body = self.api.get(&path).await?.into_body();
        self.answered();
        let limit = Duration::from_secs(seconds) + WATCH_GRACE;
        let mut line = Vec::new();
        // Of an event that is too large, the rest is passed over.
        let mut is_skipped = false;
        while let Some(bytes) = Api::piece(&mut body, limit).await? {
            let mut rest = &bytes[..];
            while let Some(end) = memchr(b'\n', rest) {
                line.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                if !std::mem::take(&mut is_skipped) {
                    self.event(&line)?;
                }
                line.clear();
            }
            if line.len() + rest.len() > OBJECT_BYTES_MAX {
                if !is_skipped {
                    log_warn!(
                        self.shared.log,
                        "an event of the watch is too large and passed over",
                        resource = self.name()
                    );
                }
                is_skipped = true;
                line.clear();
            } else if !is_skipped {
                line.extend_from_slice(rest);
            }
        }
        Ok(())
    }

    fn event(&mut self, line: &[u8]) -> Result<(), ApiError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let head: EventHead<'_> = serde_json::from_slice(line)
            .map_err(|error| ApiError::Broken(format!("no event of a watch: {error}")))?;
        if head.kind == "ERROR" {
            return Err(self.error_event(line));
        }
        if let Ok(EventOf { object: Versioned { metadata } }) = serde_json::from_slice(line)
            && let Some(version) = metadata.resource_version
        {
            self.version = Some(version);
        }
        self.has_moved = true;
        self.backoff.reset();
        let is_new = head.kind == "ADDED";
        match &*head.kind {
            "ADDED" | "MODIFIED" => self.changed(line, is_new),
            "DELETED" => self.deleted(line),
            // BOOKMARK, and what may come later.
            _ => {}
        }
        Ok(())
    }

    fn changed(&self, line: &[u8], is_new: bool) {
        let (now, shape) = (Instant::now(), &self.shared.settings.shape);
        let result = match self.resource {
            Resource::Pods => serde_json::from_slice::<EventOf<PodJson>>(line).map(|event| {
                let pod = event.object.reduce(shape);
                self.shared.tell(|store| store.pod_changed(pod, is_new, now));
            }),
            Resource::Namespaces => serde_json::from_slice::<EventOf<NamespaceJson>>(line).map(|event| {
                let namespace = event.object.reduce(shape);
                self.shared.tell(|store| store.namespace_changed(namespace, is_new, now));
            }),
        };
        if let Err(error) = result {
            self.not_understood(&error);
        }
    }

    fn deleted(&self, line: &[u8]) {
        let shape = &self.shared.settings.shape;
        let result = match self.resource {
            Resource::Pods => serde_json::from_slice::<EventOf<PodJson>>(line).map(|event| {
                let pod = event.object.reduce(shape);
                self.shared.tell(|store| store.pod_deleted(&pod.uid));
            }),
            Resource::Namespaces => serde_json::from_slice::<EventOf<NamespaceJson>>(line).map(|event| {
                let namespace = event.object.reduce(shape);
                self.shared.tell(|store| store.namespace_deleted(&namespace.name, &namespace.uid));
            }),
        };
        if let Err(error) = result {
            self.not_understood(&error);
        }
    }

    fn error_event(&self, line: &[u8]) -> ApiError {
        let status = serde_json::from_slice::<EventOf<StatusJson>>(line).map(|event| event.object);
        let StatusJson { code, message } = status.unwrap_or(StatusJson { code: None, message: None });
        let message = message.unwrap_or_else(|| "an error without a message".to_owned());
        match code {
            Some(410) => ApiError::Gone(message),
            _ => ApiError::Broken(format!("the watch ended with an error: {message}")),
        }
    }

    fn not_understood(&self, error: &serde_json::Error) {
        log_warn!(
            self.shared.log,
            "an object of the Kubernetes API is not understood and passed over",
            resource = self.name(),
            error = error.to_string()
        );
    }

    fn answered(&self) {
        if let Some(health) = &self.shared.health {
            health.answered(self.action());
        }
    }

    fn count(&self, pods: Stat, namespaces: Stat) {
        self.shared.stats.bump(if self.resource == Resource::Pods { pods } else { namespaces });
    }

    fn action(&self) -> Action {
        match self.resource {
            Resource::Pods => Action::ListPods,
            Resource::Namespaces => Action::ListNamespaces,
        }
    }

    fn name(&self) -> &'static str {
        match self.resource {
            Resource::Pods => "pods",
            Resource::Namespaces => "namespaces",
        }
    }

    /// Pods of this node only.
    fn selector(&self) -> String {
        match (&self.shared.settings.node, self.resource) {
            (Some(node), Resource::Pods) => format!("&fieldSelector=spec.nodeName%3D{}", quoted(node)),
            _ => String::new(),
        }
    }
}

/// As a part of a URL's query.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
