//! How many queries run at a time, and how one is cancelled.
//!
//! Reads and writes have places of their own, so that long SELECTs do not keep inserts waiting. Who finds all places taken
//! waits; who finds too many waiting is told so.

use crate::engine::Engine;
use crate::error::Exception;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The setting that marks a query, by which it is found again to be cancelled. It is one that has no effect on tables that
/// the store can hold.
pub(crate) const MARK: &str = "stream_like_engine_insert_queue";

/// A query that is cancelled before the engine knows it is looked for again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// See the module.
pub(crate) struct Pool {
    engine: Arc<Engine>,
    reads: Lane,
    writes: Lane,
    running: Mutex<HashMap<String, Arc<Query>>>,
    next_mark: AtomicU64,
}

struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A query that was let in.
#[derive(Debug)]
pub(crate) struct Query {
    /// Its id for clients.
    pub(crate) id: String,
    /// Its value of [`MARK`].
    pub(crate) mark: String,
    writes: bool,
    done: AtomicBool,
    cancelled: AtomicBool,
    /// A reading end of its output, besides the one of the answer.
    output: Mutex<Option<File>>,
}

impl Query {
    /// Keeps a reading end of the query's output, which does not block. Once the answer's end is gone, a query that is being
    /// cancelled would wait for ever to open or fill the pipe; so the rest is read and thrown away.
    pub(crate) fn keep(&self, output: OwnedFd) {
        *self.output.lock().unwrap_or_else(PoisonError::into_inner) = Some(output.into());
    }

    fn throw_away(&self, piece: &mut [u8]) {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        while output.as_ref().is_some_and(|mut output| output.read(piece).is_ok_and(|read| read > 0)) {}
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// The right to run a query, given back when dropped. The thread that runs it holds this.
pub(crate) struct Ticket {
    pool: Arc<Pool>,
    query: Arc<Query>,
    _place: OwnedSemaphorePermit,
}

impl Ticket {
    pub(crate) fn query(&self) -> &Arc<Query> {
        &self.query
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.query.done.store(true, Ordering::Release);
        self.pool.running().remove(&self.query.id);
    }
}

/// Cancels a query when dropped, unless it is done. Whoever waits for the query holds this.
pub(crate) struct Waiter {
    pool: Arc<Pool>,
    query: Arc<Query>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.query.done.load(Ordering::Acquire) {
            self.pool.cancel(&self.query);
        }
    }
}

impl Pool {
    pub(crate) fn new(
        engine: Arc<Engine>,
        reads_max: usize,
        writes_max: usize,
        waiting_max: usize,
    ) -> Arc<Self> {
        let lane = |places: usize| Lane {
            places: Arc::new(Semaphore::new(places.max(1))),
            waiting: AtomicUsize::new(0),
            waiting_max,
        };
        Arc::new(Self {
            engine,
            reads: lane(reads_max),
            writes: lane(writes_max),
            running: Mutex::default(),
            next_mark: AtomicU64::new(1),
        })
    }

    /// Waits for a place for a query with this id.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        id: String,
        writes: bool,
    ) -> Result<(Ticket, Waiter), Exception> {
        let place = if writes { &self.writes } else { &self.reads }.place().await?;
        let mark = self.next_mark.fetch_add(1, Ordering::Relaxed).to_string();
        let query = Arc::new(Query {
            id,
            mark,
            writes,
            done: false.into(),
            cancelled: false.into(),
            output: Mutex::default(),
        });
        let mut running = self.running();
        if running.contains_key(&query.id) {
            return Err(Exception::new(
                216,
                "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                format!("Query with id = {} is already running", query.id),
            ));
        }
        running.insert(query.id.clone(), query.clone());
        drop(running);
        let waiter = Waiter { pool: self.clone(), query: query.clone() };
        Ok((Ticket { pool: self.clone(), query, _place: place }, waiter))
    }

    /// Cancels the queries that read, or all.
    pub(crate) fn cancel_running(&self, writes_too: bool) {
        let all: Vec<_> =
            self.running().values().filter(|query| writes_too || !query.writes).cloned().collect();
        for query in all {
            self.cancel(&query);
        }
    }

    /// How many queries run.
    pub(crate) fn running_count(&self) -> usize {
        self.running().len()
    }

    fn cancel(&self, query: &Arc<Query>) {
        if query.cancelled.swap(true, Ordering::AcqRel) {
            return;
        }
        let (engine, query) = (self.engine.clone(), query.clone());
        let kill = move || {
            let Some(mut connection) = engine.connect() else { return };
            let sql = format!("KILL QUERY WHERE Settings['{MARK}'] = '{}' ASYNC", query.mark);
            let mut piece = vec![0; 64 << 10];
            while !query.done.load(Ordering::Acquire) {
                let _ = connection.query(sql.as_bytes(), "Null");
                query.throw_away(&mut piece);
                std::thread::sleep(LOOK_AGAIN);
            }
        };
        // Without a thread the query runs to its end, for nobody.
        let _ = std::thread::Builder::new().name("cancel".to_owned()).spawn(kill);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Query>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    async fn place(&self) -> Result<OwnedSemaphorePermit, Exception> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let too_many = || {
            let message = format!("Too many simultaneous queries: {} wait already", self.waiting_max);
            Exception::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message)
        };
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.waiting_max {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(too_many());
        }
        let _waiting = Waiting(&self.waiting);
        self.places.clone().acquire_owned().await.map_err(|_| too_many())
    }
}

/// Counts one that waits, however it stops waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_waiting_are_told_so() {
        let lane = Lane { places: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0), waiting_max: 1 };
        let held = lane.place().await.unwrap();
        {
            let mut waiting = Box::pin(lane.place());
            assert!(futures_util::poll!(&mut waiting).is_pending());
            assert_eq!(lane.place().await.unwrap_err().code, 202);
        }
        // One that gave up waiting leaves its turn to another.
        let mut waiting = Box::pin(lane.place());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(held);
        assert!(waiting.await.is_ok());
    }
}
