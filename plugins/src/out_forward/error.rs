//! Why a chunk did not reach a node.

use logweir_engine::net::error_class;
use logweir_engine::plugin::WriteError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong with one node.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// Connecting, writing or reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The name has no address.
    #[error("cannot resolve {host}: {error}")]
    Resolve { host: String, error: io::Error },
    /// The handshake failed; a log line has said how.
    #[error("failed to establish connection with node {0}")]
    Handshake(String),
    /// The node did not acknowledge the chunk; a log line has said how.
    #[error("{0}")]
    NoAck(&'static str),
    /// The chunk's file does not hold what it should.
    #[error("the chunk's file is damaged")]
    Damaged,
    /// The server that may have the chunk was not met.
    #[error("{0} was not met behind its address, but others were")]
    Elsewhere(Arc<str>),
    /// The chunk waits for the server that may have it.
    #[error("{error}; the chunk waits for {server}, which may have it (doubt_wait)")]
    Held {
        /// Why it was not delivered there.
        error: Box<SendError>,
        server: String,
        /// When to try again.
        pause: Duration,
    },
    /// No node is available.
    #[error("no nodes are available")]
    NoNodes,
    /// The chunk cannot be sent, to no node ever.
    #[error("{0}")]
    Unsendable(String),
}

impl From<SendError> for WriteError {
    fn from(error: SendError) -> Self {
        let message = error.to_string();
        match error {
            SendError::Io(error) => Self::retry(error_class(&error), message),
            SendError::Resolve { .. } => Self::retry("SocketError", message),
            SendError::Held { pause, .. } => {
                Self::later("Fluent::Plugin::ForwardOutput::ConnectionClosedError", message, pause)
            }
            SendError::Handshake(_) | SendError::NoAck(_) | SendError::Elsewhere(_) => {
                Self::retry("Fluent::Plugin::ForwardOutput::ConnectionClosedError", message)
            }
            SendError::Damaged => Self::retry("IOError", message),
            SendError::NoNodes => Self::retry("Fluent::Plugin::ForwardOutput::NoNodesAvailable", message),
            SendError::Unsendable(_) => Self::reject("Fluent::UnrecoverableError", message),
        }
    }
}
