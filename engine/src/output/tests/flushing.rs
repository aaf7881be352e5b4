//! When chunks are written while all goes well.

use super::harness::{Act, START, Setup, by, count, pass};
use crate::output::settings::FlushMode;
use crate::plugin::Output;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn immediate_mode_writes_each_emit_at_once() {
    let rig = Setup::default().run().await;
    rig.emit(1).await.unwrap();
    pass(1).await;
    assert_eq!(rig.written(), [(0, vec![1])]);
    pass(5000).await;
    rig.emit(2).await.unwrap();
    pass(1).await;
    assert_eq!(rig.written()[1], (5001, vec![2]));
    let counters = rig.status().counters;
    assert_eq!(
        (count(&counters.emit_count), count(&counters.emit_records), count(&counters.write_count)),
        (2, 2, 2)
    );
    assert_eq!(rig.status().buffer.unwrap().queued_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn interval_mode_holds_chunks_until_they_are_old_enough() {
    let mut setup = Setup::default();
    setup.flush.mode = FlushMode::Interval;
    setup.flush.interval = 10.0;
    setup.flush.interval_secs = 10;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(9000).await;
    rig.emit(2).await.unwrap();
    assert_eq!(rig.written(), []);
    pass(3000).await;
    // Looked at 0.5 s after the start and each second from then on; ages are compared in whole seconds.
    assert_eq!(rig.written(), [(10_500, vec![1, 2])]);
}

#[tokio::test(start_paused = true)]
async fn ages_are_looked_at_eleven_times_an_interval() {
    let mut setup = Setup::default();
    setup.flush.mode = FlushMode::Interval;
    setup.flush.interval = 110.0;
    setup.flush.interval_secs = 110;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(130_000).await;
    assert_eq!(rig.written(), [(110_500, vec![1])]);
}

#[tokio::test(start_paused = true)]
async fn lazy_mode_writes_a_slice_when_it_is_over_for_the_wait() {
    let mut setup = Setup::default();
    setup.flush.mode = FlushMode::Lazy;
    setup.flush.keys = by(&["time"], 60.0);
    setup.flush.timekey_wait = 33.0;
    let rig = setup.run().await;
    rig.emit_at(1, START + 59).await.unwrap();
    rig.emit_at(2, START - 600).await.unwrap();
    rig.emit_at(3, START + 60).await.unwrap();
    pass(200_000).await;
    // Looked at each 33/11 s after the first look at 0.5 s.
    assert_eq!(rig.written(), [(500, vec![2]), (93_500, vec![1]), (153_500, vec![3])]);
}

#[tokio::test(start_paused = true)]
async fn no_more_chunks_are_queued_by_age_than_may_be_queued() {
    let mut setup = Setup::default();
    setup.flush.mode = FlushMode::Lazy;
    setup.flush.keys = by(&["time"], 60.0);
    setup.flush.timekey_wait = 22.0;
    let rig = setup.run().await;
    for slice in 1..=3 {
        rig.emit_at(slice, START - 6000 + slice * 60).await.unwrap();
    }
    pass(5000).await;
    assert_eq!(rig.written(), [(500, vec![1]), (2500, vec![2]), (4500, vec![3])]);
}

#[tokio::test(start_paused = true)]
async fn queued_chunks_are_written_a_burst_interval_apart() {
    let rig = Setup { acts: vec![Act::Take(100)], ..Setup::default() }.run().await;
    for number in 1..=3 {
        rig.emit(number).await.unwrap();
        pass(20).await;
    }
    pass(10_000).await;
    let written = rig.written();
    assert_eq!(written.iter().map(|(_, numbers)| numbers[0]).collect::<Vec<_>>(), [1, 2, 3]);
    // The emits of 2 and 3 found the task at work: one pause is cut short, the next is not.
    assert_eq!(rig.times(), [0, 100, 1100]);
}

#[tokio::test(start_paused = true)]
async fn flush_tasks_write_at_the_same_time() {
    let mut setup = Setup { then: Act::Take(1000), ..Setup::default() };
    setup.flush.thread_count = 3;
    let rig = setup.run().await;
    for number in 1..=3 {
        rig.emit(number).await.unwrap();
    }
    pass(900).await;
    assert_eq!(rig.times(), [0, 0, 0]);
    assert_eq!(rig.status().buffer.unwrap().taken_chunks, 3);
}

#[tokio::test(start_paused = true)]
async fn sigusr1_writes_what_is_staged() {
    let mut setup = Setup::default();
    setup.flush.mode = FlushMode::Interval;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(2000).await;
    rig.output.flush();
    pass(1).await;
    assert_eq!(rig.written(), [(2000, vec![1])]);
}

#[tokio::test(start_paused = true)]
async fn slow_writes_are_counted() {
    let rig = Setup { acts: vec![Act::Take(20_000), Act::Take(20_001)], ..Setup::default() }.run().await;
    for number in 1..=2 {
        rig.emit(number).await.unwrap();
        pass(30_000).await;
    }
    let counters = rig.status().counters;
    assert_eq!((count(&counters.slow_flush_count), count(&counters.flush_time_ms)), (1, 40_001));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_not_acknowledged_in_time_is_taken_back() {
    let timeout = Some(Duration::from_secs(5));
    let rig = Setup { acts: vec![Act::Take(60_000)], timeout, ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    pass(10_000).await;
    assert_eq!(rig.written(), [(0, vec![1]), (6000, vec![1])]);
    assert_eq!(count(&rig.status().counters.rollback_count), 1);
}
