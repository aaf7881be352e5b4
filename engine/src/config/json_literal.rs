//! Values that are JSON: `[...]` and `{...}`, over several lines, with comments, written back without blanks.
//!
//! This is JSON as Ruby's parser has it (2.6, which Fluentd 1.16 runs on): `//` and `/* */` comments are blanks, an
//! escape that does not exist stands for its character, nesting ends at 100. Fluentd adds comments that begin with
//! `#`: on the outermost level, behind the opening bracket, an element or a comma.

use super::cursor::Cursor;
use super::embedded::code_end;
use super::{Diagnostics, Evaluate, Evaluated, RawValue};
use std::fmt::Write;
use std::ops::Range;

/// Scans the JSON that the cursor is at. What follows it on the line is not looked at. `#{...}` in its strings is evaluated
/// where [`Evaluate::in_json`] says so, as Fluentd does from 1.18 on.
pub(super) fn scan(cursor: &mut Cursor, evaluate: &dyn Evaluate, diagnostics: &mut Diagnostics) -> RawValue {
    let start = cursor.at();
    let is_array = cursor.rest().starts_with('[');
    let evaluate = evaluate.in_json().then_some(evaluate);
    let mut reader =
        Reader { text: cursor.text(), at: start, depth: 0, evaluate, instead: None, refused: None };
    match (reader.value(), reader.refused.take()) {
        (Ok(json), None) => {
            let (end, instead) = (reader.at, reader.instead.take());
            cursor.move_to(end);
            instead.unwrap_or_else(|| {
                let mut text = String::new();
                json.write(&mut text);
                RawValue::Text(text)
            })
        }
        (Ok(_), Some((message, range))) => {
            let end = reader.at;
            diagnostics.push(cursor.error(message, range));
            cursor.move_to(end);
            RawValue::Invalid
        }
        (Err(problem), _) => {
            let found = reader.at.min(cursor.text().len());
            let kind = if is_array { "array" } else { "hash" };
            let message = format!("got incomplete JSON {kind} configuration");
            let width = cursor.text()[found..].chars().next().map_or(0, char::len_utf8);
            let resume = resume(cursor.text(), start, found);
            let error =
                cursor.error_at(message, cursor.text().len(), found..found + width).label(problem).help(
                    "a value that begins with [ or { is JSON; put it in single quotes if it is not meant so",
                );
            diagnostics.push(error);
            cursor.move_to(resume);
            RawValue::Invalid
        }
    }
}

/// Where to go on after JSON that cannot be read: behind its last bracket if they can be matched before a tag, else at
/// the end of the line.
fn resume(text: &str, start: usize, found: usize) -> usize {
    let mut depth = 0usize;
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        if at > start && line.trim_start().starts_with('<') {
            break;
        }
        for (index, byte) in line.bytes().enumerate() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => continue,
            }
            if depth == 0 && at + index >= found {
                let end = at + index + 1;
                return end + text[end..].find(['\r', '\n']).unwrap_or(text.len() - end);
            }
        }
        at += line.len();
    }
    start + text[start..].find(['\r', '\n']).unwrap_or(text.len() - start)
}

/// JSON whose scalars are kept as they are written back.
enum Json {
    Scalar(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn write(&self, out: &mut String) {
        match self {
            Self::Scalar(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// As Ruby's JSON.dump: only what must be escaped is.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0c' => out.push_str("\\f"),
            '\x08' => out.push_str("\\b"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Evaluates expressions in strings, if they are.
    evaluate: Option<&'a dyn Evaluate>,
    /// What an expression says that the whole value is: nil, or the default.
    instead: Option<RawValue>,
    /// An expression that cannot be evaluated: why, and where it stands.
    refused: Option<(String, Range<usize>)>,
}

type Problem = &'static str;

impl Reader<'_> {
    fn value(&mut self) -> Result<Json, Problem> {
        match self.byte() {
            Some(b'[') => self.array(),
            Some(b'{') => self.object(),
            Some(b'"') => self.string().map(|text| {
                let mut out = String::new();
                write_string(&text, &mut out);
                Json::Scalar(out)
            }),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => ["true", "false", "null"]
                .into_iter()
                .find(|word| self.eat(word))
                .map(|word| Json::Scalar(word.to_owned()))
                .ok_or("expected a JSON value"),
            None => Err("the file ends within the JSON"),
        }
    }

    fn array(&mut self) -> Result<Json, Problem> {
        self.open()?;
        let mut items = Vec::new();
        self.blanks(true)?;
        if self.eat("]") {
            self.depth -= 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.next_or_close("]", "expected , or ]")? {
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self) -> Result<Json, Problem> {
        self.open()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        self.blanks(true)?;
        if self.eat("}") {
            self.depth -= 1;
            return Ok(Json::Object(members));
        }
        loop {
            if self.byte() != Some(b'"') {
                return Err("expected a key in double quotes");
            }
            let key = self.string()?;
            self.blanks(false)?;
            if !self.eat(":") {
                return Err("expected :");
            }
            self.blanks(false)?;
            let value = self.value()?;
            // The last of two equal keys wins, at the place of the first, as in Ruby's Hash.
            match places.get(&key) {
                Some(place) => members[*place] = (key, value),
                None => {
                    places.insert(key.clone(), members.len());
                    members.push((key, value));
                }
            }
            if self.next_or_close("}", "expected , or }")? {
                return Ok(Json::Object(members));
            }
        }
    }

    fn open(&mut self) -> Result<(), Problem> {
        if self.depth == DEPTH_MAX {
            return Err("nested too deeply");
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Behind an element: goes to the next one, or over `close`. True if it was closed.
    fn next_or_close(&mut self, close: &str, problem: Problem) -> Result<bool, Problem> {
        self.blanks(true)?;
        if self.eat(close) {
            self.depth -= 1;
            return Ok(true);
        }
        if !self.eat(",") {
            return Err(problem);
        }
        // Behind a comma, Fluentd takes a # for a comment only on the comma's own line.
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.depth == 1 && self.byte() == Some(b'#') {
            self.skip_line();
        }
        self.blanks(false)?;
        Ok(false)
    }

    /// Goes over blanks and comments; over those that begin with `#` only if `hash` and on the outermost level.
    fn blanks(&mut self, hash: bool) -> Result<(), Problem> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'#') if hash && self.depth == 1 => self.skip_line(),
                Some(b'/') if self.rest().starts_with("//") => self.skip_line(),
                Some(b'/') if self.rest().starts_with("/*") => {
                    let end = self.rest()[2..].find("*/").ok_or("this comment never ends")?;
                    self.at += end + 4;
                }
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn string(&mut self) -> Result<String, Problem> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let c = self.rest().chars().next().ok_or("the file ends within this string")?;
            if c < ' ' {
                return Err("a string may not go over the end of a line");
            }
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => self.escape(&mut out)?,
                '#' if self.rest().starts_with('{') => self.expression(&mut out),
                c => out.push(c),
            }
        }
    }

    /// Behind a `#`, at a `{`.
    fn expression(&mut self, out: &mut String) {
        let Some((evaluate, end)) = self.evaluate.zip(code_end(self.text, self.at + 1)) else {
            return out.push('#');
        };
        let (start, code) = (self.at - 1, &self.text[self.at + 1..end]);
        self.at = end + 1;
        match evaluate.evaluate(code) {
            Ok(Evaluated::Text(text)) => out.push_str(&text),
            Ok(Evaluated::Nil) => {}
            Ok(Evaluated::UseNil) => self.instead = Some(RawValue::Nil),
            Ok(Evaluated::UseDefault) => self.instead = Some(RawValue::Default),
            Err(reason) => {
                let message = format!("cannot evaluate embedded code \"#{{{}}}\": {reason}", code.trim());
                self.refused.get_or_insert((message, start..end + 1));
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Problem> {
        let c = self.rest().chars().next().ok_or("the file ends within this string")?;
        if c < ' ' {
            return Err("a string may not go over the end of a line");
        }
        self.at += c.len_utf8();
        out.push(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\x0c',
            'b' => '\x08',
            'u' => self.unicode()?,
            c => c,
        });
        Ok(())
    }

    fn unicode(&mut self) -> Result<char, Problem> {
        let high = self.hex4().ok_or("expected four hex digits")?;
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            if let Some(low @ 0xdc00..0xe000) = self.hex4() {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(value)
    }

    fn number(&mut self) -> Result<Json, Problem> {
        let start = self.at;
        self.eat("-");
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.text.as_bytes().get(self.at - whole) == Some(&b'0')) {
            self.at = start;
            return Err("expected a JSON number");
        }
        let mut is_float = false;
        let back = self.at;
        if self.eat(".") {
            if self.digits() == 0 {
                self.at = back;
                return Err("expected digits on both sides of the point");
            }
            is_float = true;
        }
        if self.eat("e") || self.eat("E") {
            if !self.eat("+") {
                self.eat("-");
            }
            if self.digits() == 0 {
                return Err("expected an exponent");
            }
            is_float = true;
        }
        let text = &self.text[start..self.at];
        Ok(Json::Scalar(match text {
            "-0" => "0".to_owned(),
            _ if is_float => ruby_float(text.parse().unwrap_or(0.0)).ok_or("too large a number")?,
            _ => text.to_owned(),
        }))
    }

    fn digits(&mut self) -> usize {
        let count = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at += count;
        count
    }

    fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// A float as Ruby's `Float#to_s`. `None` if it is not finite, which JSON cannot say.
pub(super) fn ruby_float(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e')?;
        let point = if digits.contains('.') { "" } else { ".0" };
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return Some(format!("{digits}{point}e{sign}{exponent:0>2}"));
    }
    Some(format!("{value:?}"))
}

/// Ruby's `max_nesting`.
const DEPTH_MAX: usize = 100;

#[cfg(test)]
mod tests;
