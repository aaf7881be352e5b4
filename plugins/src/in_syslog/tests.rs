//! The input over real sockets.

use super::*;
use crate::socket::testing::{Running, closed, tls};
use crate::testing::{Behaviour, build_error, with_params};
use tokio::io::AsyncWriteExt;

fn start(parameters: &str) -> Running {
    let text = format!("port 0\nbind 127.0.0.1\ntag sys\n{parameters}");
    match with_params(&PLUGIN, &text, configured).unwrap_or_else(|error| panic!("{error}")) {
        Syslogs::Datagrams(input) => Running::datagrams(input),
        Syslogs::Connections(input, _) => Running::connections(input),
    }
}

const TCP: &str = "<transport tcp>\n</transport>";
const MESSAGE: &[u8] = b"<85>Feb 28 00:00:12 host app[5]: x\n";

/// Without the times, which have no year.
fn timeless(events: &[String]) -> Vec<String> {
    let words = |event: &String| event.split(' ').map(str::to_owned).collect::<Vec<_>>();
    events.iter().map(|event| [&words(event)[..1], &words(event)[2..]].concat().join(" ")).collect()
}

#[tokio::test]
async fn tags_name_facility_and_severity() {
    let server = start("");
    server.send_datagrams(&[MESSAGE, b"<0>Feb 28 00:00:12 h a: y"]).await;
    assert_eq!(
        timeless(&server.events(2).await),
        [
            r#"sys.authpriv.notice {"host":"host","ident":"app","pid":"5","message":"x"}"#,
            r#"sys.kern.emerg {"host":"h","ident":"a","message":"y"}"#
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn rfc_5424_and_both() {
    let message = b"<34>1 2020-01-02T03:04:05.678Z h app 7 ID1 - hello";
    let event = r#"sys.auth.crit 1577934245.678000000 {"host":"h","ident":"app","pid":"7","msgid":"ID1","extradata":"-","message":"hello"}"#;
    let server = start("<parse>\nmessage_format rfc5424\n</parse>");
    server.send_datagrams(&[message]).await;
    assert_eq!(server.events(1).await, [event]);
    server.stop().await;
    let server = start("<parse>\nmessage_format auto\n</parse>");
    server.send_datagrams(&[message, MESSAGE]).await;
    let events = server.events(2).await;
    assert_eq!(events[0], event);
    assert!(events[1].starts_with("sys.authpriv.notice "));
    server.stop().await;
}

#[tokio::test]
async fn fields_name_facility_severity_and_sender() {
    for severity in ["severity_key sev", "priority_key sev"] {
        let server = start(&format!("{severity}\nfacility_key host\nsource_address_key src"));
        server
            .send_datagrams(&[b"<85>Feb 28 00:00:12 host app: x", b"<199>Feb 28 00:00:12 host app: y"])
            .await;
        assert_eq!(
            timeless(&server.events(2).await),
            [
                r#"sys.authpriv.notice {"host":"authpriv","ident":"app","message":"x","sev":"notice","src":"127.0.0.1"}"#,
                r#"sys..debug {"host":null,"ident":"app","message":"y","sev":"debug","src":"127.0.0.1"}"#,
            ]
        );
        server.stop().await;
    }
    let server = start("include_source_host true");
    server.send_datagrams(&[MESSAGE]).await;
    assert!(server.events(1).await[0].ends_with(r#""message":"x","source_host":"127.0.0.1"}"#));
    server.stop().await;
    let server = start("source_hostname_key name");
    server.send_datagrams(&[MESSAGE]).await;
    assert!(server.events(1).await[0].contains(r#""message":"x","name":""#));
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_parse_is_emitted_if_that_is_wanted() {
    let parses = "<parse>\nwith_priority false\n</parse>";
    for parameters in ["", parses, "<parse>\n@type json\n</parse>"] {
        let server = start(&format!("emit_unmatched_lines true\nsource_address_key a\n{parameters}"));
        server.send_datagrams(&[b"no syslog\n", b"<1>neither"]).await;
        assert_eq!(
            server.events(2).await,
            [
                r#"sys.unmatched now {"unmatched_line":"no syslog","a":"127.0.0.1"}"#,
                r#"sys.unmatched now {"unmatched_line":"<1>neither","a":"127.0.0.1"}"#
            ],
            "{parameters}"
        );
        server.stop().await;
    }
    let server = start("");
    server.send_datagrams(&[b"no syslog", b"<34>Feb 99 00:00:12 host app: x", MESSAGE]).await;
    assert_eq!(server.events(1).await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn other_parsers_get_the_text_behind_the_priority() {
    let server = start("<parse>\n@type json\n</parse>");
    server.send_datagrams(&[br#"<14>{"pri":"mine","a":1}"#]).await;
    assert_eq!(server.events(1).await, [r#"sys.user.info now {"pri":"mine","a":1}"#]);
    server.stop().await;
    let server = start("format none");
    server.send_datagrams(&[b"<14>anything"]).await;
    assert_eq!(server.events(1).await, [r#"sys.user.info now {"message":"anything"}"#]);
    server.stop().await;
}

#[tokio::test]
async fn connections_with_delimiters() {
    for (parameters, delimiter) in
        [(TCP, "\n"), ("protocol_type tcp", "\n"), ("delimiter \";\"\n<transport tcp>\n</transport>", ";")]
    {
        let server = start(parameters);
        let text =
            format!("<6>Feb 28 00:00:12 h a: one{delimiter}<6>Feb 28 00:00:12 h a: two{delimiter}<6>Feb");
        let _peer = server.send(text.as_bytes()).await;
        assert_eq!(
            timeless(&server.events(2).await),
            [
                r#"sys.kern.info {"host":"h","ident":"a","message":"one"}"#,
                r#"sys.kern.info {"host":"h","ident":"a","message":"two"}"#
            ]
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn connections_with_octet_counts() {
    let server = start(&format!("frame_type octet_count\n{TCP}"));
    let mut peer = server.send(b"32 <6>Feb 28 00:00:12 h a: one\nmore27 <6>Feb 28 00:00:12 h a: two").await;
    let events = timeless(&server.events(2).await);
    assert_eq!(events[1], r#"sys.kern.info {"host":"h","ident":"a","message":"two"}"#);
    // Where the next message begins is unknown from here on.
    peer.write_all(b"<6>Feb 28 00:00:12 h a: three\n").await.unwrap();
    assert!(closed(&mut peer).await.is_empty());
    let _peer = server.send(b"27 <6>Feb 28 00:00:12 h a: for").await;
    server.events(3).await;
    server.stop().await;
}

#[tokio::test]
async fn messages_in_tls() {
    let server = start("<transport tls>\ninsecure true\n</transport>");
    let mut peer = tls(server.connect().await).await;
    peer.write_all(MESSAGE).await.unwrap();
    peer.flush().await.unwrap();
    assert!(server.events(1).await[0].starts_with("sys.authpriv.notice "));
    server.stop().await;
}

#[tokio::test]
async fn a_buffer_that_refuses_does_not_end_connections() {
    let server = start(TCP);
    server.sink.behave(Behaviour::Refuse);
    let mut peer = server.send(MESSAGE).await;
    server.tried(1).await;
    server.sink.behave(Behaviour::Take);
    peer.write_all(MESSAGE).await.unwrap();
    server.events(1).await;
    server.stop().await;
}

#[tokio::test]
async fn datagrams_are_cut_and_connections_are_not() {
    let long = [&MESSAGE[..MESSAGE.len() - 1], &vec![b'y'; 5000], b"\n"].concat();
    let server = start("");
    server.send_datagrams(&[&long]).await;
    assert!(server.sink.wait_for(1).await[0].1.len() < 2100);
    server.stop().await;
    let server = start(TCP);
    let _peer = server.send(&long).await;
    assert!(server.sink.wait_for(1).await[0].1.len() > 5000);
    server.stop().await;
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, &format!("tag sys\n{text}")).unwrap_or_default();
    assert!(error("").is_empty());
    for (text, message) in [
        ("send_keepalive_packet true", "send_keepalive_packet is available for tcp/tls"),
        (
            "include_source_host true\nsource_address_key a",
            "specify either source_address_key or include_source_host",
        ),
        (
            "source_hostname_key h\nresolve_hostname false",
            "resolve_hostname must be true with source_hostname_key",
        ),
        ("<transport sctp>\n</transport>", "valid options are tcp,udp,tls but got sctp"),
        ("<transport tls>\n</transport>", "no valid cert options configured"),
        ("frame_type lines", "valid options are traditional,octet_count but got lines"),
        ("delimiter \"\"\n<transport tcp>\n</transport>", "'delimiter' must not be empty"),
        ("message_length_limit 0", "must be at least 1"),
    ] {
        assert!(error(text).contains(message), "{text}: {}", error(text));
    }
}
