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
mod ports;
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
pub use ports::free_port;
pub use prometheus::{Prometheus, promtool};
pub use proxy::{Cut, Proxy};
pub use tinyproxy::TinyProxy;
pub use zookeeper::ZooKeeper;
