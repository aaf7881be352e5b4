//! Kubernetes: a node's files, an API server of ours, and what is made of both.

mod configuration;
mod daemonset;
mod filter;
mod manifest;
mod node;

use node::Node;
use std::path::{Path, PathBuf};

/// A file of conf/kubernetes.
fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/kubernetes").join(name)
}
