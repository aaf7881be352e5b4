//! What bounds the store.

use std::time::Duration;

/// The store's limits. [`Limits::default`] suits the machine it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory that the engine may use, all queries and caches together, in bytes. Queries beyond it fail with
    /// `MEMORY_LIMIT_EXCEEDED`, which out_clickhouse waits out.
    pub memory_bytes: u64,
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub connections_max: usize,
    /// Queries that read at a time. A long one keeps its place, but never one of a write's.
    pub reads_max: usize,
    /// Inserts and other statements at a time.
    pub writes_max: usize,
    /// Queries that wait for a place, of each kind; one more is answered `TOO_MANY_SIMULTANEOUS_QUERIES`.
    pub waiting_max: usize,
    /// The largest body, unpacked, in bytes.
    pub body_bytes_max: u64,
    /// Of a body, so much is kept in memory; a longer one goes to a scratch file.
    pub body_memory_bytes: u64,
    /// Of all bodies together, so much is kept in memory.
    pub bodies_memory_bytes: u64,
    /// The head of a request, and the pause before the next one on a connection, may take so long.
    pub head_timeout: Duration,
    /// A piece of a body may take so long, and a piece of an answer to be taken.
    pub body_timeout: Duration,
    /// Sessions (`session_id`) at a time.
    pub sessions_max: usize,
}

/// A machine with less is not asked to give more than this.
const MEMORY_MIN: u64 = 512 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: (machine_memory() / 2).max(MEMORY_MIN),
            connections_max: 256,
            reads_max: 16,
            writes_max: 8,
            waiting_max: 128,
            body_bytes_max: 4 << 30,
            body_memory_bytes: 32 << 20,
            bodies_memory_bytes: 128 << 20,
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            sessions_max: 64,
        }
    }
}

/// What the machine, or the container, has.
fn machine_memory() -> u64 {
    let machine = rustix::system::sysinfo();
    let machine = machine.totalram as u64 * u64::from(machine.mem_unit);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    machine.min(container)
}
