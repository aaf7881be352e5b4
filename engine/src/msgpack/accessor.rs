//! Paths into records, in the syntax of Fluentd's record accessor.
//!
//! | text | path |
//! |---|---|
//! | `key`, `a.b`, `$x` | the top-level field of that name |
//! | `$.a.b`, `$.a[0]`, `$.a[-1].b` | dot notation: no white space, no dots in names |
//! | `$['a']['b.c']`, `$["a"][0]` | bracket notation: any name |

use super::record::Record;
use super::value::Value;
use super::view::dig;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPart {
    /// The field of this name.
    Key(Box<[u8]>),
    /// The array element of this index (negative: from the end), or the field whose key is this integer.
    Index(i64),
}

/// A parsed path of at least one part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Accessor {
    parts: Vec<PathPart>,
    nested_notation: bool,
}

/// Why a path is no path; the text is Fluentd's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AccessorError {
    /// The class that Fluentd would raise: `Fluent::ConfigError` or `ArgumentError`.
    pub class: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Accessor {
    /// Parses a path.
    pub fn parse(text: &str) -> Result<Self, AccessorError> {
        if let Some(dotted) = text.strip_prefix("$.") {
            Ok(Self { parts: dot_notation(dotted, text)?, nested_notation: true })
        } else if text.starts_with("$[") {
            Ok(Self { parts: bracket_notation(text)?, nested_notation: true })
        } else {
            Ok(Self { parts: vec![PathPart::Key(text.as_bytes().into())], nested_notation: false })
        }
    }

    /// The top-level field of that name, whatever characters are in it.
    pub fn of_key(name: &str) -> Self {
        Self { parts: vec![key(name)], nested_notation: false }
    }

    /// The steps.
    pub fn parts(&self) -> &[PathPart] {
        &self.parts
    }

    /// Whether it was written in dot or bracket notation.
    pub fn is_nested_notation(&self) -> bool {
        self.nested_notation
    }

    /// The name if the path is one top-level field, however it was written.
    pub fn top_level_key(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [PathPart::Key(key)] => Some(key),
            _ => None,
        }
    }

    /// The raw value at the path in a raw record. `None` also where Ruby's `dig` would raise because a string or number
    /// is in the way.
    #[inline]
    pub fn get<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        dig(record, &self.parts)
    }

    /// The value at the path in a decoded record.
    pub fn get_in<'a>(&self, record: &Record<'a>) -> Option<Value<'a>> {
        let (first, rest) = self.parts.split_first()?;
        let value = match first {
            PathPart::Key(key) => record.get(key)?,
            PathPart::Index(index) => record.get_index(*index)?,
        };
        value.dig(rest)
    }

    /// Removes the value at the path and answers it. Nothing happens if it is not there.
    pub fn delete<'a>(&self, record: &mut Record<'a>) -> Option<Value<'a>> {
        let (last, parents) = self.parts.split_last()?;
        if parents.is_empty() {
            return match last {
                PathPart::Key(key) => record.remove(key),
                PathPart::Index(index) => record.remove_index(*index),
            };
        }
        match record.dig_mut(parents)? {
            Value::Map(map) => match last {
                PathPart::Key(key) => map.remove(key),
                PathPart::Index(index) => map.remove_index(*index),
            },
            Value::Array(items) => {
                let PathPart::Index(index) = last else { return None };
                let at = position(*index, items.len())?;
                (at < items.len()).then(|| items.remove(at))
            }
            _ => None,
        }
    }

    /// Sets the value at the path. Parents are not made: nothing happens if they are not there. An array grows by nils
    /// up to the index, within a limit.
    pub fn set<'a>(&self, record: &mut Record<'a>, value: Value<'a>) {
        let Some((last, parents)) = self.parts.split_last() else { return };
        if parents.is_empty() {
            return match last {
                PathPart::Key(key) => record.set_copied(key, value),
                PathPart::Index(index) => record.set_index(*index, value),
            };
        }
        match record.dig_mut(parents) {
            Some(Value::Map(map)) => match last {
                PathPart::Key(key) => map.set_copied(key, value),
                PathPart::Index(index) => map.set_index(*index, value),
            },
            Some(Value::Array(items)) => {
                let PathPart::Index(index) = last else { return };
                let Some(at) = position(*index, items.len()) else { return };
                if at >= items.len() + ARRAY_GROWTH_MAX {
                    return;
                }
                while items.len() <= at {
                    items.push(Value::Nil);
                }
                items[at] = value;
            }
            _ => {}
        }
    }
}

/// How many elements an assignment may add to an array.
const ARRAY_GROWTH_MAX: usize = 65_536;

/// The offset that an index means in an array of `length`; `None` if it is before the start.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

fn dot_notation(dotted: &str, text: &str) -> Result<Vec<PathPart>, AccessorError> {
    let mut names: Vec<&str> = dotted.split('.').collect();
    while names.last().is_some_and(|name| name.is_empty()) {
        names.pop();
    }
    let mut parts = Vec::new();
    for name in names {
        match name.split_once('[') {
            Some((before, rest)) => {
                if !before.is_empty() {
                    parts.push(key(before));
                }
                indices(rest, text, &mut parts)?;
            }
            None => parts.push(key(name)),
        }
    }
    if parts.is_empty() {
        return Err(config_error("empty keys in dot notation".to_owned()));
    }
    for part in &parts {
        if let PathPart::Key(name) = part
            && name.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r'))
        {
            let name = String::from_utf8_lossy(name);
            return Err(config_error(format!(
                "whitespace character is not allowed in dot notation. Use bracket notation: {name}"
            )));
        }
    }
    Ok(parts)
}

/// `0]`, `0][1]`: what follows the first `[` of a name in dot notation.
fn indices(rest: &str, text: &str, parts: &mut Vec<PathPart>) -> Result<(), AccessorError> {
    let mut rest = rest;
    loop {
        let Some((index, behind)) = rest.split_once(']') else {
            if rest.is_empty() {
                // `$.a[`: nothing follows the bracket, and Fluentd takes that as no index at all.
                return Ok(());
            }
            return Err(config_error(format!("'[' found but ']' not found. Invalid syntax: {text}")));
        };
        parts.push(PathPart::Index(index_value(index, rest, text)?));
        if behind.is_empty() {
            return Ok(());
        }
        let Some((_, next)) = behind.split_once('[') else {
            return Err(config_error(format!("found more characters after ']'. Invalid syntax: {text}")));
        };
        rest = next;
    }
}

fn bracket_notation(text: &str) -> Result<Vec<PathPart>, AccessorError> {
    let mut parts = Vec::new();
    let mut rest = &text[1..];
    while !rest.is_empty() {
        let Some((_, inside)) = rest.split_once('[') else {
            return Err(config_error(format!("found more characters after ']'. Invalid syntax: {text}")));
        };
        if inside.is_empty() {
            break;
        }
        rest = if inside.starts_with(['\'', '"']) {
            let Some(end) = inside.find("']").or_else(|| inside.find("\"]")) else {
                return Err(config_error(format!("Incomplete bracket. Invalid syntax: {text}")));
            };
            if inside.as_bytes()[0] != inside.as_bytes()[end] {
                return Err(config_error(format!("Mismatched quotes. Invalid syntax: {text}")));
            }
            // A lone quote, `$[']`: Ruby's range 1..-1 makes everything behind it the name.
            parts.push(key(if end == 0 { &inside[1..] } else { &inside[1..end] }));
            &inside[end + 2..]
        } else {
            let Some((index, behind)) = inside.split_once(']') else {
                return Err(config_error(format!("'[' found but ']' not found. Invalid syntax: {text}")));
            };
            parts.push(PathPart::Index(index_value(index, inside, inside)?));
            behind
        };
    }
    if parts.is_empty() {
        return Err(config_error("empty keys in bracket notation".to_owned()));
    }
    Ok(parts)
}

/// The number between brackets; `rest` is what follows the opening one. Of bracket notation Fluentd shows only that.
fn index_value(index: &str, rest: &str, text: &str) -> Result<i64, AccessorError> {
    if rest == "]" {
        return Err(config_error(format!("missing array index in '[]'. Invalid syntax: {text}")));
    }
    let shown = if index.is_empty() { rest } else { index };
    ruby_integer(index).ok_or_else(|| AccessorError {
        class: "ArgumentError",
        message: format!("invalid value for Integer(): {shown:?}"),
    })
}

/// Ruby's `Integer(text)` for what fits 64 bits: surrounding white space, a sign, a base prefix (`0x`, `0b`, `0o`, `0`,
/// `0d`), single underscores between digits.
fn ruby_integer(text: &str) -> Option<i64> {
    let text = text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'd', ..] => (10, &lower[2..]),
        [b'0', _, ..] => (8, lower[1..].strip_prefix('_').unwrap_or(&lower[1..])),
        _ => (10, &*lower),
    };
    if digits.is_empty()
        || digits.starts_with(['_', '+', '-'])
        || digits.ends_with('_')
        || digits.contains("__")
    {
        return None;
    }
    let magnitude = i64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

fn key(name: &str) -> PathPart {
    PathPart::Key(name.as_bytes().into())
}

fn config_error(message: String) -> AccessorError {
    AccessorError { class: "Fluent::ConfigError", message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;

    fn parsed(text: &str) -> Result<String, String> {
        let accessor = Accessor::parse(text).map_err(|error| format!("{}: {error}", error.class))?;
        let part = |part: &PathPart| match part {
            PathPart::Key(name) => format!("{:?}", String::from_utf8_lossy(name)),
            PathPart::Index(index) => index.to_string(),
        };
        Ok(accessor.parts().iter().map(part).collect::<Vec<_>>().join(", "))
    }

    /// As answered by Fluentd's `Accessor.parse_parameter`.
    #[test]
    fn paths() {
        for (text, parts) in [
            ("key", r#""key""#),
            ("a.b", r#""a.b""#),
            ("$x", r#""$x""#),
            ("", r#""""#),
            ("$", r#""$""#),
            ("$.a", r#""a""#),
            ("$.a.b", r#""a", "b""#),
            ("$..a", r#""", "a""#),
            ("$.a..b", r#""a", "", "b""#),
            ("$.a.", r#""a""#),
            ("$.a[0]", r#""a", 0"#),
            ("$.a[-1].b", r#""a", -1, "b""#),
            ("$.a[0][1]", r#""a", 0, 1"#),
            ("$.[0]", "0"),
            ("$.a[", r#""a""#),
            ("$.a[0]b[1]", r#""a", 0, 1"#),
            ("$.a[0][", r#""a", 0"#),
            ("$.a[ 1 ]", r#""a", 1"#),
            ("$.a[0x10]", r#""a", 16"#),
            ("$.a[010]", r#""a", 8"#),
            ("$.a[1_0]", r#""a", 10"#),
            ("$.a[+1]", r#""a", 1"#),
            ("$.a[0b11]", r#""a", 3"#),
            ("$.a[0o17]", r#""a", 15"#),
            ("$.a[0d9]", r#""a", 9"#),
            ("$.a[0_7]", r#""a", 7"#),
            ("$.a[-0x1f]", r#""a", -31"#),
            ("$.a[00]", r#""a", 0"#),
            ("$.a]", r#""a]""#),
            ("$['a']", r#""a""#),
            ("$[\"a\"]", r#""a""#),
            ("$['a'][\"b.c\"]", r#""a", "b.c""#),
            ("$['a'][0]", r#""a", 0"#),
            ("$[0]", "0"),
            ("$[-2]", "-2"),
            ("$[']", r#""]""#),
            ("$['']", r#""""#),
            ("$['a']b['c']", r#""a", "c""#),
            ("$['a'][", r#""a""#),
            ("$['a']['b']['c d']", r#""a", "b", "c d""#),
            ("$['é'][1]['b']", r#""é", 1, "b""#),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(parts), "{text}");
        }
    }

    /// As raised by Fluentd.
    #[test]
    fn texts_that_are_no_paths() {
        for (text, error) in [
            ("$.", "Fluent::ConfigError: empty keys in dot notation"),
            ("$.a[]", "Fluent::ConfigError: missing array index in '[]'. Invalid syntax: $.a[]"),
            ("$.a[]b", "ArgumentError: invalid value for Integer(): \"]b\""),
            ("$.a[0", "Fluent::ConfigError: '[' found but ']' not found. Invalid syntax: $.a[0"),
            ("$.a[x]", "ArgumentError: invalid value for Integer(): \"x\""),
            ("$.a[08]", "ArgumentError: invalid value for Integer(): \"08\""),
            ("$.a[1__0]", "ArgumentError: invalid value for Integer(): \"1__0\""),
            ("$.a[1_]", "ArgumentError: invalid value for Integer(): \"1_\""),
            ("$.a[_1]", "ArgumentError: invalid value for Integer(): \"_1\""),
            ("$.a[- 1]", "ArgumentError: invalid value for Integer(): \"- 1\""),
            ("$.a[0x]", "ArgumentError: invalid value for Integer(): \"0x\""),
            ("$.a[ ]", "ArgumentError: invalid value for Integer(): \" \""),
            ("$.a['b']", "ArgumentError: invalid value for Integer(): \"'b'\""),
            ("$.a[0]b", "Fluent::ConfigError: found more characters after ']'. Invalid syntax: $.a[0]b"),
            ("$.a[0.5]", "Fluent::ConfigError: '[' found but ']' not found. Invalid syntax: $.a[0.5]"),
            (
                "$.a b",
                "Fluent::ConfigError: whitespace character is not allowed in dot notation. Use bracket notation: a b",
            ),
            ("$[", "Fluent::ConfigError: empty keys in bracket notation"),
            ("$[]", "Fluent::ConfigError: missing array index in '[]'. Invalid syntax: ]"),
            ("$[x]", "ArgumentError: invalid value for Integer(): \"x\""),
            ("$['a'", "Fluent::ConfigError: Incomplete bracket. Invalid syntax: $['a'"),
            ("$['a\"]", "Fluent::ConfigError: Mismatched quotes. Invalid syntax: $['a\"]"),
            ("$['a']b", "Fluent::ConfigError: found more characters after ']'. Invalid syntax: $['a']b"),
        ] {
            assert_eq!(parsed(text), Err(error.to_owned()), "{text}");
        }
    }

    /// `{"a": {"b": [1, {"c": 2}], 7: "x"}, "s": "text"}`
    const RECORD: &[u8] = b"\x82\xa1a\x82\xa1b\x92\x01\x81\xa1c\x02\x07\xa1x\xa1s\xa4text";

    #[test]
    fn gets_from_raw_and_decoded_records() {
        let arena = Bump::new();
        for (path, value) in [
            ("s", Some(&b"\xa4text"[..])),
            ("$.a.b[0]", Some(b"\x01")),
            ("$.a.b[-1].c", Some(b"\x02")),
            ("$.a[7]", Some(b"\xa1x")),
            ("$['a']['b']", Some(b"\x92\x01\x81\xa1c\x02")),
            ("$.a.b[2]", None),
            ("$.a.b[-3]", None),
            ("$.a.b.c", None),
            ("$.s.b", None),
            ("$.none.b", None),
            ("$[0]", None),
        ] {
            let accessor = Accessor::parse(path).unwrap();
            assert_eq!(accessor.get(RECORD), value, "{path}");
            let mut record = Record::decode(RECORD, &arena).unwrap();
            for _ in 0..2 {
                let mut out = Vec::new();
                let found = accessor.get_in(&record);
                found.iter().for_each(|found| found.write(&mut out));
                assert_eq!(found.is_some().then_some(&*out), value, "{path}");
                // Once more with everything opened.
                record.dig_mut(Accessor::parse("$.a.b[1]").unwrap().parts());
            }
        }
    }

    fn edited(edit: impl Fn(&mut Record<'_>)) -> Vec<u8> {
        let arena = Bump::new();
        let mut record = Record::decode(RECORD, &arena).unwrap();
        edit(&mut record);
        let mut out = Vec::new();
        record.encode(&mut out);
        out
    }

    #[test]
    fn deletes() {
        let delete = |path: &str| edited(|record| drop(Accessor::parse(path).unwrap().delete(record)));
        assert_eq!(delete("$.a.b"), b"\x82\xa1a\x81\x07\xa1x\xa1s\xa4text");
        assert_eq!(delete("$.a.b[0]"), b"\x82\xa1a\x82\xa1b\x91\x81\xa1c\x02\x07\xa1x\xa1s\xa4text");
        assert_eq!(delete("$.a[7]"), b"\x82\xa1a\x81\xa1b\x92\x01\x81\xa1c\x02\xa1s\xa4text");
        assert_eq!(delete("s"), b"\x81\xa1a\x82\xa1b\x92\x01\x81\xa1c\x02\x07\xa1x");
        for path in ["$.a.x", "$.x.y", "$.s.t", "$.a.b[9]", "$.a.b.c", "$[1]"] {
            assert_eq!(delete(path), RECORD, "{path}");
        }
    }

    #[test]
    fn sets_without_making_parents() {
        let set = |path: &str| edited(|record| Accessor::parse(path).unwrap().set(record, Value::Bool(true)));
        assert_eq!(set("$.a.b"), b"\x82\xa1a\x82\xa1b\xc3\x07\xa1x\xa1s\xa4text");
        assert_eq!(set("$.a.b[-1].c"), b"\x82\xa1a\x82\xa1b\x92\x01\x81\xa1c\xc3\x07\xa1x\xa1s\xa4text");
        assert_eq!(set("$.a[7]"), b"\x82\xa1a\x82\xa1b\x92\x01\x81\xa1c\x02\x07\xc3\xa1s\xa4text");
        assert_eq!(set("$.a.b[3]"), b"\x82\xa1a\x82\xa1b\x94\x01\x81\xa1c\x02\xc0\xc3\x07\xa1x\xa1s\xa4text");
        assert_eq!(set("n"), b"\x83\xa1a\x82\xa1b\x92\x01\x81\xa1c\x02\x07\xa1x\xa1s\xa4text\xa1n\xc3");
        for path in ["$.x.y", "$.s.t", "$.a.b[-9]", "$.a.b[999999999999]", "$.a.b.c"] {
            assert_eq!(set(path), RECORD, "{path}");
        }
    }
}
