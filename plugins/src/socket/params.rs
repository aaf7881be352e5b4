//! Parameters that these inputs share.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{Param, ParamKind, Status};

/// The fields that get the peer's address and name, of tcp and udp; see [`super::SourceKeys::new`].
pub(crate) const SOURCE_PARAMS: [Param; 3] = [
    Param::new("source_host_key", ParamKind::String, "As source_hostname_key, which overrides it")
        .status(Status::Deprecated("use source_hostname_key instead.")),
    Param::new(
        "source_hostname_key",
        ParamKind::String,
        "Field that gets the peer's host name, which is looked up",
    ),
    Param::new("source_address_key", ParamKind::String, "Field that gets the peer's address"),
];

/// `blocking_timeout` of all inputs that listen.
pub(crate) const BLOCKING_TIMEOUT: Param =
    Param::new("blocking_timeout", ParamKind::Time, "Tick of Fluentd's event loop")
        .default("0.5")
        .status(Status::WithoutEffect("nothing ticks here"));

/// `message_length_limit`, if it is set.
pub(crate) fn message_length_limit(params: &Params) -> Result<Option<usize>, Diagnostic> {
    match params.signed_size("message_length_limit") {
        None => Ok(None),
        Some(limit) if limit < 1 => {
            Err(params.error("message_length_limit", "'message_length_limit' must be at least 1"))
        }
        Some(limit) => Ok(Some(usize::try_from(limit).unwrap_or(usize::MAX))),
    }
}
