//! The input over a real socket.

use super::*;
use crate::socket::testing::Running;
use crate::testing::{Behaviour, build_error, with_params};

fn start(parameters: &str) -> Running {
    let text = format!("port 0\nbind 127.0.0.1\n{parameters}");
    Running::datagrams(with_params(&PLUGIN, &text, configured).unwrap_or_else(|error| panic!("{error}")))
}

const JSON: &str = "tag t\n<parse>\n@type json\n</parse>";
const NONE: &str = "tag t\n<parse>\n@type none\n</parse>";

#[tokio::test]
async fn datagrams_become_events() {
    let server = start(JSON);
    server.send_datagrams(&[b"{\"a\":1}\n", b"bad", b"", b"{\"time\":5,\"a\":2}"]).await;
    assert_eq!(server.events(2).await, [r#"t now {"a":1}"#, r#"t 5 {"a":2}"#]);
    server.stop().await;
}

#[tokio::test]
async fn one_line_end_goes_or_stays() {
    let server = start(NONE);
    server.send_datagrams(&[b"one\r\n", b"two\n\n"]).await;
    assert_eq!(server.events(2).await, [r#"t now {"message":"one"}"#, r#"t now {"message":"two\n"}"#]);
    // What comes from a socket is binary for Ruby.
    assert_eq!(server.sink.events()[0].1[11..], *b"\x81\xa7message\xc4\x03one");
    server.stop().await;
    let server = start(&format!("{NONE}\nremove_newline false"));
    server.send_datagrams(&[b"one\n"]).await;
    assert_eq!(server.events(1).await, [r#"t now {"message":"one\n"}"#]);
    server.stop().await;
}

#[tokio::test]
async fn datagrams_are_cut_at_the_limit() {
    for limit in ["message_length_limit 4", "body_size_limit 4"] {
        let server = start(&format!("{NONE}\n{limit}"));
        server.send_datagrams(&[b"123456", b"12"]).await;
        assert_eq!(server.events(2).await, [r#"t now {"message":"1234"}"#, r#"t now {"message":"12"}"#]);
        server.stop().await;
    }
}

#[tokio::test]
async fn senders_are_named_in_records() {
    let keys = "source_address_key a\nsource_host_key h\nreceive_buffer_size 100k";
    let server = start(&format!("{NONE}\n{keys}"));
    server.send_datagrams(&[b"x"]).await;
    let events = server.events(1).await;
    assert!(events[0].starts_with(r#"t now {"message":"x","a":"127.0.0.1","h":""#), "{events:?}");
    // The name is known now.
    server.send_datagrams(&[b"y"]).await;
    assert_eq!(server.events(2).await[1], events[0].replace('x', "y"));
    server.stop().await;
}

#[tokio::test]
async fn tags_are_extracted() {
    let server = start(&format!("{JSON}\n<extract>\ntag_key k\n</extract>"));
    server.send_datagrams(&[br#"{"k":"a","n":1}"#, br#"{"n":2}"#, br#"{"k":"b","n":3}"#]).await;
    assert_eq!(server.events(3).await, [r#"a now {"n":1}"#, r#"t now {"n":2}"#, r#"b now {"n":3}"#]);
    server.stop().await;
}

#[tokio::test]
async fn a_buffer_that_refuses_costs_only_what_it_refuses() {
    let server = start(JSON);
    server.sink.behave(Behaviour::Refuse);
    server.send_datagrams(&[br#"{"n":1}"#]).await;
    server.tried(1).await;
    server.sink.behave(Behaviour::Take);
    server.send_datagrams(&[br#"{"n":2}"#]).await;
    assert_eq!(server.events(1).await, [r#"t now {"n":2}"#]);
    server.stop().await;
}

#[tokio::test]
async fn what_was_sent_before_the_stop_is_taken() {
    let server = start(JSON);
    let datagrams: Vec<&[u8]> = vec![br#"{"n":1}"#; 100];
    server.send_datagrams(&datagrams).await;
    assert_eq!(server.stop().await.events().len(), 100);
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
    assert!(error(&format!("{JSON}\n<transport udp>\nreceive_buffer_size 1m\n</transport>")).is_empty());
    assert!(error("tag t").contains("<parse> section is required."));
    assert!(
        error(&format!("{JSON}\n<transport tcp>\n</transport>"))
            .contains("valid options are udp but got tcp")
    );
}
