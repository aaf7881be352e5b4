//! A chunk file of Fluentd's.

use super::chunk_file::{Opened, Visit};
use super::{Damage, Look, Writer};
use crate::buffer::files::meta_path;
use crate::buffer::fluentd::{Meta, compression_of, count_lines, metadata_of_key};
use crate::buffer::{Body, ChunkState, Compression, Metadata, compress};
use crate::msgpack::Entries;
use bytes::Bytes;
use std::io;

/// Reads it as a whole: what is good of it is one body.
pub(super) fn walk(opened: &Opened<'_>, visit: Option<&mut Visit<'_>>) -> io::Result<Option<Look>> {
    let mut seen = opened.nothing(Writer::Fluentd);
    if opened.has_meta && opened.chunk.single.is_none() {
        let meta = opened.fs.open(&meta_path(&opened.path), crate::io::Access::Read);
        match meta.and_then(|file| file.read_from(0)).map(|bytes| Meta::read(&bytes)) {
            Ok(Some(meta)) => take_meta(&mut seen, meta),
            Ok(None) => seen.damage.push(Damage::Meta),
            // Delivered just now: the data was removed first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
    } else if let Some(single) = &opened.chunk.single {
        seen.metadata = metadata_of_key(single, &opened.chunk.name.key);
    } else {
        // Of Fluentd 0.12: whatever its name says, such a chunk is queued.
        seen.state = ChunkState::Queued;
    }
    let bytes = Bytes::from(opened.file.read_from(0)?);
    if bytes.is_empty() {
        seen.damage.push(Damage::Empty);
        return Ok(Some(seen));
    }
    let body = good_part(&mut seen, bytes, opened.chunk.text)?;
    seen.count(body.bytes.len() as u64, body.records, body.compression);
    if let Some(visit) = visit {
        visit(&seen, 0, body)?;
    }
    Ok(Some(seen))
}

fn take_meta(seen: &mut Look, meta: Meta) {
    seen.id = meta.id.unwrap_or(seen.id);
    seen.metadata = Metadata { seq: 0, ..meta.metadata };
    seen.created = meta.created.unwrap_or(seen.created);
    seen.modified = meta.modified.unwrap_or(seen.modified);
}

/// The data as it is if all of it is good; else what is good of it, inflated.
fn good_part(seen: &mut Look, bytes: Bytes, text: Option<bool>) -> io::Result<Body> {
    let compression = compression_of(&bytes);
    let (inflated, result) = match compression {
        Compression::None => (bytes.clone(), Ok(())),
        compression => {
            let (inflated, result) = compress::inflate_partly(&bytes, compression);
            (Bytes::from(inflated), result)
        }
    };
    let is_sound = result.is_ok();
    if let Err(error) = result {
        let inflated = inflated.len() as u64;
        seen.damage.push(Damage::Compressed { inflated, error: error.to_string() });
    }
    seen.formatted = text.unwrap_or_else(|| !begins_with_entry(&inflated));
    if seen.formatted {
        let records = count_lines(&inflated);
        return Ok(match is_sound {
            true => Body { bytes, records, compression },
            false => Body { bytes: inflated, records, compression: Compression::None },
        });
    }
    let mut entries = Entries::new(&inflated);
    let records = entries.by_ref().count() as u64;
    let end = entries.position();
    if end == inflated.len() && is_sound {
        return Ok(Body { bytes, records, compression });
    }
    if end < inflated.len() {
        seen.damage.push(Damage::Entries(end as u64..inflated.len() as u64));
    }
    Ok(Body { bytes: inflated.slice(..end), records, compression: Compression::None })
}

/// Whether the first byte is that of an array of two, which no text begins with.
fn begins_with_entry(bytes: &[u8]) -> bool {
    matches!(bytes, [0x92, ..] | [0xdc, 0, 2, ..] | [0xdd, 0, 0, 0, 2, ..])
}
