//! The Servio record: 289 bytes as MessagePack, 339 as JSON, as an application of that company logs it. The fields that
//! differ between real records (ids, user, level) differ here, so that compression and dictionaries meet real work.

use std::fmt::Write;

/// One line of JSON without its newline. `seconds` and `millis` are the record's `timestamp`.
pub(crate) fn json(number: u64, kind: &Kind, timestamp: &str) -> String {
    let mut out = String::with_capacity(360);
    let (level, message) = kind.level_and_message(number);
    let _ = write!(
        out,
        "{{\"timestamp\":\"{timestamp}\",\"level\":\"{level}\",\"service\":\"{}\",\"environment\":\"production\",\
         \"venueId\":\"venue_{}\",\"userId\":\"user_{}\",\"message\":\"{message}\",\"context\":{},\"metadata\":\
         {{\"requestId\":\"req_{:08x}\",\"traceId\":\"trace_{:08x}\",\"spanId\":\"span_{:08x}\"}}}}",
        kind.service,
        number % 97,
        number % 9973,
        kind.context(number),
        mix(number),
        mix(number / 3),
        mix(number.wrapping_add(7)),
    );
    out
}

/// Which service writes.
pub(crate) struct Kind {
    pub(crate) service: &'static str,
}

/// The four services of the Servio guide.
pub(crate) const KINDS: [Kind; 4] =
    [Kind { service: "app" }, Kind { service: "api" }, Kind { service: "worker" }, Kind { service: "db" }];

impl Kind {
    fn level_and_message(&self, number: u64) -> (&'static str, &'static str) {
        // Services take turns, so a record in forty of each one is every fourth number.
        match (self.service, number / 4 % 40) {
            ("app", 7) => ("error", "Payment failed"),
            ("app", _) => ("info", "User logged in"),
            ("api", 11) => ("error", "Failed to create order"),
            ("api", _) => ("info", "API request"),
            ("worker", 13) => ("warn", "Order fulfillment delayed"),
            ("worker", _) => ("info", "Order fulfillment completed"),
            (_, 17) => ("warn", "slow query"),
            _ => ("debug", "query"),
        }
    }

    fn context(&self, number: u64) -> String {
        match self.service {
            "api" => format!(
                "{{\"endpoint\":\"/api/orders\",\"method\":\"POST\",\"duration\":{},\"status\":{}}}",
                if number / 4 % 40 == 3 { 1500 + number % 900 } else { 20 + number % 300 },
                if number / 4 % 40 == 11 { 500 } else { 201 },
            ),
            "db" => format!("{{\"duration\":{},\"statement\":\"SELECT * FROM orders\"}}", number % 2000),
            _ => format!(
                "{{\"email\":\"user{}@example.com\",\"ip\":\"192.168.{}.{}\",\"userAgent\":\"Mozilla/5.0\"}}",
                number % 9973,
                number % 200,
                number % 250,
            ),
        }
    }
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
        let text = json(4711, &KINDS[0], "2024-01-15T10:30:45.123Z");
        assert!((330..=380).contains(&text.len()), "{} bytes: {text}", text.len());
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }
}
