//! Chunks on disk and in memory.
//!
//! A buffer takes what inputs emit and keeps it, in chunks of equal metadata, until the output has written it:
//!
//! ```text
//! append -> staged chunk (one per metadata) -> queue -> taken by a flush thread -> purged
//!                                                 ^---- rolled back ----'
//! ```
//!
//! [`Buffer`] moves chunks along this way; the runtime in `engine/output` decides when.

mod append;
mod batch;
mod buffer;
mod chunk;
mod compress;
mod files;
mod id;
mod memory;
mod metadata;
mod settings;

pub use append::{AppendError, Appended};
pub use batch::{Batch, Part};
pub use buffer::{Buffer, OpenError, Stats};
pub use chunk::{Body, Chunk};
pub use files::{ChunkFiles, ChunkState, SingleKey};
pub use id::ChunkId;
pub use metadata::{Metadata, Variable};
pub use settings::{Compression, Durability, Environment, FileSettings, Limits, Settings, Store};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Receipt;
    use crate::event::Tag;
    use crate::telemetry::PluginLog;

    fn memory(limits: Limits) -> Buffer {
        let settings = Settings {
            store: Store::Memory,
            limits,
            compress: Compression::None,
            formatted: false,
            backup: None,
        };
        Buffer::open(settings, Environment::real(PluginLog::program(), "test")).unwrap()
    }

    /// `count` entries `[0, {"i": number}]` of 6 bytes.
    fn part(tag: &str, numbers: std::ops::Range<u8>) -> Part {
        let metadata = Metadata { tag: Some(Tag::new(tag)), ..Metadata::default() };
        let count = numbers.len();
        let entries: Vec<u8> = numbers.flat_map(|i| [0x92, 0, 0x81, 0xa1, b'i', i]).collect();
        Part::entries(metadata, entries.into(), count)
    }

    fn append(buffer: &Buffer, parts: Vec<Part>) -> Result<Appended, AppendError> {
        let mut receipt = Receipt::unwatched();
        let batch = buffer.batch(parts, &mut receipt);
        buffer.append(&batch, &mut receipt, false)
    }

    #[test]
    fn a_chunk_goes_from_the_stage_through_the_queue_and_is_purged() {
        let buffer = memory(Limits::MEMORY);
        append(&buffer, vec![part("a", 0..2), part("b", 2..3)]).unwrap();
        append(&buffer, vec![part("a", 3..4)]).unwrap();
        assert_eq!((buffer.stats().staged_chunks, buffer.stats().staged_bytes), (2, 24));
        assert!(buffer.take().is_none());
        buffer.enqueue_where(|chunk| chunk.records() == 3);
        let chunk = buffer.take().unwrap();
        assert_eq!((chunk.records(), chunk.size(), chunk.bodies().unwrap().len()), (3, 18, 2));
        assert_eq!(chunk.read().unwrap()[5..].iter().step_by(6).copied().collect::<Vec<_>>(), [0, 1, 3]);
        assert!(buffer.rollback(chunk.id()) && !buffer.rollback(chunk.id()));
        let again = buffer.take().unwrap();
        assert_eq!(again.id(), chunk.id());
        assert!(buffer.purge(chunk.id()) && !buffer.purge(chunk.id()));
        assert_eq!((buffer.stats().queued_bytes, buffer.stats().staged_chunks), (0, 1));
    }

    #[test]
    fn a_stream_larger_than_a_chunk_is_divided_between_records() {
        let buffer = memory(Limits { chunk_bytes: 20, ..Limits::MEMORY });
        append(&buffer, vec![part("a", 0..1)]).unwrap();
        append(&buffer, vec![part("a", 1..8)]).unwrap();
        let mut found = Vec::new();
        while let Some(chunk) = buffer.take() {
            found.push(chunk.records());
        }
        assert_eq!((found, buffer.stats().staged_bytes), (vec![1, 3, 3], 6));
    }

    #[test]
    fn a_record_larger_than_a_chunk_is_refused_and_the_others_are_kept() {
        let buffer = memory(Limits { chunk_bytes: 7, ..Limits::MEMORY });
        let metadata = Metadata::default();
        let text = "tiny.a huge line.tiny.".into();
        let parts = vec![Part::formatted(metadata, text, vec![5, 17, 22])];
        let error = append(&buffer, parts).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a 12 bytes record (nth: 1) is larger than buffer chunk limit size (7)"
        );
        buffer.enqueue_all();
        let kept: Vec<_> = std::iter::from_fn(|| buffer.take()).map(|c| c.read().unwrap()).collect();
        assert_eq!(kept, ["tiny.", "tiny."]);
    }

    #[test]
    fn a_full_buffer_refuses_until_there_is_space() {
        let buffer = memory(Limits { total_bytes: 12, ..Limits::MEMORY });
        append(&buffer, vec![part("a", 0..2)]).unwrap();
        assert!(matches!(append(&buffer, vec![part("a", 2..3)]), Err(AppendError::Overflow)));
        buffer.enqueue_all();
        let chunk = buffer.take().unwrap();
        assert!(!buffer.has_space());
        buffer.purge(chunk.id());
        append(&buffer, vec![part("a", 2..3)]).unwrap();
    }
}
