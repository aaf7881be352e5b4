//! What is damaged is kept: at each step of a start that finds it, and of what follows, whatever a power cut leaves, the damaged
//! bytes are in the chunk's file or in the backup directory.

use super::*;
use crate::buffer::file::frame::MAGIC;
use crate::io::Access;

/// A chunk file of three frames, and what is to be wrong with it: answers the bytes that must not be lost.
type Damage = fn(bytes: &mut [u8], frames: &[usize]) -> std::ops::Range<usize>;

/// The body of the last frame, which is cut off.
fn end(bytes: &mut [u8], frames: &[usize]) -> std::ops::Range<usize> {
    *bytes.last_mut().unwrap() ^= 1;
    frames[2]..bytes.len()
}

/// The body of a frame in the middle, which stays until the chunk is delivered.
fn middle(bytes: &mut [u8], frames: &[usize]) -> std::ops::Range<usize> {
    bytes[frames[2] - 1] ^= 1;
    frames[1]..frames[2]
}

/// Both headers: the file is taken out of the buffer.
fn headers(bytes: &mut [u8], frames: &[usize]) -> std::ops::Range<usize> {
    bytes[20] ^= 1;
    bytes[frames[0] / 2 + 20] ^= 1;
    0..bytes.len()
}

/// A disk with a damaged chunk file, and the bytes that must not be lost.
fn wreck(damage: Damage) -> (SimFs, Vec<u8>) {
    let (fs, dir) = (SimFs::new(5), Path::new("/var/spool/buf"));
    let buffer = open(&fs).unwrap();
    for i in 0..3 {
        append(&buffer, vec![part("a", i * 2..i * 2 + 2)]).unwrap();
    }
    assert!(buffer.settle());
    kill(buffer);
    let name = fs.list(dir).unwrap().into_iter().find(|name| name.to_str().unwrap().starts_with("buffer."));
    let path = dir.join(name.unwrap());
    let mut bytes = fs.open(&path, Access::Read).unwrap().read_from(0).unwrap();
    let frames: Vec<usize> = memchr::memmem::find_iter(&bytes, &MAGIC).collect();
    assert_eq!(frames.len(), 3);
    let range = damage(&mut bytes, &frames);
    let fs = SimFs::new(6);
    fs.put(&path, &bytes);
    (fs, bytes[range].to_vec())
}

fn open(fs: &SimFs) -> Result<Buffer, OpenError> {
    Life { fs, clock: &Arc::new(SimClock::new(5)), acts: 0 }.begin(&World::new(5))
}

/// A start, and the delivery of what is there.
fn live(fs: &SimFs) {
    let Ok(buffer) = open(fs) else { return };
    buffer.enqueue_all();
    buffer.settle();
    while let Some(chunk) = buffer.take() {
        buffer.purge(chunk.id());
        buffer.settle();
    }
    kill(buffer);
}

fn has(fs: &SimFs, wanted: &[u8]) -> bool {
    ["/var/spool/buf", "/var/spool/backup"].into_iter().map(Path::new).any(|dir| {
        fs.list(dir).unwrap_or_default().into_iter().any(|name| {
            let read = fs.open(&dir.join(name), Access::Read).and_then(|file| file.read_from(0));
            read.is_ok_and(|bytes| memchr::memmem::find(&bytes, wanted).is_some())
        })
    })
}

#[test]
fn a_power_cut_loses_nothing_that_is_damaged() {
    for (what, damage) in [("end", end as Damage), ("middle", middle), ("headers", headers)] {
        let (mut cut, mut states) = (0, 0);
        loop {
            cut += 1;
            let (fs, wanted) = wreck(damage);
            fs.cut_after(cut);
            live(&fs);
            fs.each_power_cut(|state| {
                states += 1;
                assert!(has(&state, &wanted), "{what}: lost by a cut after step {cut}");
                live(&state);
                let after = state.power_cut_keeping_nothing();
                assert!(has(&after, &wanted), "{what}: lost by the start after a cut after step {cut}");
            });
            if fs.has_power() {
                break;
            }
        }
        assert!(cut > 5 && states > 10, "{what}: {cut} steps, {states} states");
    }
}
