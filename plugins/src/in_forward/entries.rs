//! Entries that are not as they should be: what is mended, what is skipped.
//!
//! | entry | skip_invalid_event false (Fluentd 1.16) | true (1.19) |
//! |---|---|---|
//! | time nil | now | skipped |
//! | time 0 | Forward: now; packed: 0 | 0 |
//! | time a float | kept | skipped |
//! | time a string or other | now | skipped |
//! | `[time, metadata]` | kept | kept |
//! | record nil | skipped | skipped |
//! | record not a map | kept | skipped |
//! | more than two values | the first two | the first two |
//! | not an array | skipped | skipped |
//!
//! Fluentd 1.16 closes the connection on some of these, so that the sender sends the same chunk again for ever; here
//! the good entries of a chunk are never held up by a bad one. What is skipped is logged, but for nil records in
//! Forward messages with skip_invalid_event false, which Fluentd drops silently.

use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Kind, Reader, skip, write_event_time};

/// What is done with entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// skip_invalid_event
    pub(super) skip_invalid: bool,
    /// Whether the integer 0 means now: in Forward messages it does.
    pub(super) zero_is_now: bool,
}

/// Appends the entries of `bytes` (well-formed values, scanned) to `out` as the rules say, and answers how many they are.
/// `skipped` is told each raw value that is left out and is worth a log line.
pub(super) fn mend(bytes: &[u8], rules: Rules, out: &mut Vec<u8>, mut skipped: impl FnMut(&[u8])) -> usize {
    let now = EventTime::now();
    let mut count = 0;
    let mut at = 0;
    while at < bytes.len() {
        let Ok(end) = skip(bytes, at) else { break };
        let raw = &bytes[at..end];
        at = end;
        match judge(raw, rules) {
            Verdict::Keep => out.extend_from_slice(raw),
            Verdict::Rebuild { time, record } => {
                out.push(0x92);
                out.extend_from_slice(time);
                out.extend_from_slice(record);
            }
            Verdict::Now { metadata, record } => {
                out.push(0x92);
                if metadata.is_some() {
                    out.push(0x92);
                }
                write_event_time(out, now);
                out.extend_from_slice(metadata.unwrap_or_default());
                out.extend_from_slice(record);
            }
            Verdict::Skip => {
                skipped(raw);
                continue;
            }
            Verdict::SkipSilently => continue,
        }
        count += 1;
    }
    count
}

enum Verdict<'a> {
    Keep,
    Rebuild { time: &'a [u8], record: &'a [u8] },
    Now { metadata: Option<&'a [u8]>, record: &'a [u8] },
    Skip,
    SkipSilently,
}

fn judge(raw: &[u8], rules: Rules) -> Verdict<'_> {
    let Some((length, time, record)) = parts(raw) else { return Verdict::Skip };
    let Some(record) = record else {
        return if rules.skip_invalid { Verdict::Skip } else { Verdict::SkipSilently };
    };
    match kind(record) {
        Some(Kind::Nil) if rules.skip_invalid || !rules.zero_is_now => return Verdict::Skip,
        Some(Kind::Nil) => return Verdict::SkipSilently,
        Some(Kind::Map) => {}
        _ if rules.skip_invalid => return Verdict::Skip,
        _ => {}
    }
    let (moment, metadata) = match parts(time) {
        Some((2, moment, Some(metadata))) if kind(metadata) == Some(Kind::Map) => (moment, Some(metadata)),
        _ => (time, None),
    };
    let usable = match kind(moment) {
        Some(Kind::Int) => rules.skip_invalid || !rules.zero_is_now || moment != [0],
        Some(Kind::Ext) => is_event_time(moment),
        Some(Kind::Float) => !rules.skip_invalid,
        _ => false,
    };
    match usable {
        true if length == 2 => Verdict::Keep,
        true => Verdict::Rebuild { time, record },
        false if rules.skip_invalid => Verdict::Skip,
        false => Verdict::Now { metadata, record },
    }
}

/// The length and the first two values of an array; `None` if `raw` is no array or an empty one.
fn parts(raw: &[u8]) -> Option<(usize, &[u8], Option<&[u8]>)> {
    if kind(raw)? != Kind::Array {
        return None;
    }
    let mut reader = Reader::new(raw);
    let length = reader.read_array_len().ok()?;
    let first = reader.position();
    let second = skip(raw, first).ok()?;
    let end = if length > 1 { Some(skip(raw, second).ok()?) } else { None };
    (length > 0).then(|| (length, &raw[first..second], end.map(|end| &raw[second..end])))
}

fn kind(raw: &[u8]) -> Option<Kind> {
    Kind::of(*raw.first()?)
}

fn is_event_time(raw: &[u8]) -> bool {
    matches!(raw, [0xd7, 0x00, ..] | [0xc7, 0x08, 0x00, ..])
}
