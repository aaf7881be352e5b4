//! One pass from JSON text to MessagePack: iterative, without a tree.

use smallvec::SmallVec;

use super::string::{self, StringError};
use crate::msgpack::{
    DEPTH_MAX, KeyBits, RecordView, write_big_int, write_bool, write_f64, write_i64, write_nil, write_u64,
};

/// Whose idea of JSON is read. All of them read what RFC 8259 allows; a lone surrogate escape, which Oj refuses and
/// the others turn into something that is no UTF-8, becomes U+FFFD in each.
///
/// | | Oj | Yajl | Json |
/// |---|---|---|---|
/// | `/* */` and `//` comments before the end of the value | yes | yes | yes |
/// | ... behind it | no | yes | yes |
/// | control characters within strings | yes | no | no |
/// | bytes that are no UTF-8 within strings | kept | no | kept |
/// | `\q` and the like | `q` | no | `q` |
/// | `NaN`, `Infinity`, `-Infinity` | yes | no | yes |
/// | form feed as white space | yes | yes, and vertical tab | no |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `Oj.load` in its mode `compat`: what parser_json does by default.
    #[default]
    Oj,
    /// `Yajl.load`: in_forward's JSON mode and `json_parser yajl`.
    Yajl,
    /// Ruby's own `JSON.load`: `json_parser json`.
    Json,
}

/// How to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whose JSON.
    pub dialect: Dialect,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
}

impl Default for ReadOptions {
    /// Oj's dialect, and as deep as a record may be within an entry.
    fn default() -> Self {
        Self { dialect: Dialect::Oj, depth: DEPTH_MAX - 1 }
    }
}

/// Why text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct JsonError {
    /// Offset of what is wrong.
    pub at: usize,
    /// What is wrong.
    pub kind: JsonErrorKind,
}

/// See [`JsonError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// The text ends before the value does; more of it may make it whole.
    #[error("end of text within a value")]
    Incomplete,
    /// A byte that cannot be here.
    #[error("unexpected byte {0:#04x}")]
    Unexpected(u8),
    /// A number that is spelt wrongly.
    #[error("malformed number")]
    Number,
    /// An escape that does not exist.
    #[error("invalid escape")]
    Escape,
    /// A control character within a string.
    #[error("control character in a string")]
    Control,
    /// Bytes within a string that are no UTF-8.
    #[error("invalid UTF-8 in a string")]
    Utf8,
    /// Nested deeper than the limit.
    #[error("value nested too deeply")]
    TooDeep,
    /// Something follows the document.
    #[error("text behind the value")]
    Trailing,
}

/// Appends the JSON value at the start of `text` (white space before it is passed over) to `out` as MessagePack, and
/// answers how many bytes it takes. What follows is not looked at, so that values can be read one after the other; a
/// number at the very end of `text` may go on in what has not been received yet. After an error `out` is as it was.
///
/// - Integers become int or uint, beyond 64 bits [`crate::msgpack::BIG_INT_EXT`]; anything with a fraction or an exponent float64,
///   rounded correctly, infinite if it is too large.
/// - A key that is there more than once keeps its first place and has its last value, as in a Ruby Hash.
pub fn to_msgpack(text: &[u8], out: &mut Vec<u8>, options: ReadOptions) -> Result<usize, JsonError> {
    let start = out.len();
    out.reserve(text.len());
    let mut transcoder = Transcoder { text, at: 0, options, frames: SmallVec::new() };
    let result = transcoder.value(out);
    if result.is_err() {
        out.truncate(start);
    }
    result.map(|()| transcoder.at)
}

/// [`to_msgpack`] for a text that holds one value and nothing else but white space.
pub fn document_to_msgpack(text: &[u8], out: &mut Vec<u8>, options: ReadOptions) -> Result<(), JsonError> {
    let start = out.len();
    let at = to_msgpack(text, out, options)?;
    let mut rest = Transcoder { text, at, options, frames: SmallVec::new() };
    let behind = match options.dialect {
        Dialect::Oj => Ok(rest.blanks()),
        Dialect::Yajl | Dialect::Json => rest.white_space(),
    };
    if behind != Ok(None) {
        out.truncate(start);
        return Err(JsonError { at: rest.at, kind: JsonErrorKind::Trailing });
    }
    Ok(())
}

struct Transcoder<'t> {
    text: &'t [u8],
    at: usize,
    options: ReadOptions,
    frames: SmallVec<[Frame; 8]>,
}

/// A container that is open.
struct Frame {
    /// Where its header lies in the output: one byte until it is closed.
    header_at: usize,
    /// Elements, or pairs.
    count: usize,
    is_map: bool,
    /// Whether two keys may be equal, by a set of hashes.
    suspect: bool,
    keys: KeyBits,
}

impl Transcoder<'_> {
    fn value(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        loop {
            let Some(byte) = self.white_space()? else { return Err(self.incomplete()) };
            match byte {
                b'"' => {
                    self.string(out)?;
                }
                b'{' | b'[' => {
                    let is_map = byte == b'{';
                    self.open(is_map, out)?;
                    let close = if is_map { b'}' } else { b']' };
                    match self.white_space()? {
                        Some(byte) if byte == close => {
                            self.at += 1;
                            self.frames.pop();
                        }
                        _ if is_map => {
                            self.key(out)?;
                            continue;
                        }
                        _ => continue,
                    }
                }
                b'-' | b'0'..=b'9' => self.number(out)?,
                b't' => self.word(b"true", out, |out| write_bool(out, true))?,
                b'f' => self.word(b"false", out, |out| write_bool(out, false))?,
                b'n' if self.text[self.at..].starts_with(b"nan") => self.not_finite(out)?,
                b'n' => self.word(b"null", out, write_nil)?,
                b'N' | b'I' => self.not_finite(out)?,
                other => return Err(self.error(JsonErrorKind::Unexpected(other))),
            }
            if self.behind_value(out)? {
                return Ok(());
            }
        }
    }

    /// Closes the containers that end here. Answers whether the whole value has ended; if not, another one follows.
    #[inline]
    fn behind_value(&mut self, out: &mut Vec<u8>) -> Result<bool, JsonError> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(true) };
            frame.count += 1;
            let is_map = frame.is_map;
            match self.white_space()? {
                Some(b',') => {
                    self.at += 1;
                    if is_map {
                        self.white_space()?;
                        self.key(out)?;
                    }
                    return Ok(false);
                }
                Some(b'}') if is_map => {}
                Some(b']') if !is_map => {}
                Some(byte) => return Err(self.error(JsonErrorKind::Unexpected(byte))),
                None => return Err(self.incomplete()),
            }
            self.at += 1;
            if let Some(frame) = self.frames.pop() {
                frame.close(out);
            }
        }
    }

    fn open(&mut self, is_map: bool, out: &mut Vec<u8>) -> Result<(), JsonError> {
        if self.frames.len() >= self.options.depth {
            return Err(self.error(JsonErrorKind::TooDeep));
        }
        self.at += 1;
        self.frames.push(Frame {
            header_at: out.len(),
            count: 0,
            is_map,
            suspect: false,
            keys: KeyBits::default(),
        });
        out.push(if is_map { 0x80 } else { 0x90 });
        Ok(())
    }

    /// Reads a key and its colon.
    #[inline]
    fn key(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        match self.text.get(self.at) {
            Some(b'"') => {}
            Some(&byte) => return Err(self.error(JsonErrorKind::Unexpected(byte))),
            None => return Err(self.incomplete()),
        }
        let key_at = self.string(out)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.suspect |= frame.keys.insert(&out[key_at..]);
        }
        match self.white_space()? {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(byte) => Err(self.error(JsonErrorKind::Unexpected(byte))),
            None => Err(self.incomplete()),
        }
    }

    /// Reads a string; answers where its bytes begin in the output.
    #[inline]
    fn string(&mut self, out: &mut Vec<u8>) -> Result<usize, JsonError> {
        let (end, bytes_at) = string::read(self.text, self.at + 1, self.options.dialect, out)
            .map_err(|StringError { at, kind }| JsonError { at: at.min(self.text.len()), kind })?;
        self.at = end;
        Ok(bytes_at)
    }

    #[inline]
    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let start = self.at;
        let negative = self.text[start] == b'-';
        let digits_at = start + usize::from(negative);
        let mut at = digits_at;
        let mut magnitude = 0u64;
        while let Some(&byte @ b'0'..=b'9') = self.text.get(at) {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            at += 1;
        }
        if at == digits_at {
            if self.text.get(at).is_some_and(|byte| matches!(byte, b'I' | b'N')) {
                return self.not_finite(out);
            }
            return Err(if at == self.text.len() {
                self.incomplete()
            } else {
                self.error(JsonErrorKind::Number)
            });
        }
        if self.text[digits_at] == b'0' && at - digits_at > 1 {
            return Err(self.error(JsonErrorKind::Number));
        }
        if let Some(b'.' | b'e' | b'E') = self.text.get(at) {
            return self.float(at, out);
        }
        self.at = at;
        if at - digits_at <= 18 {
            write_i64(out, if negative { -(magnitude as i64) } else { magnitude as i64 });
        } else {
            large_integer(&self.text[start..at], negative, out);
        }
        Ok(())
    }

    /// Reads the rest of a number whose integer part ends at `at`.
    fn float(&mut self, at: usize, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let mut at = at;
        if self.text[at] == b'.' {
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.text.get(at) {
            at += 1;
            if let Some(b'+' | b'-') = self.text.get(at) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        let spelt = &self.text[self.at..at];
        let value = std::str::from_utf8(spelt).ok().and_then(|spelt| spelt.parse::<f64>().ok());
        let Some(value) = value else { return Err(self.error(JsonErrorKind::Number)) };
        write_f64(out, value);
        self.at = at;
        Ok(())
    }

    /// Where at least one digit ends.
    fn digits(&self, start: usize) -> Result<usize, JsonError> {
        let mut at = start;
        while let Some(b'0'..=b'9') = self.text.get(at) {
            at += 1;
        }
        match self.text.get(start) {
            _ if at > start => Ok(at),
            None => Err(self.incomplete()),
            Some(_) => Err(self.error(JsonErrorKind::Number)),
        }
    }

    fn word(
        &mut self,
        word: &[u8],
        out: &mut Vec<u8>,
        write: impl Fn(&mut Vec<u8>),
    ) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            write(out);
            return Ok(());
        }
        if word.starts_with(rest) {
            return Err(self.incomplete());
        }
        Err(self.error(JsonErrorKind::Unexpected(rest[0])))
    }

    /// NaN and the infinities, which are no JSON but are written by many programs, Python's json among them.
    fn not_finite(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let spellings: &[(&[u8], f64)] = match self.options.dialect {
            Dialect::Oj => &[
                (b"NaN", f64::NAN),
                (b"nan", f64::NAN),
                (b"-NaN", f64::NAN),
                (b"Infinity", f64::INFINITY),
                (b"-Infinity", f64::NEG_INFINITY),
            ],
            Dialect::Json => {
                &[(b"NaN", f64::NAN), (b"Infinity", f64::INFINITY), (b"-Infinity", f64::NEG_INFINITY)]
            }
            Dialect::Yajl => &[],
        };
        let rest = &self.text[self.at..];
        for (word, value) in spellings {
            if rest.starts_with(word) {
                self.at += word.len();
                write_f64(out, *value);
                return Ok(());
            }
            if word.starts_with(rest) {
                return Err(self.incomplete());
            }
        }
        Err(self.error(JsonErrorKind::Unexpected(rest[0])))
    }

    /// Passes over white space and comments; answers the byte behind, `None` at the end of the text.
    #[inline(always)]
    fn white_space(&mut self) -> Result<Option<u8>, JsonError> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' && byte != b'/' => Ok(Some(byte)),
            _ => self.white_space_slow(),
        }
    }

    fn white_space_slow(&mut self) -> Result<Option<u8>, JsonError> {
        loop {
            if self.blanks() != Some(b'/') {
                return Ok(self.text.get(self.at).copied());
            }
            let rest = &self.text[self.at..];
            let end = match rest.get(1) {
                Some(b'*') => memchr::memmem::find(&rest[2..], b"*/").map(|at| at + 4),
                Some(b'/') => memchr::memchr(b'\n', rest).map(|at| at + 1),
                Some(_) => return Err(self.error(JsonErrorKind::Unexpected(b'/'))),
                None => None,
            };
            match end {
                Some(length) => self.at += length,
                None => {
                    let error = self.incomplete();
                    self.at = self.text.len();
                    return Err(error);
                }
            }
        }
    }

    /// Passes over white space only; answers the byte behind.
    fn blanks(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            let blank = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => true,
                b'\x0c' => self.options.dialect != Dialect::Json,
                b'\x0b' => self.options.dialect == Dialect::Yajl,
                _ => false,
            };
            if !blank {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { at: self.at, kind }
    }

    fn incomplete(&self) -> JsonError {
        JsonError { at: self.text.len(), kind: JsonErrorKind::Incomplete }
    }
}

impl Frame {
    /// Writes the header, now that the count is known.
    #[inline]
    fn close(mut self, out: &mut Vec<u8>) {
        if self.suspect {
            self.unite_duplicates(out);
        }
        let small = if self.is_map { 0x80 } else { 0x90 };
        if self.count < 16 {
            out[self.header_at] = small | self.count as u8;
        } else {
            self.widen(out);
        }
    }

    fn widen(&self, out: &mut Vec<u8>) {
        let marker = if self.is_map { 0xde } else { 0xdc };
        let place = self.header_at..self.header_at + 1;
        if let Ok(count) = u16::try_from(self.count) {
            let [a, b] = count.to_be_bytes();
            out.splice(place, [marker, a, b]);
        } else {
            let [a, b, c, d] = u32::try_from(self.count).unwrap_or(u32::MAX).to_be_bytes();
            out.splice(place, [marker + 1, a, b, c, d]);
        }
    }

    /// Rewrites the object so that each key is there once: at its first place, with its last value.
    #[cold]
    fn unite_duplicates(&mut self, out: &mut Vec<u8>) {
        let body_at = self.header_at + 1;
        let mut whole = Vec::with_capacity(out.len() - body_at + 5);
        crate::msgpack::write_map_len(&mut whole, self.count);
        whole.extend_from_slice(&out[body_at..]);
        let Some(united) = RecordView::new(&whole).distinct() else { return };
        out.truncate(body_at);
        for (key, value) in &united {
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        self.count = united.len();
    }
}

/// Appends an integer of more than 18 digits.
#[cold]
fn large_integer(spelt: &[u8], negative: bool, out: &mut Vec<u8>) {
    let text = std::str::from_utf8(spelt).unwrap_or_default();
    if let Ok(value) = text.parse::<i64>() {
        write_i64(out, value);
    } else if !negative && let Ok(value) = text.parse::<u64>() {
        write_u64(out, value);
    } else {
        write_big_int(out, spelt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonStyle, from_msgpack, ruby_inspect};

    /// The value as Ruby would print it, or nothing if it is refused.
    fn read(text: impl AsRef<[u8]>, dialect: Dialect) -> Option<String> {
        let mut out = vec![0xc0];
        let options = ReadOptions { dialect, ..ReadOptions::default() };
        let result = document_to_msgpack(text.as_ref(), &mut out, options);
        assert_eq!(out[0], 0xc0);
        if result.is_err() {
            assert_eq!(out.len(), 1);
            return None;
        }
        let mut text = Vec::new();
        ruby_inspect(&out[1..], &mut text);
        Some(String::from_utf8(text).unwrap())
    }

    fn oj(text: impl AsRef<[u8]>) -> Option<String> {
        read(text, Dialect::Oj)
    }

    /// Every line as answered by Oj 3.14 in the mode that Fluentd sets.
    #[test]
    fn numbers() {
        for (text, value) in [
            ("1", "1"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("1E+3", "1000.0"),
            ("1e-3", "0.001"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709551616"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9223372036854775809"),
            ("-12345678901234567890123", "-12345678901234567890123"),
            ("1500000000.123456789", "1500000000.1234567"),
            ("0.12345678901234567890", "0.12345678901234568"),
            ("12345678901234567890.5", "1.2345678901234567e+19"),
            ("123456789.12345678901e-5", "1234.567891234568"),
            ("5e-324", "5.0e-324"),
            ("1e400", "Infinity"),
            ("-1e400", "-Infinity"),
            ("1e-400", "0.0"),
            ("[NaN,nan,Infinity,-Infinity]", "[NaN, NaN, Infinity, -Infinity]"),
        ] {
            assert_eq!(oj(text).as_deref(), Some(value), "{text}");
        }
        for text in [
            "01", "-01", "+1", ".5", "1.", "1.e3", "1e", "1e+", "--1", "1.5.5", "12a", "0x10", "1_000", "-x",
            "inf",
        ] {
            assert_eq!(oj(text), None, "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity", "[-", "-"] {
            assert_eq!(read(text, Dialect::Yajl), None, "{text}");
        }
    }

    #[test]
    fn integers_take_their_shortest_encoding() {
        for (text, bytes) in [
            ("127", &[0x7f][..]),
            ("128", &[0xcc, 0x80]),
            ("-32", &[0xe0]),
            ("-33", &[0xd0, 0xdf]),
            ("65536", &[0xce, 0, 1, 0, 0]),
            ("999999999999999999", &[0xcf, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x63, 0xff, 0xff]),
            ("1.0", &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            ("18446744073709551616", b"\xc7\x14\x4918446744073709551616"),
        ] {
            let mut out = Vec::new();
            assert_eq!(to_msgpack(text.as_bytes(), &mut out, ReadOptions::default()), Ok(text.len()));
            assert_eq!(out, bytes, "{text}");
        }
    }

    #[test]
    fn documents() {
        for (text, value) in [
            (" {} ", "{}"),
            ("[ ]", "[]"),
            ("{\"a\":[1,{\"b\":null}],\"c\":true}", "{\"a\"=>[1, {\"b\"=>nil}], \"c\"=>true}"),
            ("\x0c{}", "{}"),
            ("/*c*/{}", "{}"),
            ("{/*c*/\"a\"/*d*/:/*e*/1/*f*/}", "{\"a\"=>1}"),
            ("{//x\n}", "{}"),
            ("{\"a\":1,\"a\":2,\"b\":3,\"a\":4}", "{\"a\"=>4, \"b\"=>3}"),
            ("{\"a\":{\"a\":1,\"a\":2}}", "{\"a\"=>{\"a\"=>2}}"),
            ("\"x\"", "\"x\""),
        ] {
            assert_eq!(oj(text).as_deref(), Some(value), "{text}");
        }
        for text in [
            "",
            " ",
            "1 2",
            "{}{}",
            "{}x",
            "[]]",
            "{}#c",
            "{}/*c*/",
            "{}//c",
            "//x",
            "/*",
            "[1,]",
            "[,1]",
            "[1,,2]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{1:2}",
            "{\"a\":1 \"b\":2}",
            "[1 2]",
            "[1",
            "{\"a\":1",
            "{\"a",
            "\"a",
            "]",
            "}",
            "[}",
            "{]",
            "nul",
            "tru",
            "True",
            "truefalse",
            "[true1]",
            "\u{feff}{}",
            "{\"a\"/:1}",
            "\x0b{}",
        ] {
            assert_eq!(oj(text), None, "{text}");
        }
        assert_eq!(read("{}/*c*/", Dialect::Yajl).as_deref(), Some("{}"));
        assert_eq!(read("\x0b{}", Dialect::Yajl).as_deref(), Some("{}"));
        assert_eq!(read("\x0c{}", Dialect::Json), None);
    }

    #[test]
    fn strings() {
        for (text, value) in [
            ("\"\\u00e9\"", "\"é\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("\"\\uDBFF\\uDFFF\"", "\"\u{10ffff}\""),
            ("\"\\q\\é\"", "\"qé\""),
            ("\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"", "\"/\\b\\f\\n\\r\\t\\\"\\\\\""),
            ("\"a\nb\"", "\"a\\nb\""),
            ("\"\\u0000\"", "\"\\u0000\""),
        ] {
            let value = value.replace("\u{10ffff}", "\\u{10FFFF}");
            assert_eq!(oj(text), Some(value), "{text}");
        }
        for text in ["\"\\u12\"", "\"\\u12G4\"", "\"\\", "\"\\\"", "\"\\u"] {
            assert_eq!(oj(text), None, "{text}");
        }
        assert_eq!(oj(b"\"a\xffb\"").as_deref(), Some("\"a\\xFFb\""));
        assert_eq!(read(b"\"a\xffb\"", Dialect::Yajl), None);
        assert_eq!(read("\"a\nb\"", Dialect::Yajl), None);
        assert_eq!(read("\"\\n\t\"", Dialect::Json), None);
        assert_eq!(read("\"\\q\"", Dialect::Yajl), None);
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        for (text, value) in [
            ("\"\\ud83d\"", "\u{fffd}"),
            ("\"\\ude00\\ud83d\"", "\u{fffd}\u{fffd}"),
            ("\"\\ud83dx\"", "\u{fffd}x"),
            ("\"\\ud83d\\u0041\"", "\u{fffd}A"),
            ("\"\\ud83d\\ud83d\\ude00\"", "\u{fffd}😀"),
        ] {
            assert_eq!(oj(text), Some(format!("\"{value}\"")), "{text}");
        }
    }

    #[test]
    fn lengths_around_every_header_size() {
        for length in [0, 1, 7, 8, 9, 31, 32, 39, 40, 255, 256, 65535, 65536] {
            let plain = "x".repeat(length);
            let mut expected = Vec::new();
            crate::msgpack::write_str(&mut expected, plain.as_bytes());
            for text in [format!("\"{plain}\""), format!("\"{}\"", "\\u0078".repeat(length))] {
                let mut out = Vec::new();
                assert_eq!(to_msgpack(text.as_bytes(), &mut out, ReadOptions::default()), Ok(text.len()));
                assert!(out == expected, "{length}");
            }
        }
        for count in [15, 16, 65535, 65536] {
            let items = vec!["7"; count].join(",");
            let mut expected = Vec::new();
            crate::msgpack::write_array_len(&mut expected, count);
            expected.resize(expected.len() + count, 7);
            let mut out = Vec::new();
            to_msgpack(format!("[{items}]").as_bytes(), &mut out, ReadOptions::default()).unwrap();
            assert!(out == expected, "{count}");
        }
    }

    #[test]
    fn nested_up_to_the_limit() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let options = ReadOptions { depth: 3, ..ReadOptions::default() };
        let mut out = Vec::new();
        assert_eq!(to_msgpack(nested(3).as_bytes(), &mut out, options), Ok(7));
        let error = to_msgpack(nested(4).as_bytes(), &mut out, options).unwrap_err();
        assert_eq!(error, JsonError { at: 3, kind: JsonErrorKind::TooDeep });
        let mut out = Vec::new();
        to_msgpack(nested(DEPTH_MAX - 1).as_bytes(), &mut out, ReadOptions::default()).unwrap();
        assert_eq!(crate::msgpack::skip(&out, 0), Ok(out.len()));
    }

    #[test]
    fn every_prefix_is_incomplete() {
        let text = r#"{"a\u00e9\n":[1.5e-3,-12,true,null,"x\ud83d\ude00"],/*c*/"b":{}}"#;
        for length in 0..text.len() {
            let error =
                to_msgpack(&text.as_bytes()[..length], &mut Vec::new(), ReadOptions::default()).unwrap_err();
            assert_eq!(error.kind, JsonErrorKind::Incomplete, "{}", &text[..length]);
        }
    }

    #[test]
    fn values_in_a_row() {
        let text = b"{\"a\":1}\n[2] 3";
        let mut out = Vec::new();
        let first = to_msgpack(text, &mut out, ReadOptions::default()).unwrap();
        let second = first + to_msgpack(&text[first..], &mut out, ReadOptions::default()).unwrap();
        to_msgpack(&text[second..], &mut out, ReadOptions::default()).unwrap();
        assert_eq!(out, [0x81, 0xa1, b'a', 1, 0x91, 2, 3]);
    }

    #[test]
    fn many_keys_stay_distinct() {
        let object: Vec<String> = (0..1000).map(|n| format!("\"key{}\":{n}", n % 700)).collect();
        let mut out = Vec::new();
        to_msgpack(format!("{{{}}}", object.join(",")).as_bytes(), &mut out, ReadOptions::default()).unwrap();
        let view = RecordView::new(&out);
        assert_eq!(view.len(), 700);
        let mut text = Vec::new();
        from_msgpack(view.get(b"key299").unwrap(), &mut text, JsonStyle::Oj).unwrap();
        assert_eq!(text, b"999");
    }
}
