//! Parameters that change what becomes of events, and the ones that are refused.

use super::super::PLUGIN;
use super::peer::{Running, entry, forward_mode, message_mode, packed_mode};
use crate::testing::build_error;

#[tokio::test]
async fn tags_can_be_replaced_and_prefixed() {
    for (parameters, expected) in [
        ("tag fixed", "fixed"),
        ("add_tag_prefix pre", "pre.t.a"),
        ("tag fixed\nadd_tag_prefix pre", "pre.fixed"),
    ] {
        let server = Running::start(parameters);
        let bytes = [message_mode("t.a", 1, b""), forward_mode("t.a", &[entry(2)], b"")].concat();
        let tags: Vec<_> = server.receives(&bytes, 2).await.into_iter().map(|(tag, _)| tag).collect();
        assert_eq!(tags, [expected, expected], "{parameters}");
        server.stop().await;
    }
}

#[tokio::test]
async fn sources_are_added_in_every_mode() {
    let server = Running::start("source_address_key addr\nsource_hostname_key k");
    let host = server.server.names.of("127.0.0.1".parse().unwrap()).await;
    let bytes = [
        message_mode("t", 1, b""),
        message_mode("t", 2, b"\x81\xa5chunk\x01"),
        forward_mode("t", &[entry(3)], b""),
        packed_mode("t", &entry(4), b""),
    ]
    .concat();
    let mut peer = server.connect().await;
    peer.send(&bytes).await;
    let mut record = vec![0x82, 0xa1, b'k', 0xa0 | host.len() as u8];
    record.extend_from_slice(host.as_bytes());
    record.extend_from_slice(b"\xa4addr\xa9127.0.0.1");
    for (index, (_, entry)) in server.sink.wait_for(4).await.into_iter().enumerate() {
        assert_eq!(
            entry[11..],
            record,
            "message {index}: the existing field is replaced, the other appended"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn large_messages_are_dropped_when_a_limit_is_set() {
    let server = Running::start("chunk_size_limit 100\nchunk_size_warn_limit 30");
    let mut peer = server.connect().await;
    peer.send(&packed_mode("big", &entry(1).repeat(50), b"\x81\xa5chunk\xa1x")).await;
    peer.send(&packed_mode("small", &entry(2).repeat(2), b"")).await;
    assert_eq!(server.sink.wait_for(2).await.len(), 2);
    assert!(peer.is_silent().await, "no ack for what was dropped, and the connection stays");
    server.stop().await;
}

#[tokio::test]
async fn the_heartbeat_over_udp_is_answered() {
    let server = Running::start("");
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in [&[0][..], b"anything"] {
        socket.send_to(datagram, server.address).await.unwrap();
        let mut answer = [0; 16];
        let receive = socket.recv_from(&mut answer);
        let (count, from) =
            tokio::time::timeout(std::time::Duration::from_secs(20), receive).await.unwrap().unwrap();
        assert_eq!((&answer[..count], from), (&[0][..], server.address));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_says_so() {
    let server = Running::start("");
    let error = logweir_engine::net::listen_tcp("127.0.0.1", server.address.port(), None).unwrap_err();
    assert_eq!(error.class, "Errno::EADDRINUSE");
    assert!(
        error.message.contains("another program, or another input, listens there already"),
        "{}",
        error.message
    );
    server.stop().await;
}

#[test]
fn contradictions_are_refused() {
    for (parameters, expected) in [
        ("tag \"\"", "'tag' parameter must not be empty"),
        ("add_tag_prefix \"\"", "'add_tag_prefix' parameter must not be empty"),
        (
            "resolve_hostname false\nsource_hostname_key h",
            "resolve_hostname must be true with source_hostname_key",
        ),
        (
            "send_keepalive_packet true\ndeny_keepalive true",
            "both 'send_keepalive_packet' and 'deny_keepalive'",
        ),
        ("port 70000", "'port' must be a number from 0 to 65535"),
        ("connection_limit 0", "'connection_limit' must be at least 1"),
        ("<transport tls>\n</transport>", "no valid cert options configured"),
        (
            "<transport tls>\ncert_path /x\n</transport>",
            "private_key_path is required when cert_path is specified",
        ),
        ("<transport udp>\n</transport>", "valid options are tcp,tls but got udp"),
        ("<transport tls>\ninsecure true\nmax_version TLS1_2\n</transport>", "must set min_version together"),
        ("<transport tls>\ninsecure true\nversion TLSv1_1\n</transport>", "TLSv1_1 is not supported"),
        ("<security>\nself_hostname a\n</security>", "shared_key"),
        (
            "<security>\nself_hostname a\nshared_key b\nuser_auth true\n</security>",
            "<user> sections required if user_auth enabled",
        ),
        (
            "<security>\nself_hostname a\nshared_key b\nallow_anonymous_source false\n</security>",
            "<client> sections required if allow_anonymous_source disabled",
        ),
        (
            "<security>\nself_hostname a\nshared_key b\n<client>\n</client>\n</security>",
            "Either of 'host' and 'network' must be specified for client",
        ),
        (
            "<security>\nself_hostname a\nshared_key b\n<client>\nhost a\nnetwork b\n</client>\n</security>",
            "both of 'host' and 'network' are specified for client",
        ),
        (
            "<security>\nself_hostname a\nshared_key b\n<client>\nnetwork 10.0.0.0/99\n</client>\n</security>",
            "network '10.0.0.0/99' address format is invalid",
        ),
    ] {
        let error = build_error(&PLUGIN, parameters);
        assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{parameters}: {error:?}");
    }
    assert_eq!(build_error(&PLUGIN, ""), None);
}
