//! However the bytes are cut, the events are the same.

use super::super::decoder::{Decoder, Sizes};
use super::super::fuzz::decoded;
use super::peer::{entry, forward_mode, message_mode, option, packed_mode};
use bytes::BytesMut;
use proptest::prelude::*;

const SIZES: Sizes = Sizes { message_max: 1 << 20, chunk_max: None };

/// A value of any kind, with its length told truly.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(vec![0xc0]),
        Just(vec![0x00]),
        (0u8..0x80).prop_map(|byte| vec![byte]),
        any::<u32>().prop_map(|n| [&[0xce][..], &n.to_be_bytes()].concat()),
        any::<f64>().prop_map(|n| [&[0xcb][..], &n.to_be_bytes()].concat()),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|text| {
            let mut out = vec![0xd9, text.len() as u8];
            out.extend_from_slice(&text);
            out
        }),
        any::<[u8; 8]>().prop_map(|payload| [&[0xd7, 0x00][..], &payload].concat()),
        Just(vec![0xd4, 0x07, 0x00]),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| [
                &[0x90 | items.len() as u8][..],
                &items.concat()
            ]
            .concat()),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(|pairs| {
                let mut out = vec![0x80 | pairs.len() as u8];
                for (key, value) in pairs {
                    out.extend_from_slice(&key);
                    out.extend_from_slice(&value);
                }
                out
            }),
        ]
    })
}

/// Entries as senders make them, and some that are odd.
fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (1i64..100).prop_map(entry),
        1 => Just(vec![0x92, 0x92, 0x05, 0x80, 0x81, 0x01, 0x02]),
        1 => Just(vec![0x92, 0x05, 0x80]),
        1 => Just(vec![0x92, 0x00, 0x80]),
        1 => (value(), value()).prop_map(|(time, record)| [&[0x92][..], &time, &record].concat()),
        1 => value(),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let options = prop_oneof![
        Just(Vec::new()),
        Just(vec![0xc0]),
        Just(option(&[("chunk", "abc"), ("size", "1")])),
        value(),
    ];
    let tag = prop_oneof![Just("t.a"), Just(""), Just("a.longer.tag.than.thirty-one.bytes.of.a.fixstr")];
    prop_oneof![
        (tag.clone(), 1i64..9, options.clone())
            .prop_map(|(tag, time, option)| message_mode(tag, time, &option)),
        (tag.clone(), prop::collection::vec(any_entry(), 0..20), options.clone())
            .prop_map(|(tag, entries, option)| forward_mode(tag, &entries, &option)),
        (tag, prop::collection::vec(any_entry(), 0..20), options)
            .prop_map(|(tag, entries, option)| packed_mode(tag, &entries.concat(), &option)),
        value(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_fragmentation_gives_the_same_events(
        messages in prop::collection::vec(message(), 1..6),
        pieces in prop::collection::vec(1usize..40, 1..8),
        chunk_max in prop::option::of(20u64..200),
    ) {
        // A first byte of `[` or `{` would be JSON.
        let bytes = [&[0xc0][..], &messages.concat()].concat();
        let sizes = Sizes { chunk_max, ..SIZES };
        let whole = decoded(&bytes, &[bytes.len()], sizes);
        prop_assert_eq!(&decoded(&bytes, &pieces, sizes), &whole);
        prop_assert_eq!(&decoded(&bytes, &[1], sizes), &whole);
    }

    #[test]
    fn garbage_is_refused_alike_however_it_is_cut(
        bytes in prop::collection::vec(any::<u8>(), 1..300),
        pieces in prop::collection::vec(1usize..20, 1..8),
    ) {
        let whole = decoded(&bytes, &[bytes.len()], SIZES);
        prop_assert_eq!(decoded(&bytes, &pieces, SIZES), whole);
    }

    #[test]
    fn the_decoder_stands_damaged_messages(
        message in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = message;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        decoded(&bytes, &[7], SIZES);
    }
}

#[test]
fn messages_above_chunk_size_limit_are_dropped_without_being_kept() {
    let sizes = Sizes { chunk_max: Some(100), ..SIZES };
    let big = packed_mode("big", &[0; 200], b"");
    let bytes = [message_mode("t", 1, b""), big, message_mode("t", 2, b"")].concat();
    for piece in [1, 7, bytes.len()] {
        let out = decoded(&bytes, &[piece], sizes);
        assert_eq!(out.len(), 4, "{out:?}");
        assert_eq!(out[1], format!("dropped {:x?} {}", b"\xa3big", 207));
    }
}

#[test]
fn a_dropped_message_takes_no_memory() {
    let sizes = Sizes { chunk_max: Some(100), ..SIZES };
    let mut decoder = Decoder::new(sizes, false);
    let mut buffer = BytesMut::from(&b"\x92\xa3big\xc6\x7f\xff\xff\xff"[..]);
    for _ in 0..1000 {
        assert!(decoder.next(&mut buffer).unwrap().is_none());
        assert!(buffer.len() < 200);
        buffer.extend_from_slice(&[0; 1000]);
    }
    assert!(decoder.progress().received_bytes > 900_000);
}

#[test]
fn lengths_beyond_the_limit_are_refused_when_they_are_seen() {
    let too_long = "message of more than 1048576 bytes; message_size_limit allows no more";
    for header in [
        &b"\x92\xa1t\xc6\xff\xff\xff\xff"[..],
        b"\x92\xa1t\xdb\x00\x10\x00\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x92\xa1t\xdd\x7f\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x00",
    ] {
        assert_eq!(decoded(header, &[1], SIZES), [too_long], "{header:x?}");
    }
}

#[test]
fn nesting_is_limited_alike_in_all_modes() {
    // A record of so many levels, itself counted.
    let record = |levels: usize| [[0x81, 0xa1, b'k'].repeat(levels - 1), vec![0x80]].concat();
    let fits = |levels: usize| {
        let entry = [&[0x92, 0x05][..], &record(levels)].concat();
        let message = [&b"\x93\xa1t\x05"[..], &record(levels)].concat();
        let forward = forward_mode("t", std::slice::from_ref(&entry), b"");
        let packed = packed_mode("t", &entry, b"");
        [message, forward, packed].map(|bytes| {
            let whole = decoded(&bytes, &[bytes.len()], SIZES);
            assert_eq!(decoded(&bytes, &[1], SIZES), whole);
            !whole[0].to_lowercase().contains("deep")
        })
    };
    // The innermost map is empty, which is no level of its own.
    assert_eq!(fits(128), [true; 3]);
    assert_eq!(fits(129), [false; 3]);
}
