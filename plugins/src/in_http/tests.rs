//! The input over real sockets.

use super::PLUGIN;
use super::server::listen;
use super::settings::Settings;
use crate::socket::testing::{closed, events_of, tls};
use crate::testing::{Behaviour, Pipeline, Sink, build_error, with_params};
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

struct Running {
    address: SocketAddr,
    sink: Sink,
    pipeline: Pipeline,
}

impl Running {
    fn start(parameters: &str) -> Self {
        let text = format!("port 0\nbind 127.0.0.1\n{parameters}");
        let settings = with_params(&PLUGIN, &text, Settings::new);
        let pipeline = Pipeline::new();
        let address = listen(settings.unwrap_or_else(|error| panic!("{error}")), &pipeline.context).unwrap();
        Self { address, sink: pipeline.sink.clone(), pipeline }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request over a connection of its own.
    async fn request(&self, head: &str, body: &[u8]) -> Reply {
        let mut peer = self.connect().await;
        send(&mut peer, head, body).await;
        reply(&mut peer).await
    }

    async fn post(&self, path: &str, kind: &str, body: &[u8]) -> Reply {
        self.request(&format!("POST {path} HTTP/1.1\r\nContent-Type: {kind}"), body).await
    }

    async fn events(&self, count: usize) -> Vec<String> {
        events_of(&self.sink, count).await
    }

    async fn stop(self) -> Sink {
        self.pipeline.stop().await
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> (u16, String) {
        (self.status, String::from_utf8_lossy(&self.body).into_owned())
    }

    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }
}

async fn send(peer: &mut (impl AsyncWrite + Unpin), head: &str, body: &[u8]) {
    let head = format!("{head}\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    peer.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    peer.flush().await.unwrap();
}

async fn reply(peer: &mut (impl AsyncRead + Unpin)) -> Reply {
    let read = async {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(peer.read_u8().await.unwrap());
        }
        let head = String::from_utf8(bytes).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        peer.read_exact(&mut body).await.unwrap();
        Reply { status: head[9..12].parse().unwrap(), head, body }
    };
    timeout(Duration::from_secs(20), read).await.expect("an answer")
}

const JSON: &str = "application/json";

#[tokio::test]
async fn bodies_become_events_and_paths_tags() {
    let server = Running::start("");
    for (path, kind, body) in [
        ("/my/tag.x?a=b", JSON, &br#"{"n":1}"#[..]),
        ("/a//b///", "application/json; charset=utf-8", br#"[{"n":2},{"n":3,"time":5}]"#),
        ("/nd?time=1.5", "application/x-ndjson", b"{\"n\":4}\n{\"n\":5,\"time\":9}\n"),
        ("/mp", "application/msgpack", b"\x81\xa1n\x06"),
        ("/form", "application/x-www-form-urlencoded", b"json=%7B%22n%22%3A7%7D&time=2"),
        ("/form", "application/x-www-form-urlencoded", b"msgpack=%81%A1n%08"),
        ("/", "application/csp-report", br#"{"n":9}"#),
        ("/q?json=%7B%22n%22:10%7D", "text/plain", b""),
        (
            "/multi",
            "multipart/form-data; boundary=xx",
            b"--xx\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"n\":11}\r\n--xx--\r\n",
        ),
    ] {
        assert_eq!(server.post(path, kind, body).await.text(), (200, String::new()), "{path}");
    }
    assert_eq!(
        server.events(11).await,
        [
            r#"my.tag.x now {"n":1}"#,
            r#"a..b now {"n":2}"#,
            r#"a..b 5 {"n":3}"#,
            r#"nd 1.500000000 {"n":4}"#,
            r#"nd 1.500000000 {"n":5,"time":9}"#,
            r#"mp now {"n":6}"#,
            r#"form 2 {"n":7}"#,
            r#"form now {"n":8}"#,
            r#" now {"n":9}"#,
            r#"q now {"n":10}"#,
            r#"multi now {"n":11}"#,
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_event_is_answered_as_fluentd_does() {
    let server = Running::start("");
    for (kind, body, expected) in [
        (JSON, "{bad", (200, "")),
        (JSON, "", (200, "")),
        (JSON, "null", (200, "")),
        ("text/plain", "x", (400, "400 Bad Request\n'json', 'ndjson' or 'msgpack' parameter is required\n")),
        (JSON, "5", (400, "400 Bad Request\na record must be a map, not Integer\n")),
        (JSON, r#"{"time":"x"}"#, (400, "400 Bad Request\ncan't convert String into an exact number\n")),
    ] {
        let (status, text) = server.post("/t", kind, body.as_bytes()).await.text();
        assert_eq!((status, text.as_str()), expected, "{body}");
    }
    assert_eq!(
        server.request("GET /t?json=%7B%22a%22%3A1%7D HTTP/1.1", b"").await.text(),
        (200, String::new())
    );
    assert_eq!(server.request("PUT /t HTTP/1.1", b"").await.status, 400);
    assert!(server.stop().await.events().is_empty());
}

#[tokio::test]
async fn records_get_headers_query_and_address() {
    let server = Running::start("add_http_headers true\nadd_query_params true\nadd_remote_addr true");
    let head = "POST /t?q-1=a&q-1=b HTTP/1.1\r\nContent-Type: application/json\r\nX-Two: 1\r\nUser-Agent: ua\r\nX-Two: 2";
    server.request(head, br#"{"a":1,"HTTP_HOST":"mine"}"#).await;
    assert_eq!(
        server.events(1).await,
        [
            r#"t now {"a":1,"HTTP_HOST":"h","HTTP_CONTENT_TYPE":"application/json","HTTP_X_TWO":["1","2"],"HTTP_USER_AGENT":"ua","HTTP_CONTENT_LENGTH":"26","QUERY_Q_1":"a","REMOTE_ADDR":"127.0.0.1"}"#
        ]
    );
    server.stop().await;
    let server = Running::start("add_remote_addr true");
    for (forwarded, expected) in [("9.8.7.6, 1.1.1.1", r#""9.8.7.6""#), ("", "null")] {
        let head =
            format!("POST /t HTTP/1.1\r\nContent-Type: application/json\r\nX-Forwarded-For: {forwarded}");
        server.request(&head, b"{}").await;
        let events = server.events(server.sink.events().len()).await;
        assert_eq!(events.last(), Some(&format!(r#"t now {{"REMOTE_ADDR":{expected}}}"#)));
    }
    server.stop().await;
}

#[tokio::test]
async fn parsers_read_bodies() {
    let server = Running::start(
        "<parse>\n@type regexp\nexpression /^(?<k>\\w+)=(?<v>\\d+)$/\ntypes v:integer\n</parse>",
    );
    assert_eq!(server.post("/t", "text/plain", b"size=12").await.status, 200);
    assert_eq!(
        server.post("/t", JSON, b"no match").await.text(),
        (400, "400 Bad Request\nReceived event is not regexp: no match\n".to_owned())
    );
    assert_eq!(server.post("/t?time=7", JSON, b"x=1").await.status, 200);
    assert_eq!(server.events(2).await, [r#"t now {"k":"size","v":12}"#, r#"t 7 {"k":"x","v":1}"#]);
    server.stop().await;
    // The older way to write it, and the rules for times without a parser.
    let server = Running::start("format none");
    server.post("/t", JSON, "\u{e9}".as_bytes()).await;
    assert_eq!(server.sink.wait_for(1).await[0].1[11..], *b"\x81\xa7message\xc4\x02\xc3\xa9");
    server.stop().await;
    let server = Running::start(
        "<parse>\ntime_key at\ntime_type string\ntime_format %Y\nkeep_time_key true\n</parse>",
    );
    server.post("/t", JSON, br#"{"at":"1971","time":5}"#).await;
    assert_eq!(server.events(1).await, [r#"t 31536000 {"at":"1971","time":5}"#]);
    assert_eq!(server.post("/t", JSON, br#"{"at":"x"}"#).await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let server = Running::start("decompression_size_limit 1m\nbody_size_limit 100k");
    let post = |encoding: &str, body: Vec<u8>| {
        let head =
            format!("POST /t HTTP/1.1\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}");
        let server = &server;
        async move { server.request(&head, &body).await.text() }
    };
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let deflate = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(post("gzip", gzip(br#"{"a":1}"#)).await.0, 200);
    assert_eq!(post("deflate", deflate(br#"{"a":2}"#)).await.0, 200);
    assert_eq!(post("br", br#"{"a":3}"#.to_vec()).await.0, 200);
    let bomb = vec![b' '; 8 << 20];
    for (encoding, body) in [
        ("gzip", b"no gzip".to_vec()),
        ("gzip", Vec::new()),
        ("deflate", gzip(b"{}")),
        ("gzip", gzip(&bomb)),
        ("deflate", deflate(&bomb)),
        ("gzip", gzip(b"{}")[..15].to_vec()),
    ] {
        assert_eq!(post(encoding, body).await, (400, String::new()));
    }
    assert_eq!(server.events(3).await, [r#"t now {"a":1}"#, r#"t now {"a":2}"#, r#"t now {"a":3}"#]);
    server.stop().await;
}

#[tokio::test]
async fn bodies_that_are_too_large_are_answered_with_413() {
    let server = Running::start("body_size_limit 1k");
    let body = |size: usize| [&br#"{"a":""#[..], &vec![b'x'; size - 8], br#""}"#].concat();
    assert_eq!(server.post("/t", JSON, &body(1024)).await.status, 200);
    let large = server.post("/t", JSON, &body(1 << 20)).await;
    assert_eq!(large.text(), (413, "Too large".to_owned()));
    assert!(
        large.head.starts_with("HTTP/1.1 413 Request Entity Too Large\r\n") && large.has("Connection: close")
    );
    // Without a length, by chunks.
    let mut peer = server.connect().await;
    peer.write_all(b"POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for _ in 0..3 {
        peer.write_all(&[&b"200\r\n"[..], &[b'x'; 512], b"\r\n"].concat()).await.unwrap();
    }
    assert_eq!(reply(&mut peer).await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn expectations() {
    let server = Running::start("body_size_limit 1k");
    let head = |expect: &str, length: usize| {
        format!(
            "POST /t HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nExpect: {expect}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut peer = server.connect().await;
    peer.write_all(head("100-continue", 2).as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    timeout(Duration::from_secs(20), peer.read_exact(&mut go_on)).await.expect("an answer").unwrap();
    assert_eq!(go_on, *b"HTTP/1.1 100 Continue\r\n\r\n");
    peer.write_all(b"{}").await.unwrap();
    assert_eq!(reply(&mut peer).await.status, 200);
    for (expect, length, status) in [("100-continue", 1024, 413), ("miracles", 2, 417)] {
        let mut peer = server.connect().await;
        peer.write_all(head(expect, length).as_bytes()).await.unwrap();
        assert_eq!(reply(&mut peer).await.status, status);
        closed(&mut peer).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins() {
    let origin = |method: &str, origin: &str| {
        format!(
            "{method} /t HTTP/1.1\r\nContent-Type: application/json\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: X-A"
        )
    };
    let server = Running::start("cors_allow_origins [\"http://*.good.com\"]\ncors_allow_credentials true");
    let good = server.request(&origin("POST", "http://a.good.com"), b"{}").await;
    assert!(
        good.has("Access-Control-Allow-Origin: http://a.good.com")
            && good.has("Access-Control-Allow-Credentials: true"),
        "{good:?}"
    );
    let asked = server.request(&origin("OPTIONS", "http://a.good.com"), b"").await;
    assert_eq!(asked.status, 200);
    for header in [
        "Access-Control-Allow-Methods: POST",
        "Access-Control-Allow-Headers: X-A",
        "Access-Control-Allow-Origin: http://a.good.com",
    ] {
        assert!(asked.has(header), "{asked:?}");
    }
    // A body that nobody wants does not keep its peer from reading the answer.
    let large = server.request(&origin("POST", "http://bad.com"), &vec![b' '; 3 << 20]).await;
    assert_eq!(large.status, 403);
    for head in [
        origin("POST", "http://bad.com"),
        origin("OPTIONS", "http://bad.com"),
        "POST /t HTTP/1.1".to_owned(),
        "OPTIONS /t HTTP/1.1".to_owned(),
    ] {
        assert_eq!(server.request(&head, b"{}").await.status, 403, "{head}");
    }
    server.stop().await;
    let server = Running::start("cors_allow_origins *");
    let any = server.request(&origin("POST", "http://any.com"), b"{}").await;
    assert!(any.status == 200 && any.has("Access-Control-Allow-Origin: *"));
    server.stop().await;
    let server = Running::start("");
    assert_eq!(server.request(&origin("OPTIONS", "http://any.com"), b"").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn answers_may_be_empty_or_an_image() {
    let server = Running::start("use_204_response true");
    assert_eq!(server.post("/t", JSON, b"{}").await.text(), (204, String::new()));
    assert_eq!(server.post("/t", JSON, b"{bad").await.status, 204);
    server.stop().await;
    let server = Running::start("respond_with_empty_img true");
    let image = server.post("/t", JSON, b"{}").await;
    assert!(image.has("Content-Type: image/gif; charset=utf-8") && image.body.starts_with(b"GIF89a"));
    assert_eq!(image.body.len(), 35);
    server.stop().await;
}

#[tokio::test]
async fn connections_are_kept_or_closed() {
    let server = Running::start("");
    let mut peer = server.connect().await;
    for _ in 0..3 {
        send(&mut peer, "POST /t HTTP/1.1\r\nContent-Type: application/json", b"{}").await;
        assert!(reply(&mut peer).await.has("Connection: Keep-Alive"));
    }
    send(&mut peer, "POST /t HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close", b"{}").await;
    assert!(reply(&mut peer).await.has("Connection: close"));
    assert!(closed(&mut peer).await.is_empty());
    let mut old = server.connect().await;
    send(&mut old, "POST /t HTTP/1.0\r\nContent-Type: application/json", b"{}").await;
    assert_eq!(reply(&mut old).await.status, 200);
    closed(&mut old).await;
    // A peer that closes its side behind its request still gets the answer.
    let mut half = server.connect().await;
    send(&mut half, "POST /t HTTP/1.1\r\nContent-Type: application/json", b"{}").await;
    half.shutdown().await.unwrap();
    assert_eq!(reply(&mut half).await.status, 200);
    server.events(6).await;
    server.stop().await;
}

#[tokio::test]
async fn idle_and_slow_peers_are_let_go() {
    let server = Running::start("keepalive_timeout 1");
    let mut idle = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"POST /t HTTP/1.1\r\nHost").await.unwrap();
    let mut cut = server.connect().await;
    cut.write_all(b"POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{").await.unwrap();
    assert_eq!(reply(&mut cut).await.status, 408);
    closed(&mut idle).await;
    closed(&mut slow).await;
    assert_eq!(server.post("/t", JSON, b"{}").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_waits_until_the_events_are_durable() {
    let server = Running::start("");
    server.sink.behave(Behaviour::HoldCommits);
    let mut peer = server.connect().await;
    send(&mut peer, "POST /t HTTP/1.1\r\nContent-Type: application/json", b"{}").await;
    server.events(1).await;
    let early = timeout(Duration::from_millis(100), peer.read_u8()).await;
    assert!(early.is_err(), "nothing before the commit");
    server.sink.behave(Behaviour::Take);
    assert_eq!(reply(&mut peer).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_stored_is_answered_with_500() {
    let server = Running::start("");
    server.sink.behave(Behaviour::Refuse);
    let full = server.post("/t", JSON, b"{}").await;
    assert_eq!(full.text(), (500, "500 Internal Server Error\nbuffer space has too many data\n".to_owned()));
    assert!(full.has("Retry-After: 1"));
    server.sink.behave(Behaviour::FailCommits);
    assert_eq!(server.post("/t", JSON, b"{}").await.text().1, "500 Internal Server Error\ndisk full\n");
    server.stop().await;
}

#[tokio::test]
async fn garbage_and_floods_stop_nobody_else() {
    let server = Running::start("connection_limit 20\nreceive_memory_limit 1m\nbody_size_limit 8m");
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01".to_vec(),
        b"GET".repeat(100_000),
        [&b"POST /t HTTP/1.1\r\n"[..], &b"X: y\r\n".repeat(20_000)].concat(),
        [&b"POST /"[..], &vec![b'a'; 200_000], b" HTTP/1.1\r\n\r\n"].concat(),
        b"POST /t HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_vec(),
        b"POST /t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
    ] {
        let mut peer = server.connect().await;
        // It may be closed before all is written.
        let _ = peer.write_all(&garbage).await;
        let _ = peer.shutdown().await;
        closed(&mut peer).await;
        assert_eq!(server.post("/t", JSON, b"{}").await.status, 200);
    }
    // Bodies that never end hold memory; an honest request finds some.
    let mut hostile = Vec::new();
    for _ in 0..10 {
        let mut peer = server.connect().await;
        peer.write_all(b"POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n").await.unwrap();
        peer.write_all(&[b' '; 50_000]).await.unwrap();
        hostile.push(peer);
    }
    assert_eq!(server.post("/t", JSON, b"{}").await.status, 200);
    drop(hostile);
    server.stop().await;
}

#[tokio::test]
async fn what_grows_without_measure_is_refused() {
    let server = Running::start("add_http_headers true\nadd_query_params true\ndecompression_size_limit 1m");
    let records = format!("[{}{{}}]", "{},".repeat(10_000));
    let head =
        format!("POST /t HTTP/1.1\r\nContent-Type: application/json\r\nX-Long: {}", "x".repeat(10_000));
    assert_eq!(server.request(&head, records.as_bytes()).await.text(), (413, "Too large".to_owned()));
    let many: String = (0..1100).map(|n| format!("HTTP_{n}&")).collect();
    let form =
        server.post("/t", "application/x-www-form-urlencoded", format!("{many}json={{}}").as_bytes()).await;
    assert_eq!(form.text(), (400, "400 Bad Request\nthe request has too many parameters\n".to_owned()));
    assert_eq!(server.post("/t", JSON, b"{}").await.status, 200);
    assert_eq!(server.stop().await.events().len(), 1);
}

#[tokio::test]
async fn requests_in_tls() {
    let server = Running::start("<transport tls>\ninsecure true\n</transport>\nadd_tag_prefix p");
    let mut peer = tls(server.connect().await).await;
    send(&mut peer, "POST /t HTTP/1.1\r\nContent-Type: application/json", b"{}").await;
    assert_eq!(reply(&mut peer).await.status, 200);
    assert_eq!(server.events(1).await, ["p.t now {}"]);
    drop(peer);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_answers_the_request_in_work_and_closes_idle_connections() {
    let server = Running::start("");
    let mut idle = server.connect().await;
    send(&mut idle, "POST /t HTTP/1.1\r\nContent-Type: application/json", b"{}").await;
    reply(&mut idle).await;
    server.sink.behave(Behaviour::HoldCommits);
    let mut busy = server.connect().await;
    send(&mut busy, "POST /t HTTP/1.1\r\nContent-Type: application/json", b"{}").await;
    server.events(2).await;
    let sink = server.sink.clone();
    let stopping = tokio::spawn(server.stop());
    closed(&mut idle).await;
    sink.behave(Behaviour::Take);
    assert_eq!(reply(&mut busy).await.status, 200);
    drop(busy);
    stopping.await.unwrap();
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
    assert!(error("").is_empty());
    let no_origins = "Cannot enable cors_allow_credentials without specific origins";
    for (text, message) in [
        ("cors_allow_credentials true", no_origins),
        ("cors_allow_credentials true\ncors_allow_origins [\"*\"]", no_origins),
        ("add_tag_prefix \"\"", "'add_tag_prefix' parameter must not be empty"),
        ("port -1", "'port' must be a number"),
        ("<transport tls>\n</transport>", "no valid cert options configured"),
        ("<parse>\ntimezone JST\n</parse>", ""),
    ] {
        assert!(error(text).contains(message), "{text}: {}", error(text));
    }
}
