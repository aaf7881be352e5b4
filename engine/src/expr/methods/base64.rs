//! Base64.

use super::{Method, method};
use crate::expr::value::{Str, Value};

/// The module's functions.
pub(super) const MODULE: &[Method] = &[
    method("encode64", 1, 1, |vm, _, args| {
        let text = lines(vm.text(args.at(0))?, 60);
        vm.new_string(text.as_bytes())
    }),
    method("strict_encode64", 1, 1, |vm, _, args| {
        let text = encoded(vm.text(args.at(0))?, false);
        vm.new_string(text.as_bytes())
    }),
    method("urlsafe_encode64", 1, 2, |vm, _, args| {
        let padding = args.option("padding").is_none_or(Value::truthy);
        let text = encoded(vm.text(args.at(0))?, true);
        let text = if padding { text.as_str() } else { text.trim_end_matches('=') };
        vm.new_string(text.as_bytes())
    }),
    method("decode64", 1, 1, |vm, _, args| {
        let bytes = vm.text(args.at(0))?;
        let bytes = vm.copy(&decoded(bytes))?;
        Ok(Value::Str(vm.arena().alloc(Str::binary(bytes))))
    }),
    method("strict_decode64", 1, 1, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let bytes = decoded(text);
        if encoded(&bytes, false).as_bytes() != text {
            return Err(vm.argument_error("invalid base64"));
        }
        let bytes = vm.copy(&bytes)?;
        Ok(Value::Str(vm.arena().alloc(Str::binary(bytes))))
    }),
    method("urlsafe_decode64", 1, 1, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let bytes = decoded(text);
        let expected = encoded(&bytes, true);
        let trimmed = |text: &[u8]| text.iter().copied().filter(|byte| *byte != b'=').collect::<Vec<_>>();
        if trimmed(expected.as_bytes()) != trimmed(text) {
            return Err(vm.argument_error("invalid base64"));
        }
        let bytes = vm.copy(&bytes)?;
        Ok(Value::Str(vm.arena().alloc(Str::binary(bytes))))
    }),
];

/// The alphabet of RFC 4648, or its URL-safe form.
pub(super) fn encoded(bytes: &[u8], url_safe: bool) -> String {
    let alphabet: &[u8; 64] = match url_safe {
        true => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        false => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    };
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = alphabet[(word >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// In lines of so many letters, each with its line end.
pub(super) fn lines(bytes: &[u8], width: usize) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(width / 4 * 3) {
        out.push_str(&encoded(chunk, false));
        out.push('\n');
    }
    out
}

/// The bytes of either alphabet; letters of neither are skipped, and `=` ends the text.
pub(super) fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    out
}
