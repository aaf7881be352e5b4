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
    let mut stack = Stack::new();
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
