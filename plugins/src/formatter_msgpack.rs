//! `@type msgpack`: the record's own bytes.

use crate::text::format_params;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param};
use std::sync::Arc;

/// `@type msgpack`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "msgpack", "The record as MessagePack", Build::Formatter(build))
};

const PARAMS: [Param; 6] = format_params();

fn build(_params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    Ok(Arc::new(MessagePack))
}

struct MessagePack;

impl Formatter for MessagePack {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend_from_slice(record);
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        "application/msgpack"
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::formatter;
    use logweir_engine::event::Tag;
    use logweir_engine::msgpack::Time;

    #[test]
    fn bytes() {
        let mut out = Vec::new();
        let msgpack = formatter("@type msgpack");
        for record in [&b"\x81\xa1a\x01"[..], b"\x80"] {
            msgpack.format(&Tag::new("t"), Time::None, record, &mut out).unwrap();
        }
        assert_eq!(out, b"\x81\xa1a\x01\x80");
    }
}
