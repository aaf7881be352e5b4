//! How many connections a server holds, and who must go when there are too many.
//!
//! A peer that opens thousands of connections must not lock out the others, and many clients behind one address must
//! not be cut at an arbitrary number either. So there is one limit for all; at the limit, a newcomer takes the
//! place of the longest idle connection of the peer that has the most, or is refused if that would not make things
//! more even (in particular if it is that peer itself).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The connections of one server.
#[derive(Debug)]
pub struct Connections {
    max: usize,
    peer_max: usize,
    begin: Instant,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    live: HashMap<u64, Entry>,
    per_peer: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    active: Arc<AtomicU64>,
    close: CancellationToken,
}

impl Connections {
    /// At most `max` at a time, of which one peer may have `peer_max`.
    pub fn new(max: usize, peer_max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(1), peer_max, begin: Instant::now(), table: Mutex::default() })
    }

    /// A place for a connection from `peer`; `None` if it must be closed at once.
    pub fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Ticket> {
        let mut table = self.table();
        if table.per_peer.get(&peer).is_some_and(|count| *count >= self.peer_max) {
            return None;
        }
        if table.live.len() >= self.max {
            let evicted = table.most_crowded_idle(peer)?;
            if let Some(entry) = table.remove(evicted) {
                entry.close.cancel();
            }
        }
        let id = table.next;
        table.next += 1;
        let active = Arc::new(AtomicU64::new(self.now()));
        let close = CancellationToken::new();
        table.live.insert(id, Entry { peer, active: active.clone(), close: close.clone() });
        *table.per_peer.entry(peer).or_default() += 1;
        drop(table);
        Some(Ticket { connections: self.clone(), id, active, close })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table().live.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn now(&self) -> u64 {
        self.begin.elapsed().as_millis() as u64
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn most_crowded_idle(&self, newcomer: IpAddr) -> Option<u64> {
        let own = self.per_peer.get(&newcomer).copied().unwrap_or(0);
        let (crowd, count) = self.per_peer.iter().max_by_key(|(_, count)| **count)?;
        if *count <= own + 1 {
            return None;
        }
        self.live
            .iter()
            .filter(|(_, entry)| entry.peer == *crowd)
            .min_by_key(|(_, entry)| entry.active.load(Ordering::Relaxed))
            .map(|(id, _)| *id)
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.live.remove(&id)?;
        if let Some(count) = self.per_peer.get_mut(&entry.peer) {
            *count -= 1;
            if *count == 0 {
                self.per_peer.remove(&entry.peer);
            }
        }
        Some(entry)
    }
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
pub struct Ticket {
    connections: Arc<Connections>,
    id: u64,
    active: Arc<AtomicU64>,
    close: CancellationToken,
}

impl Ticket {
    /// Says that the connection just did something useful.
    pub fn touch(&self) {
        self.active.store(self.connections.now(), Ordering::Relaxed);
    }

    /// Cancelled when the connection must go.
    pub fn close(&self) -> &CancellationToken {
        &self.close
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn the_crowd_makes_place_for_a_newcomer_and_not_for_itself() {
        let connections = Connections::new(3, usize::MAX);
        let crowd: Vec<_> = (0..3).filter_map(|_| connections.admit(peer(1))).collect();
        assert_eq!(crowd.len(), 3);
        assert!(connections.admit(peer(1)).is_none());
        crowd[0].active.store(50, Ordering::Relaxed);
        crowd[1].active.store(20, Ordering::Relaxed);
        crowd[2].active.store(70, Ordering::Relaxed);
        let newcomer = connections.admit(peer(2));
        assert!(newcomer.is_some());
        assert!(crowd[1].close().is_cancelled(), "the longest idle one goes");
        assert!(!crowd[0].close().is_cancelled() && !crowd[2].close().is_cancelled());
        assert_eq!(connections.len(), 3);
        assert!(connections.admit(peer(2)).is_none(), "two and one would only become one and two");
    }

    #[test]
    fn a_peer_may_be_limited_before_all_places_are_taken() {
        let connections = Connections::new(10, 2);
        let two: Vec<_> = (0..2).filter_map(|_| connections.admit(peer(1))).collect();
        assert_eq!(two.len(), 2);
        assert!(connections.admit(peer(1)).is_none());
        assert!(connections.admit(peer(2)).is_some());
        drop(two);
        assert!(connections.admit(peer(1)).is_some());
    }

    #[test]
    fn a_place_is_given_back_once() {
        let connections = Connections::new(1, usize::MAX);
        let first = connections.admit(peer(1));
        assert!(connections.admit(peer(2)).is_none());
        drop(first);
        assert!(connections.is_empty());
        assert!(connections.admit(peer(2)).is_some());
    }
}
