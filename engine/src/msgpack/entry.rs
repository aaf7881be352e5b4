//! Walks over entries that have been scanned.

use super::marker::{Head, head};
use super::skip::{KeySizes, skip_scanned, value_end};
use super::time::Time;

/// One entry, as bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The whole entry.
    pub raw: &'a [u8],
    /// Its time.
    pub time: Time,
    /// The raw time, without metadata.
    pub time_raw: &'a [u8],
    /// The raw metadata map of `[[time, metadata], record]`.
    pub metadata: Option<&'a [u8]>,
    /// The raw record: a map, or whatever a sender has put there but nil. Fluentd 1.16 lets such values through, and so
    /// do we: an output that can print them does, one that needs fields finds none.
    pub record: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry's bytes before the record: array header and the time (with its metadata).
    #[inline]
    pub fn head(&self) -> &'a [u8] {
        &self.raw[..self.raw.len() - self.record.len()]
    }
}

/// Iterates over concatenated entries that [`scan_entries`](super::scan_entries) has checked. Values that are no
/// entries are passed over; at bytes that are no MessagePack the iteration ends.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    keys: KeySizes,
}

impl<'a> Entries<'a> {
    /// Entries of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, keys: KeySizes::new() }
    }

    /// Offset of the next entry.
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let start = self.at;
            if let Some([0x92, 0xd7, 0x00, ..]) = self.bytes.get(start..start.checked_add(12)?)
                && matches!(self.bytes[start + 11], 0x80..=0x8f | 0xde | 0xdf)
            {
                self.keys.start();
                let end = value_end(self.bytes, start + 11, |byte| self.keys.size(byte))?;
                let raw = self.bytes.get(start..end)?;
                self.at = end;
                let time_raw = &raw[1..11];
                return Some(Entry {
                    raw,
                    time: Time::read(time_raw),
                    time_raw,
                    metadata: None,
                    record: &raw[11..],
                });
            }
            let end = skip_scanned(self.bytes, start)?;
            self.at = end;
            if let Some(entry) = read(&self.bytes[start..end]) {
                return Some(entry);
            }
        }
    }
}

/// Appends an entry `[time, record]`, or `[[time, metadata], record]`.
pub fn write_entry(out: &mut Vec<u8>, time: Time, metadata: Option<&[u8]>, record: &[u8]) {
    out.push(0x92);
    if let Some(metadata) = metadata {
        out.push(0x92);
        time.write(out);
        out.extend_from_slice(metadata);
    } else {
        time.write(out);
    }
    out.extend_from_slice(record);
}

/// Takes an entry apart; `None` if the value has another shape.
fn read(raw: &[u8]) -> Option<Entry<'_>> {
    let (time, record) = pair(raw)?;
    if record.first()? == &0xc0 {
        return None;
    }
    let (time_raw, metadata) = match pair(time) {
        Some((inner, metadata)) if matches!(metadata.first()?, 0x80..=0x8f | 0xde | 0xdf) => {
            (inner, Some(metadata))
        }
        Some(_) => return None,
        None => (time, None),
    };
    Some(Entry { raw, time: Time::read(time_raw), time_raw, metadata, record })
}

fn pair(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    if !matches!(raw.first()?, 0x90..=0x9f | 0xdc | 0xdd) {
        return None;
    }
    let Head::Container(first, 2) = head(raw, 0) else { return None };
    let second = skip_scanned(raw, first)?;
    Some((raw.get(first..second)?, raw.get(second..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventTime;

    #[test]
    fn takes_entries_apart() {
        let usual = b"\x92\xd7\x00\0\0\0\x05\0\0\0\x01\x81\xa1k\xa1v";
        let plain = b"\x92\x07\x80";
        let wide = b"\xdc\x00\x02\x92\x07\x81\x01\x02\xde\x00\x00";
        let bytes = [&usual[..], b"\xa1x", plain, b"\x92\x01\xc0", wide, b"\x92\xd7"].concat();
        let entries: Vec<Entry<'_>> = Entries::new(&bytes).collect();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0].raw, usual);
        assert_eq!(entries[0].time, Time::Event(EventTime { sec: 5, nsec: 1 }));
        assert_eq!(entries[0].head(), &usual[..11]);
        assert_eq!(entries[0].record, b"\x81\xa1k\xa1v");
        assert_eq!((entries[1].time, entries[1].metadata), (Time::Int(7), None));
        assert_eq!((entries[2].time_raw, entries[2].metadata), (&b"\x07"[..], Some(&b"\x81\x01\x02"[..])));
        assert_eq!(entries[2].head(), &wide[..8]);
        assert_eq!(entries[2].record, b"\xde\x00\x00");
    }

    #[test]
    fn a_record_may_be_any_value_but_nil() {
        let bytes = b"\x92\x07\xa1r\x92\x07\xc0\x92\x92\x07\x80\x05";
        let entries: Vec<Entry<'_>> = Entries::new(bytes).collect();
        assert_eq!(entries.iter().map(|entry| entry.record).collect::<Vec<_>>(), [&b"\xa1r"[..], b"\x05"]);
        assert_eq!(entries[1].metadata, Some(&b"\x80"[..]));
    }

    #[test]
    fn writes_what_it_reads() {
        let mut bytes = Vec::new();
        write_entry(&mut bytes, Time::Int(5), None, &[0x80]);
        write_entry(&mut bytes, Time::Event(EventTime::from_secs(6)), Some(b"\x81\x01\x02"), &[0x80]);
        let entries: Vec<Entry<'_>> = Entries::new(&bytes).collect();
        assert_eq!((entries[0].time, entries[0].metadata), (Time::Int(5), None));
        assert_eq!(entries[1].time, Time::Event(EventTime::from_secs(6)));
        assert_eq!(entries[1].metadata, Some(&b"\x81\x01\x02"[..]));
    }
}
