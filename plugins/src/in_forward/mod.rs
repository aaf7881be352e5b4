//! Inputs `forward` and `unix`: the server of Fluentd's forward protocol, over TCP, TLS or a Unix socket.
//!
//! ```text
//! server       sockets, limits; one task for each connection:
//! connection     handshake, then
//!   Reading        bytes from the socket, under limits of memory and time (engine/net)
//!   decoder        bytes -> messages          (framer: MessagePack, json: JSON)
//!   message        message -> tag, entries as a slice of the read buffer, options
//!   emitter        inflate, check, add sources, emit; back-pressure is an emit that waits
//!   replies        acks, in order, when the events are durable
//! ```
//!
//! Protocol and reactions are those of Fluentd 1.16; `skip_invalid_event true` selects those of 1.19. Both refuse or drop the
//! entries `[[time, metadata], record]` that Fluent Bit 5 sends; here they are kept.

mod connection;
mod decoder;
mod duplicates;
mod emitter;
mod entries;
mod error;
mod framer;
mod fuzz;
mod handshake;
mod heartbeat;
mod json;
mod kernel;
mod limits;
mod message;
mod options;
mod preview;
mod replies;
mod security;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod unix;

pub use fuzz::fuzz;
pub use kernel::count_entries;
pub use unix::UNIX;

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Input, Kind};
use server::Forward;
use settings::Settings;

/// `@type forward` in a `<source>`.
pub static PLUGIN: Descriptor = Descriptor {
    params: settings::PARAMS,
    sections: settings::SECTIONS,
    ..Descriptor::new(
        Kind::Input,
        "forward",
        "Receives events over the forward protocol: from Fluentd, Fluent Bit, Docker and the client libraries",
        Build::Input(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let settings = Settings::new(params, context)?;
    Ok(Box::new(Forward { settings: Some(settings) }))
}
