//! The MessagePack map that describes a chunk, as Fluentd writes it into its `.meta` files.
//!
//! ```text
//! c1 00 | length: u32 BE | map of length bytes | rubbish of a longer map before it
//! {timekey: int|nil, tag: str|nil, variables: {str: any}|nil, seq: int, id: bin 16, s: records, c: created, m: modified}
//! ```
//!
//! `seq` is missing in files of older versions; still older ones hold the bare map. `c` and `m` are seconds since the epoch,
//! as integers or floats. Logweir keeps the first three fields in the header of its own chunk files in the same form.

use crate::buffer::{ChunkId, Metadata, Variable};
use crate::event::Tag;
use crate::io::Timestamp;
use crate::msgpack::{
    ReadError, Reader, ValueRef, write_bin, write_i64, write_map_len, write_nil, write_str,
};
use bytes::Bytes;
use std::sync::Arc;

/// Fluentd's magic of a `.meta` file.
const MAGIC: [u8; 2] = [0xc1, 0x00];

/// A `.meta` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) metadata: Metadata,
    pub(crate) id: Option<ChunkId>,
    pub(crate) records: Option<u64>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) modified: Option<Timestamp>,
}

impl Meta {
    /// Reads a `.meta` file. `None` if there is no map in it: it was cut short, or is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let map = match bytes {
            [0xc1, 0x00, a, b, c, d, rest @ ..] => {
                let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
                rest.get(..length)?
            }
            bare => bare,
        };
        let mut meta = Self::default();
        read_map(map, |key, value| meta.set(key, value)).ok()?;
        Some(meta)
    }

    /// Writes a `.meta` file as Fluentd does.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut map = Vec::with_capacity(128);
        write_map_len(&mut map, 8);
        write_keys(&self.metadata, &mut map);
        write_str(&mut map, b"seq");
        write_i64(&mut map, i64::from(self.metadata.seq));
        write_str(&mut map, b"id");
        write_bin(&mut map, &self.id.unwrap_or(ChunkId([0; 16])).0);
        let number = |map: &mut Vec<u8>, key: &[u8], value: i64| {
            write_str(map, key);
            write_i64(map, value);
        };
        number(&mut map, b"s", i64::try_from(self.records.unwrap_or(0)).unwrap_or(i64::MAX));
        number(&mut map, b"c", self.created.unwrap_or_default().secs());
        number(&mut map, b"m", self.modified.unwrap_or_default().secs());
        let mut bytes = Vec::with_capacity(map.len() + 6);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&u32::try_from(map.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&map);
        bytes
    }

    fn set(&mut self, key: &[u8], raw: &[u8]) -> Result<(), ReadError> {
        match key {
            b"id" => {
                let mut reader = Reader::new(raw);
                self.id = reader.read_bytes().ok().and_then(|id| id.try_into().ok()).map(ChunkId);
            }
            b"s" => self.records = integer(raw).and_then(|n| u64::try_from(n).ok()),
            b"c" => self.created = integer(raw).map(Timestamp::from_secs),
            b"m" => self.modified = integer(raw).map(Timestamp::from_secs),
            b"seq" => self.metadata.seq = integer(raw).and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            _ => set_key(&mut self.metadata, key, raw)?,
        }
        Ok(())
    }
}

/// Appends the chunk keys as three pairs of a map.
pub(crate) fn write_keys(metadata: &Metadata, out: &mut Vec<u8>) {
    write_str(out, b"timekey");
    match metadata.timekey {
        None => write_nil(out),
        Some(timekey) => write_i64(out, timekey),
    }
    write_str(out, b"tag");
    match &metadata.tag {
        None => write_nil(out),
        Some(tag) => write_str(out, tag.as_str().as_bytes()),
    }
    write_str(out, b"variables");
    match &metadata.variables {
        None => write_nil(out),
        Some(variables) => {
            write_map_len(out, variables.len());
            for variable in variables.iter() {
                write_str(out, variable.name.as_bytes());
                out.extend_from_slice(&variable.value);
            }
        }
    }
}

/// Reads a map of chunk keys; other keys in it are passed over.
pub(crate) fn read_keys(map: &[u8]) -> Option<Metadata> {
    let mut metadata = Metadata::default();
    read_map(map, |key, raw| set_key(&mut metadata, key, raw)).ok()?;
    Some(metadata)
}

fn set_key(metadata: &mut Metadata, key: &[u8], raw: &[u8]) -> Result<(), ReadError> {
    match key {
        b"timekey" => metadata.timekey = integer(raw),
        b"tag" => metadata.tag = ValueRef::read(raw)?.bytes().map(Tag::from_wire),
        b"variables" if !matches!(ValueRef::read(raw)?, ValueRef::Nil) => {
            let mut variables = Vec::new();
            read_map(raw, |name, value| {
                let name = Arc::from(String::from_utf8_lossy(name).as_ref());
                variables.push(Variable { name, value: Bytes::copy_from_slice(value) });
                Ok(())
            })?;
            metadata.variables = Some(variables.into());
        }
        _ => {}
    }
    Ok(())
}

fn read_map(
    bytes: &[u8],
    mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.read_map_len()? {
        let key = reader.read_bytes()?;
        let value = reader.read_raw()?;
        pair(key, value)?;
    }
    Ok(())
}

/// An integer, or the whole part of a float: Fluentd writes the time of modification as either.
fn integer(raw: &[u8]) -> Option<i64> {
    match ValueRef::read(raw).ok()? {
        ValueRef::Int(value) => Some(value),
        ValueRef::UInt(value) => i64::try_from(value).ok(),
        ValueRef::F64(value) => Some(value.floor() as i64),
        ValueRef::F32(value) => Some(value.floor() as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by Fluentd 1.16.5.
    const REAL: &str = "c1000000005788a774696d656b6579ce65935200a3746167a57765622e61a97661726961626c657381a475736572\
        a3616e6ea373657100a26964c410660ea0941f327447ef27f097310f427ea17301a163ce6b03c11aa16dce6b03c11a";

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn a_file_of_fluentd_is_read_and_written_back_byte_for_byte() {
        let meta = Meta::read(&unhex(REAL)).unwrap();
        assert_eq!(meta.metadata.timekey, Some(1_704_153_600));
        assert_eq!(meta.metadata.tag, Some(Tag::new("web.a")));
        assert_eq!(meta.metadata.variable("user"), Some(&b"\xa3ann"[..]));
        assert_eq!(meta.id.unwrap().hex(), "660ea0941f327447ef27f097310f427e");
        assert_eq!((meta.records, meta.created), (Some(1), Some(Timestamp::from_secs(0x6b03_c11a))));
        assert_eq!(meta.write(), unhex(REAL));
    }

    #[test]
    fn rubbish_behind_the_map_is_no_matter_and_a_map_cut_short_is_no_map() {
        let mut bytes = unhex(REAL);
        bytes.extend_from_slice(b"rubbish");
        let meta = Meta::read(&bytes).unwrap();
        for length in 0..unhex(REAL).len() {
            assert_eq!(Meta::read(&bytes[..length]), None, "{length}");
        }
        assert_eq!(meta.write(), unhex(REAL));
    }

    #[test]
    fn older_forms_are_read() {
        let bare = &unhex(REAL)[6..];
        assert_eq!(Meta::read(bare), Meta::read(&unhex(REAL)));
        let seven = "87a774696d656b6579c0a3746167c0a97661726961626c6573c0\
            a26964c410000102030405060708090a0b0c0d0e0fa17302a163ce0000000aa16dcb4026000000000000";
        let meta = Meta::read(&unhex(seven)).unwrap();
        assert!(meta.metadata.is_empty());
        assert_eq!((meta.records, meta.modified), (Some(2), Some(Timestamp::from_secs(11))));
    }
}
