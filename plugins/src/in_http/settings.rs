//! The checked parameters of in_http.

use super::cors::Cors;
use super::records::{Reader, TimeField};
use crate::inflate::InflateLimits;
use logweir_engine::config::{Diagnostic, FluentdVersion, Params};
use logweir_engine::net::{CONNECTION_PARAMS, ServerOptions, TRANSPORT, Transport};
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec};
use std::time::Duration;

pub(super) const PARAMS: &[Param] = &Param::join::<_, _, 20>(OWN, CONNECTION_PARAMS);

const OWN: [Param; 16] = [
    Param::new("port", ParamKind::Integer, "Port to listen on").default("9880"),
    Param::new("bind", ParamKind::String, "Address to listen on").default("0.0.0.0"),
    Param::new("body_size_limit", ParamKind::Size, "Bytes of a body; larger ones are answered with 413")
        .default("33554432"),
    Param::new(
        "decompression_size_limit",
        ParamKind::Size,
        "Bytes of a body when inflated; larger ones are answered with 400",
    )
    .since("1.19.3")
    .default("268435456"),
    Param::new(
        "decompression_ratio_limit",
        ParamKind::Integer,
        "Refuse bodies that inflate to more than 64 MiB and to more than this many times their size",
    )
    .own()
    .default("1000"),
    Param::new("keepalive_timeout", ParamKind::Time, "Seconds after which an idle connection is closed")
        .default("10"),
    Param::new("add_http_headers", ParamKind::Bool, "Whether records get the request's headers as HTTP_NAME")
        .default("false"),
    Param::new(
        "add_remote_addr",
        ParamKind::Bool,
        "Whether records get REMOTE_ADDR: the peer's address, or the first of X-Forwarded-For",
    )
    .default("false"),
    crate::socket::BLOCKING_TIMEOUT,
    Param::new(
        "cors_allow_origins",
        ParamKind::Array,
        "Origins whose pages may send; * stands for any text, once in each. Requests of others are answered with 403",
    ),
    Param::new("cors_allow_credentials", ParamKind::Bool, "Whether such pages may send credentials")
        .default("false"),
    Param::new("respond_with_empty_img", ParamKind::Bool, "Whether the answer is a GIF of one pixel")
        .default("false"),
    Param::new("use_204_response", ParamKind::Bool, "Whether the answer is 204 instead of 200")
        .default("false"),
    Param::new("dump_error_log", ParamKind::Bool, "Whether requests that fail are logged").default("true"),
    Param::new(
        "add_query_params",
        ParamKind::Bool,
        "Whether records get the query's parameters as QUERY_NAME",
    )
    .default("false"),
    Param::new("add_tag_prefix", ParamKind::String, "Prefix that is put before each tag, with a dot")
        .since("1.18"),
];

pub(super) const SECTIONS: &[SectionSpec] =
    &[SectionSpec { default_type: Some("in_http"), always: true, ..SectionSpec::PARSE }, TRANSPORT];

/// How this input behaves.
pub(super) struct Settings {
    pub(super) server: ServerOptions,
    pub(super) memory: u64,
    pub(super) body_max: u64,
    pub(super) inflate: InflateLimits,
    pub(super) keepalive: Duration,
    pub(super) add_http_headers: bool,
    pub(super) add_remote_addr: bool,
    pub(super) add_query_params: bool,
    pub(super) cors: Option<Cors>,
    pub(super) empty_image: bool,
    pub(super) no_content: bool,
    pub(super) dump_error_log: bool,
    pub(super) tag_prefix: Option<String>,
    pub(super) reader: Reader,
}

/// A connection is given at least this long for the head of a request.
const KEEPALIVE_MIN: Duration = Duration::from_secs(1);

impl Settings {
    pub(super) fn new(params: &Params, context: &mut BuildContext<'_>) -> Result<Self, Diagnostic> {
        if params.str("add_tag_prefix") == Some("") {
            return Err(params.error("add_tag_prefix", "'add_tag_prefix' parameter must not be empty"));
        }
        let transport = Transport::new(params.section("transport"), None, &context.log)?;
        Ok(Self {
            server: ServerOptions::new(params, transport, false)?,
            memory: params.size("receive_memory_limit").unwrap_or(u64::MAX),
            body_max: params.size("body_size_limit").unwrap_or(u64::MAX),
            inflate: InflateLimits::new(params)?,
            keepalive: params.time("keepalive_timeout").unwrap_or_default().max(KEEPALIVE_MIN),
            add_http_headers: params.bool("add_http_headers"),
            add_remote_addr: params.bool("add_remote_addr"),
            add_query_params: params.bool("add_query_params"),
            cors: Cors::new(params, context.system.follows >= FluentdVersion::V1_19)?,
            empty_image: params.bool("respond_with_empty_img"),
            no_content: params.bool("use_204_response"),
            dump_error_log: params.bool("dump_error_log"),
            tag_prefix: params.str("add_tag_prefix").map(str::to_owned),
            reader: reader(params, context)?,
        })
    }
}

fn reader(params: &Params, context: &mut BuildContext<'_>) -> Result<Reader, Diagnostic> {
    match params.section("parse") {
        Some(parse) if parse.plugin_type() != "in_http" => Ok(Reader::Parser {
            name: parse.plugin_type().to_owned(),
            parser: context.parser(params, None)?,
            silent: context.system.follows >= FluentdVersion::V1_19,
        }),
        parse => Ok(Reader::BuiltIn(TimeField::new(parse.unwrap_or(params))?)),
    }
}
