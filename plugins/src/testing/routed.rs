//! A filter, or an output that sends on, in a pipeline of its own: events in as JSON, events out as text.

use futures_util::future::BoxFuture;
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::json::{self, JsonStyle, ReadOptions};
use logweir_engine::msgpack::{Entries, Time, write_entry};
use logweir_engine::plugin::{
    Build, Descriptor, Driver, EmitFuture, Filter, Output, OutputPlugin, ROOT_LABEL, StartError,
};
use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::telemetry::prometheus::MetricRegistry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// See the module.
pub(crate) struct Routed {
    entrance: Arc<Router>,
    /// The labels refer to each other weakly; this keeps them.
    _labels: Vec<Arc<Router>>,
    filter: Option<Arc<dyn Filter>>,
    output: Option<Arc<dyn Output>>,
    seen: Arc<Mutex<Vec<String>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// What it has declared.
    pub(crate) metrics: Arc<MetricRegistry>,
}

impl Routed {
    /// The plugin with these lines in its directive. Every label that it refers to takes everything, and so does `@ERROR`.
    pub(crate) fn new(descriptor: &'static Descriptor, text: &str) -> Self {
        Self::try_new(descriptor, text).unwrap_or_else(|message| panic!("{message}"))
    }

    /// The same; the error is the message that the user sees.
    pub(crate) fn try_new(descriptor: &'static Descriptor, text: &str) -> Result<Self, String> {
        let directive = if matches!(descriptor.build, Build::Filter(_)) { "filter" } else { "match" };
        let text = format!("<{directive} **>\n@type {}\n{text}\n</{directive}>", descriptor.name);
        let mut driver = Driver::new(crate::PLUGINS);
        let params = driver.params(descriptor.kind, &text).map_err(|problem| problem.message().to_owned())?;
        let mut filter: Option<Arc<dyn Filter>> = None;
        let mut output: Option<Arc<dyn Output>> = None;
        let built = match descriptor.build {
            Build::Filter(build) => {
                build(&params, &mut driver.context()).map(|built| filter = Some(Arc::from(built)))
            }
            Build::Output(build) => build(&params, &mut driver.context()).map(|built| match built {
                OutputPlugin::Direct(built) => output = Some(Arc::from(built)),
                OutputPlugin::Buffered(_) => panic!("a buffered output"),
            }),
            _ => panic!("neither a filter nor an output"),
        };
        built.map_err(|problem| problem.message().to_owned())?;
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let end = |label: &str| {
            let label = if label == ROOT_LABEL { String::new() } else { format!("{label} ") };
            Collector::Output(Arc::new(End { label, seen: Arc::clone(&seen) }))
        };
        let router = |rules| {
            let errors = ErrorEvents::new(PluginLog::program(), Duration::ZERO);
            Router::new(rules, errors, PluginLog::program(), false)
        };
        let all = || TagPatterns::parse("**").expect("a pattern");
        let mut labels = Vec::new();
        for (name, reference) in &driver.shared.labels {
            let label = router(vec![(all(), end(name))]);
            reference.connect(&label);
            labels.push(label);
        }
        let errors = router(vec![(all(), end("@ERROR"))]);
        driver.errors.connect(&errors);
        labels.push(errors);
        let mut rules = Vec::new();
        rules.extend(filter.clone().map(|filter| (all(), Collector::Filter(filter))));
        rules.push((all(), output.clone().map_or_else(|| end(ROOT_LABEL), Collector::Output)));
        let entrance = Router::new(rules, driver.errors.clone(), PluginLog::program(), false);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let metrics = driver.shared.metrics;
        Ok(Self { entrance, _labels: labels, filter, output, seen, tasks, stop, metrics })
    }

    /// Starts timers.
    pub(crate) async fn start(&self) {
        if let Some(filter) = &self.filter {
            filter.start(&self.tasks, &self.stop);
        }
        if let Some(output) = &self.output {
            output.start().await.expect("starts");
        }
    }

    /// Emits one stream; each event is a time and a record in JSON.
    pub(crate) async fn feed(&self, tag: &str, events: &[(i64, &str)]) {
        let mut entries = Vec::new();
        for (sec, record) in events {
            let mut raw = Vec::new();
            json::to_msgpack(record.as_bytes(), &mut raw, ReadOptions::default()).expect("JSON");
            write_entry(&mut entries, Time::Event(EventTime::from_secs(*sec)), None, &raw);
        }
        let stream = EventStream::new(Tag::new(tag), entries.into(), events.len());
        self.entrance.emit(stream, &mut Receipt::unwatched()).await.expect("emitted");
    }

    /// What has come out since the last call: label (but for the top level), tag, time, record.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops it as the program does, and answers what has come out since the last call.
    pub(crate) async fn stop(&self) -> Vec<String> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(output) = &self.output {
            output.drain().await;
            output.shutdown().await;
        }
        self.seen()
    }
}

struct End {
    label: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl End {
    fn take(&self, stream: &EventStream) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in Entries::new(&stream.entries) {
            let mut record = Vec::new();
            json::from_msgpack(entry.record, &mut record, JsonStyle::Oj).expect("a record");
            let now = EventTime::now().sec;
            let time = match entry.time.to_event_time() {
                Some(time) if (now - 60..=now).contains(&time.sec) => "now".to_owned(),
                Some(EventTime { sec, nsec: 0 }) => sec.to_string(),
                Some(EventTime { sec, nsec }) => format!("{sec}.{nsec:09}"),
                None => "none".to_owned(),
            };
            let record = String::from_utf8_lossy(&record);
            seen.push(format!("{}{} {time} {record}", self.label, stream.tag));
        }
    }
}

impl Output for End {
    fn emit<'a>(&'a self, stream: EventStream, _: &'a mut Receipt) -> EmitFuture<'a> {
        self.take(&stream);
        Box::pin(async { Ok::<(), EmitError>(()) })
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async { Ok(()) })
    }
}
