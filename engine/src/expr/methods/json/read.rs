//! JSON text as values.

use crate::expr::run::{Eval, Unwind, Vm};
use crate::expr::value::{Array, ClassId, Hash, Value};
use bumpalo::collections::Vec as ArenaVec;
use num_bigint::BigInt;

/// As Ruby's `max_nesting`.
const DEPTH_MAX: usize = 100;

/// The value of a whole text.
pub(super) fn read<'a>(vm: &mut Vm<'_, 'a>, text: &'a [u8], symbols: bool) -> Eval<'a> {
    let mut reader = Reader { text, at: 0, symbols };
    reader.blanks();
    if reader.at == text.len() {
        return Err(reader.unexpected(vm));
    }
    let value = reader.value(vm, 0)?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.unexpected(vm));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    symbols: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips white space and comments.
    fn blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            self.at += match rest {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
                [b'/', b'*', ..] => memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2),
                [b'/', b'/', ..] => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
                _ => return,
            };
        }
    }

    fn unexpected(&self, vm: &Vm<'_, 'a>) -> Unwind<'a> {
        let rest = String::from_utf8_lossy(&self.text[self.at..]);
        let shown: String = rest.chars().take(64).collect();
        vm.raise(ClassId::JsonParserError, format!("unexpected token at '{shown}'"))
    }

    fn value(&mut self, vm: &mut Vm<'_, 'a>, depth: usize) -> Eval<'a> {
        vm.step(1)?;
        if depth > DEPTH_MAX {
            return Err(vm.raise(ClassId::JsonParserError, format!("nesting of {depth} is too deep")));
        }
        match self.peek() {
            Some(b'{') => self.object(vm, depth),
            Some(b'[') => self.array(vm, depth),
            Some(b'"') => {
                let text = self.string(vm)?;
                Ok(vm.string(text))
            }
            Some(b'-' | b'0'..=b'9') => self.number(vm),
            _ => {
                for (word, value) in
                    [("null", Value::Nil), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
                {
                    if self.text[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.unexpected(vm))
            }
        }
    }

    fn object(&mut self, vm: &mut Vm<'_, 'a>, depth: usize) -> Eval<'a> {
        let hash: &'a Hash<'a> = vm.arena().alloc(Hash::new(vm.arena()));
        let start = self.at;
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Hash(hash));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                self.at = start;
                return Err(self.unexpected(vm));
            }
            let key = self.string(vm)?;
            let key = if self.symbols { Value::Symbol(key) } else { vm.string(key) };
            self.blanks();
            if self.peek() != Some(b':') {
                self.at = start;
                return Err(self.unexpected(vm));
            }
            self.at += 1;
            self.blanks();
            let value = self.value(vm, depth + 1)?;
            vm.charge(std::mem::size_of::<(Value<'_>, Value<'_>)>())?;
            hash.set(vm.arena(), key, value);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Hash(hash));
                }
                _ => {
                    self.at = start;
                    return Err(self.unexpected(vm));
                }
            }
        }
    }

    fn array(&mut self, vm: &mut Vm<'_, 'a>, depth: usize) -> Eval<'a> {
        let mut list = ArenaVec::new_in(vm.arena());
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(vm.arena().alloc(Array::new(list))));
        }
        loop {
            self.blanks();
            let value = self.value(vm, depth + 1)?;
            vm.charge(std::mem::size_of::<Value<'_>>())?;
            list.push(value);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(vm.arena().alloc(Array::new(list))));
                }
                _ => return Err(self.unexpected(vm)),
            }
        }
    }

    fn number(&mut self, vm: &mut Vm<'_, 'a>) -> Eval<'a> {
        let rest = &self.text[self.at..];
        let digits =
            |from: usize| from + rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let sign = usize::from(rest[0] == b'-');
        let mut end = digits(sign);
        let leading_zero = rest.get(sign) == Some(&b'0') && end > sign + 1;
        if end == sign || leading_zero {
            return Err(self.unexpected(vm));
        }
        let mut float = false;
        if rest.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
            float = true;
            end = digits(end + 1);
        }
        if matches!(rest.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(end + 1), Some(b'-' | b'+')));
            if digits(end + 1 + sign) > end + 1 + sign {
                float = true;
                end = digits(end + 1 + sign);
            }
        }
        let text = String::from_utf8_lossy(&rest[..end]);
        self.at += end;
        if float {
            return Ok(Value::Float(text.parse().unwrap_or(f64::NAN)));
        }
        match text.parse::<i64>() {
            Ok(value) => Ok(Value::Int(value)),
            Err(_) => {
                vm.step(text.len() * text.len() / 4096)?;
                let value: BigInt = text.parse().unwrap_or_default();
                super::super::arith::check_bits(vm, value.bits())?;
                Ok(Value::big(vm.arena(), &value))
            }
        }
    }

    /// The text of a string; one without escapes is a slice of the input.
    fn string(&mut self, vm: &mut Vm<'_, 'a>) -> Eval<'a, &'a [u8]> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
            return Err(self.unexpected(vm));
        };
        if rest[plain] == b'"' {
            self.at = start + plain + 2;
            return Ok(&rest[..plain]);
        }
        let mut out = Vec::with_capacity(plain + 16);
        let mut left = rest;
        loop {
            match left {
                [b'"', ..] => break,
                [b'\\', b'u', behind @ ..] => left = unicode(behind, &mut out),
                [b'\\', c, behind @ ..] => {
                    out.push(match c {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'b' => 0x08,
                        b'f' => 0x0c,
                        other => *other,
                    });
                    left = behind;
                }
                [0..=0x1f, ..] | [] | [b'\\'] => return Err(self.unexpected(vm)),
                [byte, behind @ ..] => {
                    out.push(*byte);
                    left = behind;
                }
            }
        }
        self.at = self.text.len() - left.len() + 1;
        vm.copy(&out)
    }
}

/// Reads the digits behind `\u`, and the second half of a pair.
fn unicode<'t>(text: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let four = |text: &[u8]| {
        let digits = text.get(..4).and_then(|digits| std::str::from_utf8(digits).ok())?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(high) = four(text) else {
        out.push(b'u');
        return text;
    };
    let mut rest = &text[4..];
    let mut code = high;
    if (0xd800..0xdc00).contains(&high)
        && let Some(low) = rest.strip_prefix(b"\\u").and_then(four)
        && (0xdc00..0xe000).contains(&low)
    {
        code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        rest = &rest[6..];
    }
    let c = char::from_u32(code).unwrap_or('\u{fffd}');
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}
