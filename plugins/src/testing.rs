//! What tests of plugins share: plugins built from configuration text, and an output that remembers what it is given.

use futures_util::future::BoxFuture;
use logweir_engine::buffer::{
    self, Buffer, Chunk, ChunkFiles, Compression, Durability, Environment, FileSettings, Limits, Metadata,
    Part, Store,
};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{CommitError, EmitError, Origin, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Driver, EmitFuture, InputContext, Output, PluginId, StartError,
};
use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod counted;
mod routed;

pub(crate) use counted::Counted;
pub(crate) use routed::Routed;

/// The parameters that `text`, the inside of a directive, gives a plugin, and what it takes to build it.
pub(crate) fn with_params<T>(
    descriptor: &'static Descriptor,
    text: &str,
    use_them: impl FnOnce(&Params, &mut BuildContext<'_>) -> Result<T, Diagnostic>,
) -> Result<T, String> {
    let directive = match descriptor.build {
        Build::Input(_) => "source",
        Build::Filter(_) => "filter **",
        _ => "match **",
    };
    let end = directive.trim_end_matches(" **");
    let text = format!("<{directive}>\n@type {}\n{text}\n</{end}>", descriptor.name);
    let mut driver = Driver::new(crate::PLUGINS);
    let params = driver.params(descriptor.kind, &text);
    params.and_then(|params| use_them(&params, &mut driver.context())).map_err(|problem| problem.to_string())
}

/// Builds the plugin and throws it away; the error is what the user would see.
pub(crate) fn build_error(descriptor: &'static Descriptor, text: &str) -> Option<String> {
    with_params(descriptor, text, |params, context| match descriptor.build {
        Build::Input(build) => build(params, context).map(|_| ()),
        Build::Output(build) => build(params, context).map(|_| ()),
        Build::Filter(build) => build(params, context).map(|_| ()),
        Build::Parser(build) => build(params, context).map(|_| ()),
        Build::Formatter(build) => build(params, context).map(|_| ()),
    })
    .err()
}

/// A pipeline that ends in a [`Sink`], and the context of an input in front of it.
pub(crate) struct Pipeline {
    pub(crate) context: InputContext,
    pub(crate) sink: Sink,
}

impl Pipeline {
    pub(crate) fn new() -> Self {
        let log = PluginLog::program();
        let sink = Sink::default();
        let rules =
            vec![(TagPatterns::parse("**").expect("a pattern"), Collector::Output(Arc::new(sink.clone())))];
        let errors = ErrorEvents::new(log.clone(), Duration::ZERO);
        let context = InputContext {
            id: PluginId { text: "test".into(), configured: false },
            log: log.clone(),
            router: Router::new(rules, errors, log, false),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            counters: Arc::default(),
        };
        Self { context, sink }
    }

    /// Stops the input and waits for its tasks.
    pub(crate) async fn stop(self) -> Sink {
        self.context.stop.cancel();
        self.context.tasks.close();
        tokio::time::timeout(Duration::from_secs(20), self.context.tasks.wait()).await.expect("tasks end");
        self.sink
    }
}

/// An output that remembers streams, and fails, blocks or commits as a test says.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Inner>);

struct Inner {
    streams: Mutex<Vec<(EventStream, Origin)>>,
    arrived: watch::Sender<usize>,
    behaviour: watch::Sender<Behaviour>,
}

/// What a [`Sink`] does with streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Takes them; they are durable at once.
    #[default]
    Take,
    /// Takes them; they become durable when the behaviour changes.
    HoldCommits,
    /// Takes them, but they do not become durable.
    FailCommits,
    /// Does not take them before the behaviour changes.
    Block,
    /// Refuses them.
    Refuse,
}

impl Default for Sink {
    fn default() -> Self {
        Self(Arc::new(Inner {
            streams: Mutex::default(),
            arrived: watch::Sender::new(0),
            behaviour: watch::Sender::new(Behaviour::Take),
        }))
    }
}

impl Sink {
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.0.behaviour.send_replace(behaviour);
    }

    /// What was taken so far.
    pub(crate) fn streams(&self) -> Vec<(EventStream, Origin)> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every event taken so far: its tag and its raw entry, in order.
    pub(crate) fn events(&self) -> Vec<(String, Vec<u8>)> {
        let mut events = Vec::new();
        for (stream, _) in self.streams() {
            let mut at = 0;
            let mut count = 0;
            while at < stream.entries.len() {
                let end = logweir_engine::msgpack::skip(&stream.entries, at).expect("valid entries");
                events.push((stream.tag.as_str().to_owned(), stream.entries[at..end].to_vec()));
                at = end;
                count += 1;
            }
            assert_eq!(count, stream.count, "the count of a stream");
        }
        events
    }

    /// Waits until `count` events have been taken.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<(String, Vec<u8>)> {
        let mut arrived = self.0.arrived.subscribe();
        let enough = arrived.wait_for(|arrived| *arrived >= count);
        if tokio::time::timeout(Duration::from_secs(20), enough).await.is_err() {
            panic!("{count} events were expected, these came: {:x?}", self.events());
        }
        self.events()
    }

    async fn take(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        let mut behaviour = self.0.behaviour.subscribe();
        let now = *behaviour
            .wait_for(|behaviour| *behaviour != Behaviour::Block)
            .await
            .map_err(|_| EmitError::Shutdown)?;
        let commit: BoxFuture<'static, Result<(), CommitError>> = match now {
            Behaviour::Refuse => return Err(EmitError::BufferOverflow),
            Behaviour::HoldCommits => Box::pin(async move {
                let changed = behaviour.wait_for(|behaviour| *behaviour != Behaviour::HoldCommits).await;
                match changed.map(|behaviour| *behaviour) {
                    Ok(Behaviour::Take) => Ok(()),
                    _ => Err(CommitError("disk full".into())),
                }
            }),
            Behaviour::FailCommits => Box::pin(async { Err(CommitError("disk full".into())) }),
            Behaviour::Take | Behaviour::Block => Box::pin(async { Ok(()) }),
        };
        if receipt.wants_commit() {
            receipt.add(commit);
        }
        let count = stream.count;
        let origin = receipt.origin().clone();
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner).push((stream, origin));
        self.0.arrived.send_modify(|arrived| *arrived += count);
        Ok(())
    }
}

impl Output for Sink {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.take(stream, receipt))
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A file buffer in `dir` with one queued chunk of tag `t.a`, each of whose `bodies` has `records` entries. The chunk lives
/// as long as its buffer.
pub(crate) fn file_chunk(dir: &Path, bodies: &[Vec<u8>], records: usize) -> (Buffer, Arc<Chunk>) {
    let files = ChunkFiles {
        dir: dir.to_owned(),
        prefix: "buffer".to_owned(),
        suffix: ".log".to_owned(),
        also: Vec::new(),
        single: None,
    };
    let store = Store::File(FileSettings {
        files,
        file_mode: 0o600,
        dir_mode: 0o700,
        durability: Durability::PageCache,
        flush_at_shutdown: false,
        count_records: true,
        found_text: None,
    });
    let (limits, compress) = (Limits::FILE, Compression::None);
    let settings = buffer::Settings { store, limits, compress, formatted: false, backup: None };
    let buffer = Buffer::open(settings, Environment::real(PluginLog::program(), "test")).unwrap();
    let metadata = Metadata { tag: Some(Tag::new("t.a")), ..Metadata::default() };
    for body in bodies {
        let part = Part::entries(metadata.clone(), body.clone().into(), records);
        let mut receipt = Receipt::unwatched();
        let batch = buffer.batch(vec![part], &mut receipt);
        buffer.append(&batch, &mut receipt, false).unwrap();
    }
    buffer.enqueue_all();
    assert!(buffer.settle());
    let chunk = buffer.take().unwrap();
    (buffer, chunk)
}
