//! What is left when the program ends.

use super::harness::{Act, Setup, pass};
use crate::delivery::EmitError;
use crate::output::settings::FlushMode;
use crate::plugin::Output;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn everything_is_written_without_pauses() {
    let mut setup = Setup { then: Act::Take(10), ..Setup::default() };
    setup.flush.mode = FlushMode::Interval;
    setup.limits.chunk_records = Some(1);
    setup.flush.thread_interval = std::time::Duration::from_secs(3600);
    setup.flush.burst_interval = std::time::Duration::from_secs(3600);
    let rig = setup.run().await;
    for number in 1..=5 {
        rig.emit(number).await.unwrap();
    }
    rig.output.shutdown().await;
    assert_eq!(rig.times(), [0, 10, 20, 30, 40]);
    assert!(matches!(rig.emit(6).await, Err(EmitError::Shutdown)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_with_flush_at_shutdown_false() {
    let mut setup = Setup::default();
    setup.flush.mode = FlushMode::Interval;
    setup.flush.at_shutdown = false;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    rig.output.shutdown().await;
    assert_eq!(rig.written(), []);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_fails_does_not_hold_up_the_end() {
    let rig = Setup { then: Act::Fail, ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    pass(100).await;
    let before = Instant::now();
    rig.output.shutdown().await;
    assert_eq!(before.elapsed().as_millis(), 0);
    assert_eq!(rig.times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_ends_is_given_up() {
    for (at_shutdown, emits, seconds) in [(false, 2, 10), (true, 1, 10), (true, 2, 70)] {
        let mut setup = Setup { then: Act::Take(u64::from(u32::MAX)), ..Setup::default() };
        setup.flush.at_shutdown = at_shutdown;
        let rig = setup.run().await;
        for number in 0..emits {
            rig.emit(number).await.unwrap();
            pass(100).await;
        }
        let before = Instant::now();
        rig.output.shutdown().await;
        assert_eq!(before.elapsed().as_secs(), seconds, "{at_shutdown} {emits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_under_way_may_end() {
    let mut setup = Setup { then: Act::Take(5000), ..Setup::default() };
    setup.flush.at_shutdown = false;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(100).await;
    rig.output.shutdown().await;
    assert_eq!(rig.status().buffer.unwrap().taken_chunks, 0);
}
