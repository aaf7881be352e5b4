//! What a command prints, cut into the texts that a parser reads; for the plugins that run commands.

use crate::socket::{Frame, Framer, Framing};
use crate::text::chomp;
use bytes::{Buf, BytesMut};
use logweir_engine::json::{Dialect, JsonErrorKind, ReadOptions, to_msgpack};
use logweir_engine::msgpack::{ScanErrorKind, skip};
use logweir_engine::plugin::Parser;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line without its end.
    Lines,
    /// A JSON value; line ends do not matter.
    Json,
    /// A MessagePack value.
    MessagePack,
    /// All that is printed, for parsers that join lines.
    Whole,
}

impl Shape {
    /// What a parser of that `@type` reads.
    pub(crate) fn of(plugin_type: &str, parser: &dyn Parser) -> Self {
        match plugin_type {
            "json" => Self::Json,
            "msgpack" => Self::MessagePack,
            _ if parser.multiline().is_some() => Self::Whole,
            _ => Self::Lines,
        }
    }
}

/// A text longer than this is not kept, so that a command cannot fill the memory.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Why the rest of what a command prints cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    /// Not JSON, not MessagePack.
    #[error("malformed {0}: {1}")]
    Malformed(&'static str, String),
    #[error("a text of more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// The command ended within a value.
    #[error("the output ends within a value")]
    CutOff,
}

/// Cuts texts out of what was read.
pub(crate) struct Texts {
    shape: Shape,
    lines: Framer,
    pub(crate) buffer: BytesMut,
    /// Bytes in the buffer when it last held no complete value; it is looked at again when it has twice as many, so that a
    /// long value is not read anew with every block.
    looked: usize,
    scratch: Vec<u8>,
}

impl Texts {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            lines: Framer::new(&Framing::Delimited(b"\n".to_vec()), Some(TEXT_BYTES_MAX)),
            buffer: BytesMut::new(),
            looked: 0,
            scratch: Vec::new(),
        }
    }

    /// The next text; `None` if it needs more bytes, or is over when the command `has_ended`.
    pub(crate) fn next(&mut self, has_ended: bool) -> Result<Option<BytesMut>, TextError> {
        match self.shape {
            Shape::Lines => Ok(self.line(has_ended)),
            Shape::Whole if self.buffer.len() > TEXT_BYTES_MAX => Err(TextError::TooLong),
            Shape::Whole => Ok((has_ended && !self.buffer.is_empty()).then(|| self.buffer.split())),
            Shape::Json | Shape::MessagePack => self.value(has_ended),
        }
    }

    /// Lines that are too long are left out; the framer's limit is ours.
    fn line(&mut self, has_ended: bool) -> Option<BytesMut> {
        let Ok(next) = self.lines.next(&mut self.buffer) else { return None };
        let mut line = match next {
            Some(Frame::Message(line)) => line,
            Some(_) => return self.line(has_ended),
            None if has_ended => self.lines.rest(&mut self.buffer)?,
            None => return None,
        };
        let length = chomp(&line).len();
        line.truncate(length);
        Some(line)
    }

    fn value(&mut self, has_ended: bool) -> Result<Option<BytesMut>, TextError> {
        if self.shape == Shape::Json {
            let blanks = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.advance(blanks);
        }
        if self.buffer.is_empty() || !has_ended && self.buffer.len() < 2 * self.looked {
            return Ok(None);
        }
        match self.end()? {
            Some(end) if end < self.buffer.len() || has_ended || !self.may_go_on() => {
                self.looked = 0;
                Ok(Some(self.buffer.split_to(end)))
            }
            _ if has_ended => Err(TextError::CutOff),
            _ if self.buffer.len() > TEXT_BYTES_MAX => Err(TextError::TooLong),
            _ => {
                self.looked = self.buffer.len();
                Ok(None)
            }
        }
    }

    /// A number at the end of the buffer may have more digits.
    fn may_go_on(&self) -> bool {
        self.shape == Shape::Json && !matches!(self.buffer.last(), Some(b'}' | b']' | b'"'))
    }

    /// Where the value at the start of the buffer ends.
    fn end(&mut self) -> Result<Option<usize>, TextError> {
        if self.shape == Shape::MessagePack {
            return match skip(&self.buffer, 0) {
                Ok(end) => Ok(Some(end)),
                Err(error) if error.kind == ScanErrorKind::Truncated => Ok(None),
                Err(error) => Err(TextError::Malformed("MessagePack", error.to_string())),
            };
        }
        self.scratch.clear();
        let options = ReadOptions { dialect: Dialect::Yajl, ..ReadOptions::default() };
        match to_msgpack(&self.buffer, &mut self.scratch, options) {
            Ok(end) => Ok(Some(end)),
            Err(error) if error.kind == JsonErrorKind::Incomplete => Ok(None),
            Err(error) => Err(TextError::Malformed("JSON", error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes out when the text comes in pieces of the given sizes, in turn.
    fn texts(shape: Shape, text: &[u8], pieces: &[usize]) -> (Vec<String>, Option<TextError>) {
        let mut texts = Texts::new(shape);
        let mut found = Vec::new();
        let mut rest = text;
        let mut pieces = pieces.iter().cycle();
        loop {
            let has_ended = rest.is_empty();
            let size = (*pieces.next().unwrap()).min(rest.len());
            texts.buffer.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
            loop {
                match texts.next(has_ended) {
                    Ok(Some(text)) => found.push(String::from_utf8_lossy(&text).into_owned()),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
            if has_ended {
                return (found, None);
            }
        }
    }

    #[test]
    fn lines_and_the_last_one_without_an_end() {
        for pieces in [1, 3, 100] {
            assert_eq!(texts(Shape::Lines, b"a\r\n\nb\nc", &[pieces]).0, ["a", "", "b", "c"]);
            assert_eq!(texts(Shape::Whole, b"a\nb\n", &[pieces]).0, ["a\nb\n"]);
        }
        assert!(texts(Shape::Lines, b"", &[1]).0.is_empty());
    }

    #[test]
    fn values_one_behind_the_other() {
        for pieces in [1, 2, 7, 1000] {
            let json = b" {\"a\":\n1}{\"b\":[2]}\n\n12 345 \"x\"\n";
            let expected = ["{\"a\":\n1}", "{\"b\":[2]}", "12", "345", "\"x\""];
            assert_eq!(texts(Shape::Json, json, &[pieces]), (expected.map(str::to_owned).to_vec(), None));
            let (found, error) = texts(Shape::Json, b"{\"a\":1} {\"b\":", &[pieces]);
            assert_eq!((found.len(), error), (1, Some(TextError::CutOff)));
            let (found, error) = texts(Shape::Json, b"{\"a\":1} nonsense", &[pieces]);
            assert!(found.len() == 1 && matches!(error, Some(TextError::Malformed("JSON", _))), "{error:?}");
            let (found, error) = texts(Shape::MessagePack, b"\x81\xa1a\x01\x05\xc1", &[pieces]);
            assert!(found.len() == 2 && matches!(error, Some(TextError::Malformed("MessagePack", _))));
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            values in prop::collection::vec("[{]\"[a-z]{0,30}\":[0-9]{1,5}[}]", 0..20),
            pieces in prop::collection::vec(1usize..40, 1..5),
        ) {
            let values: Vec<_> = values.iter().map(|value| value.replace(":0", ":1")).collect();
            prop_assert_eq!(texts(Shape::Json, values.join("\n").as_bytes(), &pieces), (values.clone(), None));
            prop_assert_eq!(texts(Shape::Lines, values.join("\n").as_bytes(), &pieces), (values, None));
        }
    }
}
