//! The time of an entry in every encoding that is seen on the wire (spec forward-protocol 2.1).

use super::reader::ValueRef;
use super::write::{write_event_time, write_f64, write_i64, write_nil};
use crate::event::EventTime;

/// An entry's time. Re-encoding it gives the kind of value that was read: an integer stays an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Time {
    /// Whole seconds.
    Int(i64),
    /// EventTime (ext type 0).
    Event(EventTime),
    /// Seconds with a fraction, as JSON clients and old Fluent Bits send it.
    Float(f64),
    /// nil, or anything that is no time.
    None,
}

impl Time {
    /// Reads a raw value.
    ///
    /// | bytes | time |
    /// |---|---|
    /// | `d7 00` or `c7 08 00`, sec:u32, nsec:u32 | Event |
    /// | any integer | Int (above i64: its largest) |
    /// | float32, float64 | Float |
    /// | anything else | None |
    #[inline]
    pub fn read(raw: &[u8]) -> Self {
        if let [0xd7, 0x00, payload @ ..] = raw {
            return payload.first_chunk().map_or(Self::None, |eight| Self::Event(event_time(*eight)));
        }
        match ValueRef::read(raw) {
            Ok(ValueRef::Int(sec)) => Self::Int(sec),
            Ok(ValueRef::UInt(sec)) => Self::Int(i64::try_from(sec).unwrap_or(i64::MAX)),
            Ok(ValueRef::F32(sec)) => Self::Float(f64::from(sec)),
            Ok(ValueRef::F64(sec)) => Self::Float(sec),
            Ok(ValueRef::Ext(0, payload)) => {
                <[u8; 8]>::try_from(payload).map_or(Self::None, |eight| Self::Event(event_time(eight)))
            }
            _ => Self::None,
        }
    }

    /// Reads MessagePack's own timestamp (ext type -1, forms of 4, 8 and 12 bytes), which counts as a time only if
    /// the system parameter `enable_msgpack_time_support` says so.
    pub fn read_timestamp(raw: &[u8]) -> Option<EventTime> {
        let Ok(ValueRef::Ext(-1, payload)) = ValueRef::read(raw) else { return None };
        let time = match payload.len() {
            4 => EventTime::from_secs(i64::from(u32::from_be_bytes(payload.try_into().ok()?))),
            8 => {
                let packed = u64::from_be_bytes(payload.try_into().ok()?);
                EventTime { sec: (packed & 0x3_ffff_ffff) as i64, nsec: (packed >> 34) as u32 }
            }
            12 => EventTime {
                sec: i64::from_be_bytes(*payload.last_chunk()?),
                nsec: u32::from_be_bytes(*payload.first_chunk()?),
            },
            _ => return None,
        };
        (time.nsec < 1_000_000_000).then_some(time)
    }

    /// Appends the time as MessagePack, in the kind it was read in.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Int(sec) => write_i64(out, sec),
            Self::Event(time) => write_event_time(out, time),
            Self::Float(sec) => write_f64(out, sec),
            Self::None => write_nil(out),
        }
    }

    /// The moment, if there is one: NaN, infinities and [`Time::None`] are none.
    pub fn to_event_time(&self) -> Option<EventTime> {
        match *self {
            Self::Int(sec) => Some(EventTime::from_secs(sec)),
            Self::Event(time) => Some(time),
            Self::Float(sec) if sec.is_finite() => {
                let whole = sec.floor();
                let nsec = ((sec - whole) * 1e9) as u32;
                Some(EventTime { sec: whole as i64, nsec: nsec.min(999_999_999) })
            }
            Self::Float(_) | Self::None => None,
        }
    }
}

impl From<EventTime> for Time {
    fn from(time: EventTime) -> Self {
        Self::Event(time)
    }
}

#[inline]
fn event_time(eight: [u8; 8]) -> EventTime {
    let packed = u64::from_be_bytes(eight);
    EventTime { sec: (packed >> 32) as i64, nsec: packed as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_the_wire() {
        let at = EventTime { sec: 1_700_000_000, nsec: 123_456_789 };
        let payload = [0x65, 0x53, 0xf1, 0x00, 0x07, 0x5b, 0xcd, 0x15];
        assert_eq!(Time::read(&[&[0xd7, 0x00], &payload[..]].concat()), Time::Event(at));
        assert_eq!(Time::read(&[&[0xc7, 0x08, 0x00], &payload[..]].concat()), Time::Event(at));
        assert_eq!(Time::read(&[0xce, 0x65, 0x53, 0xf1, 0x00]), Time::Int(1_700_000_000));
        assert_eq!(Time::read(&[0xd2, 0xff, 0xff, 0xff, 0xff]), Time::Int(-1));
        assert_eq!(Time::read(&[0x05]), Time::Int(5));
        assert_eq!(Time::read(&[0xca, 0x3f, 0xc0, 0, 0]), Time::Float(1.5));
        assert_eq!(Time::read(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), Time::Float(1.5));
        assert_eq!(Time::read(&[0xc0]), Time::None);
        assert_eq!(Time::read(b"\xa51.500"), Time::None);
        assert_eq!(Time::read(&[0xd6, 0xff, 0, 0, 0, 1]), Time::None);
        assert_eq!(Time::read(&[]), Time::None);
        assert_eq!(Time::read(&[0xd7, 0x00, 1]), Time::None);
    }

    #[test]
    fn timestamps_in_their_three_forms() {
        assert_eq!(Time::read_timestamp(&[0xd6, 0xff, 0, 0, 0, 7]), Some(EventTime::from_secs(7)));
        let packed = (5u64 << 34) | 0x2_0000_0001;
        let eight = [&[0xd7, 0xff], &packed.to_be_bytes()[..]].concat();
        assert_eq!(Time::read_timestamp(&eight), Some(EventTime { sec: 0x2_0000_0001, nsec: 5 }));
        let twelve = [&[0xc7, 12, 0xff], &9u32.to_be_bytes()[..], &(-3i64).to_be_bytes()[..]].concat();
        assert_eq!(Time::read_timestamp(&twelve), Some(EventTime { sec: -3, nsec: 9 }));
        let too_many = [&[0xc7, 12, 0xff], &1_000_000_000u32.to_be_bytes()[..], &[0; 8]].concat();
        assert_eq!(Time::read_timestamp(&too_many), None);
        assert_eq!(Time::read_timestamp(&[0xd4, 0xff, 0]), None);
    }

    #[test]
    fn written_as_read() {
        for time in [
            Time::Int(-7),
            Time::Int(1_700_000_000),
            Time::Event(EventTime { sec: 1, nsec: 2 }),
            Time::Float(0.25),
            Time::None,
        ] {
            let mut out = Vec::new();
            time.write(&mut out);
            assert_eq!(Time::read(&out), time);
        }
    }

    #[test]
    fn floats_before_the_epoch_round_down() {
        assert_eq!(Time::Float(-0.25).to_event_time(), Some(EventTime { sec: -1, nsec: 750_000_000 }));
        assert_eq!(Time::Float(f64::NAN).to_event_time(), None);
        assert_eq!(Time::None.to_event_time(), None);
    }
}
