//! The one chunk key of `file_single`, which is in the names of its files.

use crate::buffer::files::decode_key;
use crate::buffer::{Metadata, SingleKey, Variable};
use crate::event::Tag;
use crate::msgpack::write_str;

/// What the encoded key in a name says of the chunk. A field's value is a string, whatever it was in the records.
pub(crate) fn metadata_of_key(single: &SingleKey, key: &str) -> Metadata {
    let text = decode_key(key);
    match single {
        SingleKey::Tag => Metadata { tag: Some(Tag::from_wire(&text)), ..Metadata::default() },
        SingleKey::Field(name) => {
            let mut value = Vec::new();
            write_str(&mut value, &text);
            let variables = [Variable { name: name.clone(), value: value.into() }];
            Metadata { variables: Some(variables.into()), ..Metadata::default() }
        }
    }
}
