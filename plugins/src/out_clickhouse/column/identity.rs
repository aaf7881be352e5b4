//! `UUID`, `IPv4` and `IPv6`.

use super::number::one_stream;
use super::stream::{Sink, Stream};
use super::{Column, Compression, Fault};
use logweir_engine::msgpack::ValueRef;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `UUID`: two little-endian 64-bit halves, high half first.
#[derive(Default)]
pub(crate) struct Uuids {
    stream: Stream,
}

impl Column for Uuids {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let uuid = match *value {
            ValueRef::Nil => 0,
            ValueRef::Str(text) => uuid_text(text).ok_or(Fault::NotUuid)?,
            ValueRef::Bin(bytes) => match <[u8; 16]>::try_from(bytes) {
                Ok(bytes) => u128::from_be_bytes(bytes),
                Err(_) => uuid_text(bytes).ok_or(Fault::NotUuid)?,
            },
            _ => return Err(Fault::NotUuid),
        };
        self.stream.raw.extend_from_slice(&((uuid >> 64) as u64).to_le_bytes());
        self.stream.raw.extend_from_slice(&(uuid as u64).to_le_bytes());
        Ok(())
    }

    fn push_default(&mut self) {
        self.stream.raw.extend_from_slice(&[0; 16]);
    }

    one_stream!();
}

/// 32 hexadecimal digits, with or without dashes, in braces or behind `urn:uuid:` or not.
fn uuid_text(text: &[u8]) -> Option<u128> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"urn:uuid:").unwrap_or(text);
    let text = text.strip_prefix(b"{").and_then(|inner| inner.strip_suffix(b"}")).unwrap_or(text);
    let mut value = 0u128;
    let mut digits = 0;
    for byte in text {
        if *byte == b'-' {
            if !matches!(digits, 8 | 12 | 16 | 20) {
                return None;
            }
            continue;
        }
        value = value << 4 | u128::from((*byte as char).to_digit(16)?);
        digits += 1;
        if digits > 32 {
            return None;
        }
    }
    (digits == 32).then_some(value)
}

/// `IPv4`: a little-endian 32-bit number.
#[derive(Default)]
pub(crate) struct Ipv4s {
    stream: Stream,
}

impl Column for Ipv4s {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let address = match *value {
            ValueRef::Nil => 0,
            ValueRef::Int(number) => u32::try_from(number).map_err(|_| Fault::OutOfRange)?,
            ValueRef::Str(text) | ValueRef::Bin(text) => match address(text)? {
                IpAddr::V4(address) => address.to_bits(),
                IpAddr::V6(address) => {
                    address.to_ipv4_mapped().map(Ipv4Addr::to_bits).ok_or(Fault::NotAddress)?
                }
            },
            _ => return Err(Fault::NotAddress),
        };
        self.stream.raw.extend_from_slice(&address.to_le_bytes());
        Ok(())
    }

    fn push_default(&mut self) {
        self.stream.raw.extend_from_slice(&[0; 4]);
    }

    one_stream!();
}

/// `IPv6`: 16 bytes in network order; an IPv4 address is stored as its mapped one.
#[derive(Default)]
pub(crate) struct Ipv6s {
    stream: Stream,
}

impl Column for Ipv6s {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let address: Ipv6Addr = match *value {
            ValueRef::Nil => Ipv6Addr::UNSPECIFIED,
            ValueRef::Bin(bytes) if bytes.len() == 16 => {
                <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).map_err(|_| Fault::NotAddress)?
            }
            ValueRef::Str(text) | ValueRef::Bin(text) => match address(text)? {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            },
            _ => return Err(Fault::NotAddress),
        };
        self.stream.raw.extend_from_slice(&address.octets());
        Ok(())
    }

    fn push_default(&mut self) {
        self.stream.raw.extend_from_slice(&[0; 16]);
    }

    one_stream!();
}

fn address(text: &[u8]) -> Result<IpAddr, Fault> {
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).ok_or(Fault::NotAddress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(column: &mut dyn Column, value: ValueRef<'_>) -> Result<Vec<u8>, Fault> {
        column.push(&value)?;
        Ok(std::mem::take(&mut column.single_stream().unwrap().raw))
    }

    #[test]
    fn uuids_in_their_spellings() {
        let expected = vec![0x67, 0x45, 0x23, 0x01, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0x80];
        let expected: Vec<u8> = {
            let mut e = expected;
            e[..8].copy_from_slice(&0x0123_4567_89ab_cdef_u64.to_le_bytes());
            e[8..].copy_from_slice(&0x8000_0000_0000_0010_u64.to_le_bytes());
            e
        };
        for text in [
            "01234567-89ab-cdef-8000-000000000010",
            "0123456789ABCDEF8000000000000010",
            "{01234567-89ab-cdef-8000-000000000010}",
            "urn:uuid:01234567-89ab-cdef-8000-000000000010",
        ] {
            assert_eq!(
                pushed(&mut Uuids::default(), ValueRef::Str(text.as_bytes())),
                Ok(expected.clone()),
                "{text}"
            );
        }
        for text in [
            "",
            "0123",
            "0123456-789ab-cdef-8000-000000000010",
            "0123456789abcdef80000000000000100",
            "g1234567-89ab-cdef-8000-000000000010",
        ] {
            assert_eq!(
                pushed(&mut Uuids::default(), ValueRef::Str(text.as_bytes())),
                Err(Fault::NotUuid),
                "{text}"
            );
        }
    }

    #[test]
    fn addresses() {
        let v4 = |value| pushed(&mut Ipv4s::default(), value);
        assert_eq!(v4(ValueRef::Str(b"192.168.1.2")), Ok(vec![2, 1, 168, 192]));
        assert_eq!(v4(ValueRef::Str(b"::ffff:192.168.1.2")), Ok(vec![2, 1, 168, 192]));
        assert_eq!(v4(ValueRef::Int(1)), Ok(vec![1, 0, 0, 0]));
        assert_eq!(v4(ValueRef::Int(-1)), Err(Fault::OutOfRange));
        assert_eq!(v4(ValueRef::Str(b"::1")), Err(Fault::NotAddress));
        assert_eq!(v4(ValueRef::Str(b"192.168.1.256")), Err(Fault::NotAddress));
        let v6 = |value| pushed(&mut Ipv6s::default(), value);
        assert_eq!(v6(ValueRef::Str(b"::1")).map(|b| b[15]), Ok(1));
        assert_eq!(
            v6(ValueRef::Str(b"1.2.3.4")),
            Ok(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4])
        );
        assert_eq!(v6(ValueRef::Str(b"fe80::1%eth0")), Err(Fault::NotAddress));
    }
}
