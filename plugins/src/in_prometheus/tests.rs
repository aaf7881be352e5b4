//! The answers, over real sockets.

use super::*;
use crate::socket::testing::tls;
use crate::testing::{Pipeline, build_error, with_params};
use logweir_engine::plugin::Driver;
use logweir_engine::telemetry::prometheus::{FamilySpec, LabelValues, MetricKind, Update};
use std::io::Read;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const LOCAL: &str = "port 0\nbind 127.0.0.1\n";

/// A page with a metric `m`, which listens.
struct Served {
    address: SocketAddr,
    pipeline: Pipeline,
}

impl Served {
    fn new(parameters: &str) -> Self {
        let text = format!("{LOCAL}{parameters}");
        let (page, server) = with_params(&PLUGIN, &text, |params, context| {
            let spec = FamilySpec::new("m", MetricKind::Gauge, "Help", Vec::new());
            let family = context.shared.metrics.declare(spec, "", true).unwrap();
            family.updates().update(&LabelValues::default(), Update::Set(1.5));
            configured(params, context)
        })
        .unwrap_or_else(|error| panic!("{error}"));
        let pipeline = Pipeline::new();
        let address = listen(&Arc::new(page), server, &pipeline.context).unwrap();
        Self { address, pipeline }
    }

    async fn get(&self, path: &str, header: &str) -> (u16, String, Vec<u8>) {
        request(TcpStream::connect(self.address).await.unwrap(), "GET", path, header).await
    }
}

/// Status, head in lower case, body.
async fn request(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    header: &str,
) -> (u16, String, Vec<u8>) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    (head[9..12].parse().unwrap(), head, answer.split_off(end + 4))
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn metrics_are_answered_and_nothing_else() {
    let served = Served::new("");
    let (status, head, body) = served.get("/metrics", "").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
    let body = text(&body);
    for part in [
        "# HELP m Help\n# TYPE m gauge\nm 1.5\n",
        "# TYPE process_open_fds gauge\n",
        "\nlogweir_records_unexplained 0\n",
        &format!("logweir_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(body.contains(part), "{part}:\n{body}");
    }
    let (status, _, all) = served.get("/aggregated_metrics?x=1", "").await;
    assert!(status == 200 && text(&all).contains("\nm 1.5\n"), "one process is all there is");
    for (method, path) in [("GET", "/"), ("GET", "/metrics/x"), ("POST", "/metrics")] {
        let stream = TcpStream::connect(served.address).await.unwrap();
        assert_eq!(request(stream, method, path, "").await.0, 404, "{method} {path}");
    }
    served.pipeline.stop().await;
    let other = Served::new("metrics_path /a\naggregated_metrics_path /b");
    assert_eq!(other.get("/a", "").await.0, 200);
    assert_eq!(other.get("/b", "").await.0, 200);
    assert_eq!(other.get("/metrics", "").await.0, 404);
    other.pipeline.stop().await;
}

#[tokio::test]
async fn gzip_for_those_who_take_it() {
    let served = Served::new("content_encoding gzip");
    let (_, head, body) = served.get("/metrics", "Accept-Encoding: deflate, gzip;q=0.5\r\n").await;
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut inflated = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut inflated).unwrap();
    assert!(inflated.contains("\nm 1.5\n"));
    for header in ["", "Accept-Encoding: identity, gzip;q=0\r\n"] {
        let (_, head, body) = served.get("/metrics", header).await;
        assert!(!head.contains("content-encoding") && text(&body).contains("\nm 1.5\n"), "{head}");
    }
    served.pipeline.stop().await;
}

#[tokio::test]
async fn tls_as_it_is_and_as_it_was_configured() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.display(), key.display());
    for parameters in [
        format!("<transport tls>\ncert_path {cert}\nprivate_key_path {key}\n</transport>"),
        format!("<ssl>\nenable true\ncertificate_path {cert}\nprivate_key_path {key}\n</ssl>"),
        "<ssl>\nenable true\nextra_conf {\"SSLCertName\":[[\"CN\",\"nobody\"]]}\n</ssl>".to_owned(),
    ] {
        let served = Served::new(&parameters);
        let (status, _, body) =
            request(tls(TcpStream::connect(served.address).await.unwrap()).await, "GET", "/metrics", "")
                .await;
        assert!(status == 200 && text(&body).contains("\nm 1.5\n"), "{parameters}");
        served.pipeline.stop().await;
    }
}

#[test]
fn each_worker_has_a_port_of_its_own() {
    let mut driver = Driver::new(crate::PLUGINS);
    let port = |driver: &mut Driver, text: &str| {
        let params =
            driver.params(Kind::Input, &format!("<source>\n@type prometheus\n{text}\n</source>")).unwrap();
        configured(&params, &mut driver.context()).map(|(_, server)| server.port).map_err(|e| e.to_string())
    };
    assert_eq!(port(&mut driver, ""), Ok(24231));
    driver.system = driver.system.in_workers(2..=3);
    assert_eq!(port(&mut driver, ""), Ok(24233));
    assert!(port(&mut driver, "port 65535").unwrap_err().contains("'port' is too high for worker 2"));
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
    assert_eq!(error(""), "");
    assert_eq!(error("bind \"[::1]\"\n<ssl>\nenable false\n</ssl>"), "");
    assert!(error("port 99999").contains("'port' must be a number"));
    assert!(error("metrics_path metrics").contains("'metrics_path' must begin with a slash"));
    assert!(error("aggregated_metrics_path all").contains("must begin with a slash"));
    assert!(error("content_encoding deflate").contains("deflate"));
    let ssl = |text: &str| error(&format!("<ssl>\nenable true\n{text}\n</ssl>"));
    assert!(
        ssl("certificate_path /x").contains("both certificate_path and private_key_path must be defined")
    );
    assert!(ssl("").contains("no valid cert options configured"));
    assert!(ssl("certificate_path /none\nprivate_key_path /none").contains("/none"));
}
