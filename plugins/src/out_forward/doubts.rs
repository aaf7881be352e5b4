//! Chunks that a server may have taken although no ack of it was read, and which server that is.
//!
//! Such a chunk goes to no other server: the one that has it recognises it by its id, another would store it again. Behind
//! one address there may be several servers (a load balancer, a name with several addresses); the name that a server
//! gives in its handshake tells them apart.

use logweir_engine::buffer::ChunkId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Chunks that left the buffer in another way (dropped, to a secondary) are forgotten when there are so many.
const CHUNKS_MAX: usize = 10_000;
/// Between two attempts to reach the server.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// See [`PAUSE_MIN`]: half of the time that has passed lies between them.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    chunks: Mutex<HashMap<ChunkId, Doubt>>,
}

/// Who may have a chunk.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    /// Index of the node.
    pub(super) node: usize,
    /// What the server calls itself, if there was a handshake.
    pub(super) server: Option<Arc<str>>,
    since: Instant,
}

impl Doubt {
    /// How long ago it was sent.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// When to try again.
    pub(super) fn pause(&self) -> Duration {
        (self.age() / 2).clamp(PAUSE_MIN, PAUSE_MAX)
    }
}

impl Doubts {
    /// Who may have the chunk.
    pub(super) fn of(&self, id: ChunkId) -> Option<Doubt> {
        self.chunks().get(&id).cloned()
    }

    /// A server may have the chunk. If another one may already, that one stays the one to ask.
    pub(super) fn raise(&self, id: ChunkId, node: usize, server: Option<Arc<str>>) -> Doubt {
        let mut chunks = self.chunks();
        if chunks.len() >= CHUNKS_MAX
            && let Some(oldest) = chunks.iter().min_by_key(|(_, doubt)| doubt.since).map(|(id, _)| *id)
        {
            chunks.remove(&oldest);
        }
        chunks.entry(id).or_insert_with(|| Doubt { node, server, since: Instant::now() }).clone()
    }

    /// The chunk was acknowledged, or is waited for no longer.
    pub(super) fn settle(&self, id: ChunkId) {
        self.chunks().remove(&id);
    }

    fn chunks(&self) -> MutexGuard<'_, HashMap<ChunkId, Doubt>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_doubt_counts_until_it_is_settled() {
        let doubts = Doubts::default();
        let id = ChunkId([1; 16]);
        assert!(doubts.of(id).is_none());
        doubts.raise(id, 2, Some("a".into()));
        doubts.raise(id, 3, None);
        let doubt = doubts.of(id).unwrap();
        assert_eq!((doubt.node, doubt.server.as_deref(), doubt.pause()), (2, Some("a"), PAUSE_MIN));
        doubts.settle(id);
        assert!(doubts.of(id).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let doubts = Doubts::default();
        for n in 0..CHUNKS_MAX as u128 + 5 {
            doubts.raise(ChunkId(n.to_be_bytes()), 0, None);
        }
        assert_eq!(doubts.chunks().len(), CHUNKS_MAX);
        assert!(doubts.of(ChunkId((CHUNKS_MAX as u128).to_be_bytes())).is_some());
    }
}
