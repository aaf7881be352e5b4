//! The checked parameters of out_forward.

use super::handshake::Credentials;
use logweir_engine::buffer::Compression;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TLS_VERSIONS, TlsClient, protocol_versions};
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec, Status};
use logweir_engine::{log_info, log_warn};
use std::net::IpAddr;
use std::time::Duration;

pub(super) static PARAMS: &[Param] = &[
    Param::new("transport", ParamKind::Enum(&["tcp", "tls"]), "How connections are carried").default("tcp"),
    Param::new("send_timeout", ParamKind::Time, "Longest time in which a server takes no bytes").default("60"),
    Param::new("connect_timeout", ParamKind::Time, "Longest time for a connection; the kernel's if not set"),
    Param::new(
        "heartbeat_type",
        ParamKind::Enum(&["transport", "tcp", "udp", "none"]),
        "How servers are asked whether they are there",
    )
    .default("transport"),
    Param::new("heartbeat_interval", ParamKind::Time, "Time between heartbeats").default("1"),
    Param::new("recover_wait", ParamKind::Time, "How long a server that was lost must answer heartbeats first")
        .default("10"),
    Param::new("hard_timeout", ParamKind::Time, "Silence after which a server is lost in any case; also the limit for a handshake")
        .default("60"),
    Param::new("phi_threshold", ParamKind::Integer, "Suspicion at which a server is lost").default("16"),
    Param::new("phi_failure_detector", ParamKind::Bool, "Whether suspicion counts").default("true"),
    Param::new("require_ack_response", ParamKind::Bool, "Keep chunks until the server has acknowledged them")
        .default("false"),
    Param::new("ack_response_timeout", ParamKind::Time, "Longest wait for an ack").default("190"),
    Param::new(
        "doubt_wait",
        ParamKind::Time,
        "How long a chunk whose ack was not read waits for the server that may have it, before another gets it, which may \
         store it twice; 0: not at all, like Fluentd",
    ).own()
    .default("1h"),
    Param::new(
        "read_interval_msec",
        ParamKind::Integer,
        "Milliseconds between two looks at a socket in Fluentd",
    )
    .default("50")
    .status(Status::WithoutEffect("an ack is read as soon as it comes")),
    Param::new("read_length", ParamKind::Size, "Bytes that are read at once from a server").default("512"),
    Param::new("expire_dns_cache", ParamKind::Time, "How long an address is used before the name is looked up again; 0: once; not set: until the server is lost"),
    Param::new("dns_round_robin", ParamKind::Bool, "Take a random one of a name's addresses").default("false"),
    Param::new(
        "ignore_network_errors_at_startup",
        ParamKind::Bool,
        "Start although the name of a server cannot be resolved",
    )
    .default("false"),
    Param::new(
        "verify_connection_at_startup",
        ParamKind::Bool,
        "Do not start unless a connection to each server can be made",
    )
    .default("false"),
    Param::new("compress", ParamKind::Enum(&["text", "gzip", "zstd"]), "How events are compressed on the way")
        .default("text"),
    Param::new("keepalive", ParamKind::Bool, "Use connections for more than one chunk").default("false"),
    Param::new("keepalive_timeout", ParamKind::Time, "How long an idle connection is kept; for ever if not set"),
    Param::new("tls_version", ParamKind::Enum(TLS_VERSIONS), "The one TLS version to speak; 1.2 and 1.3 if not set"),
    Param::new("tls_ciphers", ParamKind::String, "OpenSSL cipher list")
        .status(Status::WithoutEffect("the suites are always those of rustls: ECDHE with AES-GCM or ChaCha20")),
    Param::new("tls_insecure_mode", ParamKind::Bool, "Accept any certificate").default("false"),
    Param::new(
        "tls_allow_self_signed_cert",
        ParamKind::Bool,
        "Whether servers may show certificates that they signed themselves",
    )
    .default("false")
    .status(Status::WithoutEffect("one that tls_cert_path lists is accepted, with this or without it")),
    Param::new("tls_verify_hostname", ParamKind::Bool, "The certificate must name the server").default("true"),
    Param::new("tls_ca_cert_path", ParamKind::Array, "CAs, or servers' own certificates, that are trusted"),
    Param::new("tls_cert_path", ParamKind::Array, "The same; wins over tls_ca_cert_path"),
    Param::new("tls_client_cert_path", ParamKind::String, "Certificate to show to servers"),
    Param::new("tls_client_private_key_path", ParamKind::String, "Its private key"),
    Param::new("tls_client_private_key_passphrase", ParamKind::String, "Passphrase of the key").secret(),
    Param::new("tls_cert_thumbprint", ParamKind::String, "For Windows only").secret(),
    Param::new("tls_cert_logical_store_name", ParamKind::String, "For Windows only"),
    Param::new("tls_cert_use_enterprise_store", ParamKind::Bool, "Which of Windows's certificate stores is used")
        .default("true")
        .status(Status::WithoutEffect("it is for Windows only")),
    Param::new("port", ParamKind::Integer, "Port of the only server in old configurations")
        .status(Status::Removed("User <server> section instead.")),
    Param::new("host", ParamKind::String, "Host of the only server in old configurations")
        .status(Status::Removed("Use <server> section instead.")),
];

const SERVER_PARAMS: &[Param] = &[
    Param::new("host", ParamKind::String, "Address or name").required(),
    Param::new(
        "name",
        ParamKind::String,
        "What log lines call it; also the name in its certificate if host is an address",
    ),
    Param::new("port", ParamKind::Integer, "Port").default("24224"),
    Param::new("shared_key", ParamKind::String, "Shared key of this server instead of the general one")
        .secret(),
    Param::new("username", ParamKind::String, "User name, if the server checks users").default(""),
    Param::new("password", ParamKind::String, "Password of the user").default("").secret(),
    Param::new("standby", ParamKind::Bool, "Use it only while others are lost").default("false"),
    Param::new("weight", ParamKind::Integer, "Its share of the chunks").default("60"),
];

pub(super) static SECTIONS: &[SectionSpec] = &[
    SectionSpec {
        params: &[
            Param::new("self_hostname", ParamKind::String, "Name by which this client makes itself known")
                .required(),
            Param::new("shared_key", ParamKind::String, "Key that servers demand").required().secret(),
        ],
        ..SectionSpec::new("security", "The handshake with servers that demand one")
    },
    SectionSpec { repeated: true, params: SERVER_PARAMS, ..SectionSpec::new("server", "A server") },
    SectionSpec {
        repeated: true,
        params: &[Param::new("@type", ParamKind::String, "Where servers are listed: static").required()],
        sections: &[SectionSpec {
            repeated: true,
            params: SERVER_PARAMS,
            ..SectionSpec::new("service", "A server")
        }],
        ..SectionSpec::new("service_discovery", "Servers that are listed elsewhere")
    },
];

const TLS_NAMES: ClientParameters = ClientParameters {
    trusted: "tls_cert_path",
    certificates: "tls_client_cert_path",
    key: "tls_client_private_key_path",
};

/// How servers are asked whether they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatType {
    /// By a connection, with its handshake.
    Transport,
    /// By datagrams.
    Udp,
    /// Not at all: they always are.
    None,
}

/// How this output behaves.
pub(super) struct Settings {
    pub(super) tls: Option<TlsClient>,
    pub(super) send_timeout: Duration,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) heartbeat: HeartbeatType,
    pub(super) heartbeat_interval: Duration,
    pub(super) recover_samples: usize,
    pub(super) hard_timeout: Duration,
    pub(super) phi_threshold: Option<f64>,
    /// Longest wait for an ack, if acks are required.
    pub(super) ack_timeout: Option<Duration>,
    /// How long a chunk waits for the server that may have it.
    pub(super) doubt_wait: Duration,
    pub(super) read_bytes: usize,
    /// How long an address is used; zero: for one connection; `None`: until the server is lost.
    pub(super) address_lifetime: Option<Duration>,
    pub(super) random_address: bool,
    pub(super) ignore_network_errors_at_startup: bool,
    pub(super) verify_connection_at_startup: bool,
    pub(super) compress: Compression,
    pub(super) keepalive: bool,
    pub(super) keepalive_timeout: Option<Duration>,
    pub(super) servers: Vec<ServerSettings>,
}

/// A `<server>`.
#[derive(Clone, Debug)]
pub(super) struct ServerSettings {
    pub(super) host: String,
    pub(super) port: u16,
    /// Its name, or host and port.
    pub(super) name: String,
    /// What its certificate must name; its address if `None`.
    pub(super) tls_name: Option<String>,
    /// Without credentials there is no handshake.
    pub(super) credentials: Option<Credentials>,
    pub(super) standby: bool,
    pub(super) weight: u32,
}

impl Settings {
    pub(super) fn new(params: &Params, context: &BuildContext<'_>) -> Result<Self, Diagnostic> {
        if !context.chunk_keys(params, super::BUFFER)?.tag {
            return Err(params.error_here("buffer chunk key must include 'tag' for forward output"));
        }
        let time = |name: &str| params.time(name).unwrap_or_default();
        let random_address = params.bool("dns_round_robin");
        let heartbeat = heartbeat(params, random_address, context)?;
        let ack_timeout = time("ack_response_timeout");
        if ack_timeout < Duration::from_secs(1) {
            return Err(
                params.error("ack_response_timeout", "ack_response_timeout must be a positive integer")
            );
        }
        let interval = time("heartbeat_interval").max(HEARTBEAT_INTERVAL_MIN);
        let keepalive = params.bool("keepalive");
        if !keepalive && params.is_set("keepalive_timeout") {
            log_warn!(
                context.log,
                "The value of keepalive_timeout is ignored. if you want to use keepalive, please add `keepalive true` to your conf."
            );
        }
        let servers = servers(params)?;
        if servers.is_empty() {
            return Err(params.error_here(
                "forward output plugin requires at least one node is required. Add <server> or <service_discovery>",
            ));
        }
        Ok(Self {
            tls: tls(params, context)?,
            send_timeout: time("send_timeout"),
            connect_timeout: params.time("connect_timeout"),
            heartbeat,
            heartbeat_interval: interval,
            recover_samples: (time("recover_wait").as_secs_f64() / interval.as_secs_f64()) as usize,
            hard_timeout: time("hard_timeout"),
            phi_threshold: params
                .bool("phi_failure_detector")
                .then(|| params.int("phi_threshold").unwrap_or(16) as f64),
            ack_timeout: params.bool("require_ack_response").then_some(ack_timeout),
            doubt_wait: time("doubt_wait"),
            read_bytes: params.size("read_length").unwrap_or(512).clamp(16, 1 << 20) as usize,
            address_lifetime: params.time("expire_dns_cache"),
            random_address,
            ignore_network_errors_at_startup: params.bool("ignore_network_errors_at_startup"),
            verify_connection_at_startup: params.bool("verify_connection_at_startup"),
            compress: compression(params, context)?,
            keepalive,
            keepalive_timeout: params.time("keepalive_timeout"),
            servers,
        })
    }
}

/// An interval of 0 would ask without pause.
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(10);

fn heartbeat(
    params: &Params,
    random_address: bool,
    context: &BuildContext<'_>,
) -> Result<HeartbeatType, Diagnostic> {
    let heartbeat = match params.word("heartbeat_type") {
        Some("udp") => HeartbeatType::Udp,
        Some("none") => HeartbeatType::None,
        Some("tcp") => {
            log_warn!(context.log, "'heartbeat_type tcp' is deprecated. use 'transport' instead.");
            HeartbeatType::Transport
        }
        _ => HeartbeatType::Transport,
    };
    if random_address && heartbeat == HeartbeatType::Udp {
        return Err(params.error(
            "dns_round_robin",
            "forward output heartbeat type must be 'transport' or 'none' to use dns_round_robin option",
        ));
    }
    Ok(heartbeat)
}

fn compression(params: &Params, context: &BuildContext<'_>) -> Result<Compression, Diagnostic> {
    let own = params.word("compress").unwrap_or("text");
    let buffer = params
        .section("buffer")
        .filter(|_| context.secondary_of.is_none())
        .and_then(|buffer| buffer.word("compress"))
        .unwrap_or("text");
    if buffer != "text" && own == "text" {
        log_info!(
            context.log,
            "buffer is compressed.  If you also want to save the bandwidth of a network, Add `compress` configuration in <match>"
        );
    } else if buffer != "text" && buffer != own {
        return Err(params.error(
            "compress",
            format!(
                "You cannot specify different compression formats for Buffer (Buffer: {buffer}, Self: {own})"
            ),
        ));
    }
    Ok(match own {
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    })
}

fn servers(params: &Params) -> Result<Vec<ServerSettings>, Diagnostic> {
    let security = params.section("security");
    let mut servers = Vec::new();
    for section in params.sections("server") {
        servers.push(ServerSettings::new(section, security)?);
    }
    for discovery in params.sections("service_discovery") {
        match discovery.str("@type") {
            Some("static") => {
                for section in discovery.sections("service") {
                    servers.push(ServerSettings::new(section, security)?);
                }
            }
            Some(kind @ ("file" | "srv")) => {
                return Err(discovery.error(
                    "@type",
                    format!("service discovery of type {kind} is not supported yet; list the servers in <server> sections"),
                ));
            }
            kind => {
                return Err(discovery.error(
                    "@type",
                    format!(
                        "Unknown service discovery plugin '{}'; there is static, or use <server> sections",
                        kind.unwrap_or_default()
                    ),
                ));
            }
        }
    }
    Ok(servers)
}

impl ServerSettings {
    fn new(section: &Params, security: Option<&Params>) -> Result<Self, Diagnostic> {
        let host = section.string("host");
        let port = section.int("port").and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| section.error("port", "'port' must be a number from 0 to 65535"))?;
        let weight = section.int("weight").and_then(|weight| u32::try_from(weight).ok());
        let name = section.str("name").map(str::to_owned);
        let is_address = host.parse::<IpAddr>().is_ok();
        let credentials = security.map(|security| Credentials {
            self_hostname: security.string("self_hostname"),
            shared_key: section
                .str("shared_key")
                .or_else(|| security.str("shared_key"))
                .unwrap_or_default()
                .to_owned(),
            username: section.string("username"),
            password: section.string("password"),
        });
        Ok(Self {
            tls_name: if is_address { name.clone() } else { Some(host.clone()) },
            name: name.unwrap_or_else(|| format!("{host}:{port}")),
            host,
            port,
            credentials,
            standby: section.bool("standby"),
            weight: weight.ok_or_else(|| section.error("weight", "'weight' must not be negative"))?,
        })
    }
}

fn tls(params: &Params, context: &BuildContext<'_>) -> Result<Option<TlsClient>, Diagnostic> {
    for name in ["tls_cert_thumbprint", "tls_cert_logical_store_name"] {
        if params.is_set(name) {
            return Err(params.error(name, "This parameter is for only Windows"));
        }
    }
    if params.word("transport") != Some("tls") {
        return Ok(None);
    }
    let insecure = params.bool("tls_insecure_mode");
    if insecure {
        log_warn!(context.log, "TLS transport is configured in insecure way");
    }
    let listed = |name: &str| params.array(name).filter(|paths| !paths.is_empty());
    let version = params.is_set("tls_version").then(|| params.str("tls_version")).flatten();
    let text = |name: &str| params.str(name).map(str::to_owned);
    let versions = protocol_versions("tls_version", version, None, None);
    let options = versions.map(|versions| ClientOptions {
        versions,
        insecure,
        verify_hostname: params.bool("tls_verify_hostname") && !insecure,
        trusted: listed("tls_cert_path").or_else(|| listed("tls_ca_cert_path")).unwrap_or_default(),
        certificates: text("tls_client_cert_path"),
        key: text("tls_client_private_key_path"),
        passphrase: text("tls_client_private_key_passphrase"),
    });
    options
        .and_then(|options| TlsClient::new(&options, TLS_NAMES))
        .map(Some)
        .map_err(|error| params.error(error.parameter, error.message))
}
