//! Acks: when, in which order, and what a re-send brings.

use super::peer::{Running, ack, entry, forward_mode, message_mode, option, packed_mode};
use crate::testing::Behaviour;
use logweir_engine::delivery::Origin;

fn chunk(id: &str) -> Vec<u8> {
    packed_mode("t", &entry(1), &option(&[("chunk", id)]))
}

#[tokio::test]
async fn each_ack_is_a_segment_of_its_own_and_echoes_the_id() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    peer.send(&chunk("with newline\n")).await;
    assert_eq!(peer.read().await, ack("with newline\n"));
    peer.send(&message_mode("t", 1, b"\x81\xa5chunk\x07")).await;
    assert_eq!(peer.read().await, b"\x81\xa3ack\x07");
    peer.send(&[chunk("a"), chunk("b")].concat()).await;
    peer.expect(&[ack("a"), ack("b")].concat()).await;
    server.stop().await;
}

#[tokio::test]
async fn an_ack_waits_until_its_events_are_durable_and_reading_goes_on() {
    let server = Running::start("");
    server.sink.behave(Behaviour::HoldCommits);
    let mut peer = server.connect().await;
    peer.send(&chunk("a")).await;
    peer.send(&chunk("b")).await;
    peer.send(&message_mode("t", 2, b"")).await;
    server.sink.wait_for(3).await;
    assert!(peer.is_silent().await);
    server.sink.behave(Behaviour::Take);
    peer.expect(&[ack("a"), ack("b")].concat()).await;
    server.stop().await;
}

#[tokio::test]
async fn no_ack_when_events_are_refused_or_do_not_become_durable() {
    let server = Running::start("");
    for behaviour in [Behaviour::Refuse, Behaviour::FailCommits] {
        server.sink.behave(behaviour);
        let mut peer = server.connect().await;
        peer.send(&[chunk("a"), chunk("b")].concat()).await;
        assert!(peer.closed().await.is_empty(), "{behaviour:?}");
    }
    server.sink.behave(Behaviour::Take);
    let mut peer = server.connect().await;
    peer.send(&chunk("a")).await;
    peer.expect(&ack("a")).await;
    server.stop().await;
}

#[tokio::test]
async fn a_resend_after_a_lost_ack_is_acknowledged_and_not_stored() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    peer.send(&chunk("a")).await;
    peer.expect(&ack("a")).await;
    let mut again = server.connect().await;
    again.send(&chunk("a")).await;
    again.expect(&ack("a")).await;
    assert_eq!(server.sink.events().len(), 1);
    // The sender goes on: it has read its ack, and the id is free.
    again.send(&chunk("b")).await;
    again.expect(&ack("b")).await;
    let mut honest = server.connect().await;
    honest.send(&chunk("a")).await;
    honest.expect(&ack("a")).await;
    assert_eq!(server.sink.events().len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_resend_while_the_first_is_being_stored_waits_for_it() {
    let server = Running::start("");
    server.sink.behave(Behaviour::HoldCommits);
    let mut first = server.connect().await;
    first.send(&chunk("a")).await;
    server.sink.wait_for(1).await;
    drop(first);
    let mut second = server.connect().await;
    second.send(&chunk("a")).await;
    assert!(second.is_silent().await);
    server.sink.behave(Behaviour::Take);
    second.expect(&ack("a")).await;
    assert_eq!(server.sink.events().len(), 1, "stored once");
    server.stop().await;
}

#[tokio::test]
async fn a_resend_of_what_failed_is_stored_under_the_same_number() {
    let server = Running::start("");
    server.sink.behave(Behaviour::FailCommits);
    let mut first = server.connect().await;
    first.send(&chunk("a")).await;
    assert!(first.closed().await.is_empty());
    server.sink.behave(Behaviour::Take);
    let mut second = server.connect().await;
    second.send(&chunk("a")).await;
    second.expect(&ack("a")).await;
    let arrivals: Vec<_> = server
        .sink
        .streams()
        .into_iter()
        .map(|(_, origin)| match origin {
            Origin::Forward { chunk, peer, arrival } => (chunk, peer, arrival),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(arrivals.len(), 2);
    assert_eq!(arrivals[0], arrivals[1], "so that a buffer that has it can tell");
    assert_eq!(&arrivals[0].0[..], b"\xa1a");
    server.stop().await;
}

#[tokio::test]
async fn one_connection_may_use_an_id_twice() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    let message = forward_mode("t", &[entry(1), entry(2)], &option(&[("chunk", "dup")]));
    peer.send(&[message.clone(), message].concat()).await;
    peer.expect(&[ack("dup"), ack("dup")].concat()).await;
    assert_eq!(server.sink.events().len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn the_connection_ends_behind_the_first_message_with_deny_keepalive() {
    let server = Running::start("deny_keepalive true");
    let mut peer = server.connect().await;
    peer.send(&[chunk("a"), chunk("b")].concat()).await;
    assert_eq!(peer.closed().await, ack("a"));
    let mut peer = server.connect().await;
    peer.send(&message_mode("t", 9, b"")).await;
    assert!(peer.closed().await.is_empty());
    assert_eq!(server.sink.events().len(), 2);
    server.stop().await;
}
