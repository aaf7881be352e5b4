//! What happens to chunks that cannot be written.

use super::harness::{Act, Rig, Setup, count, pass};
use crate::output::settings::FlushMode;
use crate::plugin::Output;

#[tokio::test(start_paused = true)]
async fn a_chunk_is_tried_again_in_growing_intervals_until_it_is_written() {
    let rig = Setup { acts: vec![Act::Fail; 3], ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    pass(5000).await;
    let retry = rig.status().retry.unwrap();
    assert_eq!((retry.steps, retry.next_time - retry.start), (2, 7.0));
    pass(5000).await;
    assert_eq!(rig.written(), [(0, vec![1]), (1000, vec![1]), (3000, vec![1]), (7000, vec![1])]);
    let status = rig.status();
    assert_eq!(status.retry, None);
    let counters = status.counters;
    assert_eq!(
        (count(&counters.write_count), count(&counters.rollback_count), count(&counters.num_errors)),
        (4, 3, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn no_other_chunk_is_tried_before_the_retry_and_the_order_stays() {
    let rig = Setup { acts: vec![Act::Fail], ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    pass(500).await;
    rig.emit(2).await.unwrap();
    pass(5000).await;
    assert_eq!(rig.written(), [(0, vec![1]), (1000, vec![1]), (2000, vec![2])]);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_set_aside_holds_nothing_up_and_is_no_retry() {
    let rig = Setup { acts: vec![Act::Later(5000)], ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    pass(500).await;
    rig.emit(2).await.unwrap();
    pass(3000).await;
    assert_eq!(rig.written()[1].1, [2]);
    let status = rig.status();
    assert_eq!((status.retry, status.buffer.unwrap().taken_chunks), (None, 1));
    pass(5000).await;
    assert_eq!(rig.written()[2], (5000, vec![1]));
    assert_eq!(rig.status().buffer.unwrap().taken_chunks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_pause_of_what_is_set_aside_for_one_more_try() {
    for (then, tries) in [(Act::Succeed, 2), (Act::Later(1000), 2)] {
        let rig = Setup { acts: vec![Act::Later(3_600_000)], then, ..Setup::default() }.run().await;
        rig.emit(1).await.unwrap();
        pass(500).await;
        rig.output.stopping();
        pass(100).await;
        rig.output.shutdown().await;
        assert_eq!(rig.written().len(), tries, "{then:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_failing_tasks_are_one_step() {
    let mut setup = Setup { acts: vec![Act::FailAfter(10); 6], ..Setup::default() };
    setup.flush.thread_count = 3;
    let rig = setup.run().await;
    for number in 1..=3 {
        rig.emit(number).await.unwrap();
    }
    pass(1500).await;
    assert_eq!(rig.times(), [0, 0, 0, 1010, 1010, 1010]);
    assert_eq!(rig.status().retry.unwrap().steps, 1);
    pass(5000).await;
    assert_eq!(rig.times()[6..9], [3020, 3020, 3020]);
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_queue_is_dropped_and_the_stage_is_kept() {
    let mut setup = Setup { acts: vec![Act::Fail; 3], ..Setup::default() };
    setup.flush.retry.max_times = Some(2);
    setup.flush.mode = FlushMode::Interval;
    setup.limits.chunk_records = Some(1);
    let rig = setup.run().await;
    for number in 1..=2 {
        rig.emit(number).await.unwrap(); // full: queued
    }
    pass(5000).await;
    assert_eq!(rig.written(), [(0, vec![1]), (1000, vec![1]), (3000, vec![1])]);
    let status = rig.status();
    let stats = status.buffer.unwrap();
    assert_eq!((stats.queued_chunks, stats.queued_bytes, status.retry), (0, 0, None));
    assert_eq!(count(&status.counters.dropped_records), 2);
    rig.emit(3).await.unwrap();
    pass(5000).await;
    assert_eq!(rig.written()[3].1, [3]);
}

#[tokio::test(start_paused = true)]
async fn the_secondary_gets_the_chunk_when_the_retries_run_out() {
    let mut setup = Setup { then: Act::Fail, secondary: Some((Act::Succeed, false)), ..Setup::default() };
    setup.flush.retry.wait = 0.25;
    setup.flush.retry.max_times = Some(2);
    setup.flush.retry.secondary_threshold = Some(0.5);
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(5000).await;
    assert_eq!(rig.times(), [0, 250]);
    assert_eq!(*rig.secondary_log.lock().unwrap(), [(375, vec![1])]);
    let status = rig.status();
    assert_eq!((status.retry, count(&status.counters.write_secondary_count)), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failing_secondary_is_tried_until_the_limit() {
    let mut setup = Setup { then: Act::Fail, secondary: Some((Act::Fail, false)), ..Setup::default() };
    setup.flush.retry.timeout = 10.0;
    setup.flush.retry.secondary_threshold = Some(0.5);
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(60_000).await;
    assert_eq!(rig.times(), [0, 1000, 3000]);
    let secondary: Vec<u64> = rig.secondary_log.lock().unwrap().iter().map(|(at, _)| *at).collect();
    assert_eq!(secondary, [5000, 6000, 8000, 10_000]);
    assert_eq!(count(&rig.status().counters.dropped_records), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_destination_may_have_does_not_go_to_the_secondary_before_that_is_known() {
    let mut setup = Setup { then: Act::Fail, secondary: Some((Act::Succeed, false)), ..Setup::default() };
    setup.flush.retry.wait = 0.25;
    setup.flush.retry.max_times = Some(2);
    setup.flush.retry.secondary_threshold = Some(0.5);
    setup.doubt = Some((1, 60_000));
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    rig.emit(2).await.unwrap();
    pass(5000).await;
    let by_secondary = || rig.secondary_log.lock().unwrap().clone();
    assert_eq!(by_secondary().len(), 1, "the other chunk was not held up: {:?}", by_secondary());
    assert_eq!(by_secondary()[0].1, [2]);
    pass(54_000).await;
    assert_eq!(by_secondary().len(), 1);
    let tries = rig.written().iter().filter(|(_, numbers)| *numbers == [1]).count();
    assert!(tries >= 6, "the primary goes on: {tries}");
    pass(30_000).await;
    assert_eq!(by_secondary()[1].1, [1]);
    assert!(by_secondary()[1].0 >= 60_000);
    assert_eq!(*rig.given_up.lock().unwrap(), by_secondary(), "the primary is told");
    assert_eq!(rig.status().buffer.unwrap().records, 0);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_must_mend_is_tried_until_it_is_mended() {
    let mut setup =
        Setup { acts: vec![Act::Operator; 50], secondary: Some((Act::Succeed, false)), ..Setup::default() };
    setup.flush.retry.max_times = Some(2);
    setup.flush.retry.timeout = 10.0;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(2_000_000).await;
    assert_eq!(rig.status().buffer.unwrap().records, 1, "it waits");
    pass(1_500_000).await;
    let times = rig.times();
    assert_eq!((times.len(), rig.status().retry), (51, None));
    assert!(times.windows(2).all(|two| two[1] - two[0] <= 60_000), "{times:?}");
    assert!(rig.secondary_log.lock().unwrap().is_empty() && rig.given_up.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_retries_counts_from_when_it_was_mended() {
    let acts = vec![Act::Fail, Act::Operator, Act::Operator, Act::Operator];
    let mut setup = Setup { acts, then: Act::Fail, ..Setup::default() };
    setup.flush.retry.max_times = Some(2);
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(600_000).await;
    assert_eq!(rig.times().len(), 1 + 3 + 3, "{:?}", rig.times());
    assert_eq!(count(&rig.status().counters.dropped_records), 1);
    assert_eq!(rig.given_up.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_mends_goes_to_the_secondary_at_once() {
    let rig =
        Setup { then: Act::Reject, secondary: Some((Act::Succeed, false)), ..Setup::default() }.run().await;
    rig.emit(1).await.unwrap();
    pass(1000).await;
    assert_eq!(rig.times(), [0]);
    assert_eq!(*rig.secondary_log.lock().unwrap(), [(0, vec![1])]);
    assert_eq!(saved(&rig), Vec::<Vec<u8>>::new());
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_mends_is_saved_and_the_next_chunk_is_written() {
    for acts in [vec![Act::Reject], vec![Act::Panic]] {
        let rig = Setup { acts, ..Setup::default() }.run().await;
        for number in 1..=2 {
            rig.emit(number).await.unwrap();
        }
        pass(5000).await;
        assert_eq!(rig.written().last().unwrap().1, [2]);
        assert_eq!(saved(&rig).len(), 1);
        assert_eq!(super::harness::numbers(&saved(&rig)[0]), [1]);
        let status = rig.status();
        assert_eq!((status.buffer.unwrap().queued_bytes, count(&status.counters.backup_count)), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_secondary_of_the_same_type_or_one_that_fails_leaves_it_to_the_backup() {
    for (secondary, calls) in [((Act::Succeed, true), 0), ((Act::Fail, false), 1), ((Act::Reject, false), 1)]
    {
        let rig = Setup { then: Act::Reject, secondary: Some(secondary), ..Setup::default() }.run().await;
        rig.emit(1).await.unwrap();
        pass(5000).await;
        assert_eq!(rig.secondary_log.lock().unwrap().len(), calls);
        assert_eq!(saved(&rig).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_backup_it_is_thrown_away() {
    let mut setup = Setup { then: Act::Reject, ..Setup::default() };
    setup.flush.disable_chunk_backup = true;
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(1000).await;
    assert_eq!(saved(&rig).len(), 0);
    assert_eq!(count(&rig.status().counters.dropped_records), 1);
    assert_eq!(rig.status().buffer.unwrap().queued_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_cannot_be_written_holds_the_chunk() {
    let setup = Setup { then: Act::Reject, ..Setup::default() };
    std::fs::write(setup.root.path().join("backup"), "a file where a directory belongs").unwrap();
    let rig = setup.run().await;
    rig.emit(1).await.unwrap();
    pass(2000).await;
    assert_eq!(rig.times(), [0, 1000]);
    assert_eq!(rig.status().buffer.unwrap().queued_chunks, 1);
}

fn saved(rig: &Rig) -> Vec<Vec<u8>> {
    let Ok(dir) = std::fs::read_dir(rig.root.path().join("backup/worker0/out")) else { return Vec::new() };
    dir.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}
