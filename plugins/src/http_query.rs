//! Queries and forms: `a=1&b=2`, as the Ruby libraries behind Fluentd read them.

/// The pairs of `a=1&b=2;c`.
pub(crate) fn pairs(text: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    text.split(|byte| matches!(byte, b'&' | b';')).filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b""[..]),
        };
        (unescape(name), unescape(value))
    })
}

/// `+` is a blank; see [`percent_decoded`].
fn unescape(text: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decoded(&blanks)
}

/// `%41` is an A; a `%` without two hex digits is itself.
pub(crate) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escaped = match text.get(at..at + 3) {
            Some(&[b'%', high, low]) => hex(high).zip(hex(low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (text, expected) in [
            ("a+b", &b"a b"[..]),
            ("%81%A1a%01", b"\x81\xa1a\x01"),
            ("%", b"%"),
            ("%4", b"%4"),
            ("%zz%41%", b"%zzA%"),
            ("%2B+", b"+ "),
        ] {
            assert_eq!(unescape(text.as_bytes()), expected, "{text}");
        }
    }
}
