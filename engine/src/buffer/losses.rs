//! What a device that failed has lost: which appends are not whole any more.

use super::Chunk;
use super::buffer::{Shared, State};
use super::file::frame;
use crate::log_error;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

impl Shared {
    /// `chunk` has a new file, with so much in it.
    pub(super) fn rewritten(&self, chunk: &Arc<Chunk>, bytes: u64, records: u64) {
        let mut state = self.lock();
        state.commits.named(chunk);
        let (lost_bytes, lost_records) =
            (chunk.size().saturating_sub(bytes), chunk.records().saturating_sub(records));
        if lost_bytes == 0 {
            return;
        }
        log_error!(
            self.environment.log,
            "the device lost what was written to a buffer chunk, or another part of it. nothing of it was acknowledged",
            chunk_id = chunk.id(),
            records = lost_records
        );
        state.lose(chunk, lost_bytes, lost_records);
        state.commits.unaccounted = true;
    }

    /// If something was lost: finds out which appends are not whole any more, takes out what is left of them, revokes their
    /// marks and notes them as lost. `false` if that could not be found out yet.
    pub(super) fn account_for_losses(&self) -> bool {
        let mut state = self.lock();
        if !state.commits.unaccounted {
            return true;
        }
        let parts = match state.unsynced_parts() {
            Ok(parts) => parts,
            Err(error) => {
                log_error!(
                    self.environment.log,
                    "can't find out what the device lost. nothing is acknowledged until then",
                    error = error.to_string()
                );
                return false;
            }
        };
        let (mut lost, mut next) = (Vec::new(), state.commits.durable + 1);
        for (sequence, parts) in parts {
            if frame::are_whole(parts.iter().map(|(part, _)| *part)) {
                if next < sequence {
                    lost.push(next..=sequence - 1);
                }
                next = sequence + 1;
                continue;
            }
            // Other parts may be in a file that could not be read at the start.
            let is_lost = sequence > state.marks.unseen.up_to;
            for (_, chunk) in parts.into_iter().filter(|_| is_lost) {
                if let Some(file) = chunk.file() {
                    file.omit(sequence);
                    state.commits.failed.push(chunk);
                }
            }
        }
        if next <= state.sequence {
            lost.push(next..=state.sequence);
        }
        state.marks.revoke(&lost);
        for lost in &lost {
            let first_seen = state.marks.unseen.up_to.saturating_add(1);
            let seen = first_seen.max(*lost.start())..=*lost.end();
            if !seen.is_empty() {
                state.commits.taken_back.add(seen);
            }
        }
        state.commits.lost.extend(lost);
        state.commits.unaccounted = false;
        true
    }
}

/// Which part of how many, and the chunk that it is in.
type PartIn = ((u16, u16), Arc<Chunk>);

impl State {
    /// The frames of appends that are not durable, by append.
    fn unsynced_parts(&self) -> io::Result<BTreeMap<u64, Vec<PartIn>>> {
        let mut parts: BTreeMap<u64, Vec<PartIn>> = BTreeMap::new();
        let durable = self.commits.durable;
        let kept = self.stage.values().chain(&self.queue).chain(self.taken.values());
        let unsynced = kept.chain(&self.commits.retired).filter(|chunk| chunk.sequence() > durable);
        let mut unsynced: Vec<_> = unsynced.collect();
        unsynced.sort_by_key(|chunk| chunk.id()); // the same each time, for tests that are repeated
        for chunk in unsynced {
            let Some(file) = chunk.file() else { continue };
            file.frames(|found| {
                let header = &found.header;
                if header.sequence > durable && !header.void {
                    let part = ((header.part, header.parts), Arc::clone(chunk));
                    parts.entry(header.sequence).or_default().push(part);
                }
                Ok(())
            })?;
        }
        Ok(parts)
    }
}
