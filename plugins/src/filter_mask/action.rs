//! What becomes of a value.

use super::detect::What;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// See the parameter `action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    Redact,
    Hash,
    Partial,
}

/// An action with what it needs.
pub(super) struct Masking {
    action: Action,
    replacement: String,
    hash: Option<Hmac<Sha256>>,
}

impl Masking {
    pub(super) fn new(action: Action, replacement: String, hash_key: &str) -> Self {
        // HMAC takes keys of every length.
        let hash = Hmac::new_from_slice(hash_key.as_bytes()).ok().filter(|_| action == Action::Hash);
        Self { action, replacement, hash }
    }

    pub(super) fn keeps(&self) -> bool {
        self.action == Action::Keep
    }

    /// Appends what stands for `text`.
    pub(super) fn write(&self, text: &[u8], what: What, out: &mut Vec<u8>) {
        match (self.action, &self.hash) {
            (Action::Keep, _) => out.extend_from_slice(text),
            (Action::Hash, Some(hash)) => {
                let mut hash = hash.clone();
                hash.update(text);
                let mut hex = String::with_capacity(64);
                for byte in hash.finalize().into_bytes() {
                    let _ = write!(hex, "{byte:02x}");
                }
                out.extend_from_slice(hex.as_bytes());
            }
            (Action::Partial, _) => partial(text, what, out),
            _ => out.extend_from_slice(self.replacement.as_bytes()),
        }
    }
}

/// `u***@example.com`, `************1111`, `10.1.2.***`, `2001:db8:***`, `eyJh***`, `s***`
fn partial(text: &[u8], what: What, out: &mut Vec<u8>) {
    let what = match (what, memchr::memrchr(b'@', text)) {
        (What::Field, Some(at)) if at > 0 => What::Email,
        (what, _) => what,
    };
    let keep_start = |characters: usize, out: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(text);
        // Never more than a quarter.
        let characters = characters.min(text.chars().count().div_ceil(4));
        out.extend(text.chars().take(characters).collect::<String>().into_bytes());
        out.extend_from_slice(b"***");
    };
    match what {
        What::Email => {
            let at = memchr::memrchr(b'@', text).unwrap_or(text.len());
            let first = String::from_utf8_lossy(text).chars().next();
            out.extend(first.into_iter().collect::<String>().into_bytes());
            out.extend_from_slice(b"***");
            out.extend_from_slice(&text[at..]);
        }
        What::Card => {
            let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
            let mut seen = 0;
            for byte in text {
                let is_digit = byte.is_ascii_digit();
                seen += usize::from(is_digit);
                out.push(if is_digit && seen + 4 <= digits { b'*' } else { *byte });
            }
        }
        What::Ipv4 => {
            let end = memchr::memrchr(b'.', text).map_or(0, |dot| dot + 1);
            out.extend_from_slice(&text[..end]);
            out.extend_from_slice(b"***");
        }
        What::Ipv6 => {
            let mut colons = text.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at + 1);
            let end = colons.nth(1).unwrap_or(0);
            out.extend_from_slice(&text[..end]);
            out.extend_from_slice(b"***");
        }
        What::Token => keep_start(4, out),
        What::Field => keep_start(1, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(action: Action, key: &str, text: &str, what: What) -> String {
        let mut out = Vec::new();
        Masking::new(action, "[x]".to_owned(), key).write(text.as_bytes(), what, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// RFC 4231, cases 2 and 6 (a key that is longer than a block).
    #[test]
    fn hashes() {
        assert_eq!(
            masked(Action::Hash, "Jefe", "what do ya want for nothing?", What::Field),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let other = masked(Action::Hash, "Jefa", "what do ya want for nothing?", What::Field);
        assert_eq!(other.len(), 64);
        assert_ne!(other, masked(Action::Hash, "Jefe", "what do ya want for nothing?", What::Field));
    }

    #[test]
    fn parts() {
        for (what, text, expected) in [
            (What::Email, "user.name@example.com", "u***@example.com"),
            (What::Email, "é@example.com", "é***@example.com"),
            (What::Card, "4111 1111-11111111", "**** ****-****1111"),
            (What::Ipv4, "10.1.2.3", "10.1.2.***"),
            (What::Ipv6, "2001:db8::1", "2001:db8:***"),
            (What::Token, "eyJhbGciOiJIUzI1NiJ9.e30.abc", "eyJh***"),
            (What::Token, "abcdefgh", "ab***"),
            (What::Field, "secret", "s***"),
            (What::Field, "user@example.com", "u***@example.com"),
            (What::Field, "", "***"),
        ] {
            assert_eq!(masked(Action::Partial, "", text, what), expected, "{text}");
        }
        assert_eq!(masked(Action::Redact, "", "secret", What::Field), "[x]");
        assert_eq!(masked(Action::Keep, "", "secret", What::Field), "secret");
    }
}
