//! Values from the wire in log lines, as Ruby's `inspect` shows them, cut short.

use logweir_engine::msgpack::{Reader, Time, ValueRef};
use logweir_engine::telemetry::inspect;
use std::fmt::Write;

/// A log line shows at most about this much of a value.
const CHARS_MAX: usize = 256;
/// Containers within containers beyond this are shown as `...`.
const DEPTH_MAX: usize = 4;

/// The text of a raw value.
pub(super) fn preview(raw: &[u8]) -> String {
    let mut out = String::new();
    if show(raw, DEPTH_MAX, &mut out).is_none() {
        out.push_str("...");
    }
    out
}

/// Appends the value; `None` when there is too much of it or it is no value.
fn show(raw: &[u8], depth: usize, out: &mut String) -> Option<()> {
    if out.len() > CHARS_MAX {
        return None;
    }
    match ValueRef::read(raw).ok()? {
        ValueRef::Nil => out.push_str("nil"),
        ValueRef::Bool(value) => write!(out, "{value}").ok()?,
        ValueRef::Int(value) => write!(out, "{value}").ok()?,
        ValueRef::UInt(value) => write!(out, "{value}").ok()?,
        ValueRef::F32(value) => write!(out, "{value:?}").ok()?,
        ValueRef::F64(value) => write!(out, "{value:?}").ok()?,
        ValueRef::Str(text) | ValueRef::Bin(text) => {
            let cut = &text[..text.len().min(CHARS_MAX)];
            out.push_str(&inspect(&String::from_utf8_lossy(cut)));
            if cut.len() < text.len() {
                return None;
            }
        }
        ValueRef::Ext(kind, payload) => match Time::read(raw) {
            Time::Event(time) => write!(out, "{}.{:09}", time.sec, time.nsec).ok()?,
            _ => write!(out, "#<extension type {kind}, {} bytes>", payload.len()).ok()?,
        },
        ValueRef::Array(_) if depth == 0 => return None,
        ValueRef::Map(_) if depth == 0 => return None,
        ValueRef::Array(_) => {
            let mut reader = Reader::new(raw);
            out.push('[');
            for index in 0..reader.read_array_len().ok()? {
                if index > 0 {
                    out.push_str(", ");
                }
                show(next(raw, &mut reader)?, depth - 1, out)?;
            }
            out.push(']');
        }
        ValueRef::Map(_) => {
            let mut reader = Reader::new(raw);
            out.push('{');
            for index in 0..reader.read_map_len().ok()? {
                if index > 0 {
                    out.push_str(", ");
                }
                show(next(raw, &mut reader)?, depth - 1, out)?;
                out.push_str("=>");
                show(next(raw, &mut reader)?, depth - 1, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

fn next<'a>(raw: &'a [u8], reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let start = reader.position();
    reader.skip().ok()?;
    raw.get(start..reader.position())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_ruby_shows_them() {
        assert_eq!(preview(&[0x81, 0xa1, b'a', 0x93, 0x01, 0xc0, 0xc3]), r#"{"a"=>[1, nil, true]}"#);
        assert_eq!(preview(&[0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2]), "1.000000002");
        assert_eq!(preview(&[0xca, 0x3f, 0xc0, 0, 0]), "1.5");
        assert_eq!(preview(&[]), "...");
    }

    #[test]
    fn long_and_deep_values_are_cut() {
        let mut long = vec![0xdb, 0, 0, 0x10, 0];
        long.resize(5 + 0x1000, b'x');
        assert_eq!(preview(&long).len(), 256 + 2 + 3);
        assert_eq!(preview(&[0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x01]), "[[[[...");
        let many = [&[0xdc, 0x10, 0x00][..], &[0x01; 0x1000]].concat();
        assert!(preview(&many).len() < 300);
    }
}
