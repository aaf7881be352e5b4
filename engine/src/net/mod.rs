//! Sockets for plugins: listeners, TLS, and the limits that keep a server standing whatever its peers do.

mod connections;
mod error;
mod listener;
mod memory;
mod resolve;
mod stream;
pub mod tls;
mod transport;

pub use connections::{Connections, Ticket};
pub use error::error_class;
pub use listener::{bind_udp, listen_tcp};
pub use memory::{Lease, MemoryPool};
pub use resolve::{HostNames, addresses};
pub use stream::Stream;
pub use transport::{TRANSPORT, Transport};
