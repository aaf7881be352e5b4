//! Metrics: the page that a running Logweir gives, and a real Prometheus server with the alerts of conf/prometheus.

mod documented;
mod page;
mod scraped;

use crate::logweir::Logweir;
use logweir_testing::http_request;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of conf/prometheus.
fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prometheus").join(name)
}

fn conf_text(name: &str) -> String {
    fs::read_to_string(conf(name)).unwrap()
}

/// The sources of conf/prometheus/metrics.conf, listening on `port`, looking every fifth of a second.
fn metrics_conf(port: u16) -> String {
    let text = conf_text("metrics.conf").replace("#{ENV['METRICS_PORT'] || 24231}", &port.to_string());
    let text = text.replace("_monitor\n", "_monitor\n  interval 0.2\n");
    assert!(text.contains(&port.to_string()) && text.matches("interval 0.2").count() == 3, "{text}");
    text
}

fn page(port: u16) -> String {
    http_request(port, "GET", "/metrics", &[], b"").map_or_else(|_| String::new(), |answer| answer.text())
}

/// The samples of a page: name with labels, and value.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(key, value)| (key, value.parse().unwrap())).collect()
}

/// Waits until the page has a sample of that value.
fn wait_for(logweir: &mut Logweir, port: u16, key: &str, value: f64) {
    logweir.wait(&format!("{key} {value}, in\n{}", page(port)), |_| {
        samples(&page(port)).get(key).copied() == Some(value)
    });
}

/// Sends so many records as one forward chunk, and waits for its ack.
fn send(port: u16, tag: &str, chunk: &str, record: &serde_json::Value, count: usize) {
    let entries: Vec<_> = (0..count).map(|_| (1_700_000_000, record)).collect();
    let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    peer.write_all(&rmp_serde::to_vec(&(tag, entries, json!({"chunk": chunk}))).unwrap()).unwrap();
    assert!(peer.read(&mut [0; 64]).unwrap() > 0, "no acknowledgement");
}

/// Logweir's own log lines are no events.
const NO_OWN_LOG: &str = "<label @FLUENT_LOG>\n <match **>\n @type null\n </match>\n</label>\n";
