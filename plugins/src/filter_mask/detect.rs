//! Finds personal data and secrets in texts.
//!
//! | detector | finds |
//! |---|---|
//! | email | `local@domain.tld`, the last label of letters |
//! | card | 13 to 19 digits, in one group or grouped as cards print them, that begin with 2 to 6 and pass the Luhn check |
//! | ip | dotted quads, and version 6 addresses with a decimal digit and two groups |
//! | token | what follows `Bearer `, and JSON Web Tokens (`eyJ...`) |

use memchr::memmem::Finder;
use smallvec::SmallVec;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::sync::LazyLock;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Email,
    Card,
    Ipv4,
    Ipv6,
    Token,
    /// The value of a field that a rule names.
    Field,
}

/// Which detectors are on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Detectors {
    email: bool,
    card: bool,
    ip: bool,
    token: bool,
}

type Found = SmallVec<[(Range<usize>, What); 4]>;

impl Detectors {
    pub(super) fn of(names: &[String]) -> Result<Self, String> {
        let mut detectors = Self::default();
        for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            match name {
                "email" => detectors.email = true,
                "card" => detectors.card = true,
                "ip" => detectors.ip = true,
                "token" => detectors.token = true,
                _ => return Err(format!("unknown detector `{name}`: there are email, card, ip and token")),
            }
        }
        Ok(detectors)
    }

    pub(super) fn is_empty(&self) -> bool {
        !(self.email || self.card || self.ip || self.token)
    }

    /// Those that may find something in a text, or in raw MessagePack with texts in it. Never wrong about those it leaves out.
    pub(super) fn suspects(&self, bytes: &[u8]) -> Self {
        Self {
            email: self.email && memchr::memchr(b'@', bytes).is_some(),
            card: self.card
                && has_run(bytes, CARD_DIGITS_MIN, is_card_byte, |run| digits(run) >= CARD_DIGITS_MIN),
            ip: self.ip
                && (has_run(bytes, "1.1.1.1".len(), is_ipv4_byte, |run| count(run, b'.') >= 3)
                    || has_two_colons(bytes)),
            token: self.token && (JWT.find(bytes).is_some() || BEARER.find(bytes).is_some()),
        }
    }

    /// Those that are in either.
    pub(super) fn and(&self, others: Self) -> Self {
        Self {
            email: self.email || others.email,
            card: self.card || others.card,
            ip: self.ip || others.ip,
            token: self.token || others.token,
        }
    }

    /// Calls `found` for each find, from the front, without overlaps.
    pub(super) fn find(&self, text: &[u8], found: impl FnMut(Range<usize>, What)) {
        let suspects = self.suspects(text);
        if !suspects.is_empty() {
            suspects.search(text, found);
        }
    }

    fn search(&self, text: &[u8], mut found: impl FnMut(Range<usize>, What)) {
        let mut all = Found::new();
        if self.token {
            tokens(text, &mut all);
        }
        if self.email {
            emails(text, &mut all);
        }
        if self.card {
            cards(text, &mut all);
        }
        if self.ip {
            ipv4(text, &mut all);
            ipv6(text, &mut all);
        }
        all.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut end = 0;
        for (range, what) in all {
            if range.start >= end && !range.is_empty() {
                end = range.end;
                found(range, what);
            }
        }
    }
}

/// Whether there is a run of `wanted` bytes that `is_it`. Only each `least`-th byte is looked at, since a run of that length
/// cannot lie between two of them.
fn has_run(bytes: &[u8], least: usize, wanted: fn(u8) -> bool, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let mut at = least - 1;
    while let Some(byte) = bytes.get(at) {
        if wanted(*byte) {
            let before = bytes[..at].iter().rev().take_while(|byte| wanted(**byte)).count();
            let behind = bytes[at..].iter().take_while(|byte| wanted(**byte)).count();
            if is_it(&bytes[at - before..at + behind]) {
                return true;
            }
            at += behind;
        }
        at += least;
    }
    false
}

fn count(bytes: &[u8], byte: u8) -> usize {
    memchr::memchr_iter(byte, bytes).count()
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| byte.is_ascii_digit()).count()
}

/// Two colons with at most four hexadecimal digits between them.
fn has_two_colons(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b':', bytes).any(|at| {
        let rest = &bytes[at + 1..];
        let between = rest.iter().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
        rest.get(between) == Some(&b':')
    })
}

fn is_card_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
}

fn is_ipv4_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

fn is_ipv6_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// Letters of other scripts are made of such bytes too.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=')
}

/// Longest local part and longest domain.
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 255;

fn emails(text: &[u8], all: &mut Found) {
    for at in memchr::memchr_iter(b'@', text) {
        let is_local = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'%' | b'+' | b'-');
        let local = text[..at].iter().rev().take(LOCAL_MAX).take_while(|byte| is_local(**byte)).count();
        let mut start = at - local;
        while start < at && matches!(text[start], b'.' | b'-' | b'%' | 0x80..=0xbf) {
            start += 1;
        }
        if let (true, Some(end)) = (start < at, domain_end(text, at + 1)) {
            all.push((start..end, What::Email));
        }
    }
}

/// Where the domain that begins at `start` ends: behind its last label that begins with two letters.
fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80;
    let length = text[start..].iter().take(DOMAIN_MAX).take_while(|byte| is_domain(**byte)).count();
    let domain = &text[start..start + length];
    let mut end = None;
    let mut label_at = 0;
    for (number, label) in domain.split(|byte| *byte == b'.').enumerate() {
        if label.is_empty() {
            break;
        }
        if number > 0 {
            let letters = label.iter().take_while(|b| b.is_ascii_alphabetic() || **b >= 0x80).count();
            if letters >= 2 {
                end = Some(start + label_at + letters);
                if letters < label.len() {
                    break;
                }
            }
        }
        label_at += label.len() + 1;
    }
    end
}

const CARD_DIGITS_MIN: usize = 13;
const CARD_DIGITS_MAX: usize = 19;
/// How cards print their numbers.
const CARD_GROUPS: &[&[usize]] =
    &[&[4, 4, 4, 4, 3], &[4, 4, 4, 4, 2], &[4, 4, 4, 4, 1], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

fn cards(text: &[u8], all: &mut Found) {
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let is_inside = at > 0 && (is_word(text[at - 1]) || text[at - 1] == b'.');
        let mut groups = SmallVec::<[Range<usize>; 8]>::new();
        loop {
            let length = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            groups.push(at..at + length);
            at += length;
            match text.get(at..at + 2) {
                Some([b' ' | b'-', next]) if next.is_ascii_digit() => at += 1,
                _ => break,
            }
        }
        let goes_on = text.get(at).is_some_and(|byte| is_word(*byte));
        let first = usize::from(is_inside);
        let last = groups.len() - usize::from(goes_on);
        let mut from = first;
        while from < last {
            match card_at(text, &groups[from..last]) {
                Some(used) => {
                    all.push((groups[from].start..groups[from + used - 1].end, What::Card));
                    from += used;
                }
                None => from += 1,
            }
        }
    }
}

/// How many of the groups at the beginning are a card's number.
fn card_at(text: &[u8], groups: &[Range<usize>]) -> Option<usize> {
    let fits = |used: usize| {
        let number: SmallVec<[u8; CARD_DIGITS_MAX]> =
            groups[..used].iter().flat_map(|group| &text[group.clone()]).map(|digit| digit - b'0').collect();
        (2..=6).contains(&number[0]) && passes_luhn(&number)
    };
    let first = groups.first()?;
    if (CARD_DIGITS_MIN..=CARD_DIGITS_MAX).contains(&first.len()) {
        return fits(1).then_some(1);
    }
    let is_shape = |shape: &&&[usize]| {
        shape.len() <= groups.len() && shape.iter().zip(groups).all(|(length, group)| *length == group.len())
    };
    CARD_GROUPS.iter().filter(is_shape).map(|shape| shape.len()).find(|used| fits(*used))
}

/// Digits as numbers.
fn passes_luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match place % 2 {
                0 => digit,
                _ if digit > 4 => 2 * digit - 9,
                _ => 2 * digit,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Calls `found` for each longest run of `wanted` bytes that does not lie in a word.
fn runs(text: &[u8], wanted: fn(u8) -> bool, mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        let length = text[at..].iter().take_while(|byte| wanted(**byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let is_inside =
            at > 0 && is_word(text[at - 1]) || text.get(at + length).is_some_and(|byte| is_word(*byte));
        if !is_inside {
            found(at..at + length);
        }
        at += length;
    }
}

fn ipv4(text: &[u8], all: &mut Found) {
    if count(text, b'.') < 3 {
        return;
    }
    runs(text, is_ipv4_byte, |run| {
        // A full stop is not of the address.
        let end = run.end - text[run.clone()].iter().rev().take_while(|byte| **byte == b'.').count();
        let range = run.start..end;
        let mut octets = 0;
        let valid = text[range.clone()].split(|byte| *byte == b'.').all(|octet| {
            octets += 1;
            let number = std::str::from_utf8(octet).ok().and_then(|octet| octet.parse::<u8>().ok());
            octet.len() <= 3 && number.is_some()
        });
        if valid && octets == 4 {
            all.push((range, What::Ipv4));
        }
    });
}

fn ipv6(text: &[u8], all: &mut Found) {
    if count(text, b':') < 2 {
        return;
    }
    runs(text, is_ipv6_byte, |run| {
        let mut range = run;
        while matches!(&text[range.clone()], [.., b'.'])
            || matches!(&text[range.clone()], [.., before, b':'] if *before != b':')
        {
            range.end -= 1;
        }
        let address = &text[range.clone()];
        let groups = address.split(|byte| *byte == b':').filter(|group| !group.is_empty()).count();
        let parsed = std::str::from_utf8(address).ok().and_then(|address| address.parse::<Ipv6Addr>().ok());
        // `a::b` is a name in some languages.
        if parsed.is_some() && groups >= 2 && digits(address) > 0 {
            all.push((range, What::Ipv6));
        }
    });
}

/// How tokens begin. Built once: that takes longer than a search in a short text.
static BEARER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("earer "));
static JWT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eyJ"));
/// Shorter ones are words.
const TOKEN_MIN: usize = 8;

fn tokens(text: &[u8], all: &mut Found) {
    for at in BEARER.find_iter(text) {
        let is_bearer = at > 0 && matches!(text[at - 1], b'B' | b'b') && !(at > 1 && is_word(text[at - 2]));
        let start = at + b"earer ".len();
        let length = text[start..].iter().take_while(|byte| is_token_byte(**byte)).count();
        if is_bearer && length >= TOKEN_MIN {
            all.push((start..start + length, What::Token));
        }
    }
    for start in JWT.find_iter(text) {
        if start > 0 && is_word(text[start - 1]) {
            continue;
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let length = text[start..].iter().take_while(|byte| is_part(**byte)).count();
        let token = &text[start..start + length];
        let mut parts = token.split(|byte| *byte == b'.');
        let long = |part: Option<&[u8]>| part.is_some_and(|part| part.len() >= 4);
        if long(parts.next()) && long(parts.next()) && parts.next().is_some() {
            all.push((start..start + length, What::Token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> Detectors {
        Detectors { email: true, card: true, ip: true, token: true }
    }

    /// The text with each find in brackets.
    fn marked(text: &str) -> String {
        let mut out = String::new();
        let mut copied = 0;
        all().find(text.as_bytes(), |found, what| {
            out.push_str(&text[copied..found.start]);
            out.push_str(&format!("[{what:?} {}]", &text[found.clone()]));
            copied = found.end;
        });
        out + &text[copied..]
    }

    #[test]
    fn what_is_found() {
        for expected in [
            "mail to [Email a.b+c@mail.example.com], please.",
            "<[Email user@example.co.uk]>",
            "[Email ü@example.com]. [Email x@example.com]-foo",
            "card [Card 4111111111111111] of 2024-01-15",
            "[Card 4111 1111 1111 1111] or [Card 5500-0000-0000-0004]",
            "amex [Card 378282246310005], [Card 3782 822463 10005]",
            "no 12 [Card 4012 8888 8888 1881] 99",
            "from [Ipv4 192.168.0.1]:8080 to [Ipv4 10.0.0.255]. [Ipv4 1.2.3.4]/24",
            "at [Ipv6 2001:db8::ff00:42:8329], [[Ipv6 fe80::1]]:80 [Ipv6 1:2:3:4:5:6:7:8]",
            "Authorization: Bearer [Token abcDEF123._-~+/=]",
            "jwt=[Token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl] end",
            "bearer [Token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl]",
        ] {
            let kinds = ["Email ", "Card ", "Ipv4 ", "Ipv6 ", "Token "];
            let mut plain = expected.to_owned();
            for kind in kinds {
                while let Some(at) = plain.find(&format!("[{kind}")) {
                    let end = at + plain[at..].find(']').unwrap();
                    plain.replace_range(end..end + 1, "");
                    plain.replace_range(at..at + 1 + kind.len(), "");
                }
            }
            assert_eq!(marked(&plain), expected);
        }
    }

    #[test]
    fn what_is_left_alone() {
        for text in [
            "user@localhost @home a@ @b.com 5@1.2.3.4x",
            "4111111111111112 1234567890123456 a4111111111111111 4111111111111111b 0.4111111111111111",
            "2024-01-15 10:30:45.123456789 +0100 1700000000123456789",
            "v1.2.3.4 1.2.3 1.2.3.4.5 256.1.1.1 1.2.3.4a",
            "12:34:56 std::vec a::b :: ::1 00:1b:44:11:3a:b7 http://x:80",
            "Bearer of news, forbearer abcdefghij eyJhbGciOiJIUzI1NiJ9 keyJabc.defg.hijk",
            "",
        ] {
            assert_eq!(marked(text), text);
        }
    }

    proptest! {
        /// The quick look never passes over what the long one finds.
        #[test]
        fn suspicion_is_never_wrong_when_it_says_no(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("4111111111111111".to_owned()),
                    Just("3782 822463 10005".to_owned()),
                    Just("10.0.0.1".to_owned()),
                    Just("fe80::1".to_owned()),
                    Just("a@b.cc".to_owned()),
                    Just("Bearer abcdefgh".to_owned()),
                    Just("eyJa.eyJb.c".to_owned()),
                    "[a-z0-9 .:@-]{0,9}",
                ],
                0..6,
            )
        ) {
            let text = pieces.concat();
            for detectors in [
                Detectors { email: true, ..Detectors::default() },
                Detectors { card: true, ..Detectors::default() },
                Detectors { ip: true, ..Detectors::default() },
                Detectors { token: true, ..Detectors::default() },
            ] {
                let mut found = 0;
                detectors.search(text.as_bytes(), |_, _| found += 1);
                let suspects = detectors.suspects(text.as_bytes());
                prop_assert!(found == 0 || !suspects.is_empty(), "{detectors:?} {text:?}");
            }
        }
    }
}
