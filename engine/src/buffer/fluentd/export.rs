//! Chunks as Fluentd 1.16 writes them, for a way back.
//!
//! | format | files | chunk keys |
//! |---|---|---|
//! | `file` | `buffer.{b,q}ID.log` with `buffer.{b,q}ID.log.meta` | any, in the `.meta` |
//! | `file_single` | `fsb.KEY.{b,q}ID.buf` | the tag or one field, in the name |
//!
//! Each holds the bodies of the chunk one after the other: entries `[time, record]` or formatted text, as they are or one
//! gzip member each.

use super::Meta;
use crate::buffer::files::{encode_key, meta_path};
use crate::buffer::{Body, ChunkState, Compression, Metadata, compress};
use crate::json::ruby_to_s;
use crate::msgpack::{Entries, write_entry};
use bytes::Bytes;
use std::io;
use std::path::Path;

/// Which of Fluentd's file buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportFormat {
    /// `@type file`
    #[default]
    File,
    /// `@type file_single`
    FileSingle,
}

/// A chunk's files beside its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedChunk {
    /// The name of the data file.
    pub name: String,
    /// Name and content of the `.meta` file, if the format has one.
    pub meta: Option<(String, Vec<u8>)>,
}

/// Why a format cannot take a chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// `file_single` has one chunk key.
    #[error("file_single takes chunks whose one key is the tag or a field; this one has {0}")]
    Keys(String),
    /// The key makes the name of the file too long.
    #[error("its key makes the name of the file {0} bytes long, and no file system takes that")]
    Long(usize),
}

/// The longest name that file systems take.
const NAME_BYTES_MAX: usize = 255;

impl ExportFormat {
    /// Its word in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::FileSingle => "file_single",
        }
    }

    pub(crate) fn chunk(self, state: ChunkState, meta: &Meta) -> Result<ExportedChunk, Unfit> {
        let letter = match state {
            ChunkState::Staged => 'b',
            ChunkState::Queued => 'q',
        };
        let id = meta.id.map(|id| id.hex()).unwrap_or_default();
        match self {
            Self::File => {
                let name = format!("buffer.{letter}{id}.log");
                let meta_name = meta_path(Path::new(&name)).to_string_lossy().into_owned();
                Ok(ExportedChunk { name, meta: Some((meta_name, meta.write())) })
            }
            Self::FileSingle => {
                let name = format!("fsb.{}.{letter}{id}.buf", encode_key(&single_key(&meta.metadata)?));
                if name.len() > NAME_BYTES_MAX {
                    return Err(Unfit::Long(name.len()));
                }
                Ok(ExportedChunk { name, meta: None })
            }
        }
    }
}

/// The text of the one key.
fn single_key(metadata: &Metadata) -> Result<Vec<u8>, Unfit> {
    let variables = metadata.variables.as_deref();
    match (metadata.timekey, &metadata.tag, variables) {
        (None, Some(tag), None) => Ok(tag.as_str().as_bytes().to_vec()),
        (None, None, Some([variable])) => {
            let mut text = Vec::new();
            ruby_to_s(&variable.value, &mut text);
            Ok(text)
        }
        (timekey, tag, variables) => {
            let mut keys: Vec<&str> = Vec::new();
            keys.extend(timekey.map(|_| "time"));
            keys.extend(tag.as_ref().map(|_| "tag"));
            keys.extend(variables.unwrap_or_default().iter().map(|variable| &*variable.name));
            Err(Unfit::Keys(if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }))
        }
    }
}

/// A body as Fluentd stores it, and how many records are in it. Of entries only those that Fluentd can read: without
/// the metadata that Fluent Bit sends, which it knows nothing of, and without values that are no entries.
pub fn exported_body(body: &Body, formatted: bool, gzip: bool) -> io::Result<(Bytes, u64)> {
    let wanted = if gzip { Compression::Gzip } else { Compression::None };
    if formatted {
        let bytes = match body.compression == wanted {
            true => body.bytes.clone(),
            false => compress::squeeze(&body.inflated()?, wanted)?,
        };
        return Ok((bytes, body.records));
    }
    let inflated = body.inflated()?;
    let (mut records, mut plain_bytes) = (0, 0);
    for entry in Entries::new(&inflated) {
        records += 1;
        plain_bytes += if entry.metadata.is_none() { entry.raw.len() } else { 0 };
    }
    if plain_bytes == inflated.len() {
        let bytes = match body.compression == wanted {
            true => body.bytes.clone(),
            false => compress::squeeze(&inflated, wanted)?,
        };
        return Ok((bytes, records));
    }
    let mut plain = Vec::with_capacity(inflated.len());
    for entry in Entries::new(&inflated) {
        match entry.metadata {
            None => plain.extend_from_slice(entry.raw),
            Some(_) => write_entry(&mut plain, entry.time, None, entry.record),
        }
    }
    Ok((compress::squeeze(&plain.into(), wanted)?, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{ChunkId, Variable};
    use crate::event::Tag;
    use crate::io::Timestamp;

    const HEX: &str = "660ea0941f327447ef27f097310f427e";

    fn meta(timekey: Option<i64>, tag: Option<&str>, variables: &[(&str, &'static [u8])]) -> Meta {
        let variable = |(name, value): &(&str, &'static [u8])| Variable {
            name: (*name).into(),
            value: Bytes::from_static(value),
        };
        let variables = (!variables.is_empty()).then(|| variables.iter().map(variable).collect());
        Meta {
            metadata: Metadata { timekey, tag: tag.map(Tag::new), variables, seq: 0 },
            id: ChunkId::from_hex(HEX),
            records: Some(1),
            created: Some(Timestamp::from_secs(0x6b03_c11a)),
            modified: Some(Timestamp(0x6b03_c11a * 1_000_000 + 999_999)),
        }
    }

    /// The one that tests/conformance has in buffer_output/resume_file_output_keys.
    #[test]
    fn a_chunk_is_written_as_fluentd_wrote_it() {
        let meta = meta(Some(1_704_153_600), Some("web.a"), &[("user", b"\xa3ann")]);
        let chunk = ExportFormat::File.chunk(ChunkState::Staged, &meta).unwrap();
        assert_eq!(chunk.name, format!("buffer.b{HEX}.log"));
        let (name, bytes) = chunk.meta.unwrap();
        assert_eq!(name, format!("buffer.b{HEX}.log.meta"));
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/cases/buffer_output");
        let theirs = cases.join("resume_file_output_keys/files/buf").join(name);
        assert_eq!(bytes, std::fs::read(theirs).unwrap());
    }

    #[test]
    fn file_single_has_one_key_and_it_is_in_the_name() {
        let name = |meta: &Meta| ExportFormat::FileSingle.chunk(ChunkState::Queued, meta);
        for (meta, key) in [
            (meta(None, Some("a.b/c d"), &[]), "a.b%2Fc%20d"),
            (meta(None, None, &[("user", b"\xa3ann")]), "ann"),
            (meta(None, None, &[("n", b"\x07")]), "7"),
            (meta(None, None, &[("gone", b"\xc0")]), ""),
        ] {
            let expected = ExportedChunk { name: format!("fsb.{key}.q{HEX}.buf"), meta: None };
            assert_eq!(name(&meta), Ok(expected));
        }
        for (meta, keys) in [
            (meta(Some(5), Some("a"), &[]), "time, tag"),
            (meta(None, Some("a"), &[("user", b"\xa3ann")]), "tag, user"),
            (meta(None, None, &[]), "none"),
        ] {
            assert_eq!(name(&meta), Err(Unfit::Keys(keys.to_owned())));
        }
        assert_eq!(name(&meta(None, Some(&"/".repeat(72)), &[])), Err(Unfit::Long(258)));
    }

    fn body(bytes: &[u8], compression: Compression) -> Body {
        let bytes = compress::squeeze(&Bytes::copy_from_slice(bytes), compression).unwrap();
        Body { bytes, records: 9, compression }
    }

    #[test]
    fn bodies_are_compressed_as_wanted_and_kept_where_they_are_so() {
        const ENTRIES: &[u8] = b"\x92\x05\x80\x92\x06\x81\xa1k\xa1v";
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for (formatted, records) in [(false, 2), (true, 9)] {
                let stored = body(ENTRIES, compression);
                let (plain, count) = exported_body(&stored, formatted, false).unwrap();
                assert_eq!((&plain[..], count), (ENTRIES, records));
                let (gzip, _) = exported_body(&stored, formatted, true).unwrap();
                assert_eq!(compress::inflate(&gzip, Compression::Gzip).unwrap(), ENTRIES);
                assert!(compression != Compression::Gzip || gzip == stored.bytes);
            }
        }
    }

    #[test]
    fn what_fluentd_cannot_read_is_left_out() {
        let with_metadata = b"\x92\x92\x05\x81\xa1m\x01\x81\xa1k\xa1v";
        let stored = body(&[&with_metadata[..], b"\xa1x", b"\x92\x06\x80"].concat(), Compression::None);
        let (bytes, records) = exported_body(&stored, false, false).unwrap();
        assert_eq!((&bytes[..], records), (&b"\x92\x05\x81\xa1k\xa1v\x92\x06\x80"[..], 2));
    }
}
