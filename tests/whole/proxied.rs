//! `proxy` of the output `http`, through a real proxy.

use crate::logweir::Logweir;
use logweir_testing::{TinyProxy, free_port, http_request};
use std::fs;
use std::path::Path;

/// Sources `plain` and `tls`, whose events come by way of two outputs `http` from the source at `port`.
struct Chain {
    port: u16,
    plain: u16,
    tls: u16,
}

impl Chain {
    fn new() -> Self {
        Self { port: free_port(), plain: free_port(), tls: free_port() }
    }

    /// `more` is what both outputs have of their own.
    fn config(&self, here: &Path, more: &str) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(here.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(here.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (Self { port, plain, tls }, here) = (self, here.display());
        let source = |port: &u16, more: &str| {
            format!("<source>\n @type http\n bind 127.0.0.1\n port {port}\n{more}\n</source>\n")
        };
        let output = |tag: &str, endpoint: &str| {
            format!(
                "<match {tag}>\n @type http\n endpoint {endpoint}\n tls_ca_cert_path {here}/cert.pem\n content_type application/json\n\
                 {more}\n <buffer>\n @type memory\n flush_mode immediate\n retry_wait 0.2\n retry_max_interval 0.2\n </buffer>\n\
                 </match>\n"
            )
        };
        let with_tls = format!(
            "<transport tls>\n cert_path {here}/cert.pem\n private_key_path {here}/key.pem\n</transport>"
        );
        [
            source(port, ""),
            source(plain, ""),
            source(tls, &with_tls),
            output("to_plain", &format!("http://127.0.0.1:{plain}/by_plain")),
            output("to_tls", &format!("https://localhost:{tls}/by_tls")),
            format!(
                "<match by_*>\n @type file\n path {here}/out\n append true\n <buffer []>\n path {here}/buffer\n \
                 flush_mode immediate\n </buffer>\n</match>\n\
                 <label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n"
            ),
        ]
        .concat()
    }

    fn post(&self, tag: &str) {
        let json = ["Content-Type: application/json"];
        let answer = http_request(self.port, "POST", &format!("/{tag}"), &json, b"{\"n\":1}").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The tags of the events that arrived, sorted.
fn arrived(here: &Path) -> Vec<String> {
    let text = fs::read_to_string(here.join("out.log")).unwrap_or_default();
    let mut tags: Vec<String> =
        text.lines().filter_map(|line| line.split('\t').nth(1)).map(str::to_owned).collect();
    tags.sort();
    tags
}

#[test]
fn requests_and_tls_go_through_the_proxy() {
    let proxy = TinyProxy::start("logweir", "s3cret");
    let dir = tempfile::tempdir().unwrap();
    let (here, chain) = (dir.path(), Chain::new());
    let url = format!("proxy http://logweir:s3cr%65t@127.0.0.1:{}", proxy.port());
    let mut logweir =
        Logweir::start(here, &chain.config(here, &format!("{url}\n compress gzip\n reuse_connections true")));
    for _ in 0..2 {
        chain.post("to_plain");
        chain.post("to_tls");
    }
    logweir.wait("the events", |_| arrived(here).len() >= 4);
    assert!(logweir.stop().success());
    assert_eq!(arrived(here), ["by_plain", "by_plain", "by_tls", "by_tls"]);
    let log = proxy.log();
    assert!(log.contains(&format!("POST http://127.0.0.1:{}/by_plain", chain.plain)), "{log}");
    assert!(log.contains(&format!("CONNECT localhost:{} ", chain.tls)), "{log}");
    let said = logweir.log();
    assert!(said.contains("http://logweir:xxxxxx@127.0.0.1") && !said.contains("s3cr"), "{said}");
}

#[test]
fn a_proxy_of_the_environment_that_refuses() {
    let proxy = TinyProxy::start("logweir", "right");
    let dir = tempfile::tempdir().unwrap();
    let (here, chain) = (dir.path(), Chain::new());
    let mut logweir = Logweir::not_started(here, &chain.config(here, "retryable_response_codes 407,503"));
    let url = format!("http://127.0.0.1:{}", proxy.port());
    logweir.spawn(&[("http_proxy", &url)]);
    logweir.wait_until_running();
    chain.post("to_plain");
    chain.post("to_tls");
    let through = format!("through the proxy 127.0.0.1:{}", proxy.port());
    logweir.wait("both refusals", |logweir| {
        let log = logweir.log();
        log.lines().any(|line| {
            line.contains(&through) && line.contains("the proxy refuses to connect: HTTP/1.0 407 ")
        }) && log.contains("407 Proxy Authentication Required")
    });
    logweir.kill();
    assert_eq!(arrived(here), [""; 0]);

    // An empty parameter is no proxy, whatever the environment says.
    let mut logweir = Logweir::not_started(here, &chain.config(here, "proxy \"\""));
    logweir.spawn(&[("http_proxy", &url)]);
    logweir.wait_until_running();
    chain.post("to_plain");
    chain.post("to_tls");
    logweir.wait("the events", |_| arrived(here).len() >= 2);
    assert!(logweir.stop().success());
    assert_eq!(arrived(here), ["by_plain", "by_tls"]);
}
