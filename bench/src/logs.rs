//! Log files for tail scenarios.

use crate::record::{json, sized};
use crate::scenario::Lines;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One file of `count` lines.
pub(crate) fn write_file(path: &Path, lines: Lines, count: usize) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let timestamp = now();
    for number in 0..count as u64 {
        match lines {
            Lines::Json | Lines::None => out.write_all(json(number, &timestamp).as_bytes())?,
            Lines::Nginx => write!(out, "{} \"-\"", access(number))?,
            Lines::Apache2 => out.write_all(access(number).as_bytes())?,
            Lines::Cri => write!(out, "{timestamp} stdout F {}", access(number))?,
            Lines::Syslog => out.write_all(syslog(number).as_bytes())?,
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// One file of `count` lines of JSON, of about `record_bytes` bytes as MessagePack; answers its size.
pub(crate) fn write_sized(path: &Path, count: usize, record_bytes: usize) -> std::io::Result<usize> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let timestamp = now();
    let mut bytes = 0;
    for number in 0..count as u64 {
        let line = sized(number, &timestamp, record_bytes) + "\n";
        out.write_all(line.as_bytes())?;
        bytes += line.len();
    }
    out.flush()?;
    Ok(bytes)
}

/// A line of an access log in the combined format, some 180 bytes.
pub(crate) fn access(number: u64) -> String {
    let (client, second) = (number % 251, number / 1000 % 60);
    format!(
        "192.168.7.{client} - user_{} [28/Feb/2026:12:00:{second:02} +0000] \"GET /api/orders/{number} HTTP/1.1\" {} {} \
         \"https://servio.example/venues/{}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101\"",
        number % 9973,
        if number % 40 == 7 { 500 } else { 200 },
        200 + number % 5000,
        number % 97,
    )
}

/// A line of /var/log/syslog (RFC 3164 without its priority), some 110 bytes.
fn syslog(number: u64) -> String {
    let second = number / 1000 % 60;
    format!(
        "Feb 28 12:00:{second:02} host-{} sshd[{}]: Accepted publickey for user_{} from 192.168.7.{} port {} ssh2",
        number % 7,
        1000 + number % 9973,
        number % 97,
        number % 251,
        20_000 + number % 40_000,
    )
}

/// `2024-01-15T10:30:45.123Z`
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = ((since.as_secs() / 86_400) as i64, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// Days since 1970 to year, month, day (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_737), (2024, 1, 15));
        assert_eq!(civil(19_782), (2024, 2, 29));
    }
}
