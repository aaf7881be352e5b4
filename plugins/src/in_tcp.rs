//! `@type tcp`: texts over TCP or TLS with a delimiter behind each.

use crate::socket::{
    BLOCKING_TIMEOUT, ConnectionInput, Framing, Records, SOURCE_PARAMS, SourceKeys, Transfer, listen,
    message_length_limit,
};
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_info;
use logweir_engine::net::{
    CONNECTION_PARAMS, Quiet, READING_PARAMS, ReadLimits, ServerOptions, TRANSPORT, Transport,
};
use logweir_engine::plugin::{
    Build, BuildContext, Compat, Descriptor, EXTRACT, Extract, Input, InputContext, Kind, Param, ParamKind,
    SectionSpec, StartError,
};

/// `@type tcp`
pub static PLUGIN: Descriptor = Descriptor {
    params: &Param::join::<_, _, 18>(
        Param::join::<_, _, 14>(Param::join::<_, _, 10>(OWN, SOURCE_PARAMS), CONNECTION_PARAMS),
        READING_PARAMS,
    ),
    sections: &[SectionSpec::PARSE, EXTRACT, TRANSPORT, SECURITY],
    compat: &[Compat::Parser],
    ..Descriptor::new(Kind::Input, "tcp", "Receives texts over TCP connections", Build::Input(build))
};

const OWN: [Param; 7] = [
    Param::new("tag", ParamKind::String, "Tag of the events").required(),
    Param::new("port", ParamKind::Integer, "Port to listen on").default("5170"),
    Param::new("bind", ParamKind::String, "Address to listen on").default("0.0.0.0"),
    Param::new(
        "message_length_limit",
        ParamKind::Size,
        "Bytes of a message; longer ones are dropped, those above 64 MiB in any case",
    ),
    BLOCKING_TIMEOUT,
    Param::new(
        "delimiter",
        ParamKind::String,
        "What stands behind each message; in double quotes, \\n is a line end",
    )
    .default("\n"),
    Param::new("send_keepalive_packet", ParamKind::Bool, "Notice dead peers with TCP keepalive packets")
        .default("false"),
];

const SECURITY: SectionSpec = SectionSpec {
    sections: &[SectionSpec {
        repeated: true,
        required: true,
        params: &[
            Param::new("host", ParamKind::String, "Address or name of the client; looked up at the start"),
            Param::new("network", ParamKind::String, "Network of the client, such as 10.0.0.0/8"),
        ],
        ..SectionSpec::new("client", "A client by address")
    }],
    ..SectionSpec::new("security", "Who may connect; everybody without this section")
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    Ok(Box::new(Tcp(Some(configured(params, context)?))))
}

fn configured(
    params: &Params,
    context: &mut BuildContext<'_>,
) -> Result<ConnectionInput<Records>, Diagnostic> {
    let parser = context.parser(params, None)?;
    let delimiter = params.string("delimiter");
    if delimiter.is_empty() {
        return Err(params.error("delimiter", "'delimiter' must not be empty"));
    }
    let transport = Transport::new(params.section("transport"), None, &context.log)?;
    let extract = Extract::from_params(params, &context.log)?;
    Ok(ConnectionInput {
        options: ServerOptions {
            reading: ReadLimits::new(params)?,
            ..ServerOptions::new(params, transport, params.bool("send_keepalive_packet"))?
        },
        memory: ConnectionInput::<Records>::memory(params),
        allowed: ConnectionInput::<Records>::allowed(params)?,
        framing: Framing::Delimited(delimiter.into_bytes()),
        bytes_max: message_length_limit(params)?,
        source: SourceKeys::new(params),
        // Fluentd emits what it reads at once as one stream, unless each event has a tag of its own.
        always_join: extract.as_ref().is_none_or(|extract| !extract.has_tag()),
        interpret: Records {
            tag: Tag::new(&params.string("tag")),
            parser,
            extract,
            transfer: Transfer::Tcp,
            log: context.log.clone(),
            quiet: Quiet::default(),
        },
    })
}

struct Tcp(Option<ConnectionInput<Records>>);

impl Input for Tcp {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(input) = self.0.take() else { return Ok(()) };
            let (bind, port) = (input.options.bind.clone(), input.options.port);
            log_info!(context.log, "listening tcp socket", bind = bind, port = port);
            listen(input, &context).map(drop)
        })
    }
}

#[cfg(test)]
mod tests;
