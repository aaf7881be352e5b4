//! `char_encoding`: what encoding the texts of a record are in, or from which to which they are converted. Keys stay.
//!
//! Records are MessagePack, which knows UTF-8 texts (`str`) and bytes (`bin`). Of `from` alone, texts become `str` in UTF-8
//! (Fluentd's serializer converts a text that is tagged with another encoding), or `bin` if it is ASCII-8BIT. With
//! `from:to` the bytes of `to` are put into a `str`, whatever `to` is: an output that writes them out as they are writes `to`.

use crate::text::encoding_named;
use bumpalo::Bump;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use logweir_engine::msgpack::{Record, Value};

/// See the module; `None` is ASCII-8BIT.
pub(super) struct EncodingChange {
    from: Option<&'static Encoding>,
    to: Option<&'static Encoding>,
}

impl EncodingChange {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((from, to)) => Ok(Self { from: encoding_named(from)?, to: encoding_named(to)? }),
            None => match encoding_named(text)? {
                Some(from) => Ok(Self { from: Some(from), to: Some(UTF_8) }),
                None => Ok(Self { from: None, to: None }),
            },
        }
    }

    pub(super) fn apply<'a>(&self, record: &mut Record<'a>, arena: &'a Bump) {
        for field in record.iter_mut() {
            self.change(&mut field.value, arena);
        }
    }

    fn change<'a>(&self, value: &mut Value<'a>, arena: &'a Bump) {
        match value.open(arena) {
            Value::Str(text) | Value::Bin(text) => *value = self.changed(text, arena),
            Value::Array(items) => {
                for item in items.iter_mut() {
                    self.change(item, arena);
                }
            }
            Value::Map(map) => self.apply(map, arena),
            _ => {}
        }
    }

    fn changed<'a>(&self, text: &'a [u8], arena: &'a Bump) -> Value<'a> {
        let Some(to) = self.to else { return Value::Bin(text) };
        let Some(from) = self.from else {
            // Bytes mean nothing above ASCII: what is no ASCII is replaced.
            if text.is_ascii() && to.is_ascii_compatible() {
                return Value::Str(text);
            }
            let unknown: Vec<char> =
                text.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '\u{fffd}' }).collect();
            return Value::Str(
                arena.alloc_slice_copy(&encoded(&unknown.into_iter().collect::<String>(), to)),
            );
        };
        if text.is_ascii() && from.is_ascii_compatible() && to.is_ascii_compatible() {
            return Value::Str(text);
        }
        if from == UTF_8 && to == UTF_8 && std::str::from_utf8(text).is_ok() {
            return Value::Str(text);
        }
        let (decoded, _) = from.decode_without_bom_handling(text);
        Value::Str(arena.alloc_slice_copy(&encoded(&decoded, to)))
    }
}

/// What `to` has no character for becomes `?`, as in Ruby, U+FFFD if it has that.
fn encoded(text: &str, to: &'static Encoding) -> Vec<u8> {
    if to == UTF_8 {
        return text.as_bytes().to_vec();
    }
    if to == UTF_16LE {
        return text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    }
    if to == UTF_16BE {
        return text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        let mut one = [0; 4];
        let (bytes, _, unmappable) = to.encode(c.encode_utf8(&mut one));
        if unmappable { out.push(b'?') } else { out.extend_from_slice(&bytes) }
    }
    out
}
