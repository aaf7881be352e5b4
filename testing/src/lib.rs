//! What tests need around Logweir. Only tests depend on this crate, so its functions panic with a sentence that says
//! what to install instead of returning errors.
#![allow(clippy::expect_used, clippy::unwrap_used)]

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
pub use zookeeper::ZooKeeper;

/// A TCP port of 127.0.0.1 that nothing listens on at the moment of the call.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
    listener.local_addr().expect("the port of a bound socket").port()
}
