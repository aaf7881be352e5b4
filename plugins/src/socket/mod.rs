//! What the inputs that take texts from sockets share: messages cut out of connections and datagrams, the peers that they
//! come from, and the streams that their events become.
//!
//! ```text
//! connections   bytes of one connection  ┐
//!   frames        bytes -> messages      ├─> Interpret: a message -> events ─> Events: streams, emitted
//! datagrams     bytes of one UDP socket  ┘     (records: what tcp and udp make of one)
//! ```

mod connections;
mod datagrams;
mod events;
mod frames;
mod params;
mod peer;
mod records;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use connections::{ConnectionInput, listen};
pub(crate) use datagrams::{DatagramInput, receive};
pub(crate) use events::{Events, Interpret, Message, preview};
pub(crate) use frames::{Frame, FrameError, Framer, Framing};
pub(crate) use params::{BLOCKING_TIMEOUT, SOURCE_PARAMS, message_length_limit};
pub(crate) use peer::{Peer, SourceKeys};
pub(crate) use records::{Records, Transfer};
