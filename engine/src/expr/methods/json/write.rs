//! Values as JSON text, as Ruby's json library writes them.

use crate::expr::run::{Eval, Vm};
use crate::expr::value::{ClassId, Value, float_text, to_s};

/// As Ruby's `max_nesting`.
const DEPTH_MAX: usize = 100;

/// Appends `value`. `indent` is the level of indentation of pretty text.
pub(super) fn write<'a>(
    vm: &mut Vm<'_, 'a>,
    value: Value<'a>,
    indent: Option<usize>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Eval<'a, ()> {
    vm.step(1)?;
    vm.check_size(out.len())?;
    match value {
        Value::Nil | Value::Unset => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Float(number) if !number.is_finite() => {
            let message = format!("{} not allowed in JSON", float_text(number));
            return Err(vm.raise(ClassId::JsonGeneratorError, message));
        }
        Value::Int(_) | Value::Big(_) | Value::Float(_) => {
            let text = to_s(vm, value)?;
            out.extend_from_slice(text);
        }
        Value::Str(text) => write_text(vm, text.bytes(), out)?,
        Value::Array(list) => {
            check_depth(vm, depth)?;
            let items = list.to_vec();
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                separate(at, indent, out);
                write(vm, *item, indent.map(|level| level + 1), depth + 1, out)?;
            }
            close(items.len(), indent, b']', out);
        }
        Value::Hash(hash) => {
            check_depth(vm, depth)?;
            let pairs = hash.to_vec();
            out.push(b'{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                separate(at, indent, out);
                let key = to_s(vm, *key)?;
                write_text(vm, key, out)?;
                out.extend_from_slice(if indent.is_some() { b": " } else { b":" });
                write(vm, *value, indent.map(|level| level + 1), depth + 1, out)?;
            }
            close(pairs.len(), indent, b'}', out);
        }
        other => {
            let text = to_s(vm, other)?;
            write_text(vm, text, out)?;
        }
    }
    Ok(())
}

fn check_depth<'a>(vm: &Vm<'_, 'a>, depth: usize) -> Eval<'a, ()> {
    if depth >= DEPTH_MAX {
        return Err(vm.raise(ClassId::JsonGeneratorError, format!("nesting of {} is too deep", depth + 1)));
    }
    Ok(())
}

fn separate(at: usize, indent: Option<usize>, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
    if let Some(level) = indent {
        out.push(b'\n');
        out.resize(out.len() + (level + 1) * 2, b' ');
    }
}

fn close(count: usize, indent: Option<usize>, bracket: u8, out: &mut Vec<u8>) {
    if let Some(level) = indent {
        // An empty list has the line end of its brackets and that of its elements.
        if count == 0 && bracket == b']' {
            out.push(b'\n');
        }
        out.push(b'\n');
        out.resize(out.len() + level * 2, b' ');
    }
    out.push(bracket);
}

fn write_text<'a>(vm: &Vm<'_, 'a>, text: &[u8], out: &mut Vec<u8>) -> Eval<'a, ()> {
    if let Err(error) = std::str::from_utf8(text) {
        // Ruby goes by how long the first byte says that the character is.
        let rest = &text[error.valid_up_to()..];
        let claimed = match rest.first() {
            Some(0xf0..) => 4,
            Some(0xe0..) => 3,
            Some(0xc0..) => 2,
            _ => 1,
        };
        let partial = rest.len() < claimed;
        let message = match partial {
            true => "partial character in source, but hit end",
            false => "source sequence is illegal/malformed utf-8",
        };
        return Err(vm.raise(ClassId::JsonGeneratorError, message));
    }
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x08 => out.extend_from_slice(b"\\b"),
            byte if *byte < 0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
    Ok(())
}
