//! The server as its peers see it, over real sockets.

mod acks;
mod hostile;
mod messages;
mod parameters;
mod peer;
mod security;
mod unix;
mod wire;
