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
use logweir_engine::msgpack::{Kind, Reader, Time, skip, write_event_time};

/// What is done with entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// skip_invalid_event
    pub(super) skip_invalid: bool,
    /// Whether every event is invalid because the tag is no string.
    pub(super) skip_all: bool,
    /// Whether the integer 0 means now, and nil records go without a word: in Forward messages.
    pub(super) forward: bool,
    /// Whether MessagePack's timestamp is a time (`enable_msgpack_time_support`).
    pub(super) timestamps: bool,
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
            Verdict::At { time, metadata, record } => {
                out.push(0x92);
                if metadata.is_some() {
                    out.push(0x92);
                }
                write_event_time(out, time.unwrap_or(now));
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
    Rebuild {
        time: &'a [u8],
        record: &'a [u8],
    },
    /// At that time, or now.
    At {
        time: Option<EventTime>,
        metadata: Option<&'a [u8]>,
        record: &'a [u8],
    },
    Skip,
    SkipSilently,
}

fn judge(raw: &[u8], rules: Rules) -> Verdict<'_> {
    if rules.skip_all {
        return Verdict::Skip;
    }
    let Some((length, time, record)) = parts(raw) else { return Verdict::Skip };
    let Some(record) = record else {
        return if rules.skip_invalid { Verdict::Skip } else { Verdict::SkipSilently };
    };
    match kind(record) {
        Some(Kind::Nil) if rules.skip_invalid || !rules.forward => return Verdict::Skip,
        Some(Kind::Nil) => return Verdict::SkipSilently,
        Some(Kind::Map) => {}
        _ if rules.skip_invalid => return Verdict::Skip,
        _ => {}
    }
    let (moment, metadata) = match parts(time) {
        Some((2, moment, Some(metadata))) if kind(metadata) == Some(Kind::Map) => (moment, Some(metadata)),
        _ => (time, None),
    };
    if let Some(time) = rules.timestamps.then(|| Time::read_timestamp(moment)).flatten() {
        return Verdict::At { time: Some(time), metadata, record };
    }
    let usable = match kind(moment) {
        Some(Kind::Int) => rules.skip_invalid || !rules.forward || moment != [0],
        Some(Kind::Ext) => is_event_time(moment),
        Some(Kind::Float) => !rules.skip_invalid,
        _ => false,
    };
    match usable {
        true if length == 2 => Verdict::Keep,
        true => Verdict::Rebuild { time, record },
        false if rules.skip_invalid => Verdict::Skip,
        false => Verdict::At { time: None, metadata, record },
    }
}

/// The length of an array, its first value, and its second if there is one.
type Parts<'a> = (usize, &'a [u8], Option<&'a [u8]>);

/// Takes an array apart; `None` if `raw` is no array or an empty one.
fn parts(raw: &[u8]) -> Option<Parts<'_>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const V16: Rules = Rules { skip_invalid: false, skip_all: false, forward: true, timestamps: false };
    const V19: Rules = Rules { skip_invalid: true, ..V16 };

    /// Mends one entry. `None` if it is left out; the second value says whether that is worth a log line.
    fn mended(entry: &[u8], rules: Rules) -> (Option<Vec<u8>>, bool) {
        let mut out = Vec::new();
        let mut skipped = false;
        let count = mend(entry, rules, &mut out, |_| skipped = true);
        ((count > 0).then_some(out), skipped)
    }

    fn is_now(entry: &[u8], before: usize) -> bool {
        let Time::Event(time) = Time::read(&entry[before..]) else { return false };
        EventTime::now().sec - time.sec < 5
    }

    #[test]
    fn good_entries_are_kept_as_they_are() {
        let good: [&[u8]; 4] = [
            &[0x92, 0x05, 0x80],
            &[0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x80],
            &[0x92, 0x92, 0x05, 0x80, 0x80],
            &[0x92, 0xc7, 8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x80],
        ];
        for entry in good {
            for rules in [V16, V19, Rules { forward: false, ..V16 }] {
                assert_eq!(mended(entry, rules), (Some(entry.to_vec()), false), "{entry:x?}");
            }
        }
    }

    #[test]
    fn zero_and_nil_times() {
        let zero = [0x92, 0x00, 0x80];
        let entry = mended(&zero, V16).0.unwrap();
        assert!(is_now(&entry, 1), "{entry:x?}");
        assert_eq!(mended(&zero, V19).0, Some(zero.to_vec()));
        assert_eq!(mended(&zero, Rules { forward: false, ..V16 }).0, Some(zero.to_vec()));
        let nil = [0x92, 0xc0, 0x80];
        assert!(is_now(&mended(&nil, V16).0.unwrap(), 1));
        assert_eq!(mended(&nil, V19), (None, true));
        let with_metadata = [0x92, 0x92, 0x00, 0x81, 1, 2, 0x80];
        let entry = mended(&with_metadata, V16).0.unwrap();
        assert!(is_now(&entry, 2));
        assert_eq!(entry[12..], [0x81, 1, 2, 0x80], "metadata and record stay");
    }

    #[test]
    fn what_is_no_event() {
        for entry in [&[0x92, 0x05, 0xc0][..], &[0x91, 0x05]] {
            assert_eq!(mended(entry, V16), (None, false), "nil records go silently");
            assert_eq!(mended(entry, V19), (None, true));
        }
        assert_eq!(mended(&[0x92, 0x05, 0xc0], Rules { forward: false, ..V16 }), (None, true));
        let text = [0x92, 0x05, 0xa1, b't'];
        assert_eq!(mended(&text, V16).0, Some(text.to_vec()));
        assert_eq!(mended(&text, V19), (None, true));
        let float = [0x92, 0xca, 0x3f, 0x80, 0, 0, 0x80];
        assert_eq!(mended(&float, V16).0, Some(float.to_vec()));
        assert_eq!(mended(&float, V19), (None, true));
        for entry in [&[0x05][..], &[0x80], &[0xc0], &[0x90]] {
            assert_eq!(mended(entry, V16), (None, true), "{entry:x?}");
            assert_eq!(mended(entry, V19), (None, true), "{entry:x?}");
        }
        assert_eq!(mended(&[0x93, 0x05, 0x80, 0x07], V16).0, Some(vec![0x92, 0x05, 0x80]));
    }

    #[test]
    fn timestamps_become_event_times_if_they_are_configured() {
        let entry = [0x92, 0xd6, 0xff, 0, 0, 0, 7, 0x80];
        let rules = Rules { timestamps: true, ..V19 };
        assert_eq!(mended(&entry, rules).0, Some(vec![0x92, 0xd7, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0x80]));
        assert_eq!(mended(&entry, V19), (None, true));
    }
}
