//! Lines from one encoding to another (from_encoding, encoding).

use crate::text::encoding_named;
use encoding_rs::Encoding;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use std::borrow::Cow;

/// From where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversion {
    from: &'static Encoding,
    to: &'static Encoding,
}

impl Conversion {
    /// `None` if lines stay as they are.
    pub(super) fn from_params(params: &Params, log: &PluginLog) -> Result<Option<Self>, Diagnostic> {
        let (from, to) = (params.str("from_encoding"), params.str("encoding"));
        let Some(from_name) = from else {
            if let Some(name) = to {
                named(params, "encoding", name)?;
            }
            return Ok(None);
        };
        let Some(to_name) = to else {
            let message = "tail: 'from_encoding' parameter must be specified with 'encoding' parameter.";
            return Err(params.error("from_encoding", message));
        };
        let (from, to) = (named(params, "from_encoding", from_name)?, named(params, "encoding", to_name)?);
        if from_name.eq_ignore_ascii_case(to_name) {
            log_warn!(log, "'encoding' and 'from_encoding' are same encoding. No effect");
        }
        Ok(match (from, to) {
            (Some(from), Some(to)) if from != to => Some(Self { from, to }),
            _ => None,
        })
    }

    /// The line in the new encoding; what cannot be converted becomes `?`.
    pub(super) fn convert<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        if line.is_ascii() && self.from.is_ascii_compatible() && self.to.is_ascii_compatible() {
            return Cow::Borrowed(line);
        }
        let (text, _) = self.from.decode_without_bom_handling(line);
        let text = text.replace('\u{fffd}', "?");
        if self.to == encoding_rs::UTF_8 {
            return Cow::Owned(text.into_bytes());
        }
        let mut out = Vec::with_capacity(text.len());
        for c in text.chars() {
            let mut one = [0; 4];
            let (bytes, _, unmappable) = self.to.encode(c.encode_utf8(&mut one));
            if unmappable { out.push(b'?') } else { out.extend_from_slice(&bytes) }
        }
        Cow::Owned(out)
    }
}

fn named(params: &Params, param: &str, name: &str) -> Result<Option<&'static Encoding>, Diagnostic> {
    encoding_named(name).map_err(|message| params.error(param, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_converted_and_what_cannot_be_becomes_a_question_mark() {
        let conversion = Conversion { from: encoding_rs::SHIFT_JIS, to: encoding_rs::UTF_8 };
        assert_eq!(&*conversion.convert(b"\x83\x8d\x83O a"), "ログ a".as_bytes());
        assert_eq!(&*conversion.convert(b"plain\n"), b"plain\n");
        let back = Conversion { from: encoding_rs::UTF_8, to: encoding_rs::WINDOWS_1252 };
        assert_eq!(&*back.convert("é→".as_bytes()), b"\xe9?");
        assert_eq!(&*back.convert(b"a\xff"), b"a?");
    }
}
