//! `@type udp`: texts over UDP, a datagram each.

use crate::socket::{
    BLOCKING_TIMEOUT, DatagramInput, Records, SOURCE_PARAMS, SourceKeys, Transfer, message_length_limit,
    receive,
};
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_info;
use logweir_engine::net::{Quiet, port, receive_buffer};
use logweir_engine::plugin::{
    Build, BuildContext, Compat, Descriptor, EXTRACT, Extract, Input, InputContext, Kind, Param, ParamKind,
    SectionSpec, StartError, Status,
};

/// `@type udp`
pub static PLUGIN: Descriptor = Descriptor {
    params: &Param::join::<_, _, 11>(OWN, SOURCE_PARAMS),
    sections: &[SectionSpec::PARSE, EXTRACT, TRANSPORT],
    compat: &[Compat::Parser],
    ..Descriptor::new(Kind::Input, "udp", "Receives texts as UDP datagrams", Build::Input(build))
};

const OWN: [Param; 8] = [
    Param::new("tag", ParamKind::String, "Tag of the events").required(),
    Param::new("port", ParamKind::Integer, "Port to listen on").default("5160"),
    Param::new("bind", ParamKind::String, "Address to listen on").default("0.0.0.0"),
    Param::new("body_size_limit", ParamKind::Size, "As message_length_limit, which it overrides")
        .status(Status::Deprecated("use message_length_limit instead.")),
    Param::new(
        "message_length_limit",
        ParamKind::Size,
        "Bytes of a datagram; what is behind them is cut off",
    )
    .default("4096"),
    Param::new("remove_newline", ParamKind::Bool, "Whether a line end behind the text goes").default("true"),
    Param::new("receive_buffer_size", ParamKind::Size, "Size of the socket's receive buffer in bytes"),
    BLOCKING_TIMEOUT,
];

const TRANSPORT: SectionSpec = SectionSpec {
    params: &[Param::new(
        "receive_buffer_size",
        ParamKind::Size,
        "Size of the socket's receive buffer in bytes; the kernel's own choice if not set",
    )],
    ..SectionSpec::new("transport", "UDP, written as the section's argument")
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    Ok(Box::new(Udp(Some(configured(params, context)?))))
}

fn configured(params: &Params, context: &mut BuildContext<'_>) -> Result<DatagramInput<Records>, Diagnostic> {
    let parser = context.parser(params, None)?;
    let transport = params.section("transport");
    if let Some(section) = transport
        && !matches!(section.arg(), "" | "udp")
    {
        let message = format!("valid options are udp but got {}: write <transport udp>", section.arg());
        return Err(section.error_here(message));
    }
    let whole = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let bytes_max = match params.size("body_size_limit") {
        Some(limit) => Some(whole(limit)),
        None => message_length_limit(params)?,
    };
    Ok(DatagramInput {
        bind: params.string("bind"),
        port: port(params)?,
        bytes_max: bytes_max.unwrap_or(usize::MAX),
        chomp: params.bool("remove_newline"),
        receive_buffer: params.size("receive_buffer_size").map(whole).or_else(|| receive_buffer(transport)),
        source: SourceKeys::new(params),
        interpret: Records {
            tag: Tag::new(&params.string("tag")),
            parser,
            extract: Extract::from_params(params, &context.log)?,
            transfer: Transfer::Udp,
            log: context.log.clone(),
            quiet: Quiet::default(),
        },
    })
}

struct Udp(Option<DatagramInput<Records>>);

impl Input for Udp {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(input) = self.0.take() else { return Ok(()) };
            let (bind, port) = (input.bind.clone(), input.port);
            log_info!(context.log, "listening udp socket", bind = bind, port = port);
            receive(input, &context).map(drop)
        })
    }
}

#[cfg(test)]
mod tests;
