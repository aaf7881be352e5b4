//! The modes, and the reactions to what is not quite right (spec forward-protocol 4).

use super::peer::{Running, ack, entry, forward_mode, message_mode, option, packed_mode};
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::Time;
use std::io::Write;

fn events(tag: &str, seconds: &[i64]) -> Vec<(String, Vec<u8>)> {
    seconds.iter().map(|second| (tag.to_owned(), entry(*second))).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn all_modes_bring_the_same_events() {
    let server = Running::start("");
    let both = [entry(1), entry(2)].concat();
    let members = [gzip(&entry(1)), gzip(&entry(2))].concat();
    let frames = zstd::encode_all(&both[..], 1).unwrap();
    let mut as_str = packed_mode("a.b", &both, b"");
    assert_eq!(as_str[5], 0xc4);
    as_str[5] = 0xd9;
    let messages = [
        [message_mode("a.b", 1, b""), message_mode("a.b", 2, b"\x80")].concat(),
        forward_mode("a.b", &[entry(1), entry(2)], b""),
        packed_mode("a.b", &both, b""),
        as_str,
        packed_mode("a.b", &members, &option(&[("compressed", "gzip")])),
        packed_mode("a.b", &frames, &option(&[("compressed", "zstd")])),
        packed_mode("a.b", &both, &option(&[("compressed", "text"), ("other", "x")])),
    ];
    let mut peer = server.connect().await;
    for (index, message) in messages.iter().enumerate() {
        peer.send(message).await;
        let all = server.sink.wait_for(2 * (index + 1)).await;
        assert_eq!(all[2 * index..], events("a.b", &[1, 2]), "message {index}");
    }
    server.stop().await;
}

#[tokio::test]
async fn entries_with_metadata_are_kept_as_they_are() {
    let server = Running::start("");
    let mut entry = vec![0x92, 0x92, 0xd7, 0x00, 0, 0, 0, 1, 0, 0, 0, 2, 0x81, 0xa1, b'm', 1];
    entry.extend_from_slice(b"\x81\xa1k\xa1v");
    let bytes = [forward_mode("t", &[entry.clone()], b""), packed_mode("t", &entry, b"")].concat();
    let expected = vec![("t".to_owned(), entry.clone()), ("t".to_owned(), entry)];
    assert_eq!(server.receives(&bytes, 2).await, expected);
    server.stop().await;
}

#[tokio::test]
async fn json_in_message_and_forward_mode() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    peer.send(b"[\"j\",15,{\"a\":1},{\"chunk\":\"x\"}]\n[\"j\",[[16,{}],[1.5,{}]]] [\"k\",17,{}]").await;
    peer.expect(br#"{"ack":"x"}"#).await;
    let expected = [
        ("j", &[0x92, 15, 0x81, 0xa1, b'a', 1][..]),
        ("j", &[0x92, 16, 0x80]),
        ("j", &[0x92, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x80]),
        ("k", &[0x92, 17, 0x80]),
    ];
    let expected: Vec<_> =
        expected.map(|(tag, entry)| (tag.to_owned(), entry.to_vec())).into_iter().collect();
    assert_eq!(server.sink.wait_for(4).await, expected);
    peer.send(b"[\"j\",15,{\"a\":]").await;
    assert!(peer.closed().await.is_empty());
    server.stop().await;
}

/// What a message does to the connection, with skip_invalid_event false and true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Taken, and acknowledged if it has a chunk: so many events.
    Taken(usize),
    /// So many events, and no ack.
    Unacked(usize),
    /// The connection is closed; so many events before.
    Closed(usize),
}
use Fate::{Closed, Taken, Unacked};

const CHUNK: &[u8] = b"\x81\xa5chunk\xa1x";

/// `(what, message, fate in 1.16, fate in 1.19)`
#[rustfmt::skip]
fn reactions() -> Vec<(&'static str, Vec<u8>, Fate, Fate)> {
    let with = |parts: &[&[u8]]| parts.concat();
    vec![
        ("nil", vec![0xc0], Unacked(0), Unacked(0)),
        ("an integer", vec![0x05], Unacked(0), Unacked(0)),
        ("a map", with(&[b"\x81\xa1a\x01"]), Unacked(0), Unacked(0)),
        ("a string", with(&[b"\xa3abc"]), Unacked(0), Unacked(0)),
        ("an empty array", vec![0x90], Unacked(0), Unacked(0)),
        ("the reserved byte", vec![0xc1], Closed(0), Closed(0)),
        ("bad gzip", with(&[b"\x93\xa1t\xc4\x03abc\x81\xaacompressed\xa4gzip"]), Closed(0), Closed(0)),
        ("unknown compression", with(&[b"\x93\xa1t\xc4\x01\x05\x81\xaacompressed\xa3lz9"]), Closed(0), Closed(0)),
        ("Message, time nil", with(&[b"\x94\xa1t\xc0\x80", CHUNK]), Taken(1), Taken(0)),
        ("Message, time 0", with(&[b"\x94\xa1t\x00\x80", CHUNK]), Taken(1), Taken(1)),
        ("Message, time a float", with(&[b"\x94\xa1t\xca\x3f\x80\x00\x00\x80", CHUNK]), Taken(1), Taken(0)),
        ("Message, time a map", with(&[b"\x94\xa1t\x80\x80", CHUNK]), Closed(0), Taken(0)),
        ("Message, record nil", with(&[b"\x94\xa1t\x05\xc0", CHUNK]), Unacked(0), Taken(0)),
        ("Message, record missing", with(&[b"\x92\xa1t\x05"]), Unacked(0), Unacked(0)),
        ("Message, record a string", with(&[b"\x94\xa1t\x05\xa1r", CHUNK]), Taken(1), Taken(0)),
        ("Message, unknown extension", with(&[b"\x94\xa1t\x05\x81\xa1e\xd4\x05\x00", CHUNK]), Closed(0), Closed(0)),
        ("Forward, time 0", with(&[b"\x93\xa1t\x91\x92\x00\x80", CHUNK]), Taken(1), Taken(1)),
        ("Forward, time nil", with(&[b"\x93\xa1t\x91\x92\xc0\x80", CHUNK]), Taken(1), Taken(0)),
        ("Forward, record nil", with(&[b"\x93\xa1t\x92\x92\x05\xc0\x92\x05\x80", CHUNK]), Taken(1), Taken(1)),
        ("Forward, record a string", with(&[b"\x93\xa1t\x92\x92\x05\xa1r\x92\x05\x80", CHUNK]), Taken(2), Taken(1)),
        ("Forward, metadata", with(&[b"\x93\xa1t\x91\x92\x92\x05\x80\x80", CHUNK]), Taken(1), Taken(1)),
        ("Forward, not an entry", with(&[b"\x93\xa1t\x92\x05\x92\x05\x80", CHUNK]), Taken(1), Taken(1)),
        ("Forward, empty", with(&[b"\x93\xa1t\x90", CHUNK]), Taken(0), Taken(0)),
        ("packed, time 0", with(&[b"\x93\xa1t\xc4\x03\x92\x00\x80", CHUNK]), Taken(1), Taken(1)),
        ("packed, record an integer", with(&[b"\x93\xa1t\xc4\x06\x92\x05\x05\x92\x05\x80", CHUNK]), Taken(2), Taken(1)),
        ("packed, empty", with(&[b"\x93\xa1t\xc4\x00", CHUNK]), Taken(0), Taken(0)),
        ("packed, cut off", with(&[b"\x93\xa1t\xc4\x05\x92\x05\x80\x92\x05", CHUNK]), Taken(1), Taken(1)),
        ("packed, the reserved byte", with(&[b"\x93\xa1t\xc4\x04\x92\x05\x80\xc1", CHUNK]), Closed(0), Closed(0)),
        ("option nil", with(&[b"\x93\xa1t\xc4\x03\x92\x05\x80\xc0"]), Unacked(1), Unacked(1)),
        ("option a string", with(&[b"\x93\xa1t\xc4\x03\x92\x05\x80\xa1o"]), Unacked(1), Unacked(1)),
        ("packed, option an integer", with(&[b"\x93\xa1t\xc4\x03\x92\x05\x80\x05"]), Closed(0), Closed(0)),
        ("Forward, option an array", with(&[b"\x93\xa1t\x91\x92\x05\x80\x90"]), Closed(1), Closed(1)),
        ("Message, option an integer", with(&[b"\x94\xa1t\x05\x80\x05"]), Closed(1), Closed(1)),
        ("chunk nil", with(&[b"\x93\xa1t\x91\x92\x05\x80\x81\xa5chunk\xc0"]), Unacked(1), Unacked(1)),
        ("tag nil", with(&[b"\x93\xc0\x91\x92\x05\x80", CHUNK]), Taken(1), Taken(0)),
        ("tag a byte array", with(&[b"\x93\xc4\x01t\x91\x92\x05\x80", CHUNK]), Taken(1), Taken(1)),
        ("tag an integer", with(&[b"\x93\x05\x91\x92\x05\x80", CHUNK]), Closed(0), Closed(0)),
        ("more slots than needed", with(&[b"\x95\xa1t\x91\x92\x05\x80", CHUNK, b"\x05\x05"]), Taken(1), Taken(1)),
    ]
}

#[tokio::test]
async fn reactions_are_those_of_fluentd() {
    for strict in [false, true] {
        let server = Running::start(&format!("skip_invalid_event {strict}"));
        let mut before = 0;
        for (what, message, v16, v19) in reactions() {
            let fate = if strict { v19 } else { v16 };
            let mut peer = server.connect().await;
            peer.send(&message).await;
            let count = match fate {
                Taken(count) => {
                    peer.expect(&ack("x")).await;
                    count
                }
                Unacked(count) => {
                    server.sink.wait_for(before + count).await;
                    assert!(peer.is_silent().await, "{what}: {fate:?}");
                    count
                }
                Closed(count) => {
                    assert!(peer.closed().await.is_empty(), "{what}: {fate:?}");
                    count
                }
            };
            let all = server.sink.events();
            assert_eq!(all.len() - before, count, "{what}: {fate:?}, skip_invalid_event {strict}");
            before = all.len();
            if !matches!(fate, Closed(_)) {
                // The connection goes on, and the chunk id is free again.
                peer.send(&message_mode("next", 1, b"")).await;
                before += 1;
                server.sink.wait_for(before).await;
            }
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_time_of_zero_becomes_now() {
    let server = Running::start("");
    let bytes =
        b"\x93\xa1t\x00\x80\x92\xa1t\x91\x92\xc0\x80\x93\xa1t\xd7\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80";
    for (_, entry) in server.receives(bytes, 3).await {
        let Time::Event(time) = Time::read(&entry[1..]) else { panic!("{entry:x?}") };
        assert!((EventTime::now().sec - time.sec).abs() < 60);
    }
    server.stop().await;
}

#[tokio::test]
async fn single_events_are_emitted_together_and_in_order() {
    let server = Running::start("");
    let mut bytes = Vec::new();
    for second in 1..=1000 {
        bytes.extend_from_slice(&message_mode(if second % 100 == 0 { "b" } else { "a" }, second, b""));
    }
    let all = server.receives(&bytes, 1000).await;
    let seconds: Vec<_> = all.iter().map(|(_, entry)| Time::read(&entry[1..])).collect();
    assert_eq!(seconds, (1..=1000).map(|s| Time::Event(EventTime::from_secs(s))).collect::<Vec<_>>());
    assert!(server.sink.streams().len() < 500, "emitted one by one");
    server.stop().await;
}

#[tokio::test]
async fn what_arrived_before_the_stop_is_emitted() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    peer.send(&message_mode("t", 1, b"")).await;
    server.sink.wait_for(1).await;
    peer.send(&message_mode("t", 2, b"")).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(server.stop().await.events().len(), 2);
}
