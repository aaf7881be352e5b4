//! A framed message, read: its tag, its entries as a slice of what was received, its options.

use super::decoder::{Encoding, RawMessage};
use super::entries::{Rules, mend};
use super::limits::TAG_BYTES_MAX;
use super::options::{OptionError, Options};
use bytes::Bytes;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Kind, Limits, Reader, Time, ValueRef, scan_entries, write_event_time};
use std::ops::Range;

/// What a peer sent.
#[derive(Debug)]
pub(super) enum Message {
    /// Nil: a heartbeat of old clients.
    Heartbeat,
    /// A value that is no array.
    NotAnArray(Bytes),
    Events(Box<Events>),
}

/// Events that share a tag.
#[derive(Debug)]
pub(super) struct Events {
    /// The tag's bytes; empty if it is nil.
    pub(super) tag: Bytes,
    /// Whether the tag is a string (or a byte array).
    pub(super) tag_is_text: bool,
    pub(super) body: Body,
    /// The options, or why they cannot be read. Fluentd sees the latter only behind the events of a Message or Forward.
    pub(super) options: Result<Options, OptionError>,
    pub(super) encoding: Encoding,
    /// Bytes on the wire.
    pub(super) size: u64,
}

/// The events of a message.
#[derive(Debug)]
pub(super) enum Body {
    /// Message mode, an entry made of time and record.
    Single(Bytes),
    /// Message mode with something that is no event, as (time, record).
    Invalid(Bytes, Bytes),
    /// Message mode with a nil record.
    Nothing,
    /// Forward mode.
    List {
        entries: Bytes,
        count: usize,
        /// Whether all entries are as they should be; if not, they are to be mended.
        usual: bool,
    },
    /// PackedForward mode: entries that have not been looked at, perhaps compressed.
    Packed(Bytes),
}

/// Why a message is unusable. The connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("unexpected extension type: no sender of events uses it")]
    Extension,
    #[error("the tag is {0}, not a string")]
    Tag(String),
    #[error("the tag has {0} bytes; {TAG_BYTES_MAX} are allowed")]
    TagTooLong(usize),
    #[error("the time is {0}, not a time")]
    Time(String),
    #[error("the packed entries are no MessagePack: {0}")]
    Entries(#[from] logweir_engine::msgpack::ScanError),
}

impl Message {
    /// Reads a message. `skip_invalid` is skip_invalid_event.
    pub(super) fn read(raw: RawMessage, skip_invalid: bool) -> Result<Self, MessageError> {
        let RawMessage { mut bytes, layout, encoding, size } = raw;
        if layout.kind == Some(Kind::Nil) {
            return Ok(Self::Heartbeat);
        }
        if layout.unknown_extension {
            return Err(MessageError::Extension);
        }
        if layout.kind != Some(Kind::Array) {
            return Ok(Self::NotAnArray(bytes.freeze()));
        }
        let slots = layout.slots;
        let slot = |index: usize| -> Range<usize> {
            slots[index]..slots.get(index + 1).copied().unwrap_or(layout.length)
        };
        let (tag, tag_is_text) = read_tag(&bytes[slot(0)])?;
        let option_at = match layout.mode {
            Some(Kind::Array | Kind::Str | Kind::Bin) => 2,
            _ => 3,
        };
        if option_at == 2 {
            let bytes = bytes.freeze();
            // A fourth slot of these modes is ignored, so the third ends where it begins.
            let options = Options::read(&bytes.slice(slot(2)));
            let body = match layout.mode {
                Some(Kind::Array) => Body::List {
                    entries: if layout.entries == 0 {
                        Bytes::new()
                    } else {
                        bytes.slice(layout.entries_at..slots[2])
                    },
                    count: layout.entries as usize,
                    usual: layout.entries_usual,
                },
                _ => Body::Packed(payload(&bytes, slot(1))),
            };
            return Ok(Self::Events(Box::new(Events { tag, tag_is_text, body, options, encoding, size })));
        }
        let verdict = judge_single(&bytes[slot(1)], &bytes[slot(2)], tag_is_text, skip_invalid)?;
        let (time, record) = (slot(1), slot(2));
        if verdict == Single::Usual {
            // The byte in front of the time, the last of the tag, becomes the entry's header: no copy.
            bytes[time.start - 1] = 0x92;
        }
        let bytes = bytes.freeze();
        let body = match verdict {
            Single::Usual => Body::Single(bytes.slice(time.start - 1..record.end)),
            Single::At(time) => Body::Single(entry_at(time, &bytes[record])),
            Single::Nothing => Body::Nothing,
            Single::Invalid => Body::Invalid(bytes.slice(time), bytes.slice(record)),
        };
        let option_slot = if layout.count > 3 { fourth(&bytes, slots[3]) } else { Bytes::new() };
        let options = Options::read(&option_slot);
        Ok(Self::Events(Box::new(Events { tag, tag_is_text, body, options, encoding, size })))
    }
}

/// Entries that passed, ready to be emitted.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) entries: Bytes,
    pub(super) count: usize,
}

/// Checks inflated packed entries in one pass; rebuilds them only if some are not as they should be.
pub(super) fn check_packed(
    payload: Bytes,
    rules: Rules,
    skipped: impl FnMut(&[u8]),
) -> Result<Checked, MessageError> {
    let limits = Limits { timestamp_ext: rules.timestamps, ..Limits::default() };
    let scan = scan_entries(&payload, limits)?;
    // A last entry that is cut off is left out, as Fluentd does it.
    let entries = payload.slice(..scan.end);
    let strict = if rules.skip_invalid { scan.float_times } else { 0 };
    if !rules.skip_all && scan.violations + scan.nil_times + scan.timestamps + strict == 0 {
        return Ok(Checked { entries, count: scan.count });
    }
    Ok(mended(&entries, rules, skipped))
}

/// Rebuilds entries that are not all as they should be.
pub(super) fn mended(entries: &[u8], rules: Rules, skipped: impl FnMut(&[u8])) -> Checked {
    let mut out = Vec::with_capacity(entries.len() + 16);
    let count = mend(entries, rules, &mut out, skipped);
    Checked { entries: out.into(), count }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Single {
    Usual,
    /// With another time than it says.
    At(EventTime),
    Nothing,
    Invalid,
}

/// What becomes of `[tag, time, record]`. Empty bytes stand for a missing slot, which is nil.
fn judge_single(
    time: &[u8],
    record: &[u8],
    tag_is_text: bool,
    skip_invalid: bool,
) -> Result<Single, MessageError> {
    let kind = |raw: &[u8]| raw.first().and_then(|marker| Kind::of(*marker)).unwrap_or(Kind::Nil);
    if skip_invalid {
        let timed = matches!(kind(time), Kind::Int | Kind::Ext);
        if !timed || kind(record) != Kind::Map || !tag_is_text {
            return Ok(Single::Invalid);
        }
    }
    if kind(record) == Kind::Nil {
        return Ok(Single::Nothing);
    }
    // What Ruby's to_i makes 0 means now. Texts that are numbers are not supported as times: now, too.
    let is_zero = match ValueRef::read(time) {
        Ok(ValueRef::Int(sec)) => sec == 0,
        Ok(ValueRef::UInt(_)) => false,
        Ok(ValueRef::F32(sec)) => sec.abs() < 1.0,
        Ok(ValueRef::F64(sec)) => sec.abs() < 1.0,
        Ok(ValueRef::Ext(0, payload)) => payload.starts_with(&[0; 4]),
        Ok(ValueRef::Ext(..)) => match Time::read_timestamp(time) {
            Some(time) => return Ok(Single::At(time)),
            None => false,
        },
        Ok(ValueRef::Bool(_) | ValueRef::Map(_)) => {
            return Err(MessageError::Time(super::preview::preview(time)));
        }
        _ => true,
    };
    Ok(if is_zero { Single::At(EventTime::now()) } else { Single::Usual })
}

fn entry_at(time: EventTime, record: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(11 + record.len());
    out.push(0x92);
    write_event_time(&mut out, time);
    out.extend_from_slice(record);
    out.into()
}

fn read_tag(raw: &[u8]) -> Result<(Bytes, bool), MessageError> {
    match ValueRef::read(raw) {
        Ok(ValueRef::Str(tag) | ValueRef::Bin(tag)) if tag.len() <= TAG_BYTES_MAX => {
            Ok((Bytes::copy_from_slice(tag), true))
        }
        Ok(ValueRef::Str(tag) | ValueRef::Bin(tag)) => Err(MessageError::TagTooLong(tag.len())),
        // An array without slots has no tag.
        Ok(ValueRef::Nil) | Err(_) => Ok((Bytes::new(), false)),
        Ok(_) => Err(MessageError::Tag(super::preview::preview(raw))),
    }
}

/// What is inside the string or byte array that lies at `slot`.
fn payload(bytes: &Bytes, slot: Range<usize>) -> Bytes {
    let header = match bytes[slot.start] {
        0xa0..=0xbf => 1,
        0xc4 | 0xd9 => 2,
        0xc5 | 0xda => 3,
        _ => 5,
    };
    bytes.slice(slot.start + header..slot.end)
}

/// The fourth slot; there may be more behind it.
fn fourth(bytes: &Bytes, start: usize) -> Bytes {
    let mut reader = Reader::new(&bytes[start..]);
    let length = reader.read_raw().map_or(0, <[u8]>::len);
    bytes.slice(start..start + length)
}
