//! The Servio record: 289 bytes as MessagePack, 339 as JSON, as an application of that company logs it. The fields that
//! differ between real records (ids, user, level) differ here, so that compression and dictionaries meet real work.

use std::fmt::Write;

/// One line of JSON without its newline.
pub(crate) fn json(number: u64, timestamp: &str) -> String {
    let mut out = String::with_capacity(360);
    let (level, message) = match number % 40 {
        7 => ("error", "Payment failed"),
        _ => ("info", "User logged in"),
    };
    let _ = write!(
        out,
        "{{\"timestamp\":\"{timestamp}\",\"level\":\"{level}\",\"service\":\"app\",\"environment\":\"production\",\
         \"venueId\":\"venue_{}\",\"userId\":\"user_{}\",\"message\":\"{message}\",\"context\":\
         {{\"email\":\"user{}@example.com\",\"ip\":\"192.168.{}.{}\",\"userAgent\":\"Mozilla/5.0\"}},\"metadata\":\
         {{\"requestId\":\"req_{:08x}\",\"traceId\":\"trace_{:08x}\",\"spanId\":\"span_{:08x}\"}}}}",
        number % 97,
        number % 9973,
        number % 9973,
        number % 200,
        number % 250,
        mix(number),
        mix(number / 3),
        mix(number.wrapping_add(7)),
    );
    out
}

/// Bytes of [`json`]'s record as MessagePack.
pub(crate) const SERVIO_BYTES: usize = 300;

/// A record of about so many bytes as MessagePack: three fields, Servio's record, or that with a stack trace.
pub(crate) fn sized(number: u64, timestamp: &str, bytes: usize) -> String {
    if bytes < SERVIO_BYTES {
        return format!(
            "{{\"timestamp\":\"{timestamp}\",\"level\":\"info\",\"user\":\"user_{}\",\"message\":\"User logged in from web\"}}",
            number % 9973
        );
    }
    let mut out = json(number, timestamp);
    if bytes > SERVIO_BYTES {
        out.truncate(out.len() - 1);
        out.push_str(",\"stack\":\"");
        let end = out.len() + bytes - SERVIO_BYTES;
        let mut line = 0;
        while out.len() < end {
            let _ = write!(out, "at com.servio.Payments.charge{}(Payments.java:{line}) ", mix(number + line));
            line += 1;
        }
        out.push_str("\"}");
    }
    out
}

/// Spreads a counter over 32 bits, so that ids look like ids (the finaliser of MurmurHash3).
fn mix(number: u64) -> u32 {
    let mut x = (number as u32).wrapping_add(0x9e37_79b9);
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_about_the_size_that_is_asked_for() {
        for bytes in [100, SERVIO_BYTES, 2048, 65_536] {
            let text = sized(4711, "2024-01-15T10:30:45.123Z", bytes);
            let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let mut packed = Vec::new();
            let read = logweir_engine::json::to_msgpack(text.as_bytes(), &mut packed, Default::default());
            assert!(read.is_ok() && record.is_object(), "{text}");
            assert!(packed.len().abs_diff(bytes) * 10 <= bytes, "{} of {bytes}", packed.len());
        }
    }

    #[test]
    fn the_record_has_the_size_that_the_figures_speak_of() {
        let text = json(4711, "2024-01-15T10:30:45.123Z");
        assert!((330..=380).contains(&text.len()), "{} bytes: {text}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
}
