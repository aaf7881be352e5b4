//! Entries that keep their tag in the buffer: `[[time, {"tag": tag}], record]`.
//!
//! Chunks hold entries of all tags unless `tag` is a chunk key. Where a column wants the tag, and one insert for each tag
//! is not wanted, it is put into the entry's metadata.

use super::source::TAG_KEY;
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Time, write_entry, write_map_len, write_str};
use logweir_engine::plugin::{ChunkFormatter, FormatError};

/// See the module.
pub(crate) struct Tagged;

impl ChunkFormatter for Tagged {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let mut metadata = Vec::with_capacity(tag.as_str().len() + 8);
        write_map_len(&mut metadata, 1);
        write_str(&mut metadata, TAG_KEY);
        write_str(&mut metadata, tag.as_str().as_bytes());
        write_entry(out, time, Some(&metadata), record);
        Ok(())
    }
}
