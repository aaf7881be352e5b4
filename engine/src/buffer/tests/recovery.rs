//! One start after each kind of stop.

use super::*;

#[test]
fn staged_chunks_go_on_where_they_were() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..2), part("b", 2..3)]).unwrap();
    kill(buffer);
    let buffer = place.open();
    assert_eq!((buffer.stats().staged_chunks, buffer.stats().staged_bytes), (2, 18));
    append(&buffer, vec![part("a", 3..4)]).unwrap();
    assert_eq!(place.names().len(), 2);
    assert_eq!(drain(&buffer), [all("a", &[0, 1, 3]), all("b", &[2])]);
}

#[test]
fn a_chunk_keeps_its_id_and_its_description() {
    let place = Place::new();
    let buffer = place.open();
    let variables = vec![Variable { name: "user".into(), value: b"\xa3ann"[..].into() }];
    let metadata = Metadata {
        timekey: Some(1_704_153_600),
        tag: Some(Tag::new("x")),
        variables: Some(variables.into()),
        seq: 0,
    };
    let body = entries(0..3);
    append(&buffer, vec![Part::entries(metadata.clone(), body.into(), 3)]).unwrap();
    buffer.enqueue_all();
    buffer.settle();
    let before = buffer.take().unwrap();
    let (id, created) = (before.id(), before.created());
    kill(buffer);
    let buffer = place.open();
    let after = buffer.take().unwrap();
    assert_eq!((after.id(), after.created(), after.metadata()), (id, created, &metadata));
    assert_eq!((after.records(), after.size()), (3, 18));
}

#[test]
fn queued_chunks_keep_their_order() {
    let place = Place::new();
    let limits = Limits { chunk_records: Some(1), ..Limits::FILE };
    let buffer = place.open_with(Settings { limits, ..place.settings() });
    for i in 0..10 {
        append(&buffer, vec![part("a", i..i + 1)]).unwrap();
    }
    kill(buffer);
    let buffer = place.open();
    let order: Vec<u8> = std::iter::from_fn(|| buffer.take()).flat_map(|chunk| numbers(&chunk)).collect();
    assert_eq!(order, (0..10).collect::<Vec<u8>>());
}

#[test]
fn a_chunk_that_was_being_written_is_written_again() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..2)]).unwrap();
    buffer.enqueue_all();
    buffer.settle();
    let taken = buffer.take().unwrap();
    kill(buffer);
    let buffer = place.open();
    assert_eq!(buffer.take().unwrap().id(), taken.id());
}

#[test]
fn that_a_delivery_was_begun_is_known_after_a_kill() {
    let place = Place::new();
    let limits = Limits { chunk_records: Some(1), ..Limits::FILE };
    let buffer = place.open_with(Settings { limits, ..place.settings() });
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    append(&buffer, vec![part("a", 1..2)]).unwrap();
    buffer.settle();
    let (begun, other) = (buffer.take().unwrap(), buffer.take().unwrap());
    assert_eq!(
        (begun.deliveries(), begun.begin_delivery().unwrap(), begun.begin_delivery().unwrap()),
        (0, 1, 2)
    );
    kill(buffer);
    let buffer = place.open();
    let again = [buffer.take().unwrap(), buffer.take().unwrap()];
    assert_eq!(
        again.each_ref().map(|chunk| (chunk.id(), chunk.deliveries())),
        [(begun.id(), 2), (other.id(), 0)]
    );
    assert_eq!((numbers(&again[0]), numbers(&again[1])), (vec![0], vec![1]));
    assert_eq!(again[0].begin_delivery().unwrap(), 3);
    assert_eq!(place.backups(), Vec::<String>::new(), "nothing is damaged");
}

#[test]
fn a_purged_chunk_does_not_come_back() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..2)]).unwrap();
    buffer.enqueue_all();
    buffer.settle();
    buffer.purge(buffer.take().unwrap().id());
    buffer.settle();
    kill(buffer);
    assert_eq!(place.names(), Vec::<String>::new());
    assert_eq!(drain(&place.open()), []);
}

#[test]
fn a_chunk_that_became_too_large_for_new_limits_is_queued() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..10)]).unwrap();
    kill(buffer);
    let limits = Limits { chunk_bytes: 20, ..Limits::FILE };
    let buffer = place.open_with(Settings { limits, ..place.settings() });
    assert_eq!((buffer.stats().staged_chunks, buffer.stats().queued_chunks), (0, 1));
    assert!(place.names()[0].starts_with("buffer.q"));
}

#[test]
fn an_append_of_which_a_part_is_missing_is_discarded() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    buffer.settle();
    append(&buffer, vec![part("a", 1..2), part("b", 2..3), part("c", 3..4)]).unwrap();
    let id = |tag: &str| {
        let report = place.names();
        report.into_iter().find(|name| file_holds(&place.buffer_dir().join(name), tag)).unwrap()
    };
    let missing = place.buffer_dir().join(id("b"));
    kill(buffer);
    std::fs::remove_file(missing).unwrap();
    for _ in 0..2 {
        let buffer = place.open();
        assert_eq!(buffer.stats().staged_bytes, 6);
        kill(buffer);
    }
    assert_eq!(drain(&place.open()), [all("a", &[0])]);
}

#[test]
fn an_append_of_which_a_part_was_delivered_is_kept() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 1..2), part("b", 2..3)]).unwrap();
    buffer.enqueue_where(|chunk| chunk.metadata().tag == Some(Tag::new("a")));
    buffer.settle();
    buffer.purge(buffer.take().unwrap().id());
    buffer.settle();
    kill(buffer);
    assert_eq!(drain(&place.open()), [all("b", &[2])]);
}

#[test]
fn without_the_marks_file_nothing_is_taken_for_incomplete() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 1..2), part("b", 2..3)]).unwrap();
    buffer.enqueue_where(|chunk| chunk.metadata().tag == Some(Tag::new("a")));
    buffer.settle();
    buffer.purge(buffer.take().unwrap().id());
    buffer.settle();
    kill(buffer);
    std::fs::write(place.buffer_dir().join(".buffer.log.marks"), "rubbish").unwrap();
    let buffer = place.open();
    assert_eq!(buffer.stats().damaged_parts, 1);
    assert_eq!(drain(&buffer), [all("b", &[2])]);
    assert_eq!(place.backups().len(), 1);
}

#[test]
fn empty_chunk_files_are_removed() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    kill(buffer);
    let name = |digit: char| place.buffer_dir().join(format!("buffer.b{}.log", digit.to_string().repeat(32)));
    std::fs::write(name('1'), b"").unwrap();
    std::fs::write(name('2'), [0; 5000]).unwrap();
    let other = Place::new();
    append(&other.open(), vec![part("a", 0..1)]).unwrap();
    let headers = std::fs::read(other.chunk_file()).unwrap();
    let path = place.buffer_dir().join(other.chunk_file().file_name().unwrap());
    std::fs::write(&path, &headers[..headers.len() - 6 - 48]).unwrap();
    let buffer = place.open();
    assert_eq!(place.names().len(), 1);
    assert_eq!(place.backups(), Vec::<String>::new());
    assert_eq!(drain(&buffer), [all("a", &[0])]);
}

/// A file system may give a new file blocks of one that was removed, and a power cut leave what is in them.
#[test]
fn what_another_chunk_left_in_a_file_is_not_delivered_again() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    kill(buffer);
    let of_another = format!("buffer.b{}.log", "7".repeat(32));
    std::fs::copy(place.chunk_file(), place.buffer_dir().join(of_another)).unwrap();
    let buffer = place.open();
    assert_eq!(place.backups().len(), 1);
    assert_eq!(drain(&buffer), [all("a", &[0])]);
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let place = Place::new();
    let first = place.open();
    let error = Buffer::open(place.settings(), environment()).unwrap_err();
    let me = format!("is in use by logweir, process {}, plugin test;", std::process::id());
    assert!(error.to_string().contains(&me), "{error}");
    first.close();
    place.open();
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_with_a_way_out() {
    let place = Place::new();
    std::fs::write(place.buffer_dir(), "a file").unwrap();
    let error = Buffer::open(place.settings(), environment()).unwrap_err();
    assert!(error.to_string().contains("or set another path"), "{error}");
}

#[test]
fn chunks_of_other_formatting_are_kept_apart_from_new_ones() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    kill(buffer);
    let buffer = place.open_with(Settings { formatted: true, ..place.settings() });
    let metadata = Metadata { tag: Some(Tag::new("a")), ..Metadata::default() };
    append(&buffer, vec![Part::formatted(metadata, "text\n".into(), vec![5])]).unwrap();
    buffer.enqueue_all();
    buffer.settle();
    let chunks: Vec<_> = std::iter::from_fn(|| buffer.take()).collect();
    assert_eq!(chunks.iter().map(|c| c.is_formatted()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    kill(buffer);
    let path = place.chunk_file();
    let mut bytes = std::fs::read(&path).unwrap();
    let metadata = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    for start in [0, 44 + metadata] {
        bytes[start + 8] = 9;
        let crc = crc32fast::hash(&bytes[start..start + 40 + metadata]);
        bytes[start + 40 + metadata..start + 44 + metadata].copy_from_slice(&crc.to_le_bytes());
    }
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(drain(&place.open()), []);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

/// Whether the header of a chunk file names the tag.
fn file_holds(path: &Path, tag: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    let needle = [b"\xa3tag\xa1", tag.as_bytes()].concat();
    bytes.windows(needle.len()).any(|window| window == needle)
}
