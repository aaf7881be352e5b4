//! Output `forward`: sends chunks to servers that speak the forward protocol.
//!
//! ```text
//! output       a chunk goes to one node; if that fails, to the next
//! balancer     which node is next: round robin over weights, standby nodes when others are lost
//! node         one server: is it there (detector), its address, its idle connections
//! connection   TCP or TLS, handshake
//! sending      chunk bytes as one PackedForward message, unchanged; the ack
//! doubts       who may have a chunk whose ack was not read: it goes to nobody else
//! heartbeat    asks each node every heartbeat_interval whether it is there
//! ```
//!
//! A chunk is written when its node has acknowledged it (require_ack_response), else when it has been handed to the
//! kernel. The chunk's id is the `chunk` option, so a receiver can recognise one that is sent again.

mod balancer;
mod connection;
mod detector;
mod doubts;
mod error;
mod handshake;
mod heartbeat;
mod node;
mod output;
mod sending;
mod settings;
#[cfg(test)]
mod tests;

#[cfg(feature = "fuzz")]
pub use handshake::fuzz;

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, Build, BuildContext, Compat, Descriptor, Kind, OutputPlugin,
};
use output::Forward;
use settings::Settings;

const BUFFER: BufferSupport = BufferSupport::Always(BufferDefaults { chunk_keys: &["tag"], params: &[] });

/// `@type forward` in a `<match>`.
pub static PLUGIN: Descriptor = Descriptor {
    params: settings::PARAMS,
    sections: settings::SECTIONS,
    compat: &[Compat::Buffer],
    buffer: BUFFER,
    ..Descriptor::new(
        Kind::Output,
        "forward",
        "Sends events to other Logweir, Fluentd or Fluent Bit servers over the forward protocol",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let settings = Settings::new(params, context)?;
    Ok(OutputPlugin::Buffered(Box::new(Forward::new(settings, context.log.clone()))))
}
