//! A chunk file of Logweir's, perhaps while it is being written.

use super::chunk_file::{Opened, Visit};
use super::{Damage, Look, Writer};
use crate::buffer::file::header::{self, Header};
use crate::buffer::file::scan::{Found, Rest, Scan, is_zero};
use crate::buffer::{ChunkId, ChunkState};
use crate::io::Timestamp;
use std::io;
use std::time::Duration;

/// What a file begins with.
pub(super) enum Head {
    /// A header, behind which frames begin at the offset.
    Header(Header, u64),
    /// A header of a later version.
    Newer(u16),
    /// It is one of ours, by its frames or its first bytes, but the headers are damaged.
    Damaged,
    /// It never got its first bytes: there are only zeros.
    Empty,
    /// It is one of Fluentd's.
    NotOurs,
}

/// How often a staged chunk whose end is no whole frame is looked at again: its writer may be in the middle of it.
const LOOKS_MAX: usize = 4;
/// How long its writer is given in between.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

#[expect(clippy::disallowed_methods, reason = "an onlooker: nothing that survives depends on it")]
fn pause() {
    std::thread::sleep(LOOK_PAUSE);
}

/// Reads the header, as the start of a buffer does.
pub(super) fn head(opened: &Opened<'_>) -> io::Result<Head> {
    for look in 1.. {
        let mut head = opened.head(false)?;
        let mut found = Header::find(&head);
        let may_be_ours = !opened.has_meta || head.starts_with(&header::MAGIC);
        if found == header::Found::Nothing && may_be_ours && head.len() as u64 >= header::HEAD_BYTES {
            head = opened.head(true)?;
            found = Header::find(&head);
        }
        match found {
            header::Found::Header(header, start) => return Ok(Head::Header(header, start)),
            header::Found::Newer(version) => return Ok(Head::Newer(version)),
            header::Found::Nothing if opened.has_meta => return Ok(Head::NotOurs),
            header::Found::Nothing => {}
        }
        let begins_like_ours =
            header::MAGIC.starts_with(&head[..head.len().min(8)]) || head.starts_with(&[0]);
        if begins_like_ours && opened.state == ChunkState::Staged && look < LOOKS_MAX {
            pause();
            continue;
        }
        let mut has_frames = false;
        let scan = Scan::new(&*opened.file, opened.chunk.name.id, 0..opened.stat.len);
        scan.headers(|_| has_frames = true)?;
        return Ok(match has_frames || begins_like_ours {
            true if !has_frames && is_zero(&*opened.file, 0..opened.stat.len)? => Head::Empty,
            true => Head::Damaged,
            false => Head::NotOurs,
        });
    }
    Ok(Head::NotOurs)
}

/// Walks over the frames from `start` on; without a `header` it is damaged.
pub(super) fn walk(
    opened: &Opened<'_>,
    id: ChunkId,
    header: Option<Header>,
    start: u64,
    mut visit: Option<&mut Visit<'_>>,
) -> io::Result<Look> {
    let mut seen = Look { id, ..opened.nothing(Writer::Logweir) };
    match header {
        Some(header) => {
            (seen.metadata, seen.formatted, seen.created) =
                (header.metadata, header.formatted, header.created);
            seen.modified = header.created;
        }
        None => seen.damage.push(Damage::Header),
    }
    let mut from = start;
    for look in 1..=LOOKS_MAX {
        let end = opened.file.len()?;
        let scan = Scan::new(&*opened.file, id, from..end).that_ended(opened.chunk.ended);
        let rest = match &mut visit {
            None => scan.headers(|found| note(&mut seen, &found))?,
            Some(visit) => scan.bodies(|found| {
                note(&mut seen, &found);
                if found.header.void {
                    Ok(())
                } else {
                    visit(&seen, found.header.sequence, found.into_body())
                }
            })?,
        };
        let is_cut_off = rest.damaged.last().is_some_and(|last| last.end >= end);
        let again = is_cut_off && look < LOOKS_MAX && opened.state == ChunkState::Staged;
        damages(opened, &mut seen, &rest, end, again)?;
        if !again {
            break;
        }
        from = rest.end;
        pause();
    }
    Ok(seen)
}

/// Notes what is damaged; `again` if the end is about to be looked at once more.
fn damages(opened: &Opened<'_>, seen: &mut Look, rest: &Rest, end: u64, again: bool) -> io::Result<()> {
    for range in &rest.damaged {
        let is_end = range.end >= end;
        // Zeros are what a file system leaves where a crash gave it no time to write: nothing that ever was a record.
        if (is_end && again) || is_zero(&*opened.file, range.clone())? {
            continue;
        }
        // Without a header, where it was is no frame either.
        if range.start == 0 && seen.damage.first() == Some(&Damage::Header) {
            continue;
        }
        seen.damage.push(if is_end { Damage::End(range.clone()) } else { Damage::Frames(range.clone()) });
    }
    Ok(())
}

fn note(seen: &mut Look, found: &Found<'_>) {
    let header = &found.header;
    if header.void {
        return;
    }
    seen.last_sequence = seen.last_sequence.max(header.sequence);
    seen.modified = Timestamp::from_secs(i64::from(header.at)).max(seen.created);
    seen.count(u64::from(header.body_bytes), u64::from(header.records), header.compression);
}
