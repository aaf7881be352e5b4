//! Looking at directories, with and without a buffer on them.

use super::*;
use crate::buffer::inspect::{ChunkFile, Damage, Look, Place as Seen, Writer};

/// The one buffer in a directory, or what else `path` means.
fn seen(path: &Path) -> Seen {
    let mut places = Seen::at(&RealFs, path).unwrap();
    assert_eq!(places.len(), 1, "{places:?}");
    places.remove(0)
}

fn chunks(place: &Place) -> Vec<ChunkFile> {
    seen(&place.buffer_dir()).chunks(&RealFs).unwrap()
}

fn looks(place: &Place) -> Vec<Look> {
    chunks(place).iter().filter_map(|chunk| chunk.look(&RealFs).unwrap()).collect()
}

/// What a chunk holds, and the numbers of its records.
fn read(chunk: &ChunkFile) -> (Look, Vec<u8>) {
    let mut numbers = Vec::new();
    let visit = |_: &Look, _, body: Body| {
        numbers.extend(body.inflated()?.chunks(6).map(|entry| entry[5]));
        Ok(())
    };
    let look = chunk.read(&RealFs, visit).unwrap().unwrap();
    (look, numbers)
}

fn tag(look: &Look) -> &str {
    look.metadata.tag.as_ref().unwrap().as_str()
}

/// The state of the directory: names and contents.
fn state(place: &Place) -> Vec<(String, Vec<u8>)> {
    let dir = place.buffer_dir();
    names(&dir).into_iter().map(|name| (name.clone(), std::fs::read(dir.join(name)).unwrap())).collect()
}

#[test]
fn chunks_of_a_buffer_that_is_in_use_are_seen_and_nothing_is_changed() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..2)]).unwrap();
    append(&buffer, vec![part("b", 5..6)]).unwrap();
    append(&buffer, vec![part("a", 2..3)]).unwrap();
    buffer.settle();
    buffer.enqueue_where(|chunk| chunk.metadata().tag == Some(Tag::new("b")));
    let before = state(&place);
    let found = looks(&place);
    let summary = |look: &Look| (tag(look).to_owned(), look.state, look.records, look.bytes);
    assert_eq!(
        found.iter().map(summary).collect::<Vec<_>>(),
        [("a".to_owned(), ChunkState::Staged, 3, 18), ("b".to_owned(), ChunkState::Queued, 1, 6),]
    );
    for look in &found {
        assert_eq!((look.writer, look.formatted, &look.damage[..]), (Writer::Logweir, false, &[][..]));
        assert_eq!(look.compression, [Compression::None]);
        assert!(look.created <= look.modified || look.created.secs() == look.modified.secs());
    }
    assert_eq!(read(&chunks(&place)[0]).1, [0, 1, 2]);
    let holder = seen(&place.buffer_dir()).holder().unwrap();
    assert!(holder.contains(&format!("process {}, plugin test", std::process::id())), "{holder}");
    assert!(seen(&place.buffer_dir()).hold().is_err());
    assert_eq!(state(&place), before);
    kill(buffer);
    assert_eq!(seen(&place.buffer_dir()).holder(), None);
    let held = seen(&place.buffer_dir()).hold().unwrap();
    assert_eq!(held.len(), 1);
    let refused = Buffer::open(place.settings(), environment()).err().unwrap();
    assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
}

#[test]
fn a_chunk_that_was_queued_meanwhile_is_found_and_one_that_was_delivered_is_passed_over() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..2)]).unwrap();
    let listed = chunks(&place);
    buffer.enqueue_all();
    buffer.settle();
    let (look, found) = read(&listed[0]);
    assert_eq!((look.state, found), (ChunkState::Queued, vec![0, 1]));
    assert!(look.path.file_name().unwrap().to_str().unwrap().starts_with("buffer.q"));
    buffer.purge(buffer.take().unwrap().id());
    buffer.settle();
    assert!(listed[0].look(&RealFs).unwrap().is_none());
    assert!(chunks(&place).is_empty());
}

/// One chunk of three appends of a record each, 54 bytes a frame.
fn three_frames(place: &Place) -> Vec<u8> {
    let buffer = place.open();
    for i in 0..3 {
        append(&buffer, vec![part("a", i..i + 1)]).unwrap();
    }
    kill(buffer);
    std::fs::read(place.chunk_file()).unwrap()
}

#[test]
fn damage_has_its_place_and_the_rest_is_read() {
    let place = Place::new();
    let whole = three_frames(&place);
    let (frames_at, end) = (whole.len() - 3 * 54, whole.len());
    let range = |from: usize, to: usize| from as u64..to as u64;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut headless = whole.clone();
    headless[..frames_at].fill(7);
    let mut zeros = whole.clone();
    zeros.resize(end + 4096, 0);
    for (bytes, numbers, damage) in [
        (whole.clone(), &[0, 1, 2][..], vec![]),
        (flipped(8), &[0, 1, 2], vec![]),
        (flipped(frames_at + 60), &[0, 2], vec![Damage::Frames(range(frames_at + 54, frames_at + 108))]),
        (whole[..end - 1].to_vec(), &[0, 1], vec![Damage::End(range(frames_at + 108, end - 1))]),
        (headless, &[0, 1, 2], vec![Damage::Header]),
        (zeros, &[0, 1, 2], vec![]),
        (whole[..20].to_vec(), &[], vec![Damage::Header]),
    ] {
        std::fs::write(place.chunk_file(), &bytes).unwrap();
        let (look, found) = read(&chunks(&place)[0]);
        assert_eq!((found.as_slice(), &look.damage), (numbers, &damage));
        assert_eq!(look.records, numbers.len() as u64);
        let again = chunks(&place)[0].look(&RealFs).unwrap().unwrap();
        assert_eq!((again.records, again.damage), (look.records, damage));
    }
    // What the start of a buffer makes of a file without headers.
    let id = chunks(&place)[0].id();
    let mut headless = whole.clone();
    headless[..frames_at].fill(7);
    let saved = place.dir.path().join(format!("{id}.damaged"));
    std::fs::write(&saved, headless).unwrap();
    assert_eq!(read(&seen(&saved).chunks(&RealFs).unwrap()[0]).1, [0, 1, 2]);
    std::fs::write(place.chunk_file(), [0; 5000]).unwrap();
    assert!(looks(&place).is_empty());
    std::fs::write(place.chunk_file(), b"").unwrap();
    assert!(looks(&place).is_empty());
}

/// Nothing is shown that was not written, and nothing that is whole is missing, whatever byte is wrong.
#[test]
fn any_byte_may_be_wrong_and_any_may_be_missing() {
    let place = Place::new();
    let whole = three_frames(&place);
    let frames_at = whole.len() - 3 * 54;
    let name = place.names()[0].replace("buffer.b", "buffer.q");
    let kept_in = |bytes: &[u8]| {
        let fs = crate::io::sim::SimFs::new(1);
        fs.create_dir_all(Path::new("/buf"), 0).unwrap();
        fs.put(&Path::new("/buf").join(&name), bytes);
        let place = Seen::at(&fs, Path::new("/buf")).unwrap().remove(0);
        let mut numbers = Vec::new();
        for chunk in place.chunks(&fs).unwrap() {
            let visit = |_: &Look, _, body: Body| {
                numbers.push(body.bytes[5]);
                Ok(())
            };
            let look = chunk.read(&fs, visit).unwrap();
            assert!(look.is_none_or(|look| look.records == numbers.len() as u64));
        }
        numbers
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let damaged = at.checked_sub(frames_at).map(|at| (at / 54) as u8);
        let expected: Vec<u8> = (0..3).filter(|frame| Some(*frame) != damaged).collect();
        assert_eq!(kept_in(&bytes), expected, "byte {at}");
        let expected: Vec<u8> = (0..(at.saturating_sub(frames_at) / 54) as u8).collect();
        assert_eq!(kept_in(&whole[..at]), expected, "length {at}");
    }
}

#[test]
fn a_file_of_a_later_version_is_said_to_be_one() {
    let place = Place::new();
    let mut bytes = three_frames(&place);
    let metadata = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..40 + metadata]);
    bytes[40 + metadata..44 + metadata].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(place.chunk_file(), &bytes).unwrap();
    assert_eq!(looks(&place)[0].damage, [Damage::Newer(9)]);
}

/// While somebody appends as fast as it can, a look never takes half a frame for a damaged one.
#[test]
fn a_chunk_that_is_being_written_is_not_damaged() {
    let place = Place::new();
    let buffer = std::sync::Arc::new(place.open());
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    let writer = std::sync::Arc::clone(&buffer);
    let appending = std::thread::spawn(move || {
        for _ in 0..100 {
            let large = entries((0..50_000).map(|i| (i % 100) as u8));
            let metadata = Metadata { tag: Some(Tag::new("a")), ..Metadata::default() };
            append(&writer, vec![Part::entries(metadata, large.into(), 50_000)]).unwrap();
        }
    });
    while !appending.is_finished() {
        assert_eq!(looks(&place)[0].damage, []);
    }
    appending.join().unwrap();
    assert_eq!(looks(&place)[0].records, 1 + 100 * 50_000);
}

#[test]
fn of_two_files_of_one_chunk_the_fuller_one_counts() {
    let place = Place::new();
    let whole = three_frames(&place);
    let staged = place.chunk_file();
    let queued = staged.to_str().unwrap().replace("buffer.b", "buffer.q");
    std::fs::write(&queued, &whole[..whole.len() - 54]).unwrap();
    let found = chunks(&place);
    assert_eq!((found.len(), read(&found[0]).1), (1, vec![0, 1, 2]));
}

#[test]
fn a_buffer_with_keys_in_its_names_is_one() {
    let place = Place::new();
    let mut settings = place.settings();
    let Store::File(files) = &mut settings.store else { unreachable!() };
    (files.files.prefix, files.files.suffix) = ("x".to_owned(), ".buf".to_owned());
    files.files.single = Some(SingleKey::Tag);
    let buffer = place.open_with(settings);
    append(&buffer, vec![part("a", 0..1), part("b.c", 1..2)]).unwrap();
    assert_eq!(looks(&place).iter().map(tag).collect::<Vec<_>>(), ["a", "b.c"]);
    for path in [place.buffer_dir(), place.buffer_dir().join(&place.names()[0])] {
        assert!(seen(&path).hold().is_err(), "the lock is that of all");
    }
    kill(buffer);
    assert!(seen(&place.buffer_dir()).hold().is_ok());
}

#[test]
fn appends_of_which_parts_are_missing_are_known() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..1)]).unwrap();
    buffer.settle();
    append(&buffer, vec![part("a", 1..2), part("b", 2..3)]).unwrap();
    kill(buffer);
    let missing = looks(&place).into_iter().find(|look| tag(look) == "b").unwrap().path;
    let left_out = |place: &Place| {
        let seen = seen(&place.buffer_dir());
        let chunks = seen.chunks(&RealFs).unwrap();
        let incomplete = seen.incomplete(&RealFs).unwrap();
        let (mut sequences, mut out) = (Vec::new(), 0);
        for chunk in &chunks {
            chunk
                .read(&RealFs, |_, sequence, _| {
                    sequences.push(sequence);
                    Ok(())
                })
                .unwrap();
            out += sequences.drain(..).filter(|sequence| incomplete.has(chunk, *sequence)).count();
        }
        out
    };
    assert_eq!(left_out(&place), 0);
    let one = looks(&place).into_iter().find(|look| tag(look) == "a").unwrap().path;
    let only = seen(&one);
    let in_one = |only: &Seen| {
        let (incomplete, chunk) =
            (only.incomplete(&RealFs).unwrap(), only.chunks(&RealFs).unwrap().remove(0));
        let mut out = 0;
        let visit = |_: &Look, sequence, _| {
            out += usize::from(incomplete.has(&chunk, sequence));
            Ok(())
        };
        chunk.read(&RealFs, visit).unwrap();
        out
    };
    assert_eq!(in_one(&only), 0, "the other part is in a file that was not asked for");
    std::fs::remove_file(missing).unwrap();
    assert_eq!((left_out(&place), in_one(&only)), (1, 1));
    let lock = place.buffer_dir().join(".buffer.log.lock");
    std::fs::rename(&lock, place.dir.path().join("lock")).unwrap();
    assert_eq!(left_out(&place), 0, "a copy without its marks");
    std::fs::rename(place.dir.path().join("lock"), &lock).unwrap();
    std::fs::write(place.buffer_dir().join(".buffer.log.marks"), "rubbish").unwrap();
    assert_eq!(left_out(&place), 0, "nobody knows any more");
}

const HEX: &str = "660ea087c069c0156a206a7dfc7d9983";

/// A chunk that the real Fluentd left behind.
fn fluentds(place: &Place) -> (Vec<u8>, Vec<u8>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/conformance/cases/buffer_output/resume_staged_plus_new/files/buf");
    std::fs::create_dir_all(place.buffer_dir()).unwrap();
    let mut files = Vec::new();
    for name in [format!("buffer.b{HEX}.log"), format!("buffer.b{HEX}.log.meta")] {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        std::fs::write(place.buffer_dir().join(name), &bytes).unwrap();
        files.push(bytes);
    }
    let meta = files.pop().unwrap();
    (files.pop().unwrap(), meta)
}

#[test]
fn chunks_of_fluentd_are_read() {
    let place = Place::new();
    let (data, meta) = fluentds(&place);
    let (path, meta_path) =
        (place.buffer_dir().join(format!("buffer.b{HEX}.log")), format!("buffer.b{HEX}.log.meta"));
    let look = &looks(&place)[0];
    assert_eq!((look.writer, look.state, look.id.hex().as_str()), (Writer::Fluentd, ChunkState::Staged, HEX));
    assert_eq!((look.records, look.bytes, &look.damage[..]), (2, data.len() as u64, &[][..]));
    assert_eq!(look.created.secs(), 0x6b03_c10d);
    let tagged = tag(look).to_owned();

    std::fs::write(&path, &data[..data.len() - 3]).unwrap();
    let cut = &looks(&place)[0];
    let first = data.len() as u64 - cut.damage[0].range().unwrap().start;
    assert_eq!((cut.records, cut.bytes, tag(cut)), (1, data.len() as u64 - first, tagged.as_str()));
    assert_eq!(cut.damage.len(), 1);

    let squeezed = compress::squeeze(&data.clone().into(), Compression::Gzip).unwrap();
    std::fs::write(&path, &squeezed).unwrap();
    let gzip = &looks(&place)[0];
    assert_eq!(
        (gzip.records, gzip.bytes, &gzip.compression[..]),
        (2, squeezed.len() as u64, &[Compression::Gzip][..])
    );
    std::fs::write(&path, &squeezed[..squeezed.len() - 6]).unwrap();
    let cut = &looks(&place)[0];
    assert!(matches!(cut.damage[0], Damage::Compressed { .. }), "{:?}", cut.damage);

    std::fs::write(&path, "a line\nand half a").unwrap();
    let text = &looks(&place)[0];
    assert_eq!((text.formatted, text.records, text.bytes), (true, 2, 17));

    std::fs::write(place.buffer_dir().join(&meta_path), &meta[..20]).unwrap();
    assert_eq!(looks(&place)[0].damage, [Damage::Meta]);
    std::fs::write(&path, b"").unwrap();
    std::fs::write(place.buffer_dir().join(&meta_path), &meta).unwrap();
    assert_eq!(looks(&place)[0].damage, [Damage::Empty]);
    std::fs::remove_file(place.buffer_dir().join(&meta_path)).unwrap();
    std::fs::write(&path, &data).unwrap();
    let old = &looks(&place)[0];
    assert_eq!((old.state, old.metadata.is_empty(), old.records), (ChunkState::Queued, true, 2));
}

#[test]
fn a_directory_is_searched_for_whatever_buffers_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, entries(0..2)).unwrap();
    };
    let at = |path: &str| {
        let places = Seen::at(&RealFs, &dir.path().join(path))?;
        let found = places.iter().map(|place| {
            let shown = place.shown().replace(dir.path().to_str().unwrap(), "");
            (shown, place.chunks(&RealFs).unwrap().len())
        });
        std::io::Result::Ok(found.collect::<Vec<_>>())
    };
    let found =
        |list: &[(&str, usize)]| list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(at("").unwrap(), found(&[("/buffer.*.log", 0)]));
    let hex = |n: u8| format!("{n:032x}");
    put(&format!("buffer.b{}.log", hex(1)));
    put(&format!("worker0/buffer.q{}.log", hex(2)));
    put(&format!("worker12/buffer.q{}.log", hex(3)));
    put(&format!("workers/buffer.q{}.log", hex(4)));
    put(&format!("x.b{}.buf", hex(5)));
    put(&format!("fsb.a%2Fb.q{}.buf", hex(6)));
    put(&format!("backup/{}.log", hex(7)));
    put("other.log");
    assert_eq!(at("").unwrap(), found(&[("/buffer.*.log", 3), ("/fsb.*.buf", 1), ("/x.*.buf", 1)]));
    assert_eq!(at("x.*.buf").unwrap(), found(&[("/x.*.buf", 1)]));
    assert_eq!(at("x.*").unwrap(), found(&[("/x.*.buf", 1)]));
    assert_eq!(at("fsb.*").unwrap(), found(&[("/fsb.*.buf", 1)]));
    let single = Seen::at(&RealFs, &dir.path().join("fsb.*")).unwrap().remove(0);
    assert!(single.guesses_key(&RealFs));
    assert_eq!(tag(&single.chunks(&RealFs).unwrap()[0].look(&RealFs).unwrap().unwrap()), "a/b");
    let file = format!("backup/{}.log", hex(7));
    assert_eq!(at(&file).unwrap(), found(&[(&format!("/{file}"), 1)]));
    assert!(at("other.log").unwrap_err().to_string().contains("no chunk file"));
    for missing in ["nothing", "y.*", "y.*.buf"] {
        assert_eq!(at(missing).unwrap_err().kind(), std::io::ErrorKind::NotFound, "{missing}");
    }
}

#[test]
fn what_is_exported_is_taken_over_with_its_keys_and_its_state() {
    let place = Place::new();
    let buffer = place.open_with(Settings { compress: Compression::Zstd, ..place.settings() });
    append(&buffer, vec![part("a", 0..2), part("b", 3..4)]).unwrap();
    append(&buffer, vec![part("a", 2..3)]).unwrap();
    buffer.settle();
    buffer.enqueue_where(|chunk| chunk.metadata().tag == Some(Tag::new("b")));
    kill(buffer);
    for (format, gzip) in [
        (ExportFormat::File, false),
        (ExportFormat::File, true),
        (ExportFormat::FileSingle, false),
        (ExportFormat::FileSingle, true),
    ] {
        let target = Place::new();
        std::fs::create_dir_all(target.buffer_dir()).unwrap();
        for chunk in chunks(&place) {
            let (mut data, mut records) = (Vec::new(), 0);
            let visit = |_: &Look, _, body: Body| {
                let (bytes, count) = exported_body(&body, false, gzip)?;
                data.extend_from_slice(&bytes);
                records += count;
                Ok(())
            };
            let look = chunk.read(&RealFs, visit).unwrap().unwrap();
            let files = look.exported(format, records).unwrap();
            std::fs::write(target.buffer_dir().join(files.name), data).unwrap();
            if let Some((name, bytes)) = files.meta {
                std::fs::write(target.buffer_dir().join(name), bytes).unwrap();
            }
        }
        let mut settings = target.settings();
        if format == ExportFormat::FileSingle {
            let Store::File(files) = &mut settings.store else { unreachable!() };
            (files.files.prefix, files.files.suffix) = ("fsb".to_owned(), ".buf".to_owned());
            files.files.single = Some(SingleKey::Tag);
        }
        let taken = target.open_with(settings);
        assert_eq!((taken.stats().staged_chunks, taken.stats().queued_chunks), (1, 1));
        taken.enqueue_all();
        assert!(taken.settle());
        let mut found: Vec<_> = std::iter::from_fn(|| taken.take()).collect();
        found.sort_by_key(|chunk| chunk.metadata().clone());
        let ids: Vec<_> = found.iter().map(|chunk| chunk.id()).collect();
        let mut expected = looks(&place);
        expected.sort_by_key(|look| look.metadata.clone());
        assert_eq!(ids, expected.iter().map(|look| look.id).collect::<Vec<_>>());
        assert_eq!((numbers(&found[0]), numbers(&found[1])), (vec![0, 1, 2], vec![3]));
        assert_eq!(found.iter().map(|chunk| chunk.records()).collect::<Vec<_>>(), [3, 1]);
    }
}
