//! An output without a buffer.

use super::counters::{OutputCounters, OutputStatus};
use super::secondary;
use crate::config::{Diagnostic, Params};
use crate::delivery::{EmitError, Receipt};
use crate::event::EventStream;
use crate::plugin::{EmitFuture, Output, PluginId, StartError};
use crate::telemetry::Account;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Counts what an output without a buffer is given.
struct Direct {
    output: Box<dyn Output>,
    counters: Arc<OutputCounters>,
}

/// Wraps an output that takes streams as they come, after a check that `params` does not ask for a buffer.
pub fn without_buffer(
    params: &Params,
    output: Box<dyn Output>,
    id: &PluginId,
) -> Result<Arc<dyn Output>, Diagnostic> {
    if let Some(section) = params.element().sections("buffer").next() {
        let class = secondary::class(params.plugin_type());
        let message =
            format!("<buffer> section is configured, but plugin '{class}' doesn't support buffering");
        return Err(Diagnostic::error(message).at(&section.span));
    }
    if let Some(section) = params.element().sections("secondary").next() {
        let message = "Invalid <secondary> section for non-buffered plugin";
        return Err(Diagnostic::error(message).at(&section.span));
    }
    let counters = Arc::new(OutputCounters::of(&id.text, params.plugin_type()));
    Ok(Arc::new(Direct { output, counters }))
}

impl Direct {
    /// Books what became of a stream, of which `reported` records went to `@ERROR`.
    fn book(&self, result: &Result<(), EmitError>, records: u64, reported: u64, receipt: &mut Receipt) {
        let ledger = &self.counters.ledger;
        let rest = records.saturating_sub(reported);
        ledger.add(Account::Received, records);
        ledger.add(Account::Reported, records - rest);
        match result {
            Ok(()) => ledger.add(Account::Stored, rest),
            Err(error) => {
                ledger.add(error.account(), rest);
                receipt.refuse(rest);
            }
        }
    }
}

impl Output for Direct {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(async move {
            OutputCounters::add(&self.counters.emit_count, 1);
            let (records, bytes) = (stream.count, stream.entries.len());
            let reported = receipt.reported();
            let result = self.output.emit(stream, receipt).await;
            match &result {
                Ok(()) => self.counters.emitted(records, bytes),
                Err(_) => OutputCounters::add(&self.counters.num_errors, 1),
            }
            if !self.output.hands_on() {
                let reported = receipt.reported() - reported;
                self.book(&result, records as u64, reported, receipt);
            }
            result
        })
    }

    fn hands_on(&self) -> bool {
        self.output.hands_on()
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        self.output.start()
    }

    fn flush(&self) {
        self.output.flush();
    }

    fn stopping(&self) {
        self.output.stopping();
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        self.output.drain()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.output.shutdown()
    }

    fn status(&self) -> Option<OutputStatus> {
        Some(OutputStatus { counters: Arc::clone(&self.counters), buffer: None, retry: None })
    }
}
