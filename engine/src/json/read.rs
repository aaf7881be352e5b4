//! One pass from JSON text to MessagePack: iterative, without a tree.

use super::known_keys::KnownKeys;
use super::out::Out;
use super::transcode::Transcoder;
use super::watch::{Watched, WatchedKey};
use crate::msgpack::DEPTH_MAX;

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
    value_to_msgpack(text, out, options, None).map(|(end, _)| end)
}

/// [`to_msgpack`] for a text that holds one value and nothing else but white space.
pub fn document_to_msgpack(text: &[u8], out: &mut Vec<u8>, options: ReadOptions) -> Result<(), JsonError> {
    document(text, out, options, None).map(drop)
}

/// [`document_to_msgpack`] that also answers where the field `key` of the object is, if the value is an object. Offsets
/// are those in `out`.
pub fn document_to_msgpack_watching(
    text: &[u8],
    out: &mut Vec<u8>,
    options: ReadOptions,
    key: &WatchedKey,
) -> Result<Watched, JsonError> {
    document(text, out, options, Some(key))
}

fn document(
    text: &[u8],
    out: &mut Vec<u8>,
    options: ReadOptions,
    key: Option<&WatchedKey>,
) -> Result<Watched, JsonError> {
    let start = out.len();
    let (end, watched) = value_to_msgpack(text, out, options, key)?;
    let transcoder = Transcoder::new(text, options, None);
    let behind = match options.dialect {
        Dialect::Oj => transcoder.blanks(end),
        Dialect::Yajl | Dialect::Json => transcoder.white_space(end).unwrap_or(end),
    };
    if behind < text.len() {
        out.truncate(start);
        return Err(JsonError { at: behind, kind: JsonErrorKind::Trailing });
    }
    Ok(watched)
}

fn value_to_msgpack(
    text: &[u8],
    out: &mut Vec<u8>,
    options: ReadOptions,
    key: Option<&WatchedKey>,
) -> Result<(usize, Watched), JsonError> {
    let start = out.len();
    let mut written = Out::new(out, text.len());
    let mut transcoder = Transcoder::new(text, options, key);
    let result = KnownKeys::with(|known| transcoder.value(&mut written, known));
    if result.is_err() {
        written.at = start;
    }
    written.finish();
    Ok((result?, transcoder.watched()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonStyle, from_msgpack, ruby_inspect};
    use crate::msgpack::RecordView;

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

    /// One a line.
    const REFUSED: &str = r#"{}{}
1 2
{}x
[]]
{}#c
{}/*c*/
{}//c
//x
/*
[1,]
[,1]
[1,,2]
{"a":1,}
{,}
{"a"}
{"a":}
{"a" 1}
{a:1}
{'a':1}
{1:2}
{"a":1 "b":2}
[1 2]
[1
{"a":1
{"a
"a
]
}
[}
{]
nul
tru
True
truefalse
[true1]
{"a"/:1}"#;

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
        for text in ["", " ", "\u{feff}{}", "\x0b{}"].into_iter().chain(REFUSED.lines()) {
            assert_eq!(oj(text), None, "{text}");
        }
        assert_eq!(read("{}/*c*/", Dialect::Yajl).as_deref(), Some("{}"));
        assert_eq!(read("\x0b{}", Dialect::Yajl).as_deref(), Some("{}"));
        assert_eq!(read("\x0c{}", Dialect::Json), None);
    }

    #[test]
    fn strings() {
        for (text, value) in [
            ("\"\\u00e9\"", "\"\\u00E9\""),
            ("\"\\ud83d\\ude00\"", "\"\\u{1F600}\""),
            ("\"\\uDBFF\\uDFFF\"", "\"\\u{10FFFF}\""),
            ("\"\\q\\é\"", "\"q\\u00E9\""),
            ("\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"", "\"/\\b\\f\\n\\r\\t\\\"\\\\\""),
            ("\"a\nb\"", "\"a\\nb\""),
            ("\"\\u0000\"", "\"\\u0000\""),
        ] {
            assert_eq!(oj(text).as_deref(), Some(value), "{text}");
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
            ("\"\\ud83d\"", r"\uFFFD"),
            ("\"\\ude00\\ud83d\"", r"\uFFFD\uFFFD"),
            ("\"\\ud83dx\"", r"\uFFFDx"),
            ("\"\\ud83d\\u0041\"", r"\uFFFDA"),
            ("\"\\ud83d\\ud83d\\ude00\"", r"\uFFFD\u{1F600}"),
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
