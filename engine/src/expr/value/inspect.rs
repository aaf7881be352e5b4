//! `to_s` and `inspect`.

use super::{Value, chars, display_regexp, float_text};
use crate::expr::run::{Eval, Vm};

/// How deep arrays and hashes are written; Ruby writes `[...]` where an object contains itself.
const DEPTH_MAX: usize = 100;

/// The text of a value: what interpolation puts in.
pub(crate) fn to_s<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a [u8]> {
    match value {
        Value::Str(text) => Ok(text.bytes()),
        Value::Symbol(name) => Ok(name),
        Value::Unset | Value::Nil => Ok(b""),
        Value::Bool(true) => Ok(b"true"),
        Value::Bool(false) => Ok(b"false"),
        Value::Class(class) => Ok(class.name().as_bytes()),
        Value::Int(number) => {
            let mut digits = [0; 20];
            let used = write_int(number, &mut digits);
            vm.copy(used)
        }
        _ => {
            let mut out = Vec::new();
            write_text(vm, value, &mut out)?;
            vm.copy(&out)
        }
    }
}

fn write_text<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, out: &mut Vec<u8>) -> Eval<'a, ()> {
    match value {
        Value::Float(number) => out.extend_from_slice(float_text(number).as_bytes()),
        Value::Big(number) => out.extend_from_slice(number.to_int().to_string().as_bytes()),
        Value::Regexp(id) => out.extend_from_slice(display_regexp(&vm.regexp(id)).as_bytes()),
        Value::Match(found) => out.extend_from_slice(found.group(0).unwrap_or_default()),
        Value::Time(time) => out.extend_from_slice(crate::expr::methods::time_text(time).as_bytes()),
        Value::Date(date) => out.extend_from_slice(crate::expr::methods::date_text(date).as_bytes()),
        Value::Exception(exception) => out.extend_from_slice(exception.message),
        Value::Env => out.extend_from_slice(b"ENV"),
        Value::Main => out.extend_from_slice(b"main"),
        Value::Range(range) => {
            let low = to_s(vm, range.low)?;
            out.extend_from_slice(low);
            out.extend_from_slice(if range.exclusive { b"..." } else { b".." });
            let high = to_s(vm, range.high)?;
            out.extend_from_slice(high);
        }
        Value::Ext(0, payload) if payload.len() == 8 => {
            let sec = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
            out.extend_from_slice(sec.to_string().as_bytes());
        }
        Value::Ip(ip) => out.extend_from_slice(ip.address.to_string().as_bytes()),
        Value::Uri(uri) => out.extend_from_slice(uri.text),
        _ => inspect(vm, value, out)?,
    }
    Ok(())
}

/// Appends what `inspect` answers.
pub(crate) fn inspect<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, out: &mut Vec<u8>) -> Eval<'a, ()> {
    inspect_deep(vm, value, out, 0)
}

fn inspect_deep<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, out: &mut Vec<u8>, depth: usize) -> Eval<'a, ()> {
    vm.step(1)?;
    vm.check_size(out.len())?;
    match value {
        Value::Nil | Value::Unset => out.extend_from_slice(b"nil"),
        Value::Str(text) => inspect_bytes(text.bytes(), text.binary.get(), out),
        Value::Symbol(name) => inspect_symbol(name, out),
        Value::Array(list) => {
            if depth >= DEPTH_MAX {
                out.extend_from_slice(b"[...]");
                return Ok(());
            }
            out.push(b'[');
            for (at, item) in list.to_vec().into_iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                inspect_deep(vm, item, out, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Hash(hash) => {
            if depth >= DEPTH_MAX {
                out.extend_from_slice(b"{...}");
                return Ok(());
            }
            out.push(b'{');
            for (at, (key, value)) in hash.to_vec().into_iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                inspect_deep(vm, key, out, depth + 1)?;
                out.extend_from_slice(b"=>");
                inspect_deep(vm, value, out, depth + 1)?;
            }
            out.push(b'}');
        }
        Value::Range(range) => {
            if !range.low.is_nil() {
                inspect_deep(vm, range.low, out, depth + 1)?;
            }
            out.extend_from_slice(if range.exclusive { b"..." } else { b".." });
            if !range.high.is_nil() {
                inspect_deep(vm, range.high, out, depth + 1)?;
            }
        }
        Value::Regexp(id) => out.extend_from_slice(vm.regexp(id).to_string().as_bytes()),
        Value::Match(_) => inspect_match(vm, value, out),
        Value::Exception(exception) => {
            let name = exception.class.name();
            if exception.message.is_empty() {
                out.extend_from_slice(name.as_bytes());
            } else {
                out.extend_from_slice(format!("#<{name}: ").as_bytes());
                out.extend_from_slice(exception.message);
                out.push(b'>');
            }
        }
        Value::Time(time) => out.extend_from_slice(crate::expr::methods::time_inspect(time).as_bytes()),
        Value::Date(date) => out.extend_from_slice(crate::expr::methods::date_inspect(date).as_bytes()),
        Value::Ip(ip) => out.extend_from_slice(crate::expr::methods::ip_inspect(ip).as_bytes()),
        Value::Uri(uri) => {
            let class = match uri.scheme {
                Some(b"http") => "HTTP",
                Some(b"https") => "HTTPS",
                _ => "Generic",
            };
            out.extend_from_slice(format!("#<URI::{class} ").as_bytes());
            out.extend_from_slice(uri.text);
            out.push(b'>');
        }
        Value::Enumerator(enumerator) => {
            out.extend_from_slice(b"#<Enumerator: ");
            inspect_deep(vm, enumerator.receiver, out, depth + 1)?;
            out.push(b':');
            out.extend_from_slice(enumerator.method.name.as_bytes());
            out.push(b'>');
        }
        Value::Proc(proc) => {
            out.extend_from_slice(if proc.lambda { b"#<Proc (lambda)>" } else { b"#<Proc>" })
        }
        Value::Ext(0, payload) => {
            out.extend_from_slice(b"#<Fluent::EventTime ");
            write_text(vm, Value::Ext(0, payload), out)?;
            out.push(b'>');
        }
        Value::Ext(..) | Value::Address(_) | Value::Interface(_) | Value::File(_) => {
            out.extend_from_slice(format!("#<{}>", value.class().name()).as_bytes());
        }
        Value::Env => out.extend_from_slice(b"ENV"),
        other => {
            let text = to_s(vm, other)?;
            out.extend_from_slice(text);
        }
    }
    Ok(())
}

fn inspect_match<'a>(vm: &Vm<'_, 'a>, value: Value<'a>, out: &mut Vec<u8>) {
    let Value::Match(found) = value else { return };
    let regexp = vm.regexp(found.regexp);
    out.extend_from_slice(b"#<MatchData ");
    inspect_bytes(found.group(0).unwrap_or_default(), false, out);
    for group in 1..found.spans.len() {
        let name = regexp.names().iter().find(|name| name.groups().contains(&group));
        match name {
            Some(name) => out.extend_from_slice(format!(" {}:", name.name()).as_bytes()),
            None => out.extend_from_slice(format!(" {group}:").as_bytes()),
        }
        match found.group(group) {
            Some(text) => inspect_bytes(text, false, out),
            None => out.extend_from_slice(b"nil"),
        }
    }
    out.push(b'>');
}

/// A string as a literal in double quotes.
pub(crate) fn inspect_bytes(bytes: &[u8], binary: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    for c in chars(bytes, binary) {
        rest = &rest[c.len()..];
        match c {
            b"\"" => out.extend_from_slice(b"\\\""),
            b"\\" => out.extend_from_slice(b"\\\\"),
            b"\n" => out.extend_from_slice(b"\\n"),
            b"\r" => out.extend_from_slice(b"\\r"),
            b"\t" => out.extend_from_slice(b"\\t"),
            b"\x0c" => out.extend_from_slice(b"\\f"),
            b"\x0b" => out.extend_from_slice(b"\\v"),
            b"\x08" => out.extend_from_slice(b"\\b"),
            b"\x07" => out.extend_from_slice(b"\\a"),
            b"\x1b" => out.extend_from_slice(b"\\e"),
            b"#" if matches!(rest.first(), Some(b'{' | b'$' | b'@')) => out.extend_from_slice(b"\\#"),
            [byte] if *byte >= 0x80 || (binary && !(0x20..0x7f).contains(byte)) => {
                out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
            }
            c => match std::str::from_utf8(c).ok().and_then(|text| text.chars().next()) {
                Some(c) if !is_printable(c) => {
                    let code = c as u32;
                    let text =
                        if code > 0xffff { format!("\\u{{{code:X}}}") } else { format!("\\u{code:04X}") };
                    out.extend_from_slice(text.as_bytes());
                }
                _ => out.extend_from_slice(c),
            },
        }
    }
    out.push(b'"');
}

/// Whether Ruby shows a character as it is. Unassigned code points are not told apart.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{fff8}')
        && !matches!(c as u32 & 0xffff, 0xfffe | 0xffff)
}

fn inspect_symbol(name: &[u8], out: &mut Vec<u8>) {
    out.push(b':');
    if is_plain_symbol(name) {
        out.extend_from_slice(name);
    } else {
        inspect_bytes(name, false, out);
    }
}

fn is_plain_symbol(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return false };
    if matches!(
        text,
        "+" | "-"
            | "*"
            | "/"
            | "%"
            | "**"
            | "=="
            | "!="
            | "==="
            | "=~"
            | "!~"
            | "<"
            | "<="
            | ">"
            | ">="
            | "<=>"
            | "<<"
            | ">>"
            | "!"
            | "~"
            | "&"
            | "|"
            | "^"
            | "[]"
            | "[]="
            | "+@"
            | "-@"
    ) {
        return true;
    }
    let body = text.strip_suffix(['?', '!', '=']).unwrap_or(text);
    let body = body.strip_prefix("@@").or_else(|| body.strip_prefix(['@', '$'])).unwrap_or(body);
    let mut chars = body.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
}

/// The decimal digits of an integer.
pub(crate) fn write_int(value: i64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

/// The value as an error message shows it: `nil:NilClass`, `"x":String`.
pub(crate) fn receiver_text<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> String {
    /// More of a record in a log line helps nobody.
    const SHOWN_MAX: usize = 1024;
    let class = value.class().name();
    match value {
        Value::Main => return "main:Object".to_owned(),
        Value::Class(class) if class.is_module() => return format!("{}:Module", class.name()),
        Value::Proc(_) | Value::Address(_) | Value::File(_) => return format!("#<{class}>"),
        _ => {}
    }
    let mut text = Vec::new();
    if inspect(vm, value, &mut text).is_err() || text.len() > SHOWN_MAX {
        return format!("#<{class}>");
    }
    format!("{}:{class}", String::from_utf8_lossy(&text))
}

/// The words for a value in a failed conversion: `nil`, `true`, or the name of its class.
pub(crate) fn kind_text(value: Value<'_>) -> &'static str {
    match value {
        Value::Nil | Value::Unset => "nil",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        other => other.class().name(),
    }
}
