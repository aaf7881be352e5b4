//! `@type logfmt`: `level=info msg="it works" took=1.5`.
//!
//! A value is quoted if it is empty, or has blanks, quotes, `=` or control characters in it; nil is written as nothing behind
//! the `=`, arrays and hashes as JSON. In keys such characters are `_`, since a key cannot be quoted.

use crate::text::{ADD_NEWLINE, NEWLINE, Newline, fields, format_params, json_error};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::{JsonStyle, from_msgpack, ruby_to_s, write_json_string};
use logweir_engine::msgpack::{Time, ValueRef};
use logweir_engine::plugin::{Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param};
use std::sync::Arc;

/// `@type logfmt`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Formatter, "logfmt", "key=value pairs between blanks", Build::Formatter(build))
};

const PARAMS: [Param; 8] = Param::join(format_params(), [NEWLINE, ADD_NEWLINE]);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    Ok(Arc::new(Logfmt { newline: Newline::from_params(params) }))
}

struct Logfmt {
    newline: Newline,
}

impl Formatter for Logfmt {
    fn format(&self, _tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        for (n, (key, value)) in fields(record).enumerate() {
            if n > 0 {
                out.push(b' ');
            }
            write_key(key, out);
            out.push(b'=');
            match ValueRef::read(value) {
                Ok(ValueRef::Nil) => {}
                Ok(ValueRef::Str(text) | ValueRef::Bin(text)) => write_text(text, out),
                Ok(ValueRef::Array(_) | ValueRef::Map(_)) => {
                    let mut json = Vec::new();
                    from_msgpack(value, &mut json, JsonStyle::Oj)
                        .map_err(|e| json_error(e, JsonStyle::Oj))?;
                    write_text(&json, out);
                }
                _ => ruby_to_s(value, out),
            }
        }
        self.newline.write(out);
        Ok(())
    }
}

fn write_key(key: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    ruby_to_s(key, out);
    if out.len() == at {
        out.push(b'_');
    }
    for byte in &mut out[at..] {
        if is_special(*byte) {
            *byte = b'_';
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    if text.is_empty() || text.iter().any(|byte| is_special(*byte) || *byte == b'\\') {
        write_json_string(text, out, JsonStyle::Oj);
    } else {
        out.extend_from_slice(text);
    }
}

fn is_special(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'=' | 0x7f)
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::msgpack::Time;

    #[test]
    fn pairs() {
        let record = r#"{"level":"info","msg":"it \"works\"","took":1.5,"n":-3,"ok":true,"nil":null,"e":"","a":[1,"x"],"m":{"k":"v"},"a key=":"é","nl":"a\nb","":1}"#;
        assert_eq!(
            format(&*formatter("@type logfmt"), Time::None, record),
            "level=info msg=\"it \\\"works\\\"\" took=1.5 n=-3 ok=true nil= e=\"\" a=\"[1,\\\"x\\\"]\" m=\"{\\\"k\\\":\\\"v\\\"}\" a_key_=é nl=\"a\\nb\" _=1\n"
        );
        assert_eq!(format(&*formatter("@type logfmt\nadd_newline false"), Time::None, "{}"), "");
    }
}
