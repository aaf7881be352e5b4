//! What happens when the buffer is full.

use super::harness::{Act, Rig, Setup, count, pass};
use crate::delivery::EmitError;
use crate::output::settings::OverflowAction;
use crate::plugin::Output;
use std::sync::Arc;

/// Room for two records of 6 bytes; nothing can be written for ten seconds.
async fn full(action: OverflowAction) -> Arc<Rig> {
    let mut setup = Setup { acts: vec![Act::Fail], ..Setup::default() };
    setup.flush.overflow = action;
    setup.flush.retry.wait = 10.0;
    setup.limits.total_bytes = 12;
    let rig = setup.run().await;
    for number in 1..=2 {
        rig.emit(number).await.unwrap();
        pass(1).await;
    }
    Arc::new(rig)
}

#[tokio::test(start_paused = true)]
async fn throw_exception_refuses_the_emit() {
    let rig = full(OverflowAction::ThrowException).await;
    assert!(matches!(rig.emit(3).await, Err(EmitError::BufferOverflow)));
    let counters = rig.status().counters;
    assert_eq!((count(&counters.emit_count), count(&counters.emit_records)), (3, 2));
    pass(12_000).await;
    rig.emit(4).await.unwrap();
    pass(10).await;
    assert_eq!(rig.written().into_iter().map(|(_, n)| n[0]).collect::<Vec<_>>(), [1, 1, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn block_waits_for_room() {
    let rig = full(OverflowAction::Block).await;
    let emitter = Arc::clone(&rig);
    let emit = tokio::spawn(async move { emitter.emit(3).await });
    pass(9000).await;
    assert!(!emit.is_finished());
    pass(2000).await;
    emit.await.unwrap().unwrap();
    pass(3000).await;
    assert_eq!(rig.written().last().unwrap().1, [3]);
}

#[tokio::test(start_paused = true)]
async fn block_gives_up_when_the_program_stops() {
    let rig = full(OverflowAction::Block).await;
    let emitter = Arc::clone(&rig);
    let emit = tokio::spawn(async move { emitter.emit(3).await });
    pass(100).await;
    rig.output.stopping();
    assert!(matches!(emit.await.unwrap(), Err(EmitError::BufferOverflow)));
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_chunk_makes_room() {
    let rig = full(OverflowAction::DropOldestChunk).await;
    rig.emit(3).await.unwrap();
    pass(20_000).await;
    assert_eq!(rig.written().into_iter().map(|(_, n)| n[0]).collect::<Vec<_>>(), [1, 2, 3]);
    let counters = rig.status().counters;
    assert_eq!((count(&counters.drop_oldest_chunk_count), count(&counters.dropped_records)), (1, 1));
}
