//! Targets of `logweir_engine::time`.

use logweir_engine::event::EventTime;
use logweir_engine::time::{TimeFormat, TimeParse, Zone, parse_any, parse_iso8601};

/// A format up to the first line end, and a text: no reading panics, and what a whole format of this world writes it reads.
pub fn time_text(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let format = String::from_utf8_lossy(&data[..end]);
    let text = data.get(end + 1..).unwrap_or_default();
    for parse in [TimeParse::new(&format), TimeParse::ruby(&format)] {
        if let Ok(parsed) = parse.parse(text) {
            assert!(parsed.time.nsec < 1_000_000_000);
            TimeFormat::new(&format).format_to_string(parsed.time, &Zone::fixed(parsed.offset));
        }
    }
    for parsed in [parse_any(text).map(|parsed| parsed.time), parse_iso8601(text)].into_iter().flatten() {
        assert!(parsed.nsec < 1_000_000_000);
    }
    let sec = text.iter().take(4).fold(0, |sec, byte| sec << 8 | i64::from(*byte));
    let time = EventTime { sec, nsec: 123_456_789 };
    let whole = "%Y-%m-%dT%H:%M:%S.%N%z";
    let written = TimeFormat::new(whole).format_to_string(time, &Zone::UTC);
    let read = TimeParse::new(whole).parse(written.as_bytes()).expect("what was written can be read");
    assert_eq!(read.time, time);
}
