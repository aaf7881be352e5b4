//! What inputs repeat is not stored twice.

use super::*;
use crate::delivery::FileIdentity;
use bytes::Bytes;

fn tail(ino: u64, end: u64) -> Origin {
    Origin::Tail { file: FileIdentity { dev: 77, ino, head: 3 }, end }
}

fn forward(chunk: &'static str, arrival: u64) -> Origin {
    let chunk = Bytes::from_static(chunk.as_bytes());
    Origin::Forward { chunk, peer: "10.0.0.1".into(), arrival }
}

fn is_replay(buffer: &Buffer, origin: &Origin) -> bool {
    append_from(buffer, origin.clone(), vec![part("a", 99..100)]).unwrap().duplicate
}

#[test]
fn a_batch_that_was_refused_for_lack_of_space_is_no_replay() {
    let place = Place::new();
    let limits = Limits { total_bytes: 6, ..Limits::FILE };
    let buffer = place.open_with(Settings { limits, ..place.settings() });
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    let mut receipt = Receipt::durable(tail(1, 10));
    let batch = buffer.batch(vec![part("a", 1..2)], &mut receipt);
    assert!(matches!(buffer.append(&batch, &mut receipt, false), Err(AppendError::Overflow)));
    buffer.enqueue_all();
    buffer.purge(buffer.take_to_drop().unwrap().id());
    assert!(!buffer.append(&batch, &mut receipt, false).unwrap().duplicate);
    assert!(buffer.append(&batch, &mut receipt, false).unwrap().duplicate);
    assert_eq!(buffer.stats().replays, 1);
}

#[test]
fn the_same_events_may_reach_a_buffer_twice_on_purpose() {
    let place = Place::new();
    let buffer = place.open();
    for again in [false, true] {
        let mut receipt = Receipt::durable(tail(2, 10));
        for _ in 0..2 {
            let batch = buffer.batch(vec![part("a", 1..2)], &mut receipt);
            assert_eq!(buffer.append(&batch, &mut receipt, false).unwrap().duplicate, again);
        }
    }
    assert_eq!(drain(&buffer), [all("a", &[1, 1])]);
}

#[test]
fn after_a_kill_a_tailed_file_is_known_as_far_as_it_was_stored() {
    let place = Place::new();
    let buffer = place.open();
    append_from(&buffer, tail(3, 10), vec![part("a", 0..1)]).unwrap();
    append_from(&buffer, tail(3, 20), vec![part("a", 1..2), part("b", 2..3)]).unwrap();
    kill(buffer);
    let buffer = place.open();
    let file = FileIdentity { dev: 77, ino: 3, head: 3 };
    assert!(replay::cut_points(file).contains(&20));
    assert!(replay::identities(77, 3).contains(&file));
    assert!(is_replay(&buffer, &tail(3, 10)) && is_replay(&buffer, &tail(3, 20)));
    assert!(!is_replay(&buffer, &tail(3, 30)));
    assert_eq!(drain(&buffer), [all("a", &[0, 1, 99]), all("b", &[2])]);
}

#[test]
fn marks_outlive_the_chunks_that_they_came_with() {
    let place = Place::new();
    let buffer = place.open();
    append_from(&buffer, tail(4, 10), vec![part("a", 0..1)]).unwrap();
    append_from(&buffer, forward("id", 1), vec![part("a", 1..2)]).unwrap();
    buffer.enqueue_all();
    buffer.settle();
    buffer.purge(buffer.take().unwrap().id());
    buffer.settle();
    kill(buffer);
    assert_eq!(place.names(), Vec::<String>::new());
    let buffer = place.open();
    assert!(is_replay(&buffer, &tail(4, 10)));
    assert!(is_replay(&buffer, &forward("id", 50)));
    assert!(!is_replay(&buffer, &forward("id", 51)), "the next use of the id is news");
    assert!(is_replay(&buffer, &forward("id", 51)));
    assert!(!is_replay(&buffer, &tail(4, 20)));
}

#[test]
fn a_mark_never_outlives_records_that_were_lost() {
    let place = Place::new();
    let buffer = place.open();
    append_from(&buffer, tail(5, 10), vec![part("a", 0..1)]).unwrap();
    append_from(&buffer, tail(5, 20), vec![part("b", 1..2)]).unwrap();
    append_from(&buffer, tail(5, 30), vec![part("a", 2..3)]).unwrap();
    let b = place.names().into_iter().max().unwrap();
    kill(buffer);
    // The chunk of b never reached the device.
    std::fs::remove_file(place.buffer_dir().join(b)).unwrap();
    let buffer = place.open();
    assert_eq!(replay::cut_points(FileIdentity { dev: 77, ino: 5, head: 3 }), [10, 20, 30]);
    assert!(is_replay(&buffer, &tail(5, 10)));
    assert!(!is_replay(&buffer, &tail(5, 20)));
    assert!(is_replay(&buffer, &tail(5, 30)));
}

#[test]
fn a_truncated_file_is_begun_anew_also_after_a_kill() {
    let place = Place::new();
    let buffer = place.open();
    let file = FileIdentity { dev: 77, ino: 6, head: 3 };
    append_from(&buffer, tail(6, 1000), vec![part("a", 0..1)]).unwrap();
    replay::forget(file);
    assert!(!is_replay(&buffer, &tail(6, 10)));
    kill(buffer);
    let buffer = place.open();
    assert!(is_replay(&buffer, &tail(6, 10)));
    assert!(!is_replay(&buffer, &tail(6, 20)));
}

#[test]
fn a_confirmed_forward_chunk_is_forgotten() {
    let place = Place::new();
    let buffer = place.open();
    append_from(&buffer, forward("confirmed", 1), vec![part("a", 0..1)]).unwrap();
    replay::confirmed(&forward("confirmed", 1));
    assert!(!is_replay(&buffer, &forward("confirmed", 1)));
}

#[test]
fn a_replay_waits_for_the_device_like_the_first_time() {
    let place = Place::new();
    let buffer = place.open();
    append_from(&buffer, forward("w", 1), vec![part("a", 0..1)]).unwrap();
    let mut receipt = Receipt::durable(forward("w", 1));
    let batch = buffer.batch(vec![part("a", 0..1)], &mut receipt);
    assert!(buffer.append(&batch, &mut receipt, false).unwrap().duplicate);
    let mut committed = Box::pin(receipt.committed());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(committed.as_mut().poll(&mut context).is_pending());
    buffer.settle();
    assert!(committed.as_mut().poll(&mut context).is_ready());
}
