//! What both kinds of messages begin with: a priority and a time.

use std::borrow::Cow;

/// `<PRI>` with one to three digits: the number, and where the text goes on.
pub(super) fn priority(text: &[u8]) -> Option<(i64, usize)> {
    let rest = text.strip_prefix(b"<")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    ((1..=3).contains(&digits) && rest.get(digits) == Some(&b'>'))
        .then(|| (number(&rest[..digits]), digits + 2))
}

/// `<...>` with anything between that has at least one character; its leading digits count.
pub(super) fn any_priority(text: &[u8]) -> Option<(i64, usize)> {
    let rest = text.strip_prefix(b"<")?;
    let end = memchr::memchr(b'>', rest)?;
    (end > 0).then(|| (number(&rest[..end]), end + 2))
}

/// A time of `words` words from `at` on: its text, in which runs of blanks are one, and where the text goes on behind the
/// blank that ends it.
pub(super) fn time(text: &[u8], at: usize, words: usize) -> Option<(Cow<'_, [u8]>, usize)> {
    let mut end = at;
    let mut has_runs = false;
    for word in 0..words {
        let start = if word == 0 { end } else { end + 1 };
        let blanks = text.get(start..)?.iter().take_while(|byte| **byte == b' ').count();
        has_runs |= blanks > 0;
        end = start + blanks + memchr::memchr(b' ', &text[start + blanks..])?;
    }
    let time = &text[at..end];
    let time = if has_runs { Cow::Owned(squeezed(time)) } else { Cow::Borrowed(time) };
    Some((time, end + 1))
}

/// How many words a time in this format has.
pub(super) fn words(format: &str) -> usize {
    squeezed(format.as_bytes()).iter().filter(|byte| **byte == b' ').count() + 1
}

/// The text up to the next blank, and where the text goes on behind it.
pub(super) fn word(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = text.get(at..)?;
    let end = memchr::memchr(b' ', rest)?;
    Some((&rest[..end], at + end + 1))
}

fn squeezed(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for &byte in text {
        if byte != b' ' || out.last() != Some(&b' ') {
            out.push(byte);
        }
    }
    out
}

fn number(text: &[u8]) -> i64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}
