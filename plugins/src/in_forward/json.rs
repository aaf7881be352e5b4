//! JSON mode: JSON values one after the other, with or without white space between them.

use super::framer::{Framer, Layout};
use bytes::BytesMut;
use logweir_engine::json;

/// Finds where a JSON value ends, going on where it stopped when more bytes arrive. It looks only at brackets and quotes;
/// whether the text is JSON is seen when it is transcoded.
#[derive(Debug, Default)]
pub(super) struct JsonFramer {
    at: usize,
    depth: usize,
    state: State,
}

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
                self.depth += 1;
                self.state = State::Plain;
            }
            (State::Before, b']' | b'}' | b',' | b':') => return Some(Ended::Behind),
            (State::Before, _) => self.state = State::Bare,
            (State::Plain, b']' | b'}') => {
                self.depth -= 1;
                return (self.depth == 0).then_some(Ended::Behind);
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
    let end = json::to_msgpack(text, &mut out, json::Limits::default()).map_err(|error| error.to_string())?;
    if !text[end..].iter().all(u8::is_ascii_whitespace) {
        return Err(format!("unexpected text behind a JSON value at byte {end}"));
    }
    match Framer::default().feed(&out, bytes_max) {
        Ok(Some(layout)) => Ok((BytesMut::from(out.as_slice()), layout)),
        Ok(None) => Err("the JSON value is incomplete".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
