//! What inputs ask all buffers of the process about replays.
//!
//! An input that may have to repeat something after a crash (or because one of several buffers refused) asks here how to
//! repeat it such that each buffer recognises what it already has:
//!
//! - in_tail starts from its position, and ends a batch exactly at each of the [`cut_points`] behind it: then no batch
//!   is partly known to any buffer. The same holds when it reads again after a failed emit or commit. Which
//!   [`FileIdentity`] a file had before the restart it finds among the [`identities`] of its inode: the one whose `head`
//!   is the CRC32 of some prefix (up to 256 bytes) of the file. The others are of earlier files with the same inode number.
//!   Those, and that of a file that was truncated, it lets buffers [`forget`]: offsets mean other records from then on,
//!   and a buffer would take new records for replays.
//! - in_forward says with [`confirmed`] that a sender has seen its acknowledgement. Until then (or for
//!   15 minutes) a chunk with the same id from the same peer is taken for a re-send and not stored again.

use super::buffer::Shared;
use crate::delivery::{FileIdentity, Origin};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

static BUFFERS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// The offsets of `file` at which any buffer's records begin or end, in order, each once.
pub fn cut_points(file: FileIdentity) -> Vec<u64> {
    let mut points = Vec::new();
    for buffer in buffers() {
        buffer.lock().marks.cut_points(file, &mut points);
    }
    points.sort_unstable();
    points.dedup();
    points
}

/// The files with this device and inode number that any buffer has records of.
pub fn identities(dev: u64, ino: u64) -> HashSet<FileIdentity> {
    let mut files = HashSet::new();
    for buffer in buffers() {
        buffer.lock().marks.identities(dev, ino, &mut files);
    }
    files
}

/// From now on the offsets of `file` mean other records: it was truncated.
pub fn forget(file: FileIdentity) {
    for buffer in buffers() {
        buffer.lock().marks.forget(file);
    }
}

/// The sender of a forward chunk has seen its acknowledgement (it sent something else on the same connection).
pub fn confirmed(origin: &Origin) {
    for buffer in buffers() {
        buffer.lock().marks.confirm(origin);
    }
}

pub(super) fn register(buffer: &Arc<Shared>) {
    let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    buffers.retain(|buffer| buffer.strong_count() > 0);
    buffers.push(Arc::downgrade(buffer));
}

fn buffers() -> Vec<Arc<Shared>> {
    let buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    buffers.iter().filter_map(Weak::upgrade).collect()
}
