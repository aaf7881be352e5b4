//! What a peer can put into a forward connection.

use super::*;

/// Honest messages are small here, so that the bound is.
const LIMITS: &str = "@type forward
  bind 127.0.0.1
  receive_memory_limit 64m
  message_size_limit 32m
  decompression_size_limit 8m
  message_timeout 1s
  message_min_rate 1k
  broken_message_limit 50";

/// The limits above, one message of overdraft, and the program itself, in a build for debugging.
const MEMORY_MIB: u64 = 64 + 32 + 8 + 56;

/// Each attack is made so often.
const TIMES: u64 = 20;

#[test]
fn bombs_lies_and_garbage() {
    let mut target = Target::start(LIMITS);
    let compressed = |method: &str, payload: &[u8]| {
        packed_message("bomb", payload, serde_json::json!({"compressed": method}))
    };
    let attacks: Vec<(&str, &str, Vec<u8>)> = vec![
        ("nested arrays", "malformed", vec![0x91; 4 << 20]),
        ("nested maps", "malformed", b"\x81\xa1k".repeat(1 << 20)),
        ("nested entries", "malformed", [&b"\x92\xa1t\x91\x92\x01"[..], &vec![0x91; 1 << 20]].concat()),
        ("an array of 4 G values", "message_size_limit", b"\xdd\xff\xff\xff\xff".to_vec()),
        ("a map of 4 G pairs", "message_size_limit", b"\x93\xa1t\x01\xdf\xff\xff\xff\xff".to_vec()),
        ("a string of 4 GiB", "message_size_limit", b"\x92\xa1t\xdb\xff\xff\xff\xff".to_vec()),
        ("a binary of 4 GiB", "message_size_limit", b"\x92\xa1t\xc6\xff\xff\xff\xff".to_vec()),
        ("an extension of 4 GiB", "message_size_limit", b"\x93\xa1t\xc9\xff\xff\xff\xff\x00".to_vec()),
        ("a gzip bomb", "decompression", compressed("gzip", &gzip_bomb())),
        ("a zstd bomb", "decompression", compressed("zstd", &zstd_bomb())),
        ("empty gzip members", "decompression", compressed("gzip", &gzip(b"").repeat(100_000))),
        ("empty zstd frames", "decompression", compressed("zstd", &EMPTY_FRAME.repeat(100_000))),
        ("the reserved byte", "malformed", vec![0xc1]),
        ("text", "broken_message_limit", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4)),
        ("TLS", "tls_on_plain_port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ];
    for (what, reason, bytes) in attacks {
        let before = target.closed(reason);
        for round in 0..TIMES {
            let mut peer = Peer::connect(target.port);
            peer.try_send(&bytes);
            if round == 0 {
                target.serve_honest_peer();
            }
            assert!(peer.closed().is_empty(), "{what}");
        }
        assert_eq!(target.closed(reason) - before, TIMES, "{what} is counted as {reason}");
    }
    // Garbage behind a valid message: the message counts, and what follows ends the connection.
    let mut peer = Peer::connect(target.port);
    peer.send(&acked_message("honest", target.acknowledged.len() as u64));
    peer.try_send(&[0xc1; 1000]);
    peer.closed();
    target.acknowledged.insert(target.acknowledged.len() as u64);
    for complaint in
        ["nested deeper than 128 levels", "message_size_limit allows", "decompression_", "speaks TLS"]
    {
        target.complains(&[complaint], 3);
    }
    assert!(target.lines("unexpected error on reading data") >= 4, "{}", target.logweir.log());
    target.finish(MEMORY_MIB);
}

#[test]
fn a_message_that_trickles_and_a_peer_that_says_nothing() {
    let mut target = Target::start(&format!("{LIMITS}\n  idle_timeout 2s"));
    let mut silent = Peer::connect(target.port);
    let mut slow = Peer::connect(target.port);
    slow.send(b"\x92\xa1t\xc5\x27\x10");
    let mut sent = 0;
    while slow.0.write_all(&[0x92]).is_ok() {
        sent += 1;
        assert!(sent < 1000, "a message that trickles in is waited for");
        std::thread::sleep(Duration::from_millis(50));
    }
    target.serve_honest_peer();
    assert!(silent.closed().is_empty());
    let monitor = target.monitor;
    target.logweir.wait("the counters", |_| {
        let closed = &books(monitor)["connections_closed"]["in"];
        closed["too_slow"] == 1 && closed["idle"].as_u64() >= Some(1)
    });
    target.complains(&["a message takes too long to arrive"], 1);
    target.finish(MEMORY_MIB);
}

#[test]
fn many_peers_with_half_of_a_large_message_share_the_memory_that_there_is() {
    let mut target = Target::start(LIMITS);
    let half = [&b"\x92\xa1t\xc6\x01\xe0\x00\x00"[..], &vec![0; 16 << 20]].concat();
    let peers: Vec<_> = (0..16)
        .map(|_| {
            let (port, half) = (target.port, half.clone());
            std::thread::spawn(move || {
                let mut peer = Peer::connect(port);
                // It is not read any more when there is no memory left, and given up when it stalls.
                let _ = peer.0.write_all(&half);
                peer.closed();
            })
        })
        .collect();
    target.serve_honest_peer();
    for peer in peers {
        peer.join().unwrap();
    }
    target.serve_honest_peer();
    target.finish(MEMORY_MIB);
}

/// An empty zstd frame: the magic number, a frame of one segment without content, an empty last block.
const EMPTY_FRAME: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00];

/// 300 MiB of zeros in 10 KiB: blocks that say "this byte, 131,072 times" (RFC 8878, 3.1.1.2).
fn zstd_bomb() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let block = |last: u32| (last | 1 << 1 | (128 << 10) << 3).to_le_bytes();
    for _ in 0..2400 {
        frame.extend_from_slice(&block(0)[..3]);
        frame.push(0);
    }
    frame.extend_from_slice(&block(1)[..3]);
    frame.push(0);
    frame
}

/// 300 MiB of zeros, in members of 4 MiB.
fn gzip_bomb() -> Vec<u8> {
    gzip(&vec![0; 4 << 20]).repeat(75)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .arg("-9")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}
