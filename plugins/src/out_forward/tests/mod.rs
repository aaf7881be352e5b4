//! The output against servers that do what a test wants, and against in_forward.

mod doubtful;

use super::PLUGIN;
use super::output::Forward;
use super::settings::Settings;
use crate::in_forward;
use crate::testing::{Behaviour, Pipeline, Sink, build_error, file_chunk, with_params};
use bytes::Bytes;
use logweir_engine::buffer::{Chunk, Metadata};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Reader, ScanErrorKind, skip, write_map_len, write_str};
use logweir_engine::plugin::{BufferedOutput, Build, Input, WriteError};
use logweir_engine::telemetry::PluginLog;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const ENTRY: &[u8] = b"\x92\xd7\x00\x65\x53\xf1\x00\x07\x5b\xcd\x15\x81\xa1k\xa1v";

fn chunk(count: usize) -> Chunk {
    let metadata = Metadata { tag: Some(Tag::new("t.a")), ..Metadata::default() };
    Chunk::in_memory(metadata, Bytes::from(ENTRY.repeat(count)), count)
}

async fn output(parameters: &str) -> Forward {
    let settings =
        with_params(&PLUGIN, parameters, |params, context| Settings::new(params, context)).unwrap();
    let output = Forward::new(settings, PluginLog::program());
    output.start().await.unwrap();
    output
}

fn server(port: u16) -> String {
    format!("<server>\nhost 127.0.0.1\nport {port}\n</server>")
}

/// A port where nobody listens.
async fn nobody() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// What a fake server does with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ack,
    Nothing,
    Close,
    Other,
}

/// A server that counts connections and messages.
struct Fake {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    messages: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, messages) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counters = (connections.clone(), messages.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counters.0.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(talk(stream, answer, counters.1.clone()));
            }
        });
        Self { address, connections, messages, task }
    }

    fn messages(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }
}

async fn talk(mut stream: TcpStream, answer: Answer, messages: Arc<AtomicUsize>) {
    let mut received = Vec::new();
    loop {
        let end = match skip(&received, 0) {
            Ok(end) => end,
            Err(error) if error.kind == ScanErrorKind::Truncated => {
                match stream.read_buf(&mut received).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => continue,
                }
            }
            Err(error) => panic!("{error}"),
        };
        let message: Vec<u8> = received.drain(..end).collect();
        messages.fetch_add(1, Ordering::SeqCst);
        let id = match answer {
            Answer::Nothing => continue,
            Answer::Close => return,
            Answer::Ack => chunk_option(&message),
            Answer::Other => b"other".to_vec(),
        };
        let mut ack = Vec::new();
        write_map_len(&mut ack, 1);
        write_str(&mut ack, b"ack");
        write_str(&mut ack, &id);
        stream.write_all(&ack).await.unwrap();
    }
}

fn chunk_option(message: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(message);
    assert_eq!(reader.read_array_len().unwrap(), 3);
    assert_eq!(reader.read_str().unwrap(), b"t.a");
    reader.skip().unwrap();
    for _ in 0..reader.read_map_len().unwrap() {
        let key = reader.read_str().unwrap();
        let value = reader.read_value().unwrap();
        if key == b"chunk" {
            return value.bytes().unwrap().to_vec();
        }
    }
    panic!("no chunk option");
}

/// in_forward on a port of its own, in front of a sink.
struct Receiver {
    port: u16,
    sink: Sink,
    pipeline: Pipeline,
}

impl Receiver {
    async fn start(parameters: &str) -> Self {
        let port = nobody().await;
        let text = format!("port {port}\nbind 127.0.0.1\n{parameters}");
        let Build::Input(build) = in_forward::PLUGIN.build else { panic!("an input") };
        let mut input: Box<dyn Input> = with_params(&in_forward::PLUGIN, &text, build).unwrap();
        let pipeline = Pipeline::new();
        input.start(pipeline.context.clone()).await.unwrap();
        Self { port, sink: pipeline.sink.clone(), pipeline }
    }

    async fn expect(&self, events: usize) {
        let all = self.sink.wait_for(events).await;
        assert_eq!(all.len(), events);
        assert!(all.iter().all(|(tag, entry)| tag == "t.a" && entry == ENTRY));
    }
}

fn class(result: Result<(), WriteError>) -> Option<&'static str> {
    result.err().map(|error| error.class())
}

#[tokio::test]
async fn chunks_arrive_at_in_forward_in_every_form() {
    let receiver = Receiver::start("").await;
    let mut events = 0;
    for parameters in [
        "",
        "require_ack_response true",
        "require_ack_response true\ncompress gzip",
        "require_ack_response true\ncompress zstd",
        "require_ack_response true\nkeepalive true",
    ] {
        let output = output(&format!("{parameters}\n{}", server(receiver.port))).await;
        for count in [1, 100] {
            output.write(&chunk(count)).await.unwrap();
            events += count;
            receiver.expect(events).await;
        }
        output.shutdown().await;
    }
    receiver.pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_in_files_are_sent_as_they_are_read() {
    let receiver = Receiver::start("").await;
    let mut events = 0;
    for parameters in ["require_ack_response true", "compress gzip"] {
        let output = output(&format!("{parameters}\n{}", server(receiver.port))).await;
        // Bodies of less, and of more, than is sent at a time.
        for (appends, count) in [(1, 1), (700, 3), (3, 40_000)] {
            let dir = tempfile::tempdir().unwrap();
            let (_buffer, chunk) = file_chunk(dir.path(), &vec![ENTRY.repeat(count); appends], count);
            output.write(&chunk).await.unwrap();
            events += appends * count;
            receiver.expect(events).await;
        }
        output.shutdown().await;
    }
    receiver.pipeline.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_of_a_damaged_file_is_sent() {
    let receiver = Receiver::start("").await;
    let output = output(&format!("require_ack_response true\n{}", server(receiver.port))).await;
    let dir = tempfile::tempdir().unwrap();
    let (_buffer, chunk) = file_chunk(dir.path(), &vec![ENTRY.repeat(1000); 5], 1000);
    let path = chunk.path().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    output.write(&chunk).await.unwrap();
    receiver.expect(4 * 1000).await;
    output.shutdown().await;
    receiver.pipeline.stop().await;
}

#[tokio::test]
async fn the_handshake_with_a_key_and_a_user() {
    let receiver = Receiver::start(
        "<security>\nself_hostname server\nshared_key k\nuser_auth true\n<user>\nusername u\npassword p\n</user>\n</security>",
    )
    .await;
    let with = |key: &str, password: &str| {
        format!(
            "require_ack_response true\nheartbeat_type none\n<security>\nself_hostname client\nshared_key {key}\n</security>\n\
             <server>\nhost 127.0.0.1\nport {}\nusername u\npassword {password}\n</server>",
            receiver.port
        )
    };
    output(&with("k", "p")).await.write(&chunk(1)).await.unwrap();
    receiver.expect(1).await;
    for (key, password) in [("wrong", "p"), ("k", "wrong")] {
        let refused = output(&with(key, password)).await.write(&chunk(1)).await;
        assert_eq!(class(refused), Some("Fluent::Plugin::ForwardOutput::ConnectionClosedError"));
    }
    receiver.expect(1).await;
    receiver.pipeline.stop().await;
}

#[tokio::test]
async fn a_server_that_demands_a_handshake_is_not_taken_for_a_deaf_one() {
    let receiver = Receiver::start("<security>\nself_hostname server\nshared_key k\n</security>").await;
    let parameters = format!("require_ack_response true\nheartbeat_type none\n{}", server(receiver.port));
    let error = output(&parameters).await.write(&chunk(1)).await.unwrap_err();
    assert!(error.to_string().contains("add <security> with its shared_key"), "{error}");
    assert!(receiver.pipeline.stop().await.events().is_empty());
}

#[tokio::test]
async fn tls_with_a_certificate_that_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let made = rcgen::generate_simple_self_signed(["logs.example".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let receiver = Receiver::start(&format!(
        "<transport tls>\ncert_path {}\nprivate_key_path {}\n</transport>",
        path("cert.pem"),
        path("key.pem")
    ))
    .await;
    let with = |more: &str, name: &str| {
        format!(
            "transport tls\nrequire_ack_response true\nheartbeat_type none\n{more}\n\
             <server>\nhost 127.0.0.1\nname {name}\nport {}\n</server>",
            receiver.port
        )
    };
    let listed = format!("tls_cert_path {}", path("cert.pem"));
    let mut events = 0;
    for (more, name, works) in [
        (listed.as_str(), "logs.example", true),
        (&listed, "other.example", false),
        ("", "logs.example", false),
        ("tls_insecure_mode true", "other.example", true),
    ] {
        let written = output(&with(more, name)).await.write(&chunk(1)).await;
        assert_eq!(written.is_ok(), works, "{more} {name}: {written:?}");
        events += usize::from(works);
    }
    receiver.expect(events).await;
    receiver.pipeline.stop().await;
}

#[tokio::test]
async fn the_next_node_gets_what_one_does_not_take() {
    let fake = Fake::start(Answer::Ack).await;
    let dead = nobody().await;
    let parameters = format!(
        "require_ack_response true\nheartbeat_type none\n{}\n{}",
        server(dead),
        server(fake.address.port())
    );
    let output = output(&parameters).await;
    for count in 1..=10 {
        output.write(&chunk(1)).await.unwrap();
        assert_eq!(fake.messages(), count);
    }
    let alone = self::output(&format!("heartbeat_type none\n{}", server(dead))).await;
    assert_eq!(class(alone.write(&chunk(1)).await), Some("Errno::ECONNREFUSED"));
}

#[tokio::test]
async fn chunks_are_spread_by_weight() {
    let (a, b) = (Fake::start(Answer::Ack).await, Fake::start(Answer::Ack).await);
    let weighted = |fake: &Fake, weight: u32| {
        format!("<server>\nhost 127.0.0.1\nport {}\nweight {weight}\n</server>", fake.address.port())
    };
    let parameters =
        format!("require_ack_response true\nheartbeat_type none\n{}\n{}", weighted(&a, 20), weighted(&b, 40));
    let output = output(&parameters).await;
    for _ in 0..60 {
        output.write(&chunk(1)).await.unwrap();
    }
    assert_eq!((a.messages(), b.messages()), (20, 40));
}

#[tokio::test]
async fn a_standby_node_is_used_while_the_others_are_lost() {
    let (main, standby) = (Fake::start(Answer::Close).await, Fake::start(Answer::Ack).await);
    let parameters = format!(
        "require_ack_response true\nheartbeat_interval 1h\n{}\n<server>\nhost 127.0.0.1\nport {}\nstandby true\n</server>",
        server(main.address.port()),
        standby.address.port()
    );
    let output = output(&parameters).await;
    let first = output.write(&chunk(1)).await;
    assert_eq!(class(first), Some("Fluent::Plugin::ForwardOutput::ConnectionClosedError"));
    assert_eq!(standby.messages(), 0);
    output.write(&chunk(1)).await.unwrap();
    assert_eq!((main.messages(), standby.messages()), (1, 1));
    output.shutdown().await;
}

#[tokio::test]
async fn without_an_ack_the_chunk_is_kept_and_the_node_given_up() {
    for (answer, disabled) in [(Answer::Nothing, true), (Answer::Close, true), (Answer::Other, false)] {
        let fake = Fake::start(answer).await;
        let parameters = format!(
            "require_ack_response true\nack_response_timeout 1s\nheartbeat_interval 1h\n{}",
            server(fake.address.port())
        );
        let output = output(&parameters).await;
        let failed = class(output.write(&chunk(1)).await);
        assert_eq!(failed, Some("Fluent::Plugin::ForwardOutput::ConnectionClosedError"), "{answer:?}");
        assert_eq!(output.nodes.all[0].is_available(), !disabled, "{answer:?}");
        if disabled {
            let next = class(output.write(&chunk(1)).await);
            assert_eq!(next, Some("Fluent::Plugin::ForwardOutput::NoNodesAvailable"), "{answer:?}");
        }
        output.shutdown().await;
    }
}

#[tokio::test]
async fn connections_are_kept_only_with_keepalive() {
    for (parameter, expected) in [("keepalive true", 1), ("keepalive false", 5)] {
        let fake = Fake::start(Answer::Ack).await;
        let parameters = format!(
            "require_ack_response true\nheartbeat_type none\n{parameter}\n{}",
            server(fake.address.port())
        );
        let output = output(&parameters).await;
        for _ in 0..5 {
            output.write(&chunk(1)).await.unwrap();
        }
        assert_eq!(fake.connections.load(Ordering::SeqCst), expected, "{parameter}");
        output.shutdown().await;
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let receiver = Receiver::start("deny_keepalive true").await;
    let parameters =
        format!("require_ack_response true\nheartbeat_type none\nkeepalive true\n{}", server(receiver.port));
    let output = output(&parameters).await;
    for count in 1..=5 {
        output.write(&chunk(1)).await.unwrap();
        receiver.expect(count).await;
    }
    receiver.pipeline.stop().await;
}

#[tokio::test]
async fn a_lost_node_is_detached_and_recovers_with_heartbeats() {
    for kind in ["transport", "udp"] {
        let port = nobody().await;
        let parameters = format!(
            "heartbeat_type {kind}\nheartbeat_interval 20ms\nhard_timeout 100ms\nrecover_wait 60ms\n{}",
            server(port)
        );
        // Times below a second are not written like that in Fluentd's language.
        let parameters = parameters.replace("20ms", "0.02").replace("100ms", "0.1").replace("60ms", "0.06");
        let output = output(&parameters).await;
        let node = output.nodes.all[0].clone();
        let becomes = |available: bool| {
            let node = node.clone();
            async move {
                let changed = async {
                    while node.is_available() != available {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                timeout(Duration::from_secs(20), changed).await.expect("the node changes");
            }
        };
        becomes(false).await;
        let text = format!("port {port}\nbind 127.0.0.1");
        let Build::Input(build) = in_forward::PLUGIN.build else { panic!("an input") };
        let mut input: Box<dyn Input> = with_params(&in_forward::PLUGIN, &text, build).unwrap();
        let pipeline = Pipeline::new();
        input.start(pipeline.context.clone()).await.unwrap();
        becomes(true).await;
        output.write(&chunk(3)).await.unwrap();
        assert_eq!(pipeline.sink.wait_for(3).await.len(), 3, "{kind}");
        output.shutdown().await;
        pipeline.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_is_given_up_after_send_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = output(&format!("send_timeout 0.2\nheartbeat_type none\n{}", server(port))).await;
    let big = chunk(2_000_000);
    let written = timeout(Duration::from_secs(20), output.write(&big)).await.expect("an end");
    assert_eq!(class(written), Some("Errno::ETIMEDOUT"));
}

#[tokio::test]
async fn a_chunk_that_is_resent_after_a_lost_ack_is_stored_once() {
    let receiver = Receiver::start("").await;
    receiver.sink.behave(Behaviour::HoldCommits);
    let parameters = format!(
        "require_ack_response true\nack_response_timeout 1s\nheartbeat_type none\n{}",
        server(receiver.port)
    );
    let output = output(&parameters).await;
    let chunk = chunk(2);
    assert!(output.write(&chunk).await.is_err());
    receiver.sink.behave(Behaviour::Take);
    output.write(&chunk).await.unwrap();
    receiver.expect(2).await;
    receiver.pipeline.stop().await;
}

#[tokio::test]
async fn connections_are_verified_at_the_start_if_configured() {
    let port = nobody().await;
    let text = format!("verify_connection_at_startup true\nheartbeat_type none\n{}", server(port));
    let settings = with_params(&PLUGIN, &text, |params, context| Settings::new(params, context)).unwrap();
    let error = Forward::new(settings, PluginLog::program()).start().await.unwrap_err();
    assert_eq!(error.class, "Fluent::UnrecoverableError");
    assert!(error.message.contains("forward's connection setting error"), "{}", error.message);
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_stops_the_start_unless_told_otherwise() {
    let server = "<server>\nhost no-such-host.invalid\n</server>";
    let start = |more: &str| {
        let text = format!("{more}\n{server}");
        let settings = with_params(&PLUGIN, &text, |params, context| Settings::new(params, context)).unwrap();
        let output = Forward::new(settings, PluginLog::program());
        async move { output.start().await.map(|()| output) }
    };
    let error = start("").await.map(|_| ()).unwrap_err();
    assert_eq!(error.class, "SocketError");
    assert!(error.message.contains("ignore_network_errors_at_startup"), "{}", error.message);
    let output = start("ignore_network_errors_at_startup true").await.unwrap();
    assert_eq!(class(output.write(&chunk(1)).await), Some("Fluent::Plugin::ForwardOutput::NoNodesAvailable"));
    output.shutdown().await;
}

#[test]
fn mistakes_are_refused() {
    let one = server(24224);
    for (parameters, expected) in [
        ("", "forward output plugin requires at least one node is required"),
        (&format!("ack_response_timeout 0.5\n{one}"), "ack_response_timeout must be a positive integer"),
        (
            &format!("dns_round_robin true\nheartbeat_type udp\n{one}"),
            "must be 'transport' or 'none' to use dns_round_robin option",
        ),
        (&format!("<buffer time>\ntimekey 1h\n</buffer>\n{one}"), "buffer chunk key must include 'tag'"),
        (
            &format!("compress zstd\n<buffer>\ncompress gzip\n</buffer>\n{one}"),
            "different compression formats",
        ),
        (&format!("host example\n{one}"), "Use <server> section instead."),
        (&format!("tls_cert_thumbprint x\n{one}"), "This parameter is for only Windows"),
        (&format!("transport tls\ntls_cert_path /no/such.pem\n{one}"), "cannot read /no/such.pem"),
        (&format!("transport tls\ntls_version TLSv1_1\n{one}"), "TLSv1_1 is not supported"),
        (
            &format!("transport tls\ntls_client_cert_path /x\n{one}"),
            "tls_client_private_key_path is required",
        ),
        (&format!("{one}\n<security>\nself_hostname a\n</security>"), "shared_key"),
        ("<server>\nhost a\nport 99999\n</server>", "'port' must be a number from 0 to 65535"),
        ("<server>\nhost a\nweight -1\n</server>", "'weight' must not be negative"),
        ("<server>\nport 1\n</server>", "host"),
        ("<service_discovery>\n@type srv\n</service_discovery>", "type srv is not supported yet"),
        (
            "<service_discovery>\n@type other\n</service_discovery>",
            "Unknown service discovery plugin 'other'",
        ),
    ] {
        let error = build_error(&PLUGIN, parameters);
        assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{parameters}: {error:?}");
    }
    let listed =
        "<service_discovery>\n@type static\n<service>\nhost 127.0.0.1\n</service>\n</service_discovery>";
    assert_eq!(build_error(&PLUGIN, listed), None);
    assert_eq!(build_error(&PLUGIN, &format!("{one}\nflush_interval 5s\nbuffer_type memory")), None);
}
