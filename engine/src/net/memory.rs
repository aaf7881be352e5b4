//! A bound on the memory that peers can make an input hold: partial messages, inflated payloads, messages that wait
//! for a buffer.
//!
//! Each holder leases what it holds and waits when the pool is empty. Waiting holders could wait for each other for ever
//! (each has half of its message), so one of them, at a time, may go on without: the pool's bound is its size plus one
//! message. Whoever gets this overdraft ends it by finishing its message, or by its time limit.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is leased in units of this many bytes, since a semaphore counts in 32 bits at a time.
const UNIT: u64 = 4096;

/// The memory that all connections of an input share.
#[derive(Debug)]
pub struct MemoryPool {
    free: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
    units: u64,
}

impl MemoryPool {
    /// A pool of about `bytes` bytes (at least one unit of 4 KiB).
    pub fn new(bytes: u64) -> Arc<Self> {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize) as u64);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(units as usize)),
            overdraft: Arc::new(Semaphore::new(1)),
            units,
        })
    }

    /// A lease of nothing, to be grown.
    pub fn lease(self: &Arc<Self>) -> Lease {
        Lease { pool: self.clone(), held: 0, permit: None, overdraft: None }
    }

    /// Bytes that are leased now, the overdraft not counted.
    pub fn leased(&self) -> u64 {
        (self.units - self.free.available_permits() as u64) * UNIT
    }
}

/// What one connection holds. Dropping it gives everything back.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<MemoryPool>,
    held: u32,
    permit: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// Holds at least `bytes`; waits while the pool is empty, unless it is the one that may overdraw.
    /// Answers whether it had to wait.
    pub async fn grow_to(&mut self, bytes: usize) -> bool {
        let wanted = units(bytes);
        if wanted <= self.held || self.overdraft.is_some() {
            return false;
        }
        let more = wanted - self.held;
        if let Ok(permit) = self.pool.free.clone().try_acquire_many_owned(more) {
            self.keep(permit, more);
            return false;
        }
        tokio::select! {
            biased;
            Ok(permit) = self.pool.free.clone().acquire_many_owned(more) => self.keep(permit, more),
            Ok(token) = self.pool.overdraft.clone().acquire_owned() => self.overdraft = Some(token),
        }
        true
    }

    /// Gives back what is beyond `bytes`, and the overdraft if the rest is covered.
    pub fn shrink_to(&mut self, bytes: usize) {
        let wanted = units(bytes);
        if wanted < self.held {
            let back = self.held - wanted;
            self.held = wanted;
            if let Some(permit) = &mut self.permit {
                drop(permit.split(back as usize));
            }
        }
        if wanted <= self.held {
            self.overdraft = None;
        }
    }

    fn keep(&mut self, permit: OwnedSemaphorePermit, units: u32) {
        self.held += units;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
    }
}

fn units(bytes: usize) -> u32 {
    (bytes as u64).div_ceil(UNIT).min(u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_lease_takes_and_gives_back() {
        let pool = MemoryPool::new(100 * 4096);
        let mut lease = pool.lease();
        assert!(!lease.grow_to(50 * 4096 + 1).await);
        assert_eq!(pool.leased(), 51 * 4096);
        lease.shrink_to(10);
        assert_eq!(pool.leased(), 4096);
        drop(lease);
        assert_eq!(pool.leased(), 0);
    }

    #[tokio::test]
    async fn when_the_pool_is_empty_one_goes_on_and_the_next_waits_for_it() {
        let pool = MemoryPool::new(10 * 4096);
        let (mut a, mut b, mut c) = (pool.lease(), pool.lease(), pool.lease());
        a.grow_to(6 * 4096).await;
        b.grow_to(4 * 4096).await;
        assert!(a.grow_to(100 * 4096).await, "a overdraws");
        assert!(timeout(SOON, b.grow_to(5 * 4096)).await.is_err(), "b waits");
        assert!(timeout(SOON, c.grow_to(1)).await.is_err(), "c waits");
        drop(a);
        assert!(timeout(SOON, b.grow_to(5 * 4096)).await.is_ok(), "b goes on");
        assert!(timeout(SOON, c.grow_to(1)).await.is_ok(), "c goes on");
        assert_eq!(pool.leased(), 6 * 4096);
    }

    #[tokio::test]
    async fn a_lease_beyond_the_whole_pool_overdraws() {
        let pool = MemoryPool::new(4096);
        let mut lease = pool.lease();
        assert!(timeout(SOON, lease.grow_to(1 << 30)).await.is_ok());
        lease.shrink_to(0);
        let mut other = pool.lease();
        assert!(timeout(SOON, other.grow_to(1 << 30)).await.is_ok(), "the overdraft was given back");
    }
}
