//! The validating pass over entries that come from outside.

use std::ops::Range;

use super::marker::{Head, head};
use super::skip::{DEPTH_MAX, ScanError, ScanErrorKind, Stack};

/// What a scan accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of non-empty containers, the entry itself counting as 1; at most [`DEPTH_MAX`].
    pub depth: usize,
    /// Whether MessagePack's own timestamp (ext type -1) is a time (`enable_msgpack_time_support`).
    pub timestamp_ext: bool,
    /// The scan ends behind this many entries; for a list of entries with something else behind it.
    pub count_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: DEPTH_MAX, timestamp_ext: false, count_max: usize::MAX }
    }
}

/// What a scan of entries found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryScan {
    /// How many entries are in `0..end`, those with a violation included.
    pub count: usize,
    /// Where the last complete entry ends. If this is before the end of the bytes, what follows is the beginning of an
    /// entry that is cut off.
    pub end: usize,
    /// How many of the entries have another shape than `[time, record]` or `[[time, metadata], record]`.
    pub violations: usize,
    /// Entries whose time is the integer 0.
    pub zero_times: usize,
    /// Entries whose time is nil.
    pub nil_times: usize,
    /// Entries whose time is a float.
    pub float_times: usize,
    /// Entries whose time is MessagePack's timestamp; only with [`Limits::timestamp_ext`].
    pub timestamps: usize,
    /// Entries with metadata.
    pub with_metadata: usize,
}

/// A value among the entries that has another shape than an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its bytes: a whole, well-formed value.
    pub range: Range<usize>,
    /// What is wrong with it.
    pub kind: ViolationKind,
}

/// See [`Violation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// Not an array.
    NotAnArray,
    /// An array of another length than 2.
    Length,
    /// The time is neither an integer, a float, nil, an EventTime, nor an array of one of these and a map.
    Time,
    /// The record is nil.
    NilRecord,
    /// The record is neither nil nor a map.
    Record,
}

/// Checks concatenated entries in one pass: well-formed, nested no deeper than `limits` say, every length inside
/// `bytes`. Well-formed values that are no entries are counted as violations; a last entry that is cut off is left
/// out. Anything else is an error at the first byte that is wrong. Allocates nothing.
pub fn scan_entries(bytes: &[u8], limits: Limits) -> Result<EntryScan, ScanError> {
    scan_entries_with(bytes, limits, |_| {})
}

/// [`scan_entries`] that reports each violation as it is found, in order.
pub fn scan_entries_with(
    bytes: &[u8],
    limits: Limits,
    mut violated: impl FnMut(Violation),
) -> Result<EntryScan, ScanError> {
    let depth_max = limits.depth.min(DEPTH_MAX);
    let mut stack = Stack::<DEPTH_MAX>::new();
    let mut scan = EntryScan::default();
    let mut at = 0;
    while at < bytes.len() && scan.count < limits.count_max {
        let shaped = match usual_time_end(bytes, at) {
            Some(record_at)
                if matches!(bytes.get(record_at), Some(0x80..=0x8f | 0xde | 0xdf)) && depth_max > 0 =>
            {
                stack.skip(bytes, record_at, depth_max - 1)
            }
            _ => stack.skip(bytes, at, depth_max).inspect(|&end| {
                if let Err(kind) = scan.look(&bytes[at..end], limits) {
                    scan.violations += 1;
                    violated(Violation { range: at..end, kind });
                }
            }),
        };
        match shaped {
            Ok(end) => at = end,
            Err(ScanError { kind: ScanErrorKind::Truncated, .. }) => break,
            Err(error) => return Err(error),
        }
        scan.count += 1;
        scan.end = at;
    }
    Ok(scan)
}

impl EntryScan {
    /// Whether `bytes`, the bytes that were scanned, end with an entry that is cut off.
    pub fn is_truncated(&self, bytes: &[u8]) -> bool {
        self.end < bytes.len()
    }

    /// Judges the shape of a value that is not `92 d7 00 ...` followed by a map.
    #[cold]
    fn look(&mut self, raw: &[u8], limits: Limits) -> Result<(), ViolationKind> {
        let (time, record) = halves(raw)?;
        let mut time = time;
        let mut metadata = false;
        if let Ok((inner, second)) = halves(time) {
            if !matches!(second.first(), Some(0x80..=0x8f | 0xde | 0xdf)) {
                return Err(ViolationKind::Time);
            }
            time = inner;
            metadata = true;
        }
        let counter = match time {
            [0x00] => Some(&mut self.zero_times),
            [0xc0] => Some(&mut self.nil_times),
            [0xca | 0xcb, ..] => Some(&mut self.float_times),
            [0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xd3, ..] => None,
            [0xd7, 0x00, ..] | [0xc7, 0x08, 0x00, ..] => None,
            [0xd6 | 0xd7, 0xff, ..] | [0xc7, 12, 0xff, ..] if limits.timestamp_ext => {
                Some(&mut self.timestamps)
            }
            _ => return Err(ViolationKind::Time),
        };
        match record.first() {
            Some(0x80..=0x8f | 0xde | 0xdf) => {}
            Some(0xc0) => return Err(ViolationKind::NilRecord),
            _ => return Err(ViolationKind::Record),
        }
        if let Some(counter) = counter {
            *counter += 1;
        }
        self.with_metadata += usize::from(metadata);
        Ok(())
    }
}

/// Where the record begins if the entry at `at` begins with `92 d7 00` (EventTime), as nearly all do.
#[inline(always)]
fn usual_time_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at..at.checked_add(13)?) {
        Some([0x92, 0xd7, 0x00, ..]) => Some(at + 11),
        _ => None,
    }
}

/// The two values of an array of two that has been scanned.
fn halves(raw: &[u8]) -> Result<(&[u8], &[u8]), ViolationKind> {
    if !matches!(raw.first(), Some(0x90..=0x9f | 0xdc | 0xdd)) {
        return Err(ViolationKind::NotAnArray);
    }
    let Head::Container(first, 2) = head(raw, 0) else { return Err(ViolationKind::Length) };
    let second = super::skip::skip_scanned(raw, first).ok_or(ViolationKind::Length)?;
    Ok((&raw[first..second], &raw[second..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &[u8] = b"\x92\xd7\x00\x65\x53\xf1\x00\x07\x5b\xcd\x15\x81\xa1k\xa1v";

    fn scan(bytes: &[u8]) -> Result<EntryScan, ScanError> {
        scan_entries(bytes, Limits::default())
    }

    fn violations(bytes: &[u8], limits: Limits) -> Vec<(Range<usize>, ViolationKind)> {
        let mut found = Vec::new();
        let scan =
            scan_entries_with(bytes, limits, |violation| found.push((violation.range, violation.kind)))
                .unwrap();
        assert_eq!(scan.violations, found.len());
        found
    }

    #[test]
    fn counts_entries() {
        assert_eq!(scan(b""), Ok(EntryScan::default()));
        let scan = scan(&USUAL.repeat(3)).unwrap();
        assert_eq!(scan, EntryScan { count: 3, end: 3 * USUAL.len(), ..EntryScan::default() });
    }

    #[test]
    fn a_last_entry_that_is_cut_off_is_left_out() {
        let bytes = USUAL.repeat(2);
        for cut in USUAL.len()..bytes.len() {
            let scan = scan(&bytes[..cut]).unwrap();
            assert_eq!((scan.count, scan.end), (1, USUAL.len()), "cut at {cut}");
            assert_eq!(scan.is_truncated(&bytes[..cut]), cut > USUAL.len());
        }
    }

    #[test]
    fn garbage_is_an_error_even_within_a_cut_off_entry() {
        let bytes = [USUAL, b"\x92\x01\xc1"].concat();
        assert_eq!(scan(&bytes), Err(ScanError { at: USUAL.len() + 2, kind: ScanErrorKind::Reserved }));
        let bytes = [USUAL, b"\x92\x01\x82\xc1"].concat();
        assert_eq!(scan(&bytes), Err(ScanError { at: USUAL.len() + 3, kind: ScanErrorKind::Reserved }));
    }

    #[test]
    fn depth_counts_the_entry() {
        let entry = |head: &[u8], depth: usize| {
            [head, &[0x81, 0xa1, b'k'], &[0x91].repeat(depth - 2)[..], &[0xc0]].concat()
        };
        for head in [&USUAL[..11], b"\x92\x01"] {
            assert_eq!(scan(&entry(head, DEPTH_MAX)).unwrap().count, 1);
            assert_eq!(scan(&entry(head, DEPTH_MAX + 1)).unwrap_err().kind, ScanErrorKind::TooDeep);
            let limits = Limits { depth: 4, ..Limits::default() };
            assert_eq!(scan_entries(&entry(head, 4), limits).unwrap().count, 1);
            assert_eq!(scan_entries(&entry(head, 5), limits).unwrap_err().kind, ScanErrorKind::TooDeep);
            assert!(scan_entries(&entry(head, 4), Limits { depth: 0, ..limits }).is_err());
        }
    }

    #[test]
    fn kinds_of_time() {
        let bytes = [
            &b"\x92\x00\x80"[..],
            b"\x92\xc0\x80",
            b"\x92\xcb\x3f\xf0\0\0\0\0\0\0\x80",
            b"\x92\xca\x3f\xf0\0\0\x80",
            b"\x92\xce\x65\x53\xf1\x00\x80",
            b"\x92\xc7\x08\x00\0\0\0\0\0\0\0\0\x80",
            b"\x92\x92\xd7\x00\0\0\0\0\0\0\0\0\x80\x80",
            b"\x92\x92\x00\x81\xa1k\x01\x80",
            b"\xdc\x00\x02\x01\xde\x00\x00",
            b"\xdd\x00\x00\x00\x02\x01\xdf\x00\x00\x00\x00",
        ]
        .concat();
        let expected = EntryScan {
            count: 10,
            end: bytes.len(),
            zero_times: 2,
            nil_times: 1,
            float_times: 2,
            with_metadata: 2,
            ..EntryScan::default()
        };
        assert_eq!(scan(&bytes), Ok(expected));
    }

    #[test]
    fn timestamps_only_where_they_are_switched_on() {
        let bytes = b"\x92\xd6\xff\0\0\0\x01\x80";
        assert_eq!(violations(bytes, Limits::default()), [(0..8, ViolationKind::Time)]);
        let limits = Limits { timestamp_ext: true, ..Limits::default() };
        assert_eq!(violations(bytes, limits), []);
        assert_eq!(scan_entries(bytes, limits).unwrap().timestamps, 1);
    }

    #[test]
    fn violations_come_with_their_bytes() {
        for (bytes, kind) in [
            (&b"\x01"[..], ViolationKind::NotAnArray),
            (b"\x80", ViolationKind::NotAnArray),
            (b"\x90", ViolationKind::Length),
            (b"\x91\x01", ViolationKind::Length),
            (b"\x93\x01\x80\x80", ViolationKind::Length),
            (b"\x92\xa1t\x80", ViolationKind::Time),
            (b"\x92\x92\x01\x01\x80", ViolationKind::Time),
            (b"\x92\x91\x01\x80", ViolationKind::Time),
            (b"\x92\xd7\x05\0\0\0\0\0\0\0\0\x80", ViolationKind::Time),
            (b"\x92\x01\xc0", ViolationKind::NilRecord),
            (b"\x92\xd7\x00\0\0\0\0\0\0\0\0\xc0", ViolationKind::NilRecord),
            (b"\x92\x01\xa1r", ViolationKind::Record),
            (b"\x92\x01\x90", ViolationKind::Record),
        ] {
            let stream = [USUAL, bytes, USUAL].concat();
            let place = USUAL.len()..USUAL.len() + bytes.len();
            assert_eq!(violations(&stream, Limits::default()), [(place, kind)]);
        }
    }
}
