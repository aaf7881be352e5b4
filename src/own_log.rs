//! Logweir's own log lines as events, for `<label @FLUENT_LOG>`: tag `fluent.LEVEL`, record `{"message": ..., fields}`.

use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::json;
use logweir_engine::msgpack::{Time, write_entry};
use logweir_engine::route::Router;
use logweir_engine::telemetry::{self, LogEvent};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Takes log lines to the router of the configuration that runs.
pub(crate) struct Forwarder {
    router: watch::Sender<Option<Arc<Router>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Begins with no router: lines are only printed.
    pub(crate) fn start() -> Self {
        let (router, current) = watch::channel::<Option<Arc<Router>>>(None);
        let stop = CancellationToken::new();
        let mut events = telemetry::events();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = stopped.cancelled() => events.try_recv().ok(),
                };
                let Some(event) = event else { break };
                let router = current.borrow().clone();
                // Levels that no <match> takes are not events: a warning of that would be one too.
                if let Some(router) = router {
                    let stream = stream(&event);
                    if router.takes(&stream.tag) {
                        router.emit_own(stream).await;
                    }
                }
            }
        });
        Self { router, stop, task }
    }

    /// From now on lines go there.
    pub(crate) fn route_to(&self, router: Option<Arc<Router>>) {
        self.router.send_replace(router);
    }

    /// Delivers what waits and ends.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // The task does not panic, and there is nothing to do if it did.
        let _ = self.task.await;
    }
}

fn stream(event: &LogEvent) -> EventStream {
    let text = serde_json::Value::Object(event.record.clone()).to_string();
    let mut record = Vec::with_capacity(text.len());
    // The text is JSON that was just made.
    let _ = json::to_msgpack(text.as_bytes(), &mut record, json::ReadOptions::default());
    let mut entry = Vec::with_capacity(record.len() + 11);
    write_entry(&mut entry, Time::Event(EventTime::now()), None, &record);
    EventStream::new(Tag::new(&format!("fluent.{}", event.level.as_str())), entry.into(), 1)
}
