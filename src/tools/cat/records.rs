//! Standard input as records, each a MessagePack map.

use logweir_engine::json::{ReadOptions, document_to_msgpack};
use logweir_engine::msgpack::{Entries, ScanErrorKind, Time, skip, write_map_len, write_str};
use std::io::{BufRead, ErrorKind};

/// A record that has more bytes than this is none.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// What comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON object a line.
    Json,
    /// MessagePack maps one after another, or pairs of an EventTime and a map as secondary files have them.
    MessagePack,
    /// Lines that become the field `key`.
    Lines {
        /// Its name.
        key: String,
    },
}

/// Reads records.
pub(super) struct Records<R> {
    input: R,
    format: Format,
    buffer: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, format: Format) -> Self {
        Self { input, format, buffer: Vec::new() }
    }

    /// The next record; `None` at the end. The error is for the user.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.format == Format::MessagePack {
            return self.value();
        }
        self.buffer.clear();
        let read = self.input.read_until(b'\n', &mut self.buffer);
        if read.map_err(|error| format!("cannot read standard input: {error}"))? == 0 {
            return Ok(None);
        }
        let mut record = Vec::with_capacity(self.buffer.len() + 16);
        match &self.format {
            Format::Lines { key } => {
                write_map_len(&mut record, 1);
                write_str(&mut record, key.as_bytes());
                write_str(&mut record, chomp(&self.buffer));
            }
            _ => {
                document_to_msgpack(&self.buffer, &mut record, ReadOptions::default())
                    .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(chomp(&self.buffer))))?;
                check_map(&record)?;
            }
        }
        Ok(Some(record))
    }

    fn value(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            match skip(&self.buffer, 0) {
                Ok(end) => {
                    let rest = self.buffer.split_off(end);
                    let value = std::mem::replace(&mut self.buffer, rest);
                    return record_of(value).map(Some);
                }
                Err(error) if error.kind == ScanErrorKind::Truncated => {
                    if self.buffer.len() > RECORD_BYTES_MAX {
                        return Err(format!("a record has more than {RECORD_BYTES_MAX} bytes"));
                    }
                    let more = match self.input.fill_buf() {
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        more => more.map_err(|error| format!("cannot read standard input: {error}"))?,
                    };
                    // A value that is cut off by the end is passed over, as in Fluentd.
                    if more.is_empty() {
                        return Ok(None);
                    }
                    self.buffer.extend_from_slice(more);
                    let length = more.len();
                    self.input.consume(length);
                }
                Err(error) => return Err(format!("what comes in is no MessagePack: {error}")),
            }
        }
    }
}

/// The record of what Fluentd takes for one; the time of a pair is not that of the event.
fn record_of(value: Vec<u8>) -> Result<Vec<u8>, String> {
    if let Some(entry) = Entries::new(&value).next()
        && matches!(entry.time, Time::Event(_))
        && entry.metadata.is_none()
    {
        check_map(entry.record)?;
        return Ok(entry.record.to_vec());
    }
    check_map(&value)?;
    Ok(value)
}

fn check_map(raw: &[u8]) -> Result<(), String> {
    let kind = match raw.first() {
        Some(0x80..=0x8f | 0xde | 0xdf) => return Ok(()),
        Some(0x90..=0x9f | 0xdc | 0xdd) => "Array",
        Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4..=0xc6) => "String",
        Some(0xca | 0xcb) => "Float",
        Some(0xc0) => "NilClass",
        Some(0xc2) => "FalseClass",
        Some(0xc3) => "TrueClass",
        _ => "Integer",
    };
    Err(format!("Input must be a map (got {kind})"))
}

fn chomp(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::json::{JsonStyle, from_msgpack};

    /// The records as JSON, and the error at the end.
    fn read(input: &[u8], format: Format) -> (Vec<String>, Option<String>) {
        let mut records = Records::new(std::io::BufReader::with_capacity(3, input), format);
        let mut found = Vec::new();
        loop {
            match records.next() {
                Ok(Some(record)) => {
                    let mut text = Vec::new();
                    from_msgpack(&record, &mut text, JsonStyle::Yajl).unwrap();
                    found.push(String::from_utf8(text).unwrap());
                }
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    #[test]
    fn lines_of_json_are_records_up_to_the_first_that_is_none() {
        let (records, error) = read(b"{\"a\":1}\n{\"b\":[true]}\r\n[1]\n{\"c\":1}\n", Format::Json);
        assert_eq!(records, [r#"{"a":1}"#, r#"{"b":[true]}"#]);
        assert_eq!(error.as_deref(), Some("Input must be a map (got Array)"));
        let (records, error) = read(b"{\"a\":1}\n{\"a\n", Format::Json);
        assert_eq!(records.len(), 1);
        assert!(error.unwrap().ends_with(": {\"a"));
    }

    #[test]
    fn lines_of_anything_are_a_field() {
        let lines = Format::Lines { key: "m".to_owned() };
        assert_eq!(read(b"x y\n\nz", lines).0, [r#"{"m":"x y"}"#, r#"{"m":""}"#, r#"{"m":"z"}"#]);
    }

    #[test]
    fn messagepack_is_read_value_by_value() {
        let pair = b"\x92\xd7\x00\0\0\0\x01\0\0\0\x02\x81\xa1b\x02";
        let input = [b"\x81\xa1a\x01".as_slice(), pair, b"\x81\xa1"].concat();
        assert_eq!(read(&input, Format::MessagePack), (vec![r#"{"a":1}"#.into(), r#"{"b":2}"#.into()], None));
        let (_, error) = read(b"\x05", Format::MessagePack);
        assert_eq!(error.as_deref(), Some("Input must be a map (got Integer)"));
        assert!(read(b"\xc1", Format::MessagePack).1.unwrap().contains("reserved byte"));
    }
}
