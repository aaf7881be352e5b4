//! Bit rot and torn writes.

use super::*;
use crate::io::sim::SimFs;

/// Three frames of one record each in one file; answers its bytes.
fn three_frames(place: &Place) -> Vec<u8> {
    let buffer = place.open();
    for i in 0..3 {
        append(&buffer, vec![part("a", i..i + 1)]).unwrap();
    }
    buffer.settle();
    kill(buffer);
    std::fs::read(place.chunk_file()).unwrap()
}

const FRAME_BYTES: usize = 48 + 6;

/// The records that are found in a chunk file with these bytes, and how many bytes are said to be damaged. In memory: it
/// is asked thousands of times.
fn found_in(name: &std::ffi::OsStr, bytes: &[u8]) -> (Vec<u8>, u64) {
    let fs = SimFs::new(1);
    fs.create_dir_all(Path::new("/buf"), 0).unwrap();
    fs.put(&Path::new("/buf").join(name), bytes);
    let log = PluginLog::new(None, Some(crate::telemetry::Level::Fatal));
    let environment = Environment { fs: std::sync::Arc::new(fs), log, ..environment() };
    let buffer = Buffer::open(file_settings(Path::new("/")), environment).unwrap();
    let found = drain(&buffer);
    assert!(found.len() <= 1, "{found:?}");
    let damaged = buffer.stats().damaged_bytes;
    (found.into_iter().flat_map(|(_, numbers)| numbers).collect(), damaged)
}

#[test]
fn a_single_flipped_bit_costs_at_most_the_frame_that_it_is_in() {
    let place = Place::new();
    let whole = three_frames(&place);
    let path = place.chunk_file();
    let name = path.file_name().unwrap();
    let frames_at = whole.len() - 3 * FRAME_BYTES;
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let expected = match (bit / 8).checked_sub(frames_at) {
            None => (vec![0, 1, 2], 0),
            Some(at) => {
                let kept = (0..3).filter(|frame| usize::from(*frame) != at / FRAME_BYTES).collect();
                (kept, FRAME_BYTES as u64)
            }
        };
        assert_eq!(found_in(name, &bytes), expected, "bit {bit}");
    }
}

#[test]
fn a_file_cut_anywhere_keeps_the_frames_that_are_whole() {
    let place = Place::new();
    let whole = three_frames(&place);
    let path = place.chunk_file();
    let frames_at = whole.len() - 3 * FRAME_BYTES;
    for len in 0..whole.len() {
        let kept: Vec<u8> = (0..(len.saturating_sub(frames_at) / FRAME_BYTES) as u8).collect();
        assert_eq!(found_in(path.file_name().unwrap(), &whole[..len]).0, kept, "length {len}");
    }
}

#[test]
fn a_torn_end_is_saved_and_cut_off_and_the_chunk_goes_on() {
    let place = Place::new();
    let whole = three_frames(&place);
    let path = place.chunk_file();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let buffer = place.open();
    assert_eq!((buffer.stats().staged_chunks, buffer.stats().damaged_bytes), (1, 51));
    assert_eq!(std::fs::read(&path).unwrap(), &whole[..whole.len() - 54]);
    let saved = place.backups();
    assert_eq!(saved.len(), 1);
    assert_eq!(
        std::fs::read(place.dir.path().join("backup").join(&saved[0])).unwrap(),
        &whole[whole.len() - 54..whole.len() - 3]
    );
    append(&buffer, vec![part("a", 7..8)]).unwrap();
    assert_eq!(drain(&buffer), [all("a", &[0, 1, 7])]);
}

#[test]
fn zeros_at_the_end_are_cut_off_without_a_word() {
    let place = Place::new();
    let whole = three_frames(&place);
    let path = place.chunk_file();
    std::fs::write(&path, [&whole[..], &[0; 10_000]].concat()).unwrap();
    let buffer = place.open();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    assert_eq!((buffer.stats().damaged_parts, place.backups().len()), (0, 0));
    assert_eq!(drain(&buffer), [all("a", &[0, 1, 2])]);
}

#[test]
fn a_chunk_damaged_in_the_middle_is_delivered_not_appended_to() {
    let place = Place::new();
    let mut bytes = three_frames(&place);
    let path = place.chunk_file();
    let middle = bytes.len() - 54 - 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let buffer = place.open();
    append(&buffer, vec![part("a", 7..8)]).unwrap();
    assert_eq!(drain(&buffer), [all("a", &[0, 2]), all("a", &[7])]);
    kill(buffer);
    let buffer = place.open();
    assert_eq!(place.backups().len(), 1, "saved once");
    assert_eq!(buffer.stats().queued_chunks, 2);
}

#[test]
fn a_chunk_whose_headers_are_both_gone_is_kept_in_the_backup_directory() {
    let place = Place::new();
    let mut bytes = three_frames(&place);
    let frames_at = bytes.len() - 3 * 54;
    bytes[..frames_at].fill(b'x');
    std::fs::write(place.chunk_file(), &bytes).unwrap();
    let buffer = place.open();
    assert_eq!(place.names(), Vec::<String>::new());
    let saved = place.backups();
    assert_eq!(std::fs::read(place.dir.path().join("backup").join(&saved[0])).unwrap(), bytes);
    assert_eq!(drain(&buffer), []);
}

#[test]
fn without_backups_damage_is_thrown_away() {
    let place = Place::new();
    let whole = three_frames(&place);
    std::fs::write(place.chunk_file(), &whole[..whole.len() - 1]).unwrap();
    let buffer = place.open_with(Settings { backup: None, ..place.settings() });
    assert_eq!(drain(&buffer), [all("a", &[0, 1])]);
    assert_eq!(place.backups(), Vec::<String>::new());
}

#[test]
fn frames_that_were_copied_or_moved_between_files_are_no_frames() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    append(&buffer, vec![part("b", 1..2)]).unwrap();
    kill(buffer);
    let paths: Vec<_> = place.names().iter().map(|name| place.buffer_dir().join(name)).collect();
    let files: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    std::fs::write(&paths[0], [&files[0][..], &files[1][files[1].len() - 54..]].concat()).unwrap();
    assert_eq!(drain(&place.open()), [all("a", &[0]), all("b", &[1])]);
}
