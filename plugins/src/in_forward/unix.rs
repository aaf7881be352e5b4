//! Input `unix`: the forward protocol over a Unix socket, for programs on this machine.
//!
//! There is no handshake and no TLS. Unlike Fluentd's, which reads neither, acks are sent to who asks for them, and compressed
//! payloads are inflated.

use super::server::Server;
use super::settings::{Settings, UNIX_PARAMS};
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Input, InputContext, Kind, StartError};
use std::path::PathBuf;
use std::sync::Arc;

/// `@type unix` in a `<source>`.
pub static UNIX: Descriptor = Descriptor {
    params: UNIX_PARAMS,
    ..Descriptor::new(
        Kind::Input,
        "unix",
        "Receives events over the forward protocol on a Unix socket",
        Build::Input(build),
    )
};

/// Where the socket is if neither `path` nor the environment says.
const PATH: &str = "/var/run/fluent/fluent.sock";
/// Says where the socket is if `path` does not.
const VARIABLE: &str = "FLUENT_SOCKET";

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    if params.str("tag") == Some("") {
        return Err(params.error("tag", "'tag' parameter must not be empty"));
    }
    let path = params.path("path").unwrap_or_else(|| {
        std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map_or_else(|| PATH.into(), PathBuf::from)
    });
    let id = context.id.clone();
    context.shared.take_path("socket", &path, &id).map_err(|other| {
        params.error("path", format!("'{}' listens on {} too", other.text, path.display()))
    })?;
    Ok(Box::new(Unix { path, settings: Some(Settings::unix(params, context)?) }))
}

struct Unix {
    path: PathBuf,
    settings: Option<Settings>,
}

impl Input for Unix {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(settings) = self.settings.take() else { return Ok(()) };
            Arc::new(Server::new(settings, context)).listen_unix(&self.path)
        })
    }
}
