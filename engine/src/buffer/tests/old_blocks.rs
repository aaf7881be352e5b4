//! Blocks that a file is given may hold older frames of the same chunk, and a power cut may show them.

use super::*;
use crate::buffer::inspect::{Look, Place as Seen};
use crate::io::sim::{Fault, SimClock, SimFs};
use std::sync::Arc;

/// A chunk file and its first append, and the same with a second one behind it.
fn with_one_and_two(place: &Place) -> (Vec<u8>, Vec<u8>) {
    let buffer = place.open();
    append(&buffer, vec![part("a", 1..2)]).unwrap();
    assert!(buffer.settle());
    let one = std::fs::read(place.chunk_file()).unwrap();
    append(&buffer, vec![part("a", 2..3)]).unwrap();
    kill(buffer);
    (one, std::fs::read(place.chunk_file()).unwrap())
}

#[test]
fn a_frame_of_before_the_last_start_is_not_taken_for_a_new_one() {
    let place = Place::new();
    let (one, two) = with_one_and_two(&place);
    let path = place.chunk_file();
    // A power cut leaves the second append out of the file.
    std::fs::write(&path, &one).unwrap();
    let buffer = place.open();
    append(&buffer, vec![part("a", 3..4)]).unwrap();
    kill(buffer);
    // The next one leaves its block, and what was in it before, in the place of the third.
    std::fs::write(&path, &two).unwrap();
    assert_eq!(shown(&RealFs, &place.settings()), [1], "what logweir buffer export takes");
    let buffer = place.open();
    assert_eq!(buffer.stats().damaged_parts, 1);
    assert_eq!(std::fs::read(&path).unwrap(), one, "it is cut off");
    let backups = place.backups();
    assert_eq!(backups, [format!("{}.{}-{}.damaged", id(&path), one.len(), two.len())]);
    append(&buffer, vec![part("a", 4..5)]).unwrap();
    assert_eq!(drain(&buffer), [all("a", &[1, 4])]);
}

/// The numbers of the records that `logweir buffer export` takes.
fn shown(fs: &dyn Fs, settings: &Settings) -> Vec<u8> {
    let Store::File(FileSettings { files, .. }) = &settings.store else { panic!("no files") };
    let place = Seen::of(files.clone(), false);
    let incomplete = place.incomplete(fs).unwrap();
    let mut numbers = Vec::new();
    for chunk in place.chunks(fs).unwrap() {
        let visit = |_: &Look, sequence, body: Body| {
            if !incomplete.has(&chunk, sequence) {
                numbers.extend(body.inflated()?.chunks(6).map(|entry| entry[5]));
            }
            Ok(())
        };
        chunk.read(fs, visit).unwrap();
    }
    numbers.sort_unstable();
    numbers
}

#[test]
fn an_append_that_failed_is_not_shown_although_it_is_there() {
    let mut stayed = 0;
    for seed in 0..20 {
        let fs = SimFs::new(seed);
        let buffer = simulated(&fs);
        append(&buffer, vec![part("a", 1..2)]).unwrap();
        assert!(buffer.settle());
        // The write may be done all the same, and cannot be taken back.
        fs.fail_calls(Fault::Io, 0, 2);
        append(&buffer, vec![part("a", 2..3)]).unwrap_err();
        append(&buffer, vec![part("a", 3..4)]).unwrap();
        kill(buffer);
        assert_eq!(shown(&fs, &file_settings(Path::new("/var/spool"))), [1, 3], "seed {seed}");
        let dir = Path::new("/var/spool/buf");
        let lens = fs.list(dir).unwrap().into_iter().map(|name| fs.stat(&dir.join(name)).unwrap().len);
        stayed += usize::from(lens.collect::<Vec<_>>().contains(&(196 + 54)));
    }
    assert!(stayed > 2, "{stayed}");
}

/// The id in a chunk file's name.
fn id(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.trim_start_matches("buffer.b").trim_end_matches(".log").to_owned()
}

#[test]
fn what_was_appended_since_the_last_start_is_no_old_block() {
    let place = Place::new();
    with_one_and_two(&place);
    for number in 3..6 {
        let buffer = place.open();
        assert_eq!(buffer.stats().damaged_parts, 0);
        append(&buffer, vec![part("a", number..number + 1)]).unwrap();
        kill(buffer);
    }
    assert_eq!(drain(&place.open()), [all("a", &[1, 2, 3, 4, 5])]);
}

#[test]
fn a_start_that_cannot_note_where_files_end_appends_to_none() {
    let place = Place::new();
    with_one_and_two(&place);
    // Nothing can be put in the place of the marks file.
    std::fs::create_dir(place.buffer_dir().join(".buffer.log.marks.new")).unwrap();
    let buffer = place.open();
    let stats = buffer.stats();
    assert_eq!((stats.staged_chunks, stats.staged_bytes, stats.queued_bytes), (0, 0, 12));
    append(&buffer, vec![part("a", 3..4)]).unwrap();
    assert_eq!(drain(&buffer), [all("a", &[1, 2]), all("a", &[3])]);
}

fn simulated(fs: &SimFs) -> Buffer {
    let clock = Arc::new(SimClock::new(1));
    let environment = Environment { fs: Arc::new(fs.clone()), clock, ..environment() };
    Buffer::open(file_settings(Path::new("/var/spool")), environment).unwrap()
}

#[test]
fn a_file_whose_end_was_cut_off_or_that_took_anothers_place_gets_no_more() {
    let writes = |fs: &SimFs, buffer: &Buffer| {
        fs.fail_calls(Fault::Full, 0, 1);
        append(buffer, vec![part("a", 2..3)]).unwrap_err();
    };
    let syncs = |fs: &SimFs, buffer: &Buffer| {
        append(buffer, vec![part("a", 2..3)]).unwrap();
        fs.fail_calls(Fault::Io, 0, 1);
        buffer.settle();
    };
    for (fails, rest) in [(&writes as &dyn Fn(&SimFs, &Buffer), &[1][..]), (&syncs, &[1, 2])] {
        // Seed by seed, as a sync that fails may lose what was on its way.
        let seed = (0..9).find(|seed| {
            let fs = SimFs::new(*seed);
            let buffer = simulated(&fs);
            append(&buffer, vec![part("a", 1..2)]).unwrap();
            assert!(buffer.settle());
            fails(&fs, &buffer);
            append(&buffer, vec![part("a", 3..4)]).unwrap();
            let found = drain(&buffer);
            assert!(found.contains(&all("a", &[3])), "{found:?}");
            found.contains(&all("a", rest))
        });
        assert!(seed.is_some());
    }
}
