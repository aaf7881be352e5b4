//! The input over real sockets: messages, limits, peers that are refused, slow or evil.

use super::*;
use crate::socket::testing::{Running, closed};
use crate::testing::{Behaviour, build_error, with_params};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

fn start(parameters: &str) -> Running {
    let text = format!("port 0\nbind 127.0.0.1\n{parameters}");
    Running::connections(with_params(&PLUGIN, &text, configured).unwrap_or_else(|error| panic!("{error}")))
}

const JSON: &str = "tag t\n<parse>\n@type json\n</parse>";
const NONE: &str = "tag t\n<parse>\n@type none\n</parse>";

#[tokio::test]
async fn messages_become_events_and_those_that_do_not_parse_hold_up_nobody() {
    let server = start(JSON);
    let _peer = server.send(b"{\"a\":1}\nbad\n{\"time\":5.5,\"a\":2}\n[]\n{\"a\":3}\n{\"unfinished\"").await;
    assert_eq!(server.events(3).await, [r#"t now {"a":1}"#, r#"t 5.500000000 {"a":2}"#, r#"t now {"a":3}"#]);
    server.stop().await;
}

#[tokio::test]
async fn a_time_that_cannot_be_read_loses_its_message_only() {
    let server = start("tag t\n<parse>\n@type json\ntime_type string\ntime_format %Y\n</parse>");
    let _peer = server.send(b"{\"a\":1}\n{\"time\":\"x\",\"a\":2}\n{\"a\":3}\n").await;
    assert_eq!(server.events(2).await, [r#"t now {"a":1}"#, r#"t now {"a":3}"#]);
    server.stop().await;
}

#[tokio::test]
async fn tag_and_time_are_extracted() {
    let server = start(
        "tag dflt\n<parse>\n@type json\ntime_key nothing\nestimate_current_event false\n</parse>\n\
         <extract>\ntag_key t\ntime_key ts\n</extract>",
    );
    let lines =
        b"{\"t\":\"a.b\",\"ts\":5,\"n\":1}\n{\"n\":2}\n{\"ts\":null,\"n\":3}\n{\"t\":\"a.b\",\"n\":4}\n";
    let _peer = server.send(lines).await;
    assert_eq!(
        server.events(3).await,
        [r#"a.b 5 {"n":1}"#, r#"dflt now {"n":2}"#, r#"a.b now {"n":4}"#],
        "a time that is no time loses its message"
    );
    server.stop().await;
}

#[tokio::test]
async fn peers_are_named_in_records() {
    let keys = "source_address_key addr\nsource_hostname_key host";
    let server = start(&format!("{JSON}\n{keys}"));
    let _peer = server.send(b"{\"addr\":\"mine\",\"a\":1}\n").await;
    let host = dns_lookup_name();
    assert_eq!(server.events(1).await, [format!(r#"t now {{"addr":"127.0.0.1","a":1,"host":"{host}"}}"#)]);
    server.stop().await;
}

/// The name that this machine has for the loopback address.
fn dns_lookup_name() -> String {
    let names = logweir_engine::net::HostNames::default();
    let name = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(names.of("127.0.0.1".parse().unwrap())).to_string()
    });
    name.join().unwrap()
}

#[tokio::test]
async fn delimiters_may_be_long() {
    let server = start(&format!("{NONE}\ndelimiter \"\\r\\n\""));
    let mut peer = server.send(b"one\ntwo\r").await;
    peer.write_all(b"\nthree\r\n").await.unwrap();
    assert_eq!(server.events(2).await, [r#"t now {"message":"one\ntwo"}"#, r#"t now {"message":"three"}"#]);
    server.stop().await;
}

#[tokio::test]
async fn texts_are_binary_from_the_first_byte_beyond_ascii() {
    let server = start(NONE);
    let mut peer = server.send(b"plain\n").await;
    server.events(1).await;
    peer.write_all("sch\u{f6}n\n".as_bytes()).await.unwrap();
    server.events(2).await;
    peer.write_all(b"plain\n").await.unwrap();
    let events = server.sink.wait_for(3).await;
    assert_eq!(events[0].1[11..], *b"\x81\xa7message\xa5plain");
    assert_eq!(events[1].1[11..], *b"\x81\xa7message\xc4\x06sch\xc3\xb6n");
    assert_eq!(events[2].1[11..], *b"\x81\xa7message\xc4\x05plain");
    server.stop().await;
}

#[tokio::test]
async fn messages_that_are_too_long_are_dropped() {
    let server = start(&format!("{NONE}\nmessage_length_limit 5"));
    let mut peer = server.send(b"12345\n123456\n12\n").await;
    server.events(2).await;
    peer.write_all(b"123456789").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    peer.write_all(b"123456789\nend\n").await.unwrap();
    assert_eq!(
        server.events(3).await,
        [r#"t now {"message":"12345"}"#, r#"t now {"message":"12"}"#, r#"t now {"message":"end"}"#]
    );
    server.stop().await;
}

#[tokio::test]
async fn only_clients_of_the_list_may_connect() {
    let security = |client: &str| format!("{JSON}\n<security>\n<client>\n{client}\n</client>\n</security>");
    let server = start(&security("network 10.0.0.0/8"));
    let mut peer = server.connect().await;
    // It may be closed before this is written.
    let _ = peer.write_all(b"{\"a\":1}\n").await;
    assert!(closed(&mut peer).await.is_empty());
    assert!(server.stop().await.events().is_empty());
    for client in ["network 127.0.0.0/24", "host 127.0.0.1"] {
        let server = start(&security(client));
        let _peer = server.send(b"{\"a\":1}\n").await;
        assert_eq!(server.events(1).await, [r#"t now {"a":1}"#]);
        server.stop().await;
    }
}

#[tokio::test]
async fn events_that_are_refused_end_their_connection() {
    let server = start(JSON);
    server.sink.behave(Behaviour::Refuse);
    let mut peer = server.send(b"{\"a\":1}\n").await;
    assert!(closed(&mut peer).await.is_empty());
    server.sink.behave(Behaviour::Take);
    let _peer = server.send(b"{\"a\":2}\n").await;
    assert_eq!(server.events(1).await, [r#"t now {"a":2}"#]);
    server.stop().await;
}

#[tokio::test]
async fn a_buffer_that_blocks_stops_the_reading_and_memory_stays_bounded() {
    let server = start(&format!("{NONE}\nreceive_memory_limit 1m"));
    server.sink.behave(Behaviour::Block);
    let mut peer = server.connect().await;
    let sender = tokio::spawn(async move {
        let line = [&[b'x'; 99_999][..], b"\n"].concat();
        for _ in 0..200 {
            peer.write_all(&line).await.unwrap();
        }
        peer
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sender.is_finished(), "the sender is held back");
    server.sink.behave(Behaviour::Take);
    server.events(200).await;
    sender.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_flood_without_delimiters_stops_nobody_else() {
    let server = start(&format!("{NONE}\nreceive_memory_limit 256k\nmessage_length_limit 100k"));
    let mut floods = Vec::new();
    for _ in 0..5 {
        let mut peer = server.connect().await;
        floods.push(tokio::spawn(async move { while peer.write_all(&[b'x'; 64 << 10]).await.is_ok() {} }));
    }
    for n in 1..=10 {
        let _peer = server.send(b"honest\n").await;
        assert_eq!(server.events(n).await.len(), n);
    }
    floods.iter().for_each(tokio::task::JoinHandle::abort);
    server.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_the_stop_is_taken() {
    let server = start(NONE);
    server.sink.behave(Behaviour::Block);
    let _peer = server.send(&b"line\n".repeat(1000)).await;
    server.tried(1).await;
    let sink = server.sink.clone();
    let stopping = tokio::spawn(server.stop());
    sink.behave(Behaviour::Take);
    assert_eq!(stopping.await.unwrap().events().len(), 1000);
}

#[tokio::test]
async fn messages_in_tls_and_plain_text_refused() {
    let server = start(&format!("{NONE}\n<transport tls>\ninsecure true\n</transport>"));
    let mut plain = server.send(b"plain\n").await;
    closed(&mut plain).await;
    let mut peer = crate::socket::testing::tls(server.connect().await).await;
    peer.write_all(b"secret\n").await.unwrap();
    peer.flush().await.unwrap();
    assert_eq!(server.events(1).await, [r#"t now {"message":"secret"}"#]);
    server.stop().await;
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
    assert!(error(JSON).is_empty());
    for (text, message) in [
        ("tag t", "<parse> section is required."),
        ("<parse>\n@type json\n</parse>", "'tag' parameter is required"),
        ("tag t\ndelimiter \"\"\n<parse>\n@type json\n</parse>", "'delimiter' must not be empty"),
        ("tag t\nport 70000\n<parse>\n@type json\n</parse>", "'port' must be a number"),
        ("tag t\nmessage_length_limit 0\n<parse>\n@type json\n</parse>", "must be at least 1"),
        ("tag t\n<parse>\n@type json\n</parse>\n<transport udp>\n</transport>", "valid options are tcp,tls"),
        (
            "tag t\n<parse>\n@type json\n</parse>\n<security>\n<client>\n</client>\n</security>",
            "Either of 'host' and 'network' must be specified for client",
        ),
        ("tag t\n<parse>\n@type json\n</parse>\n<security>\n</security>", "'<client>' sections are required"),
    ] {
        assert!(error(text).contains(message), "{text}: {}", error(text));
    }
}
