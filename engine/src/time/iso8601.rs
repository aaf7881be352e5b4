//! `%iso8601`: Ruby's Time.iso8601.

use super::civil::Civil;
use super::error::TimeError;
use super::zone::Zone;
use super::zone_name;
use crate::event::EventTime;

/// Reads `YYYY-MM-DDThh:mm:ss[.digits][Z|±hh[[:]mm]]`, with blanks around it. The year may have more digits and a minus;
/// without a zone it is local time.
pub fn parse_iso8601(text: &[u8]) -> Result<EventTime, TimeError> {
    let invalid = || {
        let text = String::from_utf8_lossy(text);
        TimeError::argument(format!("invalid xmlschema format: {text:?}"))
    };
    let (civil, nsec, zone) = parts(text.trim_ascii()).ok_or_else(invalid)?;
    let possible = (1..=12).contains(&civil.month)
        && (1..=31).contains(&civil.day)
        && (civil.hour < 24 || (civil.hour == 24 && civil.minute == 0 && civil.second == 0))
        && civil.minute < 60
        && civil.second <= 60;
    if !possible {
        return Err(TimeError::out_of_range());
    }
    let wall = civil.to_seconds();
    let sec = match zone {
        b"" => Zone::local().instant(wall),
        zone => wall - i64::from(zone_name::offset(zone, civil.year).ok_or_else(invalid)?),
    };
    Ok(EventTime { sec, nsec })
}

fn parts(text: &[u8]) -> Option<(Civil, u32, &[u8])> {
    let negative = text.first() == Some(&b'-');
    let text = &text[usize::from(negative)..];
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 6 {
        return None;
    }
    let year = text[..digits].iter().fold(0, |year, digit| year * 10 + i64::from(digit - b'0'));
    let (fixed, mut rest) = text[digits..].split_first_chunk::<15>()?;
    let two = |at: usize| {
        let (tens, ones) = (fixed[at], fixed[at + 1]);
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
    };
    let separators = [fixed[0], fixed[3], fixed[6].to_ascii_uppercase(), fixed[9], fixed[12]];
    if separators != *b"--T::" {
        return None;
    }
    let mut nsec = 0;
    if let Some(decimals) = rest.strip_prefix(b".") {
        let count = decimals.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        let nine = decimals[..count].iter().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0));
        nsec = nine.take(9).fold(0, |nsec, digit| nsec * 10 + digit);
        rest = &decimals[count..];
    }
    let zone_fits = matches!(
        rest,
        [] | [b'Z' | b'z']
            | [b'+' | b'-', _, _]
            | [b'+' | b'-', _, _, _, _]
            | [b'+' | b'-', _, _, b':', _, _]
    );
    let civil = Civil {
        year: if negative { -year } else { year },
        month: two(1)?,
        day: two(4)?,
        hour: two(7)?,
        minute: two(10)?,
        second: two(13)?,
    };
    zone_fits.then_some((civil, nsec, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let parse = |text: &str| parse_iso8601(text.as_bytes()).map(|time| (time.sec, time.nsec));
        for (text, expected) in [
            ("2023-11-14T22:13:20Z", (1_700_000_000, 0)),
            ("2023-11-14t22:13:20.5z", (1_700_000_000, 500_000_000)),
            (" 2023-11-15T07:13:20.1234567899+09:00 ", (1_700_000_000, 123_456_789)),
            ("2023-11-15T07:13:20+0900", (1_700_000_000, 0)),
            ("2023-11-15T07:13:20+09", (1_700_000_000, 0)),
            ("2023-11-14T24:00:00Z", (1_700_006_400, 0)),
            ("-0001-01-01T00:00:00Z", (-62_198_755_200, 0)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "2023-11-14",
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20JST",
            "2023-11-14T22:13:20+9:00",
            "x",
        ] {
            assert_eq!(parse(text).unwrap_err().message, format!("invalid xmlschema format: {text:?}"));
        }
        assert_eq!(parse("2023-13-14T22:13:20Z").unwrap_err().message, "argument out of range");
        assert!(parse("2023-11-14T22:13:20").is_ok(), "local time");
    }
}
