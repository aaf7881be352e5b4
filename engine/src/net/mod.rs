//! Sockets for plugins: listeners, TLS, and the limits that keep a server standing whatever its peers do.

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

pub use connections::{Connections, Ticket};
pub use error::error_class;
pub use listener::{bind_udp, listen_tcp};
pub use memory::{Lease, MemoryPool};
pub use network::Network;
pub use quiet::Quiet;
pub use reading::{Fill, Progress, ReadFailure, Reading};
pub use resolve::{HostNames, addresses};
pub use server::{CONNECTION_PARAMS, Connection, HANDSHAKE_WAIT_MAX, ServerOptions, StreamServer, port};
pub use stream::Stream;
pub use transport::{TRANSPORT, Transport, receive_buffer};
