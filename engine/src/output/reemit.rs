//! Chunks back into the pipelines: the output of `@type buffer`, and of what `with_source_only` has kept.

use super::blocking;
use crate::buffer::{BodyReader, Chunk};
use crate::delivery::{Origin, Receipt};
use crate::event::EventStream;
use crate::log_error;
use crate::msgpack::Entries;
use crate::net::error_class;
use crate::plugin::{BufferedOutput, BuildContext, LabelRef, WriteError, WriteFuture};
use crate::telemetry::{Account, Ledger, PluginLog};
use std::io;
use std::sync::Arc;

/// Bodies of a chunk are put together up to about this size, so that a chunk leaves few marks in the buffers behind.
const BATCH_BYTES: usize = 1 << 20;
/// Whom the events come from, in those marks.
const PEER: &str = "logweir-buffer";

/// Emits the events of its chunks, with the tags that they came with. A chunk is done when all that it holds is as durable as the
/// buffers promise to which it goes; one that is emitted once more after a failure or a crash is recognised by them.
pub struct Reemit {
    to: LabelRef,
    log: PluginLog,
    ledger: Arc<Ledger>,
}

impl Reemit {
    /// Into the label that `to` stands for.
    pub fn new(to: LabelRef, context: &BuildContext<'_>) -> Self {
        Self { to, log: context.log.clone(), ledger: Arc::clone(context.errors.ledger()) }
    }

    async fn emit(&self, chunk: &Chunk) -> Result<(), WriteError> {
        let Some(tag) = chunk.metadata().tag.clone() else {
            let message = "the chunk does not know the tag of its events: tag must be a chunk key";
            return Err(WriteError::reject("Fluent::UnrecoverableError", message));
        };
        let failed = |error: io::Error| {
            WriteError::retry(error_class(&error), format!("cannot read the chunk: {error}"))
        };
        let mut reader = chunk.reader().map_err(failed)?.inflating();
        let mut receipts = Vec::new();
        loop {
            let entries = blocking(|| next_batch(&mut reader)).map_err(failed)?;
            if entries.is_empty() {
                break;
            }
            let stream = self.stream(&tag, entries, chunk);
            let (chunk, peer) = (format!("{}-{}", chunk.id(), receipts.len()).into(), PEER.into());
            let mut receipt = Receipt::patient(Origin::Forward { chunk, peer, arrival: 1 });
            self.ledger.add(Account::Copied, stream.count as u64);
            if let Err(error) = self.to.emit(stream, &mut receipt).await {
                self.ledger.add(error.account(), receipt.take_refused());
                return Err(WriteError::retry(error.class(), error.to_string()));
            }
            receipts.push(receipt);
        }
        for receipt in receipts {
            receipt.committed().await.map_err(|error| WriteError::retry("IOError", error.to_string()))?;
        }
        Ok(())
    }

    /// Of a chunk that Fluentd left in the middle of a write, what is whole.
    fn stream(&self, tag: &crate::event::Tag, mut bytes: Vec<u8>, chunk: &Chunk) -> EventStream {
        let mut entries = Entries::new(&bytes);
        let count = entries.by_ref().count();
        let end = entries.position();
        if end < bytes.len() {
            log_error!(
                self.log,
                "a chunk holds bytes that are no events; they are passed over",
                chunk_id = chunk.id(),
                bytes = bytes.len() - end
            );
            bytes.truncate(end);
        }
        EventStream::new(tag.clone(), bytes.into(), count)
    }
}

impl BufferedOutput for Reemit {
    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(self.emit(chunk))
    }

    fn sends_on(&self) -> bool {
        true
    }
}

/// The same bodies in the same batches whenever the chunk is read.
fn next_batch(reader: &mut BodyReader) -> io::Result<Vec<u8>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH_BYTES && reader.advance()?.is_some() {
        batch.extend_from_slice(reader.bytes());
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Metadata;
    use crate::delivery::EmitError;
    use crate::event::Tag;
    use crate::plugin::{Driver, EmitFuture, Output, ROOT_LABEL};
    use crate::route::{Collector, Router, TagPatterns};
    use std::sync::Mutex;

    /// What it was given, of which every second emit fails.
    #[derive(Default)]
    struct Seen(Mutex<Vec<(String, usize, Origin)>>);

    impl Output for Seen {
        fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
            let mut seen = self.0.lock().unwrap();
            seen.push((stream.tag.as_str().to_owned(), stream.count, receipt.origin().clone()));
            let failed = Err(EmitError::BufferOverflow);
            Box::pin(std::future::ready(if seen.len().is_multiple_of(2) { failed } else { Ok(()) }))
        }
    }

    #[tokio::test]
    async fn a_chunk_that_is_emitted_once_more_says_the_same() {
        let mut driver = Driver::new(&[]);
        let mut context = driver.context();
        let label = context.label(ROOT_LABEL);
        let reemit = Reemit::new(label.clone(), &context);
        let seen = Arc::new(Seen::default());
        let rules = vec![(TagPatterns::parse("a.**").unwrap(), Collector::Output(Arc::clone(&seen) as _))];
        let router = Router::new(rules, driver.errors.clone(), PluginLog::program(), false);
        label.connect(&router);
        let metadata = Metadata { tag: Some(Tag::new("a.b")), ..Metadata::default() };
        let chunk = Chunk::in_memory(metadata.clone(), b"\x92\x01\x80\x92\x02\x80".to_vec().into(), 2);
        reemit.write(&chunk).await.unwrap();
        assert!(matches!(reemit.write(&chunk).await, Err(WriteError::Retry { .. })));
        reemit.write(&chunk).await.unwrap();
        let seen = std::mem::take(&mut *seen.0.lock().unwrap());
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        assert_eq!((seen[0].0.as_str(), seen[0].1), ("a.b", 2));
        let torn = Chunk::in_memory(metadata, b"\x92\x01\x80\x92\x02".to_vec().into(), 2);
        reemit.write(&torn).await.unwrap();
        let untagged = Chunk::in_memory(Metadata::default(), b"\x92\x01\x80".to_vec().into(), 1);
        assert!(matches!(reemit.write(&untagged).await, Err(WriteError::Reject { .. })));
    }
}
