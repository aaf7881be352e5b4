//! Files of each version of the format, as it was written once: later versions must read them.
//!
//! `fixtures/vN-marks-vM` is a buffer's directory after a kill, with chunk files of version N and a marks file of version M.
//! `cargo test -p logweir-engine write_the_fixtures -- --ignored` makes the one of the versions that are written now; a
//! directory that is in a release is never made again.

use super::*;
use crate::buffer::file::header::VERSION;
use crate::buffer::marks_file::{self, VERSION as MARKS_VERSION};
use crate::delivery::FileIdentity;
use std::path::PathBuf;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/buffer/tests/fixtures")
}

/// The fixture of the versions that are written now.
fn current() -> String {
    format!("v{VERSION}-marks-v{MARKS_VERSION}")
}

const MARKS: &str = ".buffer.log.marks";

fn tail(end: u64) -> Origin {
    Origin::Tail { file: FileIdentity { dev: 90_001, ino: 5, head: 7 }, end }
}

fn forward(chunk: &'static [u8]) -> Origin {
    Origin::Forward { chunk: bytes::Bytes::from_static(chunk), peer: "10.0.0.1".into(), arrival: 1 }
}

/// What is put into each of them: a delivered chunk that leaves marks, a chunk with a time slice and a field's value, one
/// of three appends with all kinds of origins, and compressed ones.
fn fill(place: &Place) {
    let buffer = place.open();
    append_from(&buffer, tail(100), vec![part("gone", 0..3)]).unwrap();
    buffer.enqueue_all();
    buffer.settle();
    buffer.purge(buffer.take().unwrap().id());
    let variables = vec![Variable { name: "user".into(), value: b"\xa3ann"[..].into() }];
    let keyed = Metadata {
        timekey: Some(1_704_153_600),
        tag: Some(Tag::new("keyed")),
        variables: Some(variables.into()),
        seq: 0,
    };
    append(&buffer, vec![Part::entries(keyed, entries(10..12).into(), 2)]).unwrap();
    buffer.enqueue_all();
    append_from(&buffer, tail(200), vec![part("app", 20..22)]).unwrap();
    append_from(&buffer, forward(b"one"), vec![part("app", 22..23), part("other", 23..24)]).unwrap();
    append(&buffer, vec![part("app", 24..25)]).unwrap();
    buffer.settle();
    buffer.close();
    for (compress, tag, number) in [(Compression::Gzip, "gzip", 30), (Compression::Zstd, "zstd", 31)] {
        let buffer = place.open_with(Settings { compress, ..place.settings() });
        append(&buffer, vec![part(tag, number..number + 1)]).unwrap();
        buffer.close();
    }
}

#[test]
fn buffers_of_every_version_are_taken_over() {
    let versions = names(&fixtures());
    assert!(versions.contains(&current()), "there are no files of these versions: write_the_fixtures");
    for version in versions {
        let place = Place::new();
        RealFs.create_dir_all(&place.buffer_dir(), 0o755).unwrap();
        let from = fixtures().join(&version);
        for name in names(&from) {
            std::fs::copy(from.join(&name), place.buffer_dir().join(&name)).unwrap();
        }
        let marks = marks_file::read(&std::fs::read(place.buffer_dir().join(MARKS)).unwrap()).unwrap();
        assert_eq!(marks.ends.is_empty(), version.ends_with("marks-v1"), "{version}");
        let buffer = place.open();
        assert_eq!((buffer.stats().damaged_parts, place.backups().len()), (0, 0), "{version}");
        for known in [tail(100), tail(200), forward(b"one")] {
            let again = append_from(&buffer, known.clone(), vec![part("app", 99..100)]).unwrap();
            assert!(again.duplicate, "{version}: {known:?} is not known");
        }
        assert!(!append_from(&buffer, tail(300), vec![part("new", 40..41)]).unwrap().duplicate);
        append(&buffer, vec![part("app", 25..26)]).unwrap();
        let keyed = buffer.timekeys();
        assert_eq!(keyed, [1_704_153_600], "{version}");
        let expected = [
            all("app", &[20, 21, 22, 24, 25]),
            all("gzip", &[30]),
            all("keyed", &[10, 11]),
            all("new", &[40]),
            all("other", &[23]),
            all("zstd", &[31]),
        ];
        assert_eq!(drain(&buffer), expected, "{version}");
    }
}

#[test]
#[ignore = "for a developer, when the format gets a new version"]
fn write_the_fixtures() {
    let place = Place::new();
    fill(&place);
    let to = fixtures().join(current());
    std::fs::create_dir_all(&to).unwrap();
    for name in names(&place.buffer_dir()) {
        if !name.ends_with(".lock") && !name.ends_with(".spare") {
            std::fs::copy(place.buffer_dir().join(&name), to.join(&name)).unwrap();
        }
    }
}
