//! The checked parameters of in_forward.

use super::decoder::Sizes;
use super::limits;
use super::security::{SECURITY, Security};
use crate::inflate::InflateLimits;
use logweir_engine::config::{Diagnostic, FluentdVersion, Params};
use logweir_engine::net::{
    CONNECTION_PARAMS, READING_PARAMS, ReadLimits, ServerOptions, TRANSPORT, Transport,
};
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec, Status};

pub(super) static PARAMS: &[Param] = &Param::join::<_, _, 26>(OWN, SHARED);

/// Those of `@type unix`.
pub(super) static UNIX_PARAMS: &[Param] = &Param::join::<_, _, 15>(
    [
        Param::new(
            "path",
            ParamKind::String,
            "The socket; $FLUENT_SOCKET or /var/run/fluent/fluent.sock if not set",
        ),
        Param::new("tag", ParamKind::String, "Tag of all events instead of their own"),
    ],
    SHARED,
);

/// What every server of the protocol has.
const SHARED: [Param; 13] =
    Param::join::<_, _, 13>(Param::join::<_, _, 9>(LIMITS, CONNECTION_PARAMS), READING_PARAMS);

const LIMITS: [Param; 5] = [
    Param::new(
        "decompression_size_limit",
        ParamKind::Size,
        "Refuse compressed payloads of more bytes than this when inflated",
    ).since("1.19.3")
    .default(limits::INFLATED_BYTES_MAX),
    Param::new(
        "decompression_ratio_limit",
        ParamKind::Integer,
        "Refuse compressed payloads that inflate to more than 64 MiB and to more than this many times their size",
    ).own()
    .default("1000"),
    Param::new(
        "broken_message_limit",
        ParamKind::Integer,
        "Close connections that have sent more values than this that are no messages",
    ).own()
    .default("100"),
    Param::new(
        "message_size_limit",
        ParamKind::Size,
        "Close connections that send a message of more bytes than this",
    ).own()
    .default(limits::MESSAGE_BYTES_MAX),
    Param::new(
        "skip_invalid_event",
        ParamKind::Bool,
        "Skip events whose time or record is of a wrong type; default: false, with fluentd_compat 1.19 true",
    ),
];

const OWN: [Param; 13] = [
    Param::new("port", ParamKind::Integer, "Port to listen on, TCP for events and UDP for heartbeats")
        .default("24224"),
    Param::new("bind", ParamKind::String, "Address to listen on").default("0.0.0.0"),
    Param::new("linger_timeout", ParamKind::Integer, "As linger_timeout of <transport>, which it overrides")
        .status(Status::Deprecated("use transport directive")),
    Param::new("blocking_timeout", ParamKind::Time, "Tick of Fluentd's event loop")
        .default("0.5")
        .status(Status::WithoutEffect("nothing ticks here")),
    Param::new("resolve_hostname", ParamKind::Bool, "Look up the names of peers, for log lines and records"),
    Param::new("deny_keepalive", ParamKind::Bool, "Close a connection after its first message")
        .default("false"),
    Param::new("send_keepalive_packet", ParamKind::Bool, "Notice dead peers with TCP keepalive packets")
        .default("false"),
    Param::new("chunk_size_warn_limit", ParamKind::Size, "Warn of messages with more bytes than this"),
    Param::new(
        "chunk_size_limit",
        ParamKind::Size,
        "Drop messages with more bytes than this, with a warning",
    ),
    Param::new("source_address_key", ParamKind::String, "Field that gets the peer's address"),
    Param::new("source_hostname_key", ParamKind::String, "Field that gets the peer's host name"),
    Param::new("tag", ParamKind::String, "Tag of all events instead of their own"),
    Param::new("add_tag_prefix", ParamKind::String, "Prefix that is put before each tag, with a dot"),
];

pub(super) static SECTIONS: &[SectionSpec] = &[TRANSPORT, SECURITY];

/// How this input behaves.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) server: ServerOptions,
    pub(super) security: Option<Security>,
    pub(super) resolve_hostname: bool,
    pub(super) deny_keepalive: bool,
    pub(super) warn_above: Option<u64>,
    pub(super) sizes: Sizes,
    pub(super) inflate: InflateLimits,
    pub(super) broken_max: u64,
    pub(super) memory: u64,
    pub(super) skip_invalid: bool,
    /// `enable_msgpack_time_support`
    pub(super) timestamps: bool,
    pub(super) source_address_key: Option<String>,
    pub(super) source_hostname_key: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) tag_prefix: Option<String>,
}

impl Settings {
    pub(super) fn new(params: &Params, context: &BuildContext<'_>) -> Result<Self, Diagnostic> {
        let text = |name: &str| params.str(name).map(str::to_owned);
        for name in ["tag", "add_tag_prefix"] {
            if params.str(name) == Some("") {
                return Err(params.error(name, format!("'{name}' parameter must not be empty")));
            }
        }
        let resolve = params.opt_bool("resolve_hostname");
        if params.str("source_hostname_key").is_some() && resolve == Some(false) {
            return Err(
                params.error("resolve_hostname", "resolve_hostname must be true with source_hostname_key")
            );
        }
        let (deny_keepalive, keepalive_packets) =
            (params.bool("deny_keepalive"), params.bool("send_keepalive_packet"));
        if deny_keepalive && keepalive_packets {
            return Err(params.error(
                "send_keepalive_packet",
                "both 'send_keepalive_packet' and 'deny_keepalive' cannot be set to true",
            ));
        }
        let transport =
            Transport::new(params.section("transport"), params.int("linger_timeout"), &context.log)?;
        let server = ServerOptions::new(params, transport, keepalive_packets)?;
        let shared = Self::shared(params, server, context)?;
        Ok(Self {
            security: params.section("security").map(Security::new).transpose()?,
            resolve_hostname: resolve.unwrap_or(params.str("source_hostname_key").is_some()),
            deny_keepalive,
            warn_above: params.size("chunk_size_warn_limit"),
            sizes: Sizes { chunk_max: params.size("chunk_size_limit"), ..shared.sizes },
            source_address_key: text("source_address_key"),
            source_hostname_key: text("source_hostname_key"),
            tag_prefix: text("add_tag_prefix"),
            ..shared
        })
    }

    /// Those of `@type unix`.
    pub(super) fn unix(params: &Params, context: &BuildContext<'_>) -> Result<Self, Diagnostic> {
        Self::shared(params, ServerOptions::unix(params)?, context)
    }

    /// What all servers of the protocol have, and nothing more.
    fn shared(
        params: &Params,
        server: ServerOptions,
        context: &BuildContext<'_>,
    ) -> Result<Self, Diagnostic> {
        Ok(Self {
            server: ServerOptions { reading: ReadLimits::new(params)?, ..server },
            security: None,
            resolve_hostname: false,
            deny_keepalive: false,
            warn_above: None,
            sizes: Sizes {
                message_max: params.size("message_size_limit").unwrap_or(u64::MAX),
                chunk_max: None,
            },
            inflate: InflateLimits::new(params)?,
            broken_max: params
                .int("broken_message_limit")
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(u64::MAX),
            memory: params.size("receive_memory_limit").unwrap_or(u64::MAX),
            skip_invalid: params
                .opt_bool("skip_invalid_event")
                .unwrap_or(context.system.follows >= FluentdVersion::V1_19),
            timestamps: context.system.enable_msgpack_time_support,
            source_address_key: None,
            source_hostname_key: None,
            tag: params.str("tag").map(str::to_owned),
            tag_prefix: None,
        })
    }
}
