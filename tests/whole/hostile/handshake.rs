//! Who may send.

use super::*;
use std::process::{Command, Stdio};
use std::time::Instant;

const SOURCE: &str = "@type forward
  bind 127.0.0.1
  handshake_timeout 10s
  <security>
    self_hostname server.example
    shared_key a key of ours
  </security>";

#[test]
fn only_a_fresh_proof_of_the_key_opens_the_door() {
    let mut target = Target::start(SOURCE);
    // The right key.
    let mut honest = Peer::connect(target.port);
    let right = ping(&nonce(&mut honest), "a key of ours");
    honest.send(&right);
    assert!(contains(&pong(&mut honest), b"server.example"));
    target.serve_honest(honest);
    // What worked once, again: the nonce is another one.
    let mut replay = Peer::connect(target.port);
    nonce(&mut replay);
    let begin = Instant::now();
    replay.send(&right);
    assert!(contains(&replay.closed(), b"shared_key mismatch"));
    assert!(begin.elapsed() >= Duration::from_millis(900), "a refusal comes late, so that guessing is slow");
    // A wrong key; no digest; events instead of PING.
    for attempt in 0..3 {
        let mut peer = Peer::connect(target.port);
        let nonce = nonce(&mut peer);
        peer.send(&match attempt {
            0 => ping(&nonce, "another key"),
            1 => rmp_serde::to_vec(&("PING", "client.example", "salt", "", "", "")).unwrap(),
            _ => acked_message("evil", 7),
        });
        let said = peer.closed();
        assert!(contains(&said, b"mismatch") || contains(&said, b"invalid ping"), "{said:?}");
    }
    // Nothing at all.
    assert!(contains(&Peer::connect(target.port).closed(), b"HELO"));
    // A PING without end.
    let mut endless = Peer::connect(target.port);
    endless.try_send(&[&b"\x96\xdb\x7f\xff\xff\xff"[..], &vec![b'P'; 1 << 20]].concat());
    endless.closed();
    assert_eq!((target.closed("handshake_refused"), target.closed("too_slow")), (4, 1));
    assert_eq!(target.closed("message_size_limit"), 1);
    target.complains(&["Shared key mismatch", "invalid ping message"], 1);
    assert_eq!(target.lines("a key of ours"), 0);
    target.finish(256);
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The nonce in HELO.
fn nonce(peer: &mut Peer) -> Vec<u8> {
    let helo = pong(peer);
    let at = helo.windows(5).position(|window| window == b"nonce").expect("HELO") + 5;
    assert_eq!(helo[at..at + 2], [0xc4, 16], "a binary of 16 bytes");
    helo[at + 2..at + 18].to_vec()
}

fn pong(peer: &mut Peer) -> Vec<u8> {
    let mut answer = vec![0; 1024];
    let count = peer.0.read(&mut answer).unwrap();
    answer.truncate(count);
    answer
}

/// PING of `client.example`, whose digest is SHA-512 of salt, host name, nonce and key.
fn ping(nonce: &[u8], key: &str) -> Vec<u8> {
    let digest = sha512(&[b"salt", &b"client.example"[..], nonce, key.as_bytes()].concat());
    rmp_serde::to_vec(&("PING", "client.example", "salt", digest, "", "")).unwrap()
}

fn sha512(bytes: &[u8]) -> String {
    let mut command = Command::new("sha512sum");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha512sum");
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap().to_owned()
}
