//! The law of `telemetry/ledger.rs`: at every moment at which nothing moves, what came is accounted for, and what is
//! left over is exactly what the buffer holds.

use super::harness::{Act, Rig, Setup, pass};
use crate::output::settings::OverflowAction;
use crate::plugin::Output;
use crate::telemetry::Account;

impl Rig {
    fn booked(&self, account: Account) -> u64 {
        self.status().counters.ledger.get(account)
    }

    /// Compares the ledger with the chunks; answers how many records they hold.
    fn audit(&self) -> u64 {
        let status = self.status();
        let held = status.buffer.map_or(0, |buffer| buffer.records);
        assert_eq!(status.balance().expected_in_buffer(), held as i64, "{:?}", status.balance());
        held
    }
}

#[tokio::test(start_paused = true)]
async fn a_retried_chunk_is_buffered_until_it_is_stored_once() {
    let rig = Setup { acts: vec![Act::Fail, Act::Panic, Act::Fail], ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    rig.emit(2).await.unwrap();
    assert_eq!(rig.audit(), 2);
    let mut seen = vec![];
    for _ in 0..40 {
        pass(250).await;
        seen.push(rig.audit());
    }
    assert_eq!(seen.last(), Some(&0));
    assert!(seen.is_sorted_by(|a, b| a >= b) && seen.contains(&1), "{seen:?}");
    // A panic is an error that no retry mends.
    assert_eq!((rig.booked(Account::Stored), rig.booked(Account::DeadBackup)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_secondary_took_is_a_dead_letter() {
    let setup = Setup { then: Act::Reject, secondary: Some((Act::Succeed, false)), ..Setup::default() };
    let rig = setup.run().await;
    for number in 1..=3 {
        rig.emit(number).await.unwrap();
        pass(2000).await;
        rig.audit();
    }
    assert_eq!((rig.audit(), rig.booked(Account::DeadSecondary), rig.booked(Account::Stored)), (0, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn chunks_that_are_thrown_away_are_dropped() {
    let mut setup = Setup { then: Act::Reject, ..Setup::default() };
    setup.flush.disable_chunk_backup = true;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(2000).await;
    assert_eq!((rig.audit(), rig.booked(Account::DroppedRejected)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_retries_drops_the_queue_of_a_memory_buffer() {
    let mut setup = Setup { then: Act::Fail, ..Setup::default() };
    setup.flush.retry.max_times = Some(2);
    let rig = setup.run().await;
    for number in 1..=3 {
        rig.emit(number).await.unwrap();
    }
    assert_eq!(rig.audit(), 3);
    pass(60_000).await;
    assert_eq!((rig.audit(), rig.booked(Account::DroppedRetries)), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_refuses_or_drops() {
    for action in [OverflowAction::ThrowException, OverflowAction::DropOldestChunk] {
        let mut setup = Setup { acts: vec![Act::Fail], ..Setup::default() };
        setup.flush.overflow = action;
        setup.flush.retry.wait = 10.0;
        setup.limits.total_bytes = 12;
        let rig = setup.run().await;
        for number in 1..=5 {
            let taken = rig.emit(number).await.is_ok();
            assert_eq!(taken, number <= 2 || action == OverflowAction::DropOldestChunk);
            pass(1).await;
            rig.audit();
        }
        assert_eq!(rig.audit(), 2);
        match action {
            OverflowAction::ThrowException => assert_eq!(rig.booked(Account::RefusedOverflow), 3),
            _ => assert_eq!(rig.booked(Account::DroppedOverflow), 3),
        }
        pass(30_000).await;
        assert_eq!((rig.audit(), rig.booked(Account::Stored)), (0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_memory_buffer_loses_at_the_end_is_dropped() {
    let mut setup = Setup { then: Act::Fail, ..Setup::default() };
    setup.flush.at_shutdown = false;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    rig.output.shutdown().await;
    assert_eq!(rig.booked(Account::DroppedShutdown), 1);
}
