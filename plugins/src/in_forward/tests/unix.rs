//! The same protocol on a Unix socket.

use super::super::UNIX;
use super::peer::{ack, entry, forward_mode, message_mode, option, packed_mode};
use crate::testing::{Pipeline, build_error, with_params};
use logweir_engine::plugin::Build;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn start(path: &Path, text: &str) -> Pipeline {
    let text = format!("path {}\n{text}", path.display());
    let mut input = with_params(&UNIX, &text, |params, context| match UNIX.build {
        Build::Input(build) => build(params, context),
        _ => panic!("not an input"),
    })
    .unwrap();
    let pipeline = Pipeline::new();
    input.start(pipeline.context.clone()).await.unwrap();
    pipeline
}

#[tokio::test]
async fn all_modes_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/fluent.sock");
    let pipeline = start(&path, "").await;
    let mut peer = UnixStream::connect(&path).await.unwrap();
    peer.write_all(&message_mode("a", 1, b"")).await.unwrap();
    peer.write_all(&forward_mode("b", &[entry(2), entry(3)], b"")).await.unwrap();
    peer.write_all(&packed_mode("c", &[entry(4), entry(5)].concat(), b"")).await.unwrap();
    let mut other = UnixStream::connect(&path).await.unwrap();
    other.write_all(br#"["d",6,{"k":"v"}]"#).await.unwrap();
    let mut tags: Vec<String> = pipeline.sink.wait_for(6).await.into_iter().map(|(tag, _)| tag).collect();
    tags.sort();
    assert_eq!(tags, ["a", "b", "b", "c", "c", "d"]);
    drop((peer, other));
    pipeline.stop().await;
    assert!(!path.exists(), "the socket goes with its listener");
}

#[tokio::test]
async fn a_tag_of_its_own_and_acks_to_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let pipeline = start(&path, "tag mine").await;
    let mut peer = UnixStream::connect(&path).await.unwrap();
    peer.write_all(&packed_mode("theirs", &entry(1), &option(&[("chunk", "id1")]))).await.unwrap();
    let mut answer = vec![0; ack("id1").len()];
    tokio::time::timeout(Duration::from_secs(20), peer.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, ack("id1"));
    assert_eq!(pipeline.sink.wait_for(1).await[0].0, "mine");
    drop(peer);
    pipeline.stop().await;
}

#[tokio::test]
async fn rubbish_ends_a_connection_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let pipeline = start(&path, "message_size_limit 1k").await;
    for rubbish in [&b"\xc1"[..], b"[1,", &packed_mode("t", &[0; 2000], b"")] {
        let mut peer = UnixStream::connect(&path).await.unwrap();
        peer.write_all(rubbish).await.unwrap();
        if rubbish[0] == b'[' {
            continue; // more may come
        }
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), peer.read_to_end(&mut rest)).await;
        // An error is an end too: what was not read is thrown away.
        assert!(ended.is_ok() && rest.is_empty());
    }
    let mut peer = UnixStream::connect(&path).await.unwrap();
    peer.write_all(&message_mode("a", 1, b"")).await.unwrap();
    assert_eq!(pipeline.sink.wait_for(1).await.len(), 1);
    drop(peer);
    pipeline.stop().await;
}

#[test]
fn mistakes() {
    assert_eq!(build_error(&UNIX, "path /x\nbacklog 128"), None);
    for (text, message) in [
        ("tag \"\"", "'tag' parameter must not be empty"),
        ("backlog 0", "'backlog' must be at least 1"),
        ("message_timeout 0", "'message_timeout' must be more than 0"),
    ] {
        let error = build_error(&UNIX, text).unwrap_or_default();
        assert!(error.contains(message), "{text}: {error}");
    }
}
