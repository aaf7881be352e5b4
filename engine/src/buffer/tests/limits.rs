//! Limits, splitting, and the way of a chunk.

use super::*;

fn memory(limits: Limits) -> Buffer {
    let settings = Settings {
        store: Store::Memory,
        limits,
        compress: Compression::None,
        formatted: false,
        backup: None,
    };
    Buffer::open(settings, environment()).unwrap()
}

#[test]
fn a_chunk_goes_from_the_stage_through_the_queue_and_is_purged() {
    let place = Place::new();
    for buffer in [memory(Limits::MEMORY), place.open()] {
        append(&buffer, vec![part("a", 0..2), part("b", 2..3)]).unwrap();
        append(&buffer, vec![part("a", 3..4)]).unwrap();
        assert_eq!((buffer.stats().staged_chunks, buffer.stats().staged_bytes), (2, 24));
        assert!(buffer.take().is_none());
        buffer.enqueue_where(|chunk| chunk.records() == 3);
        buffer.settle();
        let chunk = buffer.take().unwrap();
        assert_eq!((chunk.records(), chunk.size(), chunk.bodies().unwrap().len()), (3, 18, 2));
        assert_eq!(numbers(&chunk), [0, 1, 3]);
        assert!(buffer.rollback(chunk.id()) && !buffer.rollback(chunk.id()));
        let again = buffer.take().unwrap();
        assert_eq!(again.id(), chunk.id());
        assert!(buffer.purge(chunk.id()) && !buffer.purge(chunk.id()));
        assert_eq!((buffer.stats().queued_bytes, buffer.stats().staged_chunks), (0, 1));
    }
}

#[test]
fn a_stream_larger_than_a_chunk_is_divided_between_records() {
    let place = Place::new();
    let limits = Limits { chunk_bytes: 20, ..Limits::MEMORY };
    for buffer in [memory(limits), place.open_with(Settings { limits, ..place.settings() })] {
        append(&buffer, vec![part("a", 0..1)]).unwrap();
        append(&buffer, vec![part("a", 1..8)]).unwrap();
        buffer.settle();
        let found: Vec<_> = std::iter::from_fn(|| buffer.take()).map(|chunk| numbers(&chunk)).collect();
        assert_eq!(found, [vec![0], vec![1, 2, 3], vec![4, 5, 6]]);
        assert_eq!(buffer.stats().staged_bytes, 6);
    }
}

#[test]
fn formatted_records_fill_the_staged_chunk_up() {
    let buffer = memory(Limits { chunk_bytes: 10, ..Limits::MEMORY });
    let text = |text: &'static str| {
        Part::formatted(Metadata::default(), text.into(), (1..=text.len() / 4).map(|n| n * 4).collect())
    };
    append(&buffer, vec![text("one ")]).unwrap();
    append(&buffer, vec![text("two 333 four")]).unwrap();
    buffer.enqueue_all();
    let found: Vec<_> = std::iter::from_fn(|| buffer.take()).map(|c| c.read().unwrap()).collect();
    assert_eq!(found, ["one two ", "333 four"]);
}

#[test]
fn a_chunk_is_queued_when_it_has_its_number_of_records() {
    let buffer = memory(Limits { chunk_records: Some(3), ..Limits::MEMORY });
    for i in 0..7 {
        append(&buffer, vec![part("a", i..i + 1)]).unwrap();
    }
    let found: Vec<_> = std::iter::from_fn(|| buffer.take()).map(|chunk| numbers(&chunk)).collect();
    assert_eq!(found, [[0, 1, 2], [3, 4, 5]]);
}

#[test]
fn a_record_larger_than_a_chunk_is_refused_and_the_others_are_kept() {
    let buffer = memory(Limits { chunk_bytes: 7, ..Limits::MEMORY });
    let text = "tiny.a huge line.tiny.".into();
    let parts = vec![Part::formatted(Metadata::default(), text, vec![5, 17, 22])];
    let error = append(&buffer, parts).unwrap_err();
    assert_eq!(error.to_string(), "a 12 bytes record (nth: 1) is larger than buffer chunk limit size (7)");
    buffer.enqueue_all();
    let kept: Vec<_> = std::iter::from_fn(|| buffer.take()).map(|c| c.read().unwrap()).collect();
    assert_eq!(kept, ["tiny.", "tiny."]);
}

#[test]
fn compressed_records_are_divided_by_their_compressed_size() {
    let place = Place::new();
    for compress in [Compression::Gzip, Compression::Zstd] {
        let limits = Limits { chunk_bytes: 80, ..Limits::MEMORY };
        let buffer = Buffer::open(
            Settings { store: Store::Memory, compress, limits, ..place.settings() },
            environment(),
        )
        .unwrap();
        let noise = |n: u32| (0..40u32).map(move |i| ((n * 40 + i).wrapping_mul(2_654_435_761) >> 24) as u8);
        let text: Vec<u8> = (0..20).flat_map(noise).collect();
        let ends = (1..=20).map(|n| n * 40).collect();
        append(&buffer, vec![Part::formatted(Metadata::default(), text.clone().into(), ends)]).unwrap();
        buffer.enqueue_all();
        let chunks: Vec<_> = std::iter::from_fn(|| buffer.take()).collect();
        assert!(chunks.len() > 5 && chunks.iter().all(|chunk| chunk.size() <= 80));
        assert_eq!(chunks.iter().map(|chunk| chunk.records()).sum::<u64>(), 20);
        let read: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.read().unwrap()).collect();
        assert_eq!(read, text);
        assert_eq!(chunks[0].raw_bodies().unwrap()[0].compression, compress);
    }
}

#[test]
fn a_full_buffer_refuses_until_there_is_space() {
    let buffer = memory(Limits { total_bytes: 12, ..Limits::MEMORY });
    append(&buffer, vec![part("a", 0..2)]).unwrap();
    assert!(matches!(append(&buffer, vec![part("a", 2..3)]), Err(AppendError::Overflow)));
    buffer.enqueue_all();
    let chunk = buffer.take().unwrap();
    assert!(!buffer.has_space());
    buffer.purge(chunk.id());
    append(&buffer, vec![part("a", 2..3)]).unwrap();
}

#[test]
fn nothing_is_taken_before_it_is_durable() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    buffer.enqueue_all();
    assert!(buffer.has_queued() && buffer.take().is_none());
    assert!(buffer.settle());
    assert!(buffer.take().is_some());

    let place = Place::new();
    let mut settings = place.settings();
    let Store::File(files) = &mut settings.store else { unreachable!() };
    files.durability = Durability::PageCache;
    let buffer = place.open_with(settings);
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    buffer.enqueue_all();
    assert!(buffer.take().is_some());
}

#[tokio::test]
async fn an_input_waits_for_the_device() {
    let place = Place::new();
    let environment = Environment { background: true, ..environment() };
    let buffer = Buffer::open(place.settings(), environment).unwrap();
    for i in 0..20 {
        let mut receipt = Receipt::durable(Origin::None);
        let batch = buffer.batch(vec![part("a", i..i + 1), part("b", i..i + 1)], &mut receipt);
        buffer.append(&batch, &mut receipt, i % 3 == 0).unwrap();
        receipt.committed().await.unwrap();
    }
    buffer.enqueue_all();
    buffer.ready().await;
    while buffer.has_queued() {
        buffer.ready().await;
        let chunk = buffer.take().unwrap();
        buffer.purge(chunk.id());
    }
    buffer.close();
    assert_eq!(place.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_closed_buffer_takes_nothing_and_lets_nobody_wait() {
    let place = Place::new();
    let buffer = place.open();
    let mut receipt = Receipt::durable(Origin::None);
    let batch = buffer.batch(vec![part("a", 0..1)], &mut receipt);
    buffer.append(&batch, &mut receipt, false).unwrap();
    buffer.close();
    receipt.committed().await.unwrap();
    let mut receipt = Receipt::durable(Origin::None);
    assert!(matches!(buffer.append(&batch, &mut receipt, false), Err(AppendError::Closed)));
}

#[test]
fn a_stream_is_one_frame_whatever_its_size() {
    let place = Place::new();
    let buffer = place.open();
    let body: Vec<u8> = entries((0..50_000).map(|i| i as u8));
    append(&buffer, vec![Part::entries(Metadata::default(), body.clone().into(), 50_000)]).unwrap();
    let file = std::fs::read(place.chunk_file()).unwrap();
    assert!(file.len() < body.len() + 400);
    assert!(file.ends_with(&body));
}
