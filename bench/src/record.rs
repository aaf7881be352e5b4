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
    fn the_record_has_the_size_that_the_figures_speak_of() {
        let text = json(4711, "2024-01-15T10:30:45.123Z");
        assert!((330..=380).contains(&text.len()), "{} bytes: {text}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
}
