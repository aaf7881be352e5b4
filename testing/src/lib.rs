//! What tests need around Logweir. Only tests depend on this crate, so its functions panic with a sentence that says
//! what to install instead of returning errors.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::net::{TcpListener, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

mod clickhouse;
mod cluster;
mod haproxy;
mod http;
mod journal;
mod kubernetes;
mod libchdb;
mod process;
mod prometheus;
mod proxy;
mod tinyproxy;
mod zookeeper;

pub use clickhouse::{ClickHouse, Options};
pub use cluster::{CLUSTER, ClickHouseCluster};
pub use haproxy::HaProxy;
pub use http::{HttpAnswer, http_request};
pub use journal::{JournalFolder, journal_entry};
pub use kubernetes::{KubernetesApi, Pod, namespace};
pub use libchdb::Libchdb;
pub use prometheus::{Prometheus, promtool};
pub use proxy::{Cut, Proxy};
pub use tinyproxy::TinyProxy;
pub use zookeeper::ZooKeeper;

/// A port, of TCP and of UDP, that nothing listens on at the moment of the call and that no other call in this process is given.
///
/// It is none of those that the kernel gives to outgoing connections (32768 and up): between this call and the moment when
/// somebody listens on the port, another test's connection could be given it.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    // Test processes that run side by side begin at different places.
    let next = NEXT.get_or_init(|| AtomicU32::new(std::process::id().wrapping_mul(PORT_STRIDE)));
    for _ in 0..PORTS {
        let port = FIRST_PORT + (next.fetch_add(1, Ordering::Relaxed) % PORTS) as u16;
        let is_free =
            |port| TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok();
        if !USUAL_PORTS.contains(&port) && is_free(port) {
            return port;
        }
    }
    panic!("there is no free port from {FIRST_PORT} on");
}

/// Where [`free_port`] begins, and how many it chooses from.
const FIRST_PORT: u16 = 10_000;
const PORTS: u32 = 20_000;
const PORT_STRIDE: u32 = 1009;
/// What Fluentd's plugins listen on by default: some tests do too.
const USUAL_PORTS: std::ops::Range<u16> = 24_200..24_300;
