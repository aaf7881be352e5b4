//! One field of a raw record: where it lies, and taking it out.

use crate::json::Watched;
use crate::msgpack::{RecordView, key_name, skip};
use std::ops::Range;

/// Where a field lies in a raw record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPlace {
    /// Its value's bytes.
    pub value: Range<usize>,
    start: usize,
    fields: usize,
}

impl FieldPlace {
    /// The field with the key `key` of a raw record that has been scanned, which may be followed by anything.
    pub fn find(record: &[u8], key: &[u8]) -> Option<Self> {
        let mut pairs = RecordView::new(record).iter();
        let fields = pairs.left();
        loop {
            let start = pairs.position();
            let (name, value) = pairs.next()?;
            if key_name(name) == Some(key) {
                let end = pairs.position();
                return Some(Self { value: end - value.len()..end, start, fields });
            }
        }
    }

    /// The same where the JSON reader has watched for the key (`document_to_msgpack_watching`); the record lies at `at` in the
    /// buffer that was read into.
    pub fn watched(record: &[u8], at: usize, key: &[u8], watched: Watched) -> Option<Self> {
        match watched {
            Watched::Absent => None,
            Watched::At { key, value } => {
                let (start, value) = (key.checked_sub(at)?, value.checked_sub(at)?);
                let end = value + skip(record.get(value..)?, 0).ok()?;
                Some(Self { value: value..end, start, fields: RecordView::new(record).len() })
            }
            Watched::Unknown => Self::find(record, key),
        }
    }

    /// Takes the field out of the record at `at` in `buffer`, in which it was found. The map's header keeps its size, so that
    /// only what lies behind the field moves.
    pub fn remove(&self, buffer: &mut Vec<u8>, at: usize) {
        let fields = self.fields.saturating_sub(1);
        match buffer.get_mut(at..) {
            Some([0xde, high, low, ..]) => [*high, *low] = (fields as u16).to_be_bytes(),
            Some([0xdf, a, b, c, d, ..]) => [*a, *b, *c, *d] = (fields as u32).to_be_bytes(),
            Some([one, ..]) => *one = 0x80 | (fields as u8 & 0x0f),
            _ => return,
        }
        buffer.drain(at + self.start..at + self.value.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::{Reader, ValueRef, write_i64, write_map_len, write_str};

    #[test]
    fn fields_go_whatever_the_size_of_the_header() {
        for count in [1i64, 2, 15, 16, 17] {
            for gone in 0..count {
                let mut buffer = b"head".to_vec();
                write_map_len(&mut buffer, count as usize);
                for n in 0..count {
                    write_str(&mut buffer, format!("k{n}").as_bytes());
                    write_i64(&mut buffer, n);
                }
                let key = format!("k{gone}");
                let place = FieldPlace::find(&buffer[4..], key.as_bytes()).unwrap();
                assert_eq!(ValueRef::read(&buffer[4..][place.value.clone()]), Ok(ValueRef::Int(gone)));
                place.remove(&mut buffer, 4);
                assert_eq!(FieldPlace::find(&buffer[4..], key.as_bytes()), None);
                let mut reader = Reader::new(&buffer[4..]);
                assert_eq!(reader.read_map_len(), Ok(count as usize - 1));
                for _ in 0..(count - 1) * 2 {
                    reader.skip().unwrap();
                }
                assert!(reader.is_at_end());
            }
        }
        assert_eq!(FieldPlace::find(b"\xc0", b"a"), None);
        assert_eq!(FieldPlace::find(b"\x81\xa1", b"a"), None);
    }
}
