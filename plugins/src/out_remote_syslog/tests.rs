//! To plain sockets of the test, and to in_syslog.

use super::{PLUGIN, build, split};
use crate::socket::testing::events_of;
use crate::testing::{Pipeline, build_error, with_params};
use bytes::Bytes;
use logweir_engine::buffer::{Chunk, Metadata};
use logweir_engine::event::Tag;
use logweir_engine::plugin::{BufferedOutput, Build, OutputPlugin, WriteError};
use logweir_testing::free_port;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn output(text: &str) -> Box<dyn BufferedOutput> {
    with_params(&PLUGIN, text, |params, context| match build(params, context)? {
        OutputPlugin::Buffered(output) => Ok(output),
        OutputPlugin::Direct(_) => panic!("not buffered"),
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

fn chunk(tag: Option<&str>, text: &str) -> Chunk {
    let metadata = Metadata { tag: tag.map(Tag::new), ..Metadata::default() };
    Chunk::in_memory(metadata, Bytes::from(text.to_owned()), 1).into_formatted()
}

/// A message without its time.
fn timeless(message: &str) -> String {
    let (pri, rest) = message.split_once('>').unwrap();
    format!("{pri}>{}", &rest["Jan  1 00:00:00 ".len()..])
}

#[tokio::test]
async fn datagrams_with_what_the_chunk_says() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let text = format!(
        "host_with_port ${{tag[2]}}:{port}\nhostname ${{tag[1]}}\nfacility local0\nseverity warning\n\
         program ${{tag[0]}}\npacket_size 100\n<buffer tag>\n</buffer>"
    );
    let long = "x".repeat(200);
    let text_of = format!("a\tb\r\n\n  \nc\n{long}\n");
    output(&text).write(&chunk(Some("app.web-1.localhost"), &text_of)).await.unwrap();
    let mut packet = [0; 2000];
    let mut received = Vec::new();
    for _ in 0..3 {
        let count = timeout(PATIENCE, socket.recv(&mut packet)).await.unwrap().unwrap();
        received.push(String::from_utf8_lossy(&packet[..count]).into_owned());
    }
    assert_eq!(timeless(&received[0]), "<132>web-1 app: a\tb");
    assert_eq!(timeless(&received[1]), "<132>web-1 app: c");
    assert_eq!(received[2].len(), 100, "cut to packet_size");
}

#[tokio::test]
async fn lines_over_a_connection_that_is_kept_and_renewed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = output(&format!(
        "host 127.0.0.1\nport {port}\nprotocol tcp\nkeep_alive true\nkeep_alive_idle 30\nkeep_alive_cnt 3\n\
         keep_alive_intvl 5\nhostname h"
    ));
    output.write(&chunk(None, "one\ntwo\n")).await.unwrap();
    let (first, _) = listener.accept().await.unwrap();
    let mut lines = BufReader::new(first).lines();
    assert_eq!(timeless(&lines.next_line().await.unwrap().unwrap()), "<13>h fluentd: one");
    output.write(&chunk(None, "three\n")).await.unwrap();
    assert_eq!(timeless(&lines.next_line().await.unwrap().unwrap()), "<13>h fluentd: two");
    assert_eq!(timeless(&lines.next_line().await.unwrap().unwrap()), "<13>h fluentd: three");
    // The server goes away between two chunks: nothing is written into the void.
    drop(lines);
    tokio::time::sleep(Duration::from_millis(50)).await;
    output.write(&chunk(None, "four\n")).await.unwrap();
    let (second, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut lines = BufReader::new(second).lines();
    assert_eq!(timeless(&lines.next_line().await.unwrap().unwrap()), "<13>h fluentd: four");
    output.shutdown().await;
    assert_eq!(lines.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_takes_nothing() {
    for (exception, is_repeated) in [("true", true), ("false", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let output = output(&format!(
            "host 127.0.0.1\nport {port}\nprotocol tcp\ntimeout 0.3\ntimeout_exception {exception}\npacket_size 64k"
        ));
        let line = "x".repeat(60_000);
        let chunk = chunk(None, &format!("{line}\n").repeat(400));
        let sent = output.write(&chunk).await;
        match is_repeated {
            true => assert!(matches!(sent, Err(WriteError::Retry { .. })), "{sent:?}"),
            false => assert!(sent.is_ok(), "given up: {sent:?}"),
        }
        drop(listener);
    }
}

#[tokio::test]
async fn nobody_listens() {
    let port = free_port();
    let output = output(&format!("host 127.0.0.1\nport {port}\nprotocol tcp\ntimeout 5"));
    let error = output.write(&chunk(None, "a\n")).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot send to 127.0.0.1:{port}: ")), "{error}");
    assert!(matches!(error, WriteError::Retry { class: "Errno::ECONNREFUSED", .. }));
}

#[tokio::test]
async fn what_a_chunk_makes_of_placeholders_may_be_refused() {
    let output = output("host 127.0.0.1\nfacility ${tag}\n<buffer tag>\n</buffer>");
    let error = output.write(&chunk(Some("moon"), "a\n")).await.unwrap_err();
    assert!(matches!(&error, WriteError::Reject { class: "ArgumentError", .. }), "{error:?}");
}

/// All the way to Logweir's own syslog server, over each transport.
#[tokio::test]
async fn in_syslog_understands_it() {
    for (transport, protocol) in [
        ("", "protocol udp"),
        ("<transport tcp>\n</transport>", "protocol tcp"),
        ("<transport tls>\ninsecure true\n</transport>", "protocol tcp\ntls true\nverify_mode 0"),
    ] {
        let port = free_port();
        let syslog = &crate::in_syslog::PLUGIN;
        let text = format!("tag sys\nbind 127.0.0.1\nport {port}\n{transport}");
        let Build::Input(build_input) = syslog.build else { panic!("not an input") };
        let mut input = with_params(syslog, &text, build_input).unwrap();
        let pipeline = Pipeline::new();
        input.start(pipeline.context.clone()).await.unwrap();
        let output = output(&format!(
            "host localhost\nhost_with_port 127.0.0.1:{port}\n{protocol}\nfacility daemon\nseverity err\nprogram app[7]\n\
             hostname web-1"
        ));
        output.write(&chunk(None, "first caf\u{e9}\nsecond\n")).await.unwrap();
        let events = events_of(&pipeline.sink, 2).await;
        for (event, message) in events.iter().zip(["first caf\u{e9}", "second"]) {
            assert!(event.starts_with("sys.daemon.err "), "{event}");
            let record = format!(r#"{{"host":"web-1","ident":"app","pid":"7","message":"{message}"}}"#);
            assert!(event.ends_with(&record), "{protocol}: {event}");
        }
        output.shutdown().await;
        pipeline.stop().await;
    }
}

/// A certificate that nobody has signed is refused unless verify_mode says otherwise.
#[tokio::test]
async fn certificates_are_verified() {
    let port = free_port();
    let syslog = &crate::in_syslog::PLUGIN;
    let text = format!("tag sys\nbind 127.0.0.1\nport {port}\n<transport tls>\ninsecure true\n</transport>");
    let Build::Input(build_input) = syslog.build else { panic!("not an input") };
    let mut input = with_params(syslog, &text, build_input).unwrap();
    let pipeline = Pipeline::new();
    input.start(pipeline.context.clone()).await.unwrap();
    let output = output(&format!("host 127.0.0.1\nport {port}\nprotocol tcp\ntls true\ntimeout 10"));
    let error = output.write(&chunk(None, "a\n")).await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Retry { .. }) && error.to_string().contains("certificate"),
        "{error:?}"
    );
    assert!(pipeline.stop().await.events().is_empty());
}

#[tokio::test]
async fn plain_text_is_not_sent_to_who_speaks_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let output =
        output(&format!("host 127.0.0.1\nport {port}\nprotocol tcp\ntls true\nverify_mode 1\ntimeout 10"));
    let server = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut hello = [0; 3];
        peer.read_exact(&mut hello).await.unwrap();
        hello
    });
    assert!(output.write(&chunk(None, "secret\n")).await.is_err());
    assert_eq!(server.await.unwrap()[..2], [0x16, 0x03], "a TLS handshake");
}

#[test]
fn hosts_with_ports() {
    assert_eq!(split("a.b:514"), Ok(("a.b".to_owned(), 514)));
    assert_eq!(split("[::1]:514"), Ok(("::1".to_owned(), 514)));
    for text in ["a", ":514", "a:", "a:70000"] {
        assert!(split(text).is_err(), "{text}");
    }
}

#[test]
fn mistakes() {
    assert_eq!(build_error(&PLUGIN, "host h\nhostname ${tag[1]}\n<buffer tag>\n</buffer>"), None);
    for (text, message) in [
        ("", "host or host_with_port is required"),
        ("host h\nport 70000", "'port' must be a number"),
        ("host h\nfacility moon", "'moon' is not a designated facility"),
        ("host h\nseverity loud", "'loud' is not a designated severity"),
        ("host h\nprogram a b", "may have ASCII characters only"),
        ("host_with_port h", "host_with_port must be HOST:PORT: h"),
        ("host h\nprotocol tls", "valid options are udp,tcp"),
        ("host h\nhostname ${tag}", "has tag placeholders, but chunk key 'tag' is not configured"),
        ("host h\n<buffer tag>\n</buffer>", "doesn't have tag placeholder"),
        ("host h\n<format>\n@type msgpack\n</format>", "formatter_type must be text_per_line formatter"),
        ("host h\nprotocol tcp\ntls true\nca_file /nonexistent", "/nonexistent"),
        ("host h\nprotocol tcp\nkeep_alive true\nkeep_alive_cnt 0", "'keep_alive_cnt' must be at least 1"),
    ] {
        let error = build_error(&PLUGIN, text).unwrap_or_default();
        assert!(error.contains(message), "{text}: {error}");
    }
}
