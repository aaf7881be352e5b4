//! Messages of RFC 3164, as the syslog_protocol gem writes them.
//!
//! ```text
//! <PRI>Mmm dd HH:MM:SS HOSTNAME PROGRAM: text      PRI = facility * 8 + severity
//! ```

use logweir_engine::event::EventTime;
use logweir_engine::time::{TimeFormat, Zone};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "at", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
/// What receivers of RFC 3164 take for a tag.
const PROGRAM_BYTES_MAX: usize = 32;

/// `facility` as a number.
pub(super) fn facility(name: &str) -> Result<usize, String> {
    let known = FACILITIES.iter().position(|known| *known == name);
    known.ok_or_else(|| format!("'{name}' is not a designated facility: one of {}", FACILITIES.join(", ")))
}

/// `severity` as a number.
pub(super) fn severity(name: &str) -> Result<usize, String> {
    let name = if name == "warning" { "warn" } else { name };
    let known = SEVERITIES.iter().position(|known| *known == name);
    known.ok_or_else(|| {
        format!("'{name}' is not a designated severity: one of {}, warning", SEVERITIES.join(", "))
    })
}

/// A program's name, if it can stand in a message.
pub(super) fn program(name: &str) -> Result<&str, String> {
    match name.len() {
        0 => Err("program may not be empty".to_owned()),
        length if length > PROGRAM_BYTES_MAX => {
            Err(format!("program {name:?} is longer than {PROGRAM_BYTES_MAX} characters"))
        }
        _ => printable("program", name),
    }
}

/// A host's name, if it can stand in a message.
pub(super) fn hostname(name: &str) -> Result<&str, String> {
    if name.is_empty() { Err("hostname may not be empty".to_owned()) } else { printable("hostname", name) }
}

fn printable<'n>(what: &str, name: &'n str) -> Result<&'n str, String> {
    match name.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(name),
        false => Err(format!("{what} {name:?} may have ASCII characters only, and no blanks")),
    }
}

/// What all messages of a chunk begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) facility: usize,
    pub(super) severity: usize,
    pub(super) hostname: String,
    pub(super) program: String,
}

/// Writes messages; makes the text of the time once a second.
pub(super) struct Packets {
    pri: String,
    rest: String,
    bytes_max: usize,
    format: TimeFormat,
    zone: Zone,
    stamp: (i64, String),
}

impl Packets {
    pub(super) fn new(header: &Header, bytes_max: usize) -> Self {
        Self {
            pri: format!("<{}>", header.facility * 8 + header.severity),
            rest: format!(" {} {}: ", header.hostname, header.program),
            bytes_max,
            format: TimeFormat::new("%b %e %H:%M:%S"),
            zone: Zone::local(),
            stamp: (i64::MIN, String::new()),
        }
    }

    /// Appends a message, cut to `packet_size`. `false` for a blank line, which is none.
    pub(super) fn push(&mut self, now: EventTime, line: &[u8], out: &mut Vec<u8>) -> bool {
        if line.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x0b) {
            return false;
        }
        if self.stamp.0 != now.sec {
            self.stamp = (now.sec, self.format.format_to_string(EventTime::from_secs(now.sec), &self.zone));
        }
        let start = out.len();
        for part in [&*self.pri, &*self.stamp.1, &*self.rest] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(line);
        let length = cut(&out[start..], self.bytes_max);
        out.truncate(start + length);
        true
    }
}

/// How much of a message may stay: not more than `max` bytes, and no half of a character.
fn cut(message: &[u8], max: usize) -> usize {
    if message.len() <= max {
        return message.len();
    }
    let is_within = |at: usize| message[at] & 0xc0 == 0x80;
    (max.saturating_sub(3)..=max).rev().find(|at| !is_within(*at)).unwrap_or(max)
}

/// The lines of a text, without their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(bytes_max: usize) -> Packets {
        let header =
            Header { facility: 1, severity: 5, hostname: "web-1".to_owned(), program: "app".to_owned() };
        Packets { zone: Zone::UTC, ..Packets::new(&header, bytes_max) }
    }

    fn packet(bytes_max: usize, line: &str) -> String {
        let mut out = b"x".to_vec();
        assert!(packets(bytes_max).push(EventTime::from_secs(86400 * 365), line.as_bytes(), &mut out));
        String::from_utf8(out.split_off(1)).unwrap()
    }

    #[test]
    fn messages() {
        assert_eq!(packet(1024, "hello\u{e9}"), "<13>Jan  1 00:00:00 web-1 app: hello\u{e9}");
        let head = "<13>Jan  1 00:00:00 web-1 app: ".len();
        assert_eq!(packet(head + 3, "hello").len(), head + 3);
        assert_eq!(packet(head + 2, "a\u{e9}b").len(), head + 1, "no half of a character");
        assert_eq!(packet(head + 3, "a\u{e9}b").len(), head + 3);
        assert_eq!(cut(&[0x80; 20], 10), 10, "what is no text is cut anywhere");
        let mut out = Vec::new();
        assert!(!packets(100).push(EventTime::now(), b" \t\r\x0b", &mut out) && out.is_empty());
        assert_eq!(lines(b"a\r\nb\n\nc").collect::<Vec<_>>(), [&b"a"[..], b"b", b"", b"c"]);
    }

    #[test]
    fn names() {
        assert_eq!((facility("local7"), severity("warning"), severity("warn")), (Ok(23), Ok(4), Ok(4)));
        assert!(
            facility("moon").unwrap_err().starts_with("'moon' is not a designated facility: one of kern, ")
        );
        assert!(severity("7").unwrap_err().starts_with("'7' is not a designated severity"));
        assert_eq!(program("a[1]"), Ok("a[1]"));
        for name in ["", "a b", "caf\u{e9}", &"x".repeat(33)] {
            assert!(program(name).is_err(), "{name}");
        }
        assert!(hostname("web 1").is_err() && hostname("").is_err() && hostname("web-1").is_ok());
    }
}
