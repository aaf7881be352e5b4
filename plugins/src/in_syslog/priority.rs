//! Priorities: `PRI = facility * 8 + severity` (RFC 5424, 6.2.1), under the names that Fluentd gives them.

use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Splicer, write_nil, write_str};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "at", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/// What events of each priority get.
pub(super) struct Priorities {
    /// `TAG.unmatched`
    pub(super) unmatched: Tag,
    /// By facility, 24 for all that have no name, and severity.
    table: Vec<Priority>,
}

/// What events of one priority get.
pub(super) struct Priority {
    /// `TAG.FACILITY.SEVERITY`
    pub(super) tag: Tag,
    /// Sets severity_key and facility_key, if there are such.
    pub(super) fields: Option<Splicer>,
}

impl Priorities {
    pub(super) fn new(tag: &str, severity_key: Option<&str>, facility_key: Option<&str>) -> Self {
        let mut table = Vec::with_capacity((FACILITIES.len() + 1) * SEVERITIES.len());
        for facility in FACILITIES.into_iter().map(Some).chain([None]) {
            for severity in SEVERITIES {
                let mut fields = Splicer::new();
                if let Some(key) = severity_key {
                    fields = fields.set(key.as_bytes(), &raw(Some(severity)));
                }
                if let Some(key) = facility_key {
                    fields = fields.set(key.as_bytes(), &raw(facility));
                }
                table.push(Priority {
                    tag: Tag::new(&format!("{tag}.{}.{severity}", facility.unwrap_or_default())),
                    fields: (!fields.is_empty()).then_some(fields),
                });
            }
        }
        Self { unmatched: Tag::new(&format!("{tag}.unmatched")), table }
    }

    /// What events of priority `pri` get.
    pub(super) fn of(&self, pri: u64) -> &Priority {
        let facility = (pri >> 3).min(FACILITIES.len() as u64) as usize;
        &self.table[facility * SEVERITIES.len() + (pri & 7) as usize]
    }
}

fn raw(text: Option<&str>) -> Vec<u8> {
    let mut raw = Vec::new();
    match text {
        Some(text) => write_str(&mut raw, text.as_bytes()),
        None => write_nil(&mut raw),
    }
    raw
}

/// Finds `<PRI>` at the beginning of a line, with any number of digits, as Fluentd does it for parsers that do not read
/// priorities. Answers the number and the rest of the line.
pub(super) fn split(text: &[u8]) -> Option<(u64, &[u8])> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(b"<")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || rest.get(digits) != Some(&b'>') {
            return None;
        }
        Some((number(&rest[..digits]), &rest[digits + 1..]))
    })
}

/// A number that may be too large for its type: then it has the same three lowest bits and no facility with a name.
fn number(digits: &[u8]) -> u64 {
    let severity = digits.iter().fold(0, |low, digit| (low * 10 + u64::from(digit - b'0')) % 8);
    let whole = digits
        .iter()
        .try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    whole.unwrap_or(!7 | severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        let priorities = Priorities::new("sys", None, None);
        for (pri, tag) in [
            (0, "sys.kern.emerg"),
            (34, "sys.auth.crit"),
            (85, "sys.authpriv.notice"),
            (191, "sys.local7.debug"),
            (192, "sys..emerg"),
            (u64::MAX, "sys..debug"),
        ] {
            assert_eq!(priorities.of(pri).tag.as_str(), tag);
        }
        assert_eq!(priorities.unmatched.as_str(), "sys.unmatched");
    }

    #[test]
    fn priorities_are_found_at_line_starts() {
        for (text, expected) in [
            ("<34>x y", Some((34, "x y"))),
            ("<0>", Some((0, ""))),
            ("junk\n<7>a\nb", Some((7, "a"))),
            ("<999999999999999999999999>x", Some((u64::MAX, "x"))),
            ("<>x", None),
            ("<1x", None),
            ("<a>x", None),
            (" <1>x", None),
            ("", None),
        ] {
            let expected = expected.map(|(pri, rest)| (pri, rest.as_bytes()));
            assert_eq!(split(text.as_bytes()), expected, "{text}");
        }
    }
}
