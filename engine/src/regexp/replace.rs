//! Ruby's `gsub` with a replacement text: `\1`, `\k<name>`, `\0`, `` \` ``, `\'`, `\\`.

use super::{BacktrackLimit, Regexp, Spans};
use std::ops::Range;

/// A group that a replacement text refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRef<'t> {
    /// `\1`
    Number(usize),
    /// `\k<name>`
    Name(&'t [u8]),
}

/// Appends the replacement text `template` for the match at `matched` in `text`; `group` appends what a group matched.
pub fn expand_replacement(
    template: &[u8],
    text: &[u8],
    matched: Range<usize>,
    out: &mut Vec<u8>,
    group: impl Fn(GroupRef<'_>, &mut Vec<u8>),
) {
    let mut rest = template;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&c, behind)) = rest.split_first() else {
            out.push(b'\\');
            return;
        };
        rest = behind;
        match c {
            b'0' | b'&' => out.extend_from_slice(&text[matched.clone()]),
            b'1'..=b'9' => group(GroupRef::Number(usize::from(c - b'0')), out),
            b'`' => out.extend_from_slice(&text[..matched.start]),
            b'\'' => out.extend_from_slice(&text[matched.end..]),
            b'\\' => out.push(b'\\'),
            b'k' if behind.starts_with(b"<") && behind.contains(&b'>') => {
                let close = behind.iter().position(|b| *b == b'>').unwrap_or(0);
                group(GroupRef::Name(&behind[1..close]), out);
                rest = &behind[close + 1..];
            }
            other => out.extend_from_slice(&[b'\\', other]),
        }
    }
    out.extend_from_slice(rest);
}

impl Regexp {
    /// `text` with every match replaced; `None` if there is none.
    ///
    /// # Errors
    /// The backtracking engine took more steps than allowed.
    pub fn replace_all(&self, text: &[u8], replacement: &[u8]) -> Result<Option<Vec<u8>>, BacktrackLimit> {
        let mut spans = Spans::new();
        let mut out = Vec::new();
        let mut copied = 0;
        let mut from = 0;
        let mut found = false;
        while self.search(text, from, &mut spans)? {
            let Some(matched) = spans.get(0) else { break };
            found = true;
            out.extend_from_slice(&text[copied..matched.start]);
            expand_replacement(replacement, text, matched.clone(), &mut out, |group, out| {
                let span = match group {
                    GroupRef::Number(number) => spans.get(number),
                    GroupRef::Name(name) => self
                        .names()
                        .iter()
                        .find(|known| known.name().as_bytes() == name)
                        .and_then(|known| known.span(&spans)),
                };
                out.extend_from_slice(&text[span.unwrap_or(0..0)]);
            });
            copied = matched.end;
            from =
                if matched.is_empty() { matched.end + char_len(&text[matched.end..]) } else { matched.end };
        }
        if !found {
            return Ok(None);
        }
        out.extend_from_slice(&text[copied..]);
        Ok(Some(out))
    }
}

/// How far to go on behind an empty match: one character, or past the end.
fn char_len(rest: &[u8]) -> usize {
    match rest.first() {
        Some(0xc2..=0xdf) => 2.min(rest.len()),
        Some(0xe0..=0xef) => 3.min(rest.len()),
        Some(0xf0..=0xf4) => 4.min(rest.len()),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regexp::RegexpFlags;

    fn replaced(pattern: &str, text: &str, replacement: &str) -> Option<String> {
        let regexp = Regexp::new(pattern, RegexpFlags::default()).unwrap();
        let replaced = regexp.replace_all(text.as_bytes(), replacement.as_bytes()).unwrap();
        replaced.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// As Ruby's String#gsub answers.
    #[test]
    fn references_are_rubys() {
        for (pattern, text, replacement, expected) in [
            (r"^(?<start>.+).{2}(?<end>.+)$", "hoge", r"\k<start>ors\k<end>", "horse"),
            (r"^(.{1}).{2}(.{1})$", "hoge", r"\1ors\2", "horse"),
            ("o", "foo boo", "0", "f00 b00"),
            ("(o)(x)?", "foo", r"[\1\2\0\&]", "f[ooo][ooo]"),
            ("b", "abc", r"<\`|\'>", "a<a|c>c"),
            ("b", "abc", r"\\\q\", r"a\\q\c"),
            ("", "aé", "-", "-a-é-"),
            ("x*", "axb", "-", "-a--b-"),
            ("(?<a>b)", "abc", r"\k<zz>\k<a", r"a\k<ac"),
        ] {
            assert_eq!(replaced(pattern, text, replacement).as_deref(), Some(expected), "{pattern} {text}");
        }
        assert_eq!(replaced("x", "abc", "y"), None);
    }
}
