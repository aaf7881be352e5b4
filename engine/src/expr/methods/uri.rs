//! URI and CGI: taking addresses apart, escaping and unescaping.

use super::list::items;
use super::{ClassId, Method, method};
use crate::expr::run::{Eval, Vm};
use crate::expr::value::{Hash, Uri, Value, to_s};

/// URI.
pub(super) const MODULE: &[Method] = &[
    method("parse", 1, 1, |vm, _, args| parse(vm, args.at(0))),
    method("encode_www_form_component", 1, 2, |vm, _, args| {
        let text = to_s(vm, args.at(0))?;
        let text = escaped(text, b"*-._", true);
        vm.new_string(&text)
    }),
    method("decode_www_form_component", 1, 2, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let bytes = unescaped(text, true);
        match bytes {
            Some(bytes) => vm.new_string(&bytes),
            None => {
                let shown = String::from_utf8_lossy(text).into_owned();
                Err(vm.argument_error(format!("invalid %-encoding ({shown})")))
            }
        }
    }),
    method("encode_uri_component", 1, 2, |vm, _, args| {
        let text = to_s(vm, args.at(0))?;
        let text = escaped(text, b"*-._", false);
        vm.new_string(&text)
    }),
    method("decode_uri_component", 1, 2, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let bytes = unescaped(text, false).unwrap_or_else(|| text.to_vec());
        vm.new_string(&bytes)
    }),
    method("encode_www_form", 1, 2, |vm, _, args| {
        let mut parts = Vec::new();
        for pair in items(vm, args.at(0))? {
            let Value::Array(pair) = pair else { return Err(vm.no_conversion(pair, "Array")) };
            let key = to_s(vm, pair.get(0).unwrap_or(Value::Nil))?;
            let mut part = escaped(key, b"*-._", true);
            if let Some(value) = pair.get(1).filter(|value| !value.is_nil()) {
                part.push(b'=');
                part.extend(escaped(to_s(vm, value)?, b"*-._", true));
            }
            parts.push(part);
        }
        vm.new_string(&parts.join(&b'&'))
    }),
    method("decode_www_form", 1, 2, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let mut pairs = Vec::new();
        for part in text.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let (key, value) = pair(vm, part)?;
            pairs.push(vm.array(&[key, value])?);
        }
        vm.array(&pairs)
    }),
];

/// CGI.
pub(super) const CGI: &[Method] = &[
    method("escape", 1, 1, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let text = escaped(text, b"*-._~", true);
        vm.new_string(&text)
    }),
    method("unescape", 1, 2, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let bytes = unescaped(text, true).unwrap_or_else(|| text.to_vec());
        vm.new_string(&bytes)
    }),
    method("escapeHTML", 1, 1, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let mut out = Vec::with_capacity(text.len());
        for byte in text {
            match byte {
                b'&' => out.extend_from_slice(b"&amp;"),
                b'<' => out.extend_from_slice(b"&lt;"),
                b'>' => out.extend_from_slice(b"&gt;"),
                b'"' => out.extend_from_slice(b"&quot;"),
                b'\'' => out.extend_from_slice(b"&#39;"),
                other => out.push(*other),
            }
        }
        vm.new_string(&out)
    }),
    method("unescapeHTML", 1, 1, |vm, _, args| {
        let text = String::from_utf8_lossy(vm.text(args.at(0))?).into_owned();
        let text = unescape_html(&text);
        vm.new_string(text.as_bytes())
    }),
    method("parse", 1, 1, |vm, _, args| {
        let text = vm.text(args.at(0))?;
        let hash: &'_ Hash<'_> = vm.arena().alloc(Hash::new(vm.arena()));
        for part in text.split(|byte| matches!(byte, b'&' | b';')).filter(|part| !part.is_empty()) {
            let (key, value) = pair(vm, part)?;
            match hash.get(key) {
                Some(Value::Array(list)) => list.push(value),
                _ => {
                    let list = vm.array(&[value])?;
                    hash.set(vm.arena(), key, list);
                }
            }
        }
        Ok(Value::Hash(hash))
    }),
];

/// URI's own methods.
pub(super) const METHODS: &[Method] = &[
    method("scheme", 0, 0, |vm, receiver, _| part(vm, receiver, |uri| uri.scheme)),
    method("userinfo", 0, 0, |vm, receiver, _| part(vm, receiver, |uri| uri.userinfo)),
    method("user", 0, 0, |vm, receiver, _| {
        part(vm, receiver, |uri| uri.userinfo.and_then(|info| info.split(|byte| *byte == b':').next()))
    }),
    method("password", 0, 0, |vm, receiver, _| {
        part(vm, receiver, |uri| {
            let info = uri.userinfo?;
            let colon = memchr::memchr(b':', info)?;
            Some(&info[colon + 1..])
        })
    }),
    method("host", 0, 0, |vm, receiver, _| part(vm, receiver, |uri| uri.host)),
    method("hostname", 0, 0, |vm, receiver, _| {
        part(vm, receiver, |uri| {
            let host = uri.host?;
            Some(host.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(host))
        })
    }),
    method("port", 0, 0, |vm, receiver, _| {
        let uri = this(vm, receiver)?;
        Ok(uri.port.map_or(Value::Nil, Value::Int))
    }),
    method("path", 0, 0, |vm, receiver, _| part(vm, receiver, |uri| Some(uri.path))),
    method("query", 0, 0, |vm, receiver, _| part(vm, receiver, |uri| uri.query)),
    method("fragment", 0, 0, |vm, receiver, _| part(vm, receiver, |uri| uri.fragment)),
    method("request_uri", 0, 0, |vm, receiver, _| {
        let uri = this(vm, receiver)?;
        let mut out = if uri.path.is_empty() { b"/".to_vec() } else { uri.path.to_vec() };
        if let Some(query) = uri.query {
            out.push(b'?');
            out.extend_from_slice(query);
        }
        vm.new_string(&out)
    }),
];

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Uri<'a>> {
    match value {
        Value::Uri(uri) => Ok(uri),
        other => Err(vm.no_conversion(other, "URI")),
    }
}

fn part<'a>(vm: &Vm<'_, 'a>, receiver: Value<'a>, select: fn(&Uri<'a>) -> Option<&'a [u8]>) -> Eval<'a> {
    let uri = this(vm, receiver)?;
    Ok(select(uri).map_or(Value::Nil, |part| vm.string(part)))
}

/// `key=value` with both unescaped.
fn pair<'a>(vm: &mut Vm<'_, 'a>, part: &[u8]) -> Eval<'a, (Value<'a>, Value<'a>)> {
    let (key, value) = match memchr::memchr(b'=', part) {
        Some(at) => (&part[..at], &part[at + 1..]),
        None => (part, &b""[..]),
    };
    let key = unescaped(key, true).unwrap_or_else(|| key.to_vec());
    let value = unescaped(value, true).unwrap_or_else(|| value.to_vec());
    Ok((vm.new_string(&key)?, vm.new_string(&value)?))
}

/// `URI.parse(text)`, RFC 3986.
pub(super) fn parse<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a> {
    let text = match value {
        Value::Uri(_) => return Ok(value),
        other => vm.text(other)?,
    };
    let allowed = |byte: &u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte);
    if !text.iter().all(allowed) {
        let shown = super::inspect_text(vm, value);
        return Err(vm.raise(ClassId::UriInvalid, format!("bad URI(is not URI?): {shown}")));
    }
    let (rest, fragment) = cut(text, b'#');
    let (rest, query) = cut(rest, b'?');
    let scheme_end = memchr::memchr(b':', rest).filter(|at| {
        rest.first().is_some_and(u8::is_ascii_alphabetic)
            && rest[..*at].iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
    });
    let (scheme, rest) = match scheme_end {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let (authority, path) = match rest.strip_prefix(b"//") {
        Some(rest) => {
            let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    let (mut userinfo, mut host, mut port) = (None, None, None);
    if let Some(authority) = authority {
        let mut name = authority;
        if let Some(at) = memchr::memrchr(b'@', authority) {
            userinfo = Some(&authority[..at]);
            name = &authority[at + 1..];
        }
        if let Some(colon) = memchr::memrchr(b':', name)
            && name[colon + 1..].iter().all(u8::is_ascii_digit)
        {
            port = std::str::from_utf8(&name[colon + 1..]).ok().and_then(|digits| digits.parse().ok());
            name = &name[..colon];
        }
        host = Some(name);
    }
    if port.is_none() {
        port = match scheme {
            Some(b"http" | b"ws") => Some(80),
            Some(b"https" | b"wss") => Some(443),
            Some(b"ftp") => Some(21),
            Some(b"ldap") => Some(389),
            _ => None,
        };
    }
    let uri = Uri { text, scheme, userinfo, host, port, path, query, fragment };
    Ok(Value::Uri(vm.arena().alloc(uri)))
}

/// What stands before and behind the first `byte`.
fn cut(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(byte, text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Percent-encodes everything but letters, digits and `kept`; a blank becomes `+` if `plus`.
fn escaped(text: &[u8], kept: &[u8], plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' if plus => out.push(b'+'),
            byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => out.push(*byte),
            byte => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

/// Undoes percent-encoding; `None` if a percent sign has no two digits behind it.
fn unescaped(text: &[u8], plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &behind[2..];
            }
            other => out.push(other),
        }
    }
    Some(out)
}

fn unescape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 12);
        let decoded = end.and_then(|end| match &rest[1..end] {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            code => {
                let digits = code.strip_prefix('#')?;
                let value = match digits.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => digits.parse().ok()?,
                };
                char::from_u32(value)
            }
        });
        match (decoded, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
