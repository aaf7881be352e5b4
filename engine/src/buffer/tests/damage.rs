//! Bit rot and torn writes.

use super::crash::run;
use super::*;
use crate::io::sim::SimFs;
use std::ops::Range;

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

/// Bytes of the file that every damage is tried on.
const FILE_BYTES: usize = 4096;

/// A chunk file of exactly [`FILE_BYTES`], and where its frames are; each has one record, its number.
fn four_kilobytes() -> (std::ffi::OsString, Vec<u8>, Vec<Range<usize>>) {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    let mut at = std::fs::metadata(place.chunk_file()).unwrap().len() as usize;
    let mut frames: Vec<Range<usize>> = std::iter::once(at - FRAME_BYTES..at).collect();
    for i in 1.. {
        let room = FILE_BYTES - at;
        // `[0, {"i": number, "s": "..."}]`: the last one is as long as it has to be.
        let text = if room <= 313 { room - 48 - 10 } else { 20 + usize::from(i) * 7 };
        let mut body = vec![0x92, 0, 0x82, 0xa1, b'i', i, 0xa1, b's', 0xd9, text as u8];
        body.resize(10 + text - 1, b'x');
        body.push(b'y');
        let metadata = Metadata { tag: Some(Tag::new("a")), ..Metadata::default() };
        append(&buffer, vec![Part::entries(metadata, body.into(), 1)]).unwrap();
        frames.push(at..at + 48 + 10 + text);
        at = frames[frames.len() - 1].end;
        if at == FILE_BYTES {
            break;
        }
    }
    buffer.settle();
    kill(buffer);
    let path = place.chunk_file();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), FILE_BYTES);
    (path.file_name().unwrap().to_owned(), bytes, frames)
}

/// The records that are found in a chunk file with these bytes, and how many bytes are said to be damaged. In memory: it
/// is asked tens of thousands of times.
fn found_in(name: &std::ffi::OsStr, bytes: &[u8]) -> (Vec<u8>, u64) {
    let fs = SimFs::new(1);
    fs.put(&Path::new("/buf").join(name), bytes);
    let log = PluginLog::new(None, Some(crate::telemetry::Level::Fatal));
    let environment = Environment { fs: std::sync::Arc::new(fs), log, ..environment() };
    let buffer = Buffer::open(file_settings(Path::new("/")), environment).unwrap();
    buffer.enqueue_all();
    assert!(buffer.settle());
    let damaged = buffer.stats().damaged_bytes;
    let chunks: Vec<_> = std::iter::from_fn(|| buffer.take()).collect();
    assert!(chunks.len() <= 1, "{chunks:?}");
    // Each body is one record, whose number is its sixth byte.
    let bodies = chunks.iter().flat_map(|chunk| chunk.bodies().unwrap());
    (bodies.map(|body| body.bytes[5]).collect(), damaged)
}

/// Tries `one` on all numbers below `count`.
fn try_all(count: usize, one: impl Fn(usize) -> Result<(), String> + Sync) {
    let numbers: Vec<u64> = (0..count as u64).collect();
    let failed = run(&numbers, |number| one(number as usize));
    assert!(failed.is_empty(), "{failed:?}");
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, not {expected:?}")) }
}

#[test]
fn a_single_flipped_bit_costs_at_most_the_frame_that_it_is_in() {
    let (name, whole, frames) = four_kilobytes();
    let all: Vec<u8> = (0..frames.len() as u8).collect();
    try_all(whole.len() * 8, |bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let hit = frames.iter().position(|frame| frame.contains(&(bit / 8)));
        let mut expected = (all.clone(), 0);
        if let Some(hit) = hit {
            expected.0.remove(hit);
            expected.1 = frames[hit].len() as u64;
        }
        same(found_in(&name, &bytes), expected)
    });
}

#[test]
fn a_file_cut_anywhere_keeps_the_frames_that_are_whole() {
    let (name, whole, frames) = four_kilobytes();
    try_all(whole.len(), |len| {
        let kept = frames.iter().filter(|frame| frame.end <= len).count() as u8;
        same(found_in(&name, &whole[..len]).0, (0..kept).collect())
    });
}

#[test]
fn a_file_with_zeros_from_anywhere_on_keeps_the_frames_that_are_whole() {
    let (name, whole, frames) = four_kilobytes();
    try_all(whole.len(), |len| {
        let mut bytes = whole.clone();
        bytes[len..].fill(0);
        let is_whole = |frame: &&Range<usize>| bytes[(*frame).clone()] == whole[(*frame).clone()];
        let kept = frames.iter().filter(is_whole).count() as u8;
        same(found_in(&name, &bytes).0, (0..kept).collect())
    });
}

#[test]
fn a_frame_that_is_there_twice_is_delivered_once() {
    let (name, whole, frames) = four_kilobytes();
    let all: Vec<u8> = (0..frames.len() as u8).collect();
    for frame in &frames {
        let copy = &whole[frame.clone()];
        let behind = [&whole[..frame.end], copy, &whole[frame.end..]].concat();
        let at_the_end = [&whole[..], copy].concat();
        for bytes in [behind, at_the_end] {
            assert_eq!(found_in(&name, &bytes), (all.clone(), copy.len() as u64));
        }
    }
}

#[test]
fn frames_in_another_order_are_all_delivered() {
    let (name, whole, frames) = four_kilobytes();
    for pair in frames.windows(2) {
        let (one, two) = (&whole[pair[0].clone()], &whole[pair[1].clone()]);
        let bytes = [&whole[..pair[0].start], two, one, &whole[pair[1].end..]].concat();
        let (mut found, damaged) = found_in(&name, &bytes);
        found.sort_unstable();
        assert_eq!((found, damaged), ((0..frames.len() as u8).collect(), 0));
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
