//! Which chunk ids have been acknowledged without proof that the sender knows.
//!
//! A sender that got no ack sends the chunk again, with the same id. If we had stored it (the ack was lost, or came too
//! late), it is acknowledged again and not stored. But ids may be derived from the payload (Fluent Bit), so that an id that
//! comes again may also be an honest second payload. Hence an id counts as a re-send only
//!
//! - on another connection, while its ack is outstanding or after it, until the connection on which the ack was
//!   written brings something else (then the sender has read the ack), or [`REMEMBERED_MAX`] has passed;
//! - on the same connection, while its ack has been outstanding for [`RESEND_AFTER_MIN`].
//!
//! Every use of an id has a number, which goes with the events to the buffers: a re-send of a chunk that was not stored
//! everywhere has the number of the first attempt, so that those buffers that have it do not take it twice.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use super::limits::{REMEMBERED_IDS_MAX, REMEMBERED_MAX, RESEND_AFTER_MIN};
use logweir_engine::io::{Clock, RealClock};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The chunk ids of all connections of an input.
pub(super) struct Duplicates {
    table: Mutex<Table>,
    clock: Arc<dyn Clock>,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self { table: Mutex::default(), clock: Arc::new(RealClock::new()) }
    }
}

impl std::fmt::Debug for Duplicates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Duplicates").field("table", &self.table).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    chunks: HashMap<Key, Entry>,
    /// Those that are acknowledged (or failed), oldest first; out of date where the number differs.
    settled: VecDeque<(Key, u64, Duration)>,
    /// What was acknowledged last on each connection.
    acked_on: HashMap<u64, Vec<(Key, u64)>>,
}

/// A digest of peer and id: ids may be long, and all of them take the same room.
type Key = [u8; 16];

#[derive(Debug)]
struct Entry {
    arrival: u64,
    connection: u64,
    /// On the monotonic clock.
    since: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Being stored; the channel tells how it ends.
    Underway(watch::Receiver<Option<bool>>),
    Acked,
    /// Not stored, or not everywhere.
    Failed,
}

/// What [`Duplicates::begin`] found.
#[derive(Debug)]
pub(super) enum Begin {
    /// To be stored.
    New(Attempt),
    /// Stored already.
    Stored,
    /// Being stored, by another connection or by an earlier message: wait, then ask again.
    Underway(Underway),
}

/// A chunk that somebody else is storing.
#[derive(Debug)]
pub(super) struct Underway(watch::Receiver<Option<bool>>);

impl Underway {
    /// Waits for the end of it.
    pub(super) async fn settled(mut self) {
        // An error means that the sender is gone, which is an end too.
        let _ = self.0.wait_for(Option::is_some).await;
    }
}

impl Duplicates {
    /// A chunk has arrived on `connection`, from `peer`.
    pub(super) fn begin(self: &Arc<Self>, peer: &str, chunk: &[u8], connection: u64) -> Begin {
        let (key, now) = (key(peer, chunk), self.clock.monotonic());
        let mut table = self.table();
        table.forget_acked_on(connection);
        table.forget_old(now);
        let mut arrival = None;
        if let Some(entry) = table.chunks.get(&key) {
            let elsewhere = entry.connection != connection;
            match &entry.state {
                State::Underway(settled)
                    if elsewhere || now.saturating_sub(entry.since) >= RESEND_AFTER_MIN =>
                {
                    return Begin::Underway(Underway(settled.clone()));
                }
                State::Acked if elsewhere => {
                    table.acked(key, connection, now);
                    return Begin::Stored;
                }
                State::Failed => arrival = Some(entry.arrival),
                State::Underway(_) | State::Acked => {}
            }
        }
        let arrival = arrival.unwrap_or_else(|| table.number());
        let (outcome, settled) = watch::channel(None);
        let state = State::Underway(settled);
        table.chunks.insert(key, Entry { arrival, connection, since: now, state });
        Begin::New(Attempt { duplicates: self.clone(), key, arrival, connection, outcome })
    }

    /// Something that is no chunk has arrived on `connection`: its sender has read all acks there.
    pub(super) fn heard_from(&self, connection: u64) {
        self.table().forget_acked_on(connection);
    }

    /// `connection` is closed: it will not tell whether its last acks arrived.
    pub(super) fn closed(&self, connection: u64) {
        self.table().acked_on.remove(&connection);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn forget_acked_on(&mut self, connection: u64) {
        for (key, arrival) in self.acked_on.remove(&connection).unwrap_or_default() {
            let is_that = |entry: &Entry| {
                entry.arrival == arrival
                    && entry.connection == connection
                    && matches!(entry.state, State::Acked)
            };
            if self.chunks.get(&key).is_some_and(is_that) {
                self.chunks.remove(&key);
            }
        }
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some(&(key, arrival, at)) = self.settled.front() {
            if now.saturating_sub(at) < REMEMBERED_MAX && self.settled.len() <= REMEMBERED_IDS_MAX {
                return;
            }
            self.settled.pop_front();
            let Some(entry) = self.chunks.get(&key) else { continue };
            // One that was acknowledged again since then stands further back in the queue too.
            if entry.arrival == arrival && entry.since <= at && !matches!(entry.state, State::Underway(_)) {
                let connection = entry.connection;
                self.chunks.remove(&key);
                if let Some(acked) = self.acked_on.get_mut(&connection) {
                    acked.retain(|(other, _)| *other != key);
                    if acked.is_empty() {
                        self.acked_on.remove(&connection);
                    }
                }
            }
        }
    }

    /// The ack of `key` is about to be written on `connection`.
    fn acked(&mut self, key: Key, connection: u64, now: Duration) {
        let Some(entry) = self.chunks.get_mut(&key) else { return };
        entry.state = State::Acked;
        entry.connection = connection;
        entry.since = now;
        let arrival = entry.arrival;
        self.settled.push_back((key, arrival, now));
        self.acked_on.entry(connection).or_default().push((key, arrival));
    }
}

/// A chunk that is being stored. Dropped without [`Attempt::acked`], it counts as failed, and a re-send is stored.
#[derive(Debug)]
pub(super) struct Attempt {
    duplicates: Arc<Duplicates>,
    key: Key,
    arrival: u64,
    connection: u64,
    outcome: watch::Sender<Option<bool>>,
}

impl Attempt {
    /// The number of this use of the id.
    pub(super) fn arrival(&self) -> u64 {
        self.arrival
    }

    /// It is stored, and its ack is about to be written.
    pub(super) fn acked(self) {
        let now = self.duplicates.clock.monotonic();
        let mut table = self.duplicates.table();
        if table.chunks.get(&self.key).is_some_and(|entry| entry.arrival == self.arrival) {
            table.acked(self.key, self.connection, now);
        }
        drop(table);
        self.outcome.send_replace(Some(true));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.outcome.borrow().is_some() {
            return;
        }
        let now = self.duplicates.clock.monotonic();
        let mut table = self.duplicates.table();
        if let Some(entry) = table.chunks.get_mut(&self.key)
            && entry.arrival == self.arrival
        {
            entry.state = State::Failed;
            entry.since = now;
            table.settled.push_back((self.key, self.arrival, now));
        }
        drop(table);
        self.outcome.send_replace(Some(false));
    }
}

fn key(peer: &str, chunk: &[u8]) -> Key {
    let digest = Sha256::new().chain_update((peer.len() as u64).to_be_bytes()).chain_update(peer);
    let digest = digest.chain_update(chunk).finalize();
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(begin: Begin) -> Attempt {
        match begin {
            Begin::New(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resend_on_another_connection_is_known_until_the_sender_goes_on() {
        let duplicates = Arc::new(Duplicates::default());
        new(duplicates.begin("peer", b"id", 1)).acked();
        assert!(matches!(duplicates.begin("peer", b"id", 2), Begin::Stored));
        assert!(matches!(duplicates.begin("peer", b"id", 3), Begin::Stored), "that ack was lost too");
        new(duplicates.begin("peer", b"next", 3)).acked();
        new(duplicates.begin("peer", b"id", 4));
    }

    #[test]
    fn other_peers_and_ids_are_others() {
        let duplicates = Arc::new(Duplicates::default());
        new(duplicates.begin("peer", b"id", 1)).acked();
        new(duplicates.begin("peer2", b"id", 2));
        new(duplicates.begin("peer", b"id2", 3));
    }

    #[test]
    fn anything_on_the_connection_of_the_ack_ends_the_memory() {
        let duplicates = Arc::new(Duplicates::default());
        new(duplicates.begin("peer", b"id", 1)).acked();
        duplicates.heard_from(2);
        assert!(matches!(duplicates.begin("peer", b"id", 3), Begin::Stored));
        duplicates.heard_from(1);
        assert!(matches!(duplicates.begin("peer", b"id", 4), Begin::Stored), "the last ack was written on 3");
        duplicates.heard_from(4);
        new(duplicates.begin("peer", b"id", 5));
    }

    #[test]
    fn the_same_connection_may_use_an_id_again() {
        let duplicates = Arc::new(Duplicates::default());
        let first = new(duplicates.begin("peer", b"id", 1));
        let second = new(duplicates.begin("peer", b"id", 1));
        assert_ne!(first.arrival(), second.arrival());
        first.acked();
        second.acked();
        new(duplicates.begin("peer", b"id", 1));
    }

    #[tokio::test]
    async fn a_resend_waits_for_the_first_to_settle() {
        let duplicates = Arc::new(Duplicates::default());
        let first = new(duplicates.begin("peer", b"id", 1));
        let Begin::Underway(underway) = duplicates.begin("peer", b"id", 2) else { panic!() };
        let waiting = tokio::spawn(underway.settled());
        first.acked();
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
        assert!(matches!(duplicates.begin("peer", b"id", 2), Begin::Stored));
    }

    #[test]
    fn what_failed_is_stored_under_its_first_number() {
        let duplicates = Arc::new(Duplicates::default());
        let first = new(duplicates.begin("peer", b"id", 1));
        let number = first.arrival();
        drop(first);
        let second = new(duplicates.begin("peer", b"id", 2));
        assert_eq!(second.arrival(), number);
        second.acked();
        assert!(matches!(duplicates.begin("peer", b"id", 3), Begin::Stored));
    }

    #[cfg(debug_assertions)]
    #[test]
    fn an_id_is_forgotten_when_its_time_is_over() {
        use logweir_engine::io::sim::SimClock;
        let clock = Arc::new(SimClock::new(1));
        let duplicates = Arc::new(Duplicates { clock: clock.clone(), ..Duplicates::default() });
        new(duplicates.begin("peer", b"id", 1)).acked();
        drop(clock.sleep(REMEMBERED_MAX / 2));
        assert!(matches!(duplicates.begin("peer", b"id", 2), Begin::Stored));
        drop(clock.sleep(REMEMBERED_MAX));
        new(duplicates.begin("peer", b"id", 3));
    }

    #[test]
    fn the_memory_is_bounded() {
        let duplicates = Arc::new(Duplicates::default());
        for id in 0..REMEMBERED_IDS_MAX as u64 + 10 {
            new(duplicates.begin("peer", &id.to_be_bytes(), id)).acked();
        }
        let table = duplicates.table();
        assert!(table.chunks.len() <= REMEMBERED_IDS_MAX + 1);
        assert!(table.acked_on.len() <= REMEMBERED_IDS_MAX + 1);
        assert!(table.settled.len() <= REMEMBERED_IDS_MAX + 1);
    }
}
