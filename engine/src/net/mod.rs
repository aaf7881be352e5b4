//! Sockets for plugins: listeners, TLS, and the limits that keep a server standing whatever its peers do.

mod closed;
mod connections;
mod error;
mod listener;
mod memory;
mod network;
mod quiet;
mod reading;
mod resolve;
mod server;
mod stream;
pub mod tls;
mod transport;

pub use closed::ClosedConnections;
pub use connections::{Connections, Ticket};
pub use error::error_class;
pub use listener::{bind_udp, listen_tcp, listen_unix};
pub use memory::{Lease, MemoryPool};
pub use network::Network;
pub use quiet::Quiet;
pub use reading::{Fill, Progress, READING_PARAMS, ReadFailure, ReadLimits, Reading};
pub use resolve::{HostNames, addresses};
pub use server::{CONNECTION_PARAMS, Connection, ServerOptions, StreamServer, port};
pub use stream::Stream;
pub use transport::{TRANSPORT, Transport, receive_buffer};
