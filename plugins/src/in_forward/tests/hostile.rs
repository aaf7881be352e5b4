//! Peers that are broken, slow or evil: they get nowhere, and others do not notice.

use super::peer::{Peer, Running, ack, entry, message_mode, option, packed_mode};
use crate::testing::Behaviour;
use std::io::Write;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Whether a connection of an honest peer works.
async fn serves_others(server: &Running) {
    let before = server.sink.events().len();
    let mut honest = server.connect().await;
    honest.send(&packed_mode("honest", &entry(1), &option(&[("chunk", "h")]))).await;
    honest.expect(&ack("h")).await;
    honest.send(&message_mode("honest", 2, b"")).await;
    assert_eq!(server.sink.wait_for(before + 2).await.len(), before + 2);
}

fn bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; bytes]).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn garbage_and_lies_end_their_connection_and_nothing_else() {
    let server = Running::start("message_size_limit 1m\ndecompression_size_limit 1m");
    let gzip = |payload: &[u8]| packed_mode("t", payload, &option(&[("compressed", "gzip")]));
    let attacks: Vec<(&str, Vec<u8>)> = vec![
        ("the reserved byte", vec![0xc1; 100]),
        ("HTTP, as integers", b"GET / HTTP/1.1\r\n\r\n".repeat(10)),
        ("a string of 4 GiB", b"\x92\xa1t\xdb\xff\xff\xff\xff".to_vec()),
        ("an array of 4 G values", b"\xdd\xff\xff\xff\xff".to_vec()),
        ("a map of 4 G pairs", b"\x93\xa1t\x01\xdf\xff\xff\xff\xff".to_vec()),
        ("nested arrays", vec![0x91; 100_000]),
        ("nested maps", b"\x81\xa1k".repeat(100_000)),
        ("nested JSON", b"[".repeat(100_000)),
        ("endless JSON", [&b"[\""[..], &vec![b'a'; 2 << 20]].concat()),
        ("broken JSON", b"[\"t\", 1, {]}".to_vec()),
        ("a gzip bomb", gzip(&bomb(64 << 20))),
        ("empty gzip members without end", gzip(&bomb(0).repeat(1000)[..19_990])),
        ("many empty gzip members", gzip(&bomb(0).repeat(2_000))),
        ("a TLS client", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("text, as integers", b"hello ".repeat(1000)),
        ("cut-off gzip", gzip(&bomb(1000)[..20])),
        ("a tag of 20 kB", message_mode(&"t".repeat(20_000), 1, b"")),
        ("a chunk id of 20 kB", message_mode("t", 1, &option(&[("chunk", &"i".repeat(20_000))]))),
        ("lengths inside packed entries", packed_mode("t", b"\x92\x01\xc1", b"")),
        ("deep entries", packed_mode("t", &[&b"\x92\x01"[..], &vec![0x91; 5000], &[0x01]].concat(), b"")),
    ];
    for (what, bytes) in attacks {
        let mut peer = server.connect().await;
        // It may be closed before all is written.
        let _ = peer.0.write_all(&bytes).await;
        let _ = peer.0.shutdown().await;
        assert!(peer.closed().await.is_empty(), "{what}");
        assert!(server.sink.events().iter().all(|(tag, _)| tag == "honest"), "{what} brought events");
        serves_others(&server).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn some_empty_gzip_members_bring_nothing_and_cost_little() {
    let server = Running::start("");
    let payload = bomb(0).repeat(1_000);
    let mut peer = server.connect().await;
    let option = option(&[("compressed", "gzip"), ("chunk", "x")]);
    peer.send(&packed_mode("t", &payload, &option)).await;
    peer.expect(&ack("x")).await;
    assert!(server.stop().await.events().is_empty());
}

#[tokio::test]
async fn a_flood_of_connections_from_one_peer_locks_nobody_out() {
    let server = Running::start("connection_limit 5");
    let mut flood: Vec<Peer> = Vec::new();
    for _ in 0..5 {
        let mut peer = server.connect().await;
        peer.send(&message_mode("flood", 1, b"")).await;
        flood.push(peer);
    }
    server.sink.wait_for(5).await;
    // One more of the same peer is refused, and does not cost the others their place.
    let mut refused = server.connect().await;
    assert!(refused.closed().await.is_empty());
    for peer in &mut flood {
        peer.send(&message_mode("flood", 2, b"")).await;
    }
    server.sink.wait_for(10).await;
    // Another peer gets in, at the expense of the one that was idle for longest.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Peer(socket.connect(server.address).await.unwrap());
    other.send(&packed_mode("other", &entry(1), &option(&[("chunk", "o")]))).await;
    other.expect(&ack("o")).await;
    assert!(server.server.net.connections() <= 5);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_must_go_does_not_wait_for_a_blocked_buffer() {
    let server = Running::start("connection_limit 1");
    server.sink.behave(Behaviour::Block);
    let mut first = server.connect().await;
    first.send(&message_mode("t", 1, b"")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(first);
    // The place of a peer that has only one is not given away; the program's end does not wait for it either.
    let mut second = server.connect().await;
    assert!(second.closed().await.is_empty());
    let begin = std::time::Instant::now();
    server.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_trickles_in_is_given_up() {
    use super::super::decoder::{Decoder, Sizes};
    use logweir_engine::net::{Fill, ReadFailure, ReadLimits, Reading};
    use tokio_util::sync::CancellationToken;
    let sizes = Sizes { message_max: 1 << 20, chunk_max: None };
    let pool = logweir_engine::net::MemoryPool::new(1 << 20);
    let stop = CancellationToken::new();
    for (pause, expected) in [(Duration::from_secs(1), false), (Duration::from_millis(1), true)] {
        let (mut theirs, ours) = tokio::io::duplex(64);
        let trickle = tokio::spawn(async move {
            let message = [&b"\x92\xa1t\xc5\x27\x10"[..], &[0x92, 0x05, 0x80].repeat(3334)].concat();
            for byte in message {
                if theirs.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        });
        let mut reading = Reading::new(ours, pool.lease(), false, ReadLimits::default(), stop.clone());
        let mut decoder = Decoder::new(sizes, false);
        let begin = tokio::time::Instant::now();
        let complete = loop {
            if decoder.next(&mut reading.buffer).unwrap().is_some() {
                break true;
            }
            match reading.fill(decoder.progress()).await {
                Ok(Fill::More) => {}
                Ok(other) => panic!("{other:?}"),
                Err(ReadFailure::TooSlow(_)) => break false,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(complete, expected, "a byte every {pause:?}");
        assert!(begin.elapsed() < Duration::from_secs(70));
        trickle.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_shake_hands_is_given_up() {
    use super::super::decoder::{Decoder, Sizes};
    use logweir_engine::net::{ReadFailure, ReadLimits, Reading};
    use tokio_util::sync::CancellationToken;
    let pool = logweir_engine::net::MemoryPool::new(1 << 20);
    let (_theirs, ours) = tokio::io::duplex(64);
    let mut reading = Reading::new(ours, pool.lease(), true, ReadLimits::default(), CancellationToken::new());
    let decoder = Decoder::new(Sizes { message_max: 1 << 20, chunk_max: None }, false);
    let begin = tokio::time::Instant::now();
    assert!(matches!(reading.fill(decoder.progress()).await, Err(ReadFailure::TooSlow(_))));
    assert!(begin.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn a_blocked_buffer_stops_reading_and_memory_stays_bounded() {
    let server = Running::start("receive_memory_limit 4m\nmessage_size_limit 2m");
    server.sink.behave(Behaviour::Block);
    // Larger in all than what the kernel keeps for the sockets.
    let (peers, messages) = (3, 30);
    let record = [&b"\x92\x05\x81\xa1k\xc6\x00\x0d\xbb\xa0"[..], &vec![b'x'; 900_000]].concat();
    let message = packed_mode("t", &record, b"");
    let mut senders = Vec::new();
    for _ in 0..peers {
        let mut peer = server.connect().await;
        let message = message.clone();
        senders.push(tokio::spawn(async move {
            for _ in 0..messages {
                peer.0.write_all(&message).await.unwrap();
            }
            peer
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(server.sink.events().is_empty());
    assert!(server.server.memory.leased() <= 4 << 20);
    assert!(senders.iter().all(|sender| !sender.is_finished()), "senders are held back");
    server.sink.behave(Behaviour::Take);
    server.sink.wait_for(peers * messages).await;
    for sender in senders {
        sender.await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.server.memory.leased(), 0, "everything was given back");
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_acks_is_not_read_either() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    let message = message_mode("t", 1, &option(&[("chunk", &"i".repeat(500))]));
    let flood = async {
        loop {
            peer.0.write_all(&message).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), flood).await.is_err());
    let taken = server.sink.streams().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.sink.streams().len(), taken, "reading has stopped");
    serves_others(&server).await;
    drop(peer);
    server.stop().await;
}
