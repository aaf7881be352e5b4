//! JSON mode: JSON values one after the other, with or without white space between them.

use super::framer::{Framer, Layout};
use bytes::BytesMut;
use logweir_engine::json::{Dialect, ReadOptions, document_to_msgpack};

/// Finds where a JSON value ends, going on where it stopped when more bytes arrive. It looks only at brackets and quotes;
/// whether the text is JSON is seen when it is transcoded. A bracket that closes another kind, or is one too many, ends
/// the value too, so that the mistake is seen at once.
#[derive(Debug, Default)]
pub(super) struct JsonFramer {
    at: usize,
    depth: u32,
    /// The open brackets, the innermost in the lowest bit: 1 for `{`.
    objects: u128,
    state: State,
}

/// Deepest nesting; a record may not be deeper either.
const DEPTH_MAX: u32 = u128::BITS;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Plain,
    String,
    Escape,
    /// A number or a word that is not in brackets; ends where something else begins.
    Bare,
}

impl JsonFramer {
    /// Looks at `bytes`, which begin with the value or white space before it: the same as before, and more. Answers
    /// the offset behind the value when it is complete, and is then ready for the next.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.at) {
            let ended = self.step(byte);
            if ended == Some(Ended::Before) {
                return Some(self.finish());
            }
            self.at += 1;
            if ended == Some(Ended::Behind) {
                return Some(self.finish());
            }
        }
        None
    }

    fn step(&mut self, byte: u8) -> Option<Ended> {
        match (self.state, byte) {
            (State::Before, b' ' | b'\t' | b'\r' | b'\n') => {}
            (State::Before | State::Plain, b'"') => self.state = State::String,
            (State::Before | State::Plain, b'[' | b'{') => {
                if self.depth == DEPTH_MAX {
                    return Some(Ended::Behind);
                }
                self.depth += 1;
                self.objects = self.objects << 1 | u128::from(byte == b'{');
                self.state = State::Plain;
            }
            (State::Before, b']' | b'}' | b',' | b':') => return Some(Ended::Behind),
            (State::Before, _) => self.state = State::Bare,
            (State::Plain, b']' | b'}') => {
                let matches = (self.objects & 1 == 1) == (byte == b'}');
                self.depth -= 1;
                self.objects >>= 1;
                return (self.depth == 0 || !matches).then_some(Ended::Behind);
            }
            (State::Plain, _) => {}
            (State::String, b'\\') => self.state = State::Escape,
            (State::String, b'"') => {
                self.state = State::Plain;
                return (self.depth == 0).then_some(Ended::Behind);
            }
            (State::String, _) => {}
            (State::Escape, _) => self.state = State::String,
            (State::Bare, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'[' | b']' | b'{' | b'}' | b',') => {
                return Some(Ended::Before);
            }
            (State::Bare, _) => {}
        }
        None
    }

    fn finish(&mut self) -> usize {
        std::mem::take(self).at
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Before,
    Behind,
}

/// One JSON value as MessagePack, with its layout. The error says what is wrong with the text.
pub(super) fn transcode(text: &[u8], bytes_max: u64) -> Result<(BytesMut, Layout), String> {
    let mut out = Vec::with_capacity(text.len());
    let options = ReadOptions { dialect: Dialect::Yajl, ..ReadOptions::default() };
    document_to_msgpack(text, &mut out, options).map_err(|error| error.to_string())?;
    match Framer::default().feed(&out, bytes_max) {
        Ok(Some(layout)) => Ok((BytesMut::from(out.as_slice()), layout)),
        Ok(None) => Err("the JSON value is incomplete".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts `text` into values, given to the framer `step` bytes at a time.
    fn values(text: &[u8], step: usize) -> Vec<String> {
        let mut framer = JsonFramer::default();
        let mut found = Vec::new();
        let mut buffer = Vec::new();
        for piece in text.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(end) = framer.feed(&buffer) {
                found.push(String::from_utf8_lossy(&buffer[..end]).trim().to_owned());
                buffer.drain(..end);
            }
        }
        found
    }

    #[test]
    fn values_end_where_they_should_however_they_are_cut() {
        let text = br#"["a]\"[",{"b":[1,2]}] {"c":"}"}"str" 12[] true nil
 ] 7"#;
        let expected =
            [r#"["a]\"[",{"b":[1,2]}]"#, r#"{"c":"}"}"#, r#""str""#, "12", "[]", "true", "nil", "]"];
        for step in 1..text.len() {
            assert_eq!(values(text, step), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn a_value_becomes_a_message() {
        let (bytes, layout) = transcode(br#" ["t",1,{"a":1}]"#, 1000).unwrap();
        assert_eq!(bytes[..], [0x93, 0xa1, b't', 1, 0x81, 0xa1, b'a', 1]);
        assert_eq!(layout.slots, [1, 3, 4, 8]);
        assert!(transcode(b"[1,]", 1000).is_err());
        assert!(transcode(b"]", 1000).is_err());
    }
}
