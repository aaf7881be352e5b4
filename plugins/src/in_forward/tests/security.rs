//! The handshake and TLS.

use super::peer::{Peer, Running, ack, entry, message_mode, option, packed_mode};
use logweir_engine::msgpack::{Reader, write_array_len, write_str};
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TlsClient, protocol_versions};
use sha2::{Digest, Sha512};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECURITY: &str = "<security>\nself_hostname server.example\nshared_key s3cret\n</security>";

fn hex(digest: Sha512) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nonce and auth of HELO.
fn helo(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(bytes);
    assert_eq!(reader.read_array_len().unwrap(), 2);
    assert_eq!(reader.read_str().unwrap(), b"HELO");
    assert_eq!(reader.read_map_len().unwrap(), 3);
    assert_eq!(reader.read_str().unwrap(), b"nonce");
    let nonce = reader.read_bin().unwrap().to_vec();
    assert_eq!(reader.read_str().unwrap(), b"auth");
    let auth = reader.read_bin().unwrap().to_vec();
    assert_eq!(reader.read_str().unwrap(), b"keepalive");
    assert!(reader.read_bool().unwrap());
    assert!(reader.is_at_end(), "HELO comes alone");
    (nonce, auth)
}

/// Whether PONG says yes, and its reason.
async fn shake_hands(peer: &mut Peer, key: &str, user: &str, password: &str) -> (bool, String) {
    let (nonce, auth) = helo(&peer.read().await);
    let salt = b"\xff\xfe raw bytes";
    let digest =
        Sha512::new().chain_update(salt).chain_update("client").chain_update(&nonce).chain_update(key);
    let password = Sha512::new().chain_update(&auth).chain_update(user).chain_update(password);
    let mut ping = Vec::new();
    write_array_len(&mut ping, 6);
    for field in
        [b"PING", &b"client"[..], salt, hex(digest).as_bytes(), user.as_bytes(), hex(password).as_bytes()]
    {
        write_str(&mut ping, field);
    }
    peer.send(&ping).await;
    let pong = peer.read().await;
    let mut reader = Reader::new(&pong);
    assert_eq!(reader.read_array_len().unwrap(), 5);
    assert_eq!(reader.read_str().unwrap(), b"PONG");
    let ok = reader.read_bool().unwrap();
    let reason = String::from_utf8(reader.read_str().unwrap().to_vec()).unwrap();
    let hostname = reader.read_str().unwrap();
    let proof = reader.read_str().unwrap();
    if ok {
        let expected =
            Sha512::new().chain_update(salt).chain_update(hostname).chain_update(&nonce).chain_update(key);
        assert_eq!(proof, hex(expected).as_bytes());
        assert_eq!(hostname, b"server.example");
    } else {
        assert!(hostname.is_empty() && proof.is_empty());
    }
    (ok, reason)
}

#[tokio::test]
async fn only_clients_with_the_key_may_send() {
    let server = Running::start(SECURITY);
    let mut good = server.connect().await;
    assert_eq!(shake_hands(&mut good, "s3cret", "", "").await, (true, String::new()));
    good.send(&packed_mode("t", &entry(1), &option(&[("chunk", "x")]))).await;
    good.expect(&ack("x")).await;
    let mut bad = server.connect().await;
    assert_eq!(shake_hands(&mut bad, "guess", "", "").await, (false, "shared_key mismatch".to_owned()));
    assert!(bad.closed().await.is_empty());
    let mut rude = server.connect().await;
    rude.read().await;
    rude.send(&message_mode("t", 1, b"")).await;
    let pong = rude.closed().await;
    assert!(pong.windows(20).any(|window| window == b"invalid ping message"));
    assert_eq!(server.stop().await.events().len(), 1);
}

#[tokio::test]
async fn users_and_clients_are_checked() {
    let server = Running::start(
        "<security>\nself_hostname server.example\nshared_key s3cret\nuser_auth true\nallow_anonymous_source false\n\
         <user>\nusername alice\npassword wonder\n</user>\n<user>\nusername bob\npassword build\n</user>\n\
         <client>\nnetwork 127.0.0.0/8\nshared_key local\nusers alice\n</client>\n</security>",
    );
    for (key, user, password, expected) in [
        ("local", "alice", "wonder", ""),
        ("s3cret", "alice", "wonder", "shared_key mismatch"),
        ("local", "alice", "build", "username/password mismatch"),
        ("local", "bob", "build", "username/password mismatch"),
        ("local", "", "", "username/password mismatch"),
    ] {
        let mut peer = server.connect().await;
        let (ok, reason) = shake_hands(&mut peer, key, user, password).await;
        assert_eq!((ok, reason.as_str()), (expected.is_empty(), expected), "{key} {user} {password}");
    }
    server.stop().await;
    let server = Running::start(
        "<security>\nself_hostname server.example\nshared_key s3cret\nallow_anonymous_source false\n\
         <client>\nnetwork 10.0.0.0/8\n</client>\n</security>",
    );
    let mut peer = server.connect().await;
    let (ok, reason) = shake_hands(&mut peer, "s3cret", "", "").await;
    assert_eq!((ok, reason.as_str()), (false, "anonymous source host '127.0.0.1' denied"));
    assert!(peer.closed().await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn events_and_acks_in_tls_and_plain_text_refused() {
    let server = Running::start("<transport tls>\ninsecure true\n</transport>");
    let options = ClientOptions {
        versions: protocol_versions("tls_version", None, None, None).unwrap(),
        insecure: true,
        verify_hostname: false,
        trusted: Vec::new(),
        certificates: None,
        key: None,
        passphrase: None,
    };
    let names = ClientParameters { trusted: "", certificates: "", key: "" };
    let client = TlsClient::new(&options, names).unwrap();
    let mut plain = server.connect().await;
    plain.send(&message_mode("plain", 1, b"")).await;
    plain.closed().await;
    let tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let mut stream = client.connect(tcp, None).await.unwrap();
    stream.write_all(&packed_mode("t", &entry(1), &option(&[("chunk", "x")]))).await.unwrap();
    stream.flush().await.unwrap();
    let mut read = vec![0; ack("x").len()];
    tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(read, ack("x"));
    assert_eq!(server.stop().await.events(), [("t".to_owned(), entry(1))]);
}
