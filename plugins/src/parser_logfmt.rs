//! `@type logfmt`: `level=info msg="it works" took=1.5 cached` (fluent-plugin-parser-logfmt, whose reading is that of the
//! Ruby library logfmt 0.0.9).
//!
//! A key alone is true; a value that looks like a number is one, unless it is quoted; of a quoted value `\"` is a quote and any
//! other backslash stays; of a key that is there more than once the last value counts, at the place of the first.

use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::msgpack::{write_bin, write_bool, write_f64, write_i64, write_map_len, write_str};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParseFailure, ParseOutput, Parser,
};
use std::borrow::Cow;
use std::sync::Arc;

/// `@type logfmt`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "logfmt", "key=value pairs between blanks", Build::Parser(build))
};

const PARAMS: [Param; 13] = parse_params(Defaults::TIME);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    Ok(Arc::new(Logfmt(ParseSettings::new(params, context)?)))
}

struct Logfmt(ParseSettings);

impl Parser for Logfmt {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let pairs = pairs(text);
        let binary = out.is_binary();
        let buffer = out.begin();
        write_map_len(buffer, pairs.len());
        for (key, value) in pairs {
            write_str(buffer, key);
            match value {
                Value::True => write_bool(buffer, true),
                Value::Integer(number) => write_i64(buffer, number),
                Value::Float(number) => write_f64(buffer, number),
                Value::Text(text) if binary => write_bin(buffer, &text),
                Value::Text(text) => write_str(buffer, &text),
            }
        }
        self.0.finish_record(out)
    }
}

#[derive(Debug, PartialEq)]
enum Value<'t> {
    True,
    Integer(i64),
    Float(f64),
    Text(Cow<'t, [u8]>),
}

fn pairs(text: &[u8]) -> Vec<(&[u8], Value<'_>)> {
    let mut pairs: Vec<(&[u8], Value<'_>)> = Vec::new();
    // Few keys are searched from the front, many by an index.
    let mut places = std::collections::HashMap::<&[u8], usize>::new();
    let mut at = 0;
    while at < text.len() {
        let length = text[at..].iter().take_while(|byte| is_key(**byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let key = &text[at..at + length];
        at += length;
        let value = if text.get(at) == Some(&b'=') {
            at += 1;
            let (value, length) = value(&text[at..]);
            at += length;
            value
        } else {
            Value::True
        };
        match places.get(key) {
            Some(place) => pairs[*place].1 = value,
            None => {
                places.insert(key, pairs.len());
                pairs.push((key, value));
            }
        }
    }
    pairs
}

fn is_key(byte: u8) -> bool {
    byte > b' ' && byte != b'"' && byte != b'='
}

/// The value at the start of a text, and its length.
fn value(text: &[u8]) -> (Value<'_>, usize) {
    match text.first() {
        Some(b'"') => {
            let Some((value, length)) = quoted(&text[1..]) else { return (Value::True, text.len()) };
            (Value::Text(value), 1 + length)
        }
        Some(first) if is_key(*first) => {
            let length = text.iter().take_while(|byte| **byte > b' ' && **byte != b'"').count();
            (number(&text[..length]), length)
        }
        _ => (Value::True, 0),
    }
}

/// What stands before the next quote, and how long it is with that quote. `None` if there is none.
fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    let mut owned: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\\' => escaped = true,
            b'"' if escaped => {
                escaped = false;
                let value = owned.get_or_insert_with(Vec::new);
                value.extend_from_slice(&text[copied..at - 1]);
                copied = at;
            }
            b'"' => {
                let value = match owned {
                    Some(mut value) => {
                        value.extend_from_slice(&text[copied..at]);
                        Cow::Owned(value)
                    }
                    None => Cow::Borrowed(&text[..at]),
                };
                return Some((value, at + 1));
            }
            _ => escaped = false,
        }
    }
    None
}

/// What looks like a number is one: as Ruby's Integer() and Float() read it, so that `010` is 8.
fn number(text: &[u8]) -> Value<'_> {
    let plain = || Value::Text(Cow::Borrowed(text));
    let Ok(ascii) = std::str::from_utf8(text) else { return plain() };
    let digits = ascii.strip_prefix(['-', '+']).unwrap_or(ascii);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let signed = ascii.strip_prefix('+').unwrap_or(ascii);
        let number = match digits.len() > 1 && digits.starts_with('0') {
            true => i64::from_str_radix(signed, 8).ok(),
            false => signed.parse().ok(),
        };
        return number.map_or_else(plain, Value::Integer);
    }
    if is_decimal(digits) { ascii.parse().map_or_else(|_| plain(), Value::Float) } else { plain() }
}

/// `[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fraction = mantissa.split_once('.').map_or(
        mantissa,
        |(whole, fraction)| {
            if digits(whole) { fraction } else { "" }
        },
    );
    !fraction.is_empty() && digits(fraction) && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    /// As the Ruby library answers.
    #[test]
    fn pairs() {
        let logfmt = parser("@type logfmt");
        for (text, expected) in [
            ("key=value", r#"{"key":"value"}"#),
            (
                "foo=bar a=14 baz=\"hello kitty\" cool%story=bro f %^asdf",
                r#"{"foo":"bar","a":14,"baz":"hello kitty","cool%story":"bro","f":true,"%^asdf":true}"#,
            ),
            (
                "a=1.5 b=-2 c=+3 d=1e3 e=.5 f=5. g=1.2.3",
                r#"{"a":1.5,"b":-2,"c":3,"d":1000.0,"e":0.5,"f":"5.","g":"1.2.3"}"#,
            ),
            ("a=010 b=08 c=0 d=99999999999999999999", r#"{"a":8,"b":"08","c":0,"d":"99999999999999999999"}"#),
            (r#"q="a \"b\" c" n="12" e="""#, r#"{"q":"a \"b\" c","n":"12","e":""}"#),
            (r#"p="C:\dir\n" t=1"#, r#"{"p":"C:\\dir\\n","t":1}"#),
            ("a= b=", r#"{"a":true,"b":true}"#),
            (r#"open="never closed x=1"#, r#"{"open":true}"#),
            ("k=1 k=2 l=3 k=4", r#"{"k":4,"l":3}"#),
            ("u=é\u{a0}x url=http://h/?a=b", "{\"u\":\"é\u{a0}x\",\"url\":\"http://h/?a=b\"}"),
            ("  = \" ", "{}"),
            ("", "{}"),
        ] {
            assert_eq!(parse_one(&*logfmt, text), format!("now {expected}"), "{text}");
        }
    }

    #[test]
    fn times_and_types() {
        let logfmt = parser("@type logfmt\ntypes n:string\ntime_format %Y-%m-%dT%H:%M:%S%z");
        assert_eq!(parse_one(&*logfmt, "time=2020-01-02T03:04:05Z n=5"), r#"1577934245 {"n":"5"}"#);
        assert!(parse_one(&*logfmt, "time=x").starts_with("invalid time format"));
    }
}
