//! `@type msgpack`: MessagePack maps, one behind the other; the maps of an array are events of their own, as in Fluentd 1.17 and
//! later.

use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::msgpack::{Kind as ValueKind, Reader, skip};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParseFailure, ParseOutput, Parser,
};
use std::sync::Arc;

/// `@type msgpack`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "msgpack", "Reads MessagePack maps", Build::Parser(build))
};

const PARAMS: [Param; 13] = parse_params(Defaults::STANDARD);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    Ok(Arc::new(MessagePack { settings: ParseSettings::new(params, context)? }))
}

struct MessagePack {
    settings: ParseSettings,
}

impl Parser for MessagePack {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let mut at = 0;
        while at < text.len() {
            let end = skip(text, at).map_err(|e| ParseFailure::Invalid(e.to_string()))?;
            if ValueKind::of(text[at]) == Some(ValueKind::Array) {
                let mut reader = Reader::new(&text[at..end]);
                for _ in 0..reader.read_array_len().unwrap_or(0) {
                    let record = reader.read_raw().map_err(|e| ParseFailure::Invalid(e.to_string()))?;
                    self.record(record, out)?;
                }
            } else {
                self.record(&text[at..end], out)?;
            }
            at = end;
        }
        Ok(())
    }
}

impl MessagePack {
    fn record(&self, raw: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        if raw.first().copied().and_then(ValueKind::of) != Some(ValueKind::Map) {
            return Err(ParseFailure::Unmatched);
        }
        out.begin().extend_from_slice(raw);
        self.settings.finish_record(out)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse, parse_one, parser, shown};
    use logweir_engine::plugin::ParseOutput;

    #[test]
    fn maps() {
        let msgpack = parser("@type msgpack\ntime_key t\ntime_type float");
        assert_eq!(parse_one(&*msgpack, b"\x82\xa1a\x01\xa1b\xc3"), r#"now {"a":1,"b":true}"#);
        assert_eq!(
            parse(&*msgpack, b"\x82\xa1t\x01\xa1b\xc3\x81\xa1a\x02").unwrap(),
            [r#"1 {"b":true}"#, r#"now {"a":2}"#]
        );
        assert_eq!(
            parse(&*msgpack, b"\x92\x81\xa1a\x01\x81\xa1a\x02").unwrap(),
            [r#"now {"a":1}"#, r#"now {"a":2}"#]
        );
        assert_eq!(parse_one(&*msgpack, b"\x91\x01"), "unmatched");
        assert_eq!(parse_one(&*msgpack, b"\xc0"), "unmatched");
        assert_eq!(parse_one(&*msgpack, b""), "");
        let mut out = ParseOutput::new();
        assert!(msgpack.parse(b"\x81\xa1a\x01\x81\xa1", &mut out).is_err());
        assert_eq!(shown(&out), [r#"now {"a":1}"#]);
    }
}
