//! The servers that hold a table: which one gets a request.

use super::endpoint::{Access, Endpoint, Failure};
use bytes::Bytes;
use std::sync::Arc;

/// One server or several that hold the same data.
pub(crate) struct Cluster {
    endpoints: Vec<Arc<Endpoint>>,
}

/// Which server failed, and how.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {failure}")]
pub(crate) struct ClusterError {
    /// The server's URL.
    pub(crate) url: String,
    /// What happened.
    pub(crate) failure: Failure,
}

impl Cluster {
    /// Servers at these URLs.
    pub(crate) fn new(urls: &[String], access: &Access) -> Self {
        Self { endpoints: urls.iter().map(|url| Arc::new(Endpoint::new(url, access))).collect() }
    }

    /// All servers, those that are well first; among equals the order begins at `start`, so that one chunk keeps
    /// to one server.
    pub(crate) fn ordered(&self, start: usize) -> Vec<Arc<Endpoint>> {
        let count = self.endpoints.len();
        let mut endpoints: Vec<_> =
            (0..count).map(|offset| Arc::clone(&self.endpoints[(start + offset) % count])).collect();
        endpoints.sort_by_key(|endpoint| !endpoint.is_open());
        endpoints
    }

    /// Asks the first server that is reached, and says which it was.
    pub(crate) async fn query(
        &self,
        sql: &str,
        format: &str,
    ) -> Result<(Arc<Endpoint>, Bytes), ClusterError> {
        let mut last = None;
        for endpoint in self.ordered(0) {
            match endpoint.query(sql, format).await {
                Ok(answer) => return Ok((endpoint, answer)),
                Err(failure @ Failure::Refused(_)) => {
                    return Err(ClusterError { url: endpoint.url().to_owned(), failure });
                }
                Err(failure) => last = Some(ClusterError { url: endpoint.url().to_owned(), failure }),
            }
        }
        Err(last.unwrap_or_else(|| ClusterError {
            url: String::new(),
            failure: Failure::Unreached("no server is configured".to_owned()),
        }))
    }
}
