//! `@type syslog`: syslog messages over UDP, TCP or TLS.
//!
//! | part | what it does |
//! |---|---|
//! | [`priority`] | numbers -> names of facilities and severities, and the tags made of them |
//! | [`interpret`] | a message -> its event |
//!
//! What connections and datagrams are cut into, see `socket`.

mod fuzz;
mod interpret;
mod priority;
#[cfg(test)]
mod tests;

pub use fuzz::fuzz;

use crate::socket::{
    BLOCKING_TIMEOUT, ConnectionInput, DatagramInput, Framing, SourceKeys, listen, message_length_limit,
    receive,
};
use futures_util::future::BoxFuture;
use interpret::Syslog;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::net::{
    CONNECTION_PARAMS, Quiet, READING_PARAMS, ReadLimits, ServerOptions, TRANSPORT, Transport, port,
    receive_buffer,
};
use logweir_engine::plugin::{
    Build, BuildContext, Compat, Descriptor, Input, InputContext, Kind, Param, ParamKind, SectionDefault,
    SectionSpec, StartError, Status,
};
use logweir_engine::{log_info, log_warn};
use priority::Priorities;

/// `@type syslog`
pub static PLUGIN: Descriptor = Descriptor {
    params: &Param::join::<_, _, 25>(Param::join::<_, _, 21>(OWN, CONNECTION_PARAMS), READING_PARAMS),
    sections: &[
        SectionSpec {
            default_type: Some("syslog"),
            defaults: &[SectionDefault::new("with_priority", Some("true"))],
            always: true,
            ..SectionSpec::PARSE
        },
        SectionSpec {
            about: "UDP (the default), TCP or TLS, written as the section's argument",
            ..TRANSPORT
        },
    ],
    compat: &[Compat::Parser],
    ..Descriptor::new(Kind::Input, "syslog", "Receives syslog messages", Build::Input(build))
};

const OWN: [Param; 17] = [
    Param::new("port", ParamKind::Integer, "Port to listen on").default("5140"),
    Param::new("bind", ParamKind::String, "Address to listen on").default("0.0.0.0"),
    Param::new("tag", ParamKind::String, "What tags begin with: facility and severity follow").required(),
    Param::new(
        "protocol_type",
        ParamKind::Enum(&["tcp", "udp"]),
        "As the argument of <transport>, which it overrides",
    )
    .status(Status::Deprecated("use transport directive")),
    Param::new(
        "frame_type",
        ParamKind::Enum(&["traditional", "octet_count"]),
        "What tells messages of a connection apart: a delimiter behind each, or its length before it",
    )
    .default("traditional"),
    Param::new(
        "include_source_host",
        ParamKind::Bool,
        "Whether records get the sender's address in source_host_key",
    )
    .default("false")
    .status(Status::Deprecated("use \"source_hostname_key\" or \"source_address_key\" instead.")),
    Param::new("source_host_key", ParamKind::String, "Field for include_source_host").default("source_host"),
    Param::new(
        "emit_unmatched_lines",
        ParamKind::Bool,
        "Whether messages that do not parse become {\"unmatched_line\": message} with the tag TAG.unmatched",
    )
    .default("false"),
    Param::new(
        "source_hostname_key",
        ParamKind::String,
        "Field that gets the sender's host name, which is looked up",
    ),
    Param::new(
        "resolve_hostname",
        ParamKind::Bool,
        "Look up the names of senders, for log lines and records",
    ),
    Param::new("send_keepalive_packet", ParamKind::Bool, "Notice dead peers with TCP keepalive packets")
        .default("false"),
    Param::new("source_address_key", ParamKind::String, "Field that gets the sender's address"),
    Param::new("severity_key", ParamKind::String, "Field that gets the name of the severity")
        .aliases(&["priority_key"]),
    Param::new("facility_key", ParamKind::String, "Field that gets the name of the facility"),
    Param::new(
        "message_length_limit",
        ParamKind::Size,
        "Bytes of a datagram; what is behind them is cut off. Over connections the limit is 64 MiB",
    )
    .default("2048"),
    BLOCKING_TIMEOUT,
    Param::new(
        "delimiter",
        ParamKind::String,
        "What stands behind each message of a connection; in double quotes, \\n is a line end",
    )
    .default("\n"),
];

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
    Tls,
}

enum Syslogs {
    Datagrams(DatagramInput<Syslog>),
    Connections(ConnectionInput<Syslog>, Protocol),
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    Ok(Box::new(Start(Some(configured(params, context)?))))
}

fn configured(params: &Params, context: &mut BuildContext<'_>) -> Result<Syslogs, Diagnostic> {
    if params.element().has("priority_key") {
        log_warn!(context.log, "priority_key is deprecated. Use severity_key instead");
    }
    let source = source(params)?;
    let protocol = protocol(params)?;
    if params.bool("send_keepalive_packet") && protocol == Protocol::Udp {
        let message = "send_keepalive_packet is available for tcp/tls";
        return Err(params.error("send_keepalive_packet", message));
    }
    let has_priority = params
        .section("parse")
        .is_some_and(|parse| parse.plugin_type() == "syslog" && parse.bool("with_priority"));
    let interpret = Syslog {
        parser: context.parser(params, Some("syslog"))?,
        parser_reads_priority: has_priority,
        emit_unmatched_lines: params.bool("emit_unmatched_lines"),
        priorities: Priorities::new(
            &params.string("tag"),
            params.str("severity_key"),
            params.str("facility_key"),
        ),
        log: context.log.clone(),
        quiet: Quiet::default(),
    };
    let section = params.section("transport");
    if protocol == Protocol::Udp {
        return Ok(Syslogs::Datagrams(DatagramInput {
            bind: params.string("bind"),
            port: port(params)?,
            bytes_max: message_length_limit(params)?.unwrap_or(usize::MAX),
            chomp: true,
            receive_buffer: receive_buffer(section),
            source,
            interpret,
        }));
    }
    let delimiter = params.string("delimiter");
    let framing = match params.word("frame_type") {
        Some("octet_count") => Framing::OctetCount,
        _ if delimiter.is_empty() => {
            return Err(params.error("delimiter", "'delimiter' must not be empty"));
        }
        _ => Framing::Delimited(delimiter.into_bytes()),
    };
    let transport = Transport::with_tls(section, protocol == Protocol::Tls, None, &context.log)?;
    let input = ConnectionInput {
        options: ServerOptions {
            reading: ReadLimits::new(params)?,
            ..ServerOptions::new(params, transport, params.bool("send_keepalive_packet"))?
        },
        memory: ConnectionInput::<Syslog>::memory(params),
        allowed: None,
        framing,
        bytes_max: None,
        source,
        always_join: false,
        interpret,
    };
    Ok(Syslogs::Connections(input, protocol))
}

fn protocol(params: &Params) -> Result<Protocol, Diagnostic> {
    let section = params.section("transport");
    let written = match section.map_or("", |section| section.arg()) {
        "" | "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        "tls" => Protocol::Tls,
        other => {
            let message = format!(
                "valid options are tcp,udp,tls but got {other}: write <transport udp>, <transport tcp> or <transport tls>"
            );
            return Err(section.unwrap_or(params).error_here(message));
        }
    };
    Ok(match (params.word("protocol_type"), written) {
        (Some("udp"), _) => Protocol::Udp,
        (Some(_), Protocol::Tls) => Protocol::Tls,
        (Some(_), _) => Protocol::Tcp,
        (None, written) => written,
    })
}

fn source(params: &Params) -> Result<SourceKeys, Diagnostic> {
    let text = |name: &str| params.str(name).map(str::to_owned);
    let mut address = text("source_address_key");
    let host = text("source_host_key");
    if params.bool("include_source_host") {
        if address.is_some() {
            let message = "specify either source_address_key or include_source_host";
            return Err(params.error("source_address_key", message));
        }
        address = host;
    }
    let hostname = text("source_hostname_key");
    let resolve = params.opt_bool("resolve_hostname");
    if hostname.is_some() && resolve == Some(false) {
        let message = "resolve_hostname must be true with source_hostname_key";
        return Err(params.error("resolve_hostname", message));
    }
    Ok(SourceKeys { address, resolve: resolve.unwrap_or(hostname.is_some()), hostname })
}

struct Start(Option<Syslogs>);

impl Input for Start {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(input) = self.0.take() else { return Ok(()) };
            let (bind, port, protocol) = match &input {
                Syslogs::Datagrams(input) => (&input.bind, input.port, "udp"),
                Syslogs::Connections(input, Protocol::Tls) => {
                    (&input.options.bind, input.options.port, "tls")
                }
                Syslogs::Connections(input, _) => (&input.options.bind, input.options.port, "tcp"),
            };
            log_info!(context.log, format!("listening syslog socket on {bind}:{port} with {protocol}"));
            match input {
                Syslogs::Datagrams(input) => receive(input, &context).map(drop),
                Syslogs::Connections(input, _) => listen(input, &context).map(drop),
            }
        })
    }
}
