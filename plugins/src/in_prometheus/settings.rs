//! The parameters: where to listen, and how.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::net::tls::{ClientAuth, Identity, Subject, TlsError, protocol_versions, server_config};
use logweir_engine::net::{CONNECTION_PARAMS, ServerOptions, TRANSPORT, Transport};
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec, Status};
use std::time::Duration;

pub(super) const PARAMS: &[Param] = &[
    Param::new("bind", ParamKind::String, "Address to listen on").default("127.0.0.1"),
    Param::new("port", ParamKind::Integer, "Port to listen on").default("24231"),
    Param::new("metrics_path", ParamKind::String, "Path of this process's metrics").default("/metrics"),
    Param::new(
        "aggregated_metrics_path",
        ParamKind::String,
        "Path of the metrics of all workers, which are those of this process",
    )
    .default("/aggregated_metrics"),
    Param::new(
        "content_encoding",
        ParamKind::Enum(&["identity", "gzip"]),
        "gzip compresses answers, for those who can read that",
    )
    .default("identity"),
    Param::new(
        "ignore_error_log_interval",
        ParamKind::Time,
        "How long an error of asking the other workers is not logged again",
    )
    .default("3600")
    .status(Status::WithoutEffect("no other process is asked for metrics")),
    // Without receive_memory_limit: nothing is kept of what comes.
    CONNECTION_PARAMS[0],
    CONNECTION_PARAMS[1],
    CONNECTION_PARAMS[2],
];

const DEPRECATED: Status = Status::Deprecated("Use <transport tls> section");

pub(super) const SECTIONS: &[SectionSpec] = &[
    TRANSPORT,
    SectionSpec {
        params: &[
            Param::new("enable", ParamKind::Bool, "Whether connections are TLS").default("false").status(DEPRECATED),
            Param::new("certificate_path", ParamKind::String, "Certificate of the server in PEM")
                .status(Status::Deprecated("Use cert_path in <transport tls> section")),
            Param::new("private_key_path", ParamKind::String, "Its private key in PEM")
                .status(Status::Deprecated("Use private_key_path in <transport tls> section")),
            Param::new(
                "ca_path",
                ParamKind::String,
                "Without a certificate: use a self-signed one, as Fluentd does when this is set",
            )
            .status(Status::Deprecated("Use ca_path in <transport tls> section")),
            Param::new(
                "extra_conf",
                ParamKind::Hash,
                "WEBrick's options, of which there is none here; without a certificate: use a self-signed one",
            )
            .status(Status::Deprecated("See http helper config")),
        ],
        ..SectionSpec::new("ssl", "TLS as it was configured before <transport tls>")
    },
];

/// How the server listens, on the port as it is written.
pub(super) fn server(params: &Params, context: &BuildContext<'_>) -> Result<ServerOptions, Diagnostic> {
    for name in ["metrics_path", "aggregated_metrics_path"] {
        if !params.str(name).is_some_and(|path| path.starts_with('/')) {
            return Err(params.error(name, format!("'{name}' must begin with a slash")));
        }
    }
    let is_tls = params.section("transport").is_some_and(|section| section.arg() == "tls");
    let of_ssl = match params.section("ssl") {
        Some(ssl) if !is_tls => ssl_transport(ssl, context)?,
        _ => None,
    };
    let transport = match of_ssl {
        Some(transport) => transport,
        None => Transport::new(params.section("transport"), None, &context.log)?,
    };
    let mut server = ServerOptions::new(params, transport, false)?;
    // Brackets are for URLs.
    if let Some(address) = server.bind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        server.bind = address.to_owned();
    }
    Ok(server)
}

/// `None` if it is not enabled.
fn ssl_transport(ssl: &Params, context: &BuildContext<'_>) -> Result<Option<Transport>, Diagnostic> {
    let files = (ssl.str("certificate_path"), ssl.str("private_key_path"));
    let (ca, extra_conf) = (ssl.str("ca_path"), ssl.hash("extra_conf"));
    if !ssl.bool("enable") {
        return Ok(None);
    }
    let identity = match files {
        (Some(certificates), Some(key)) => {
            let (certificates, key) = (certificates.to_owned(), key.to_owned());
            Identity::Files { certificates, key, passphrase: None }
        }
        (None, None) if extra_conf.is_some() || ca.is_some() => Identity::SelfSigned(subject()),
        (None, None) => {
            return Err(ssl.error_here(
                "no valid cert options configured. specify certificate_path and private_key_path, or write \
                 <transport tls>",
            ));
        }
        _ => return Err(ssl.error_here("both certificate_path and private_key_path must be defined")),
    };
    if let Some(options) = extra_conf.filter(|options| !options.is_empty()) {
        let names: Vec<String> = options.into_iter().map(|(name, _)| name).collect();
        log_warn!(
            context.log,
            "extra_conf is for WEBrick; its options have no effect here",
            options = names.join(", ")
        );
    }
    let refuse = |error: TlsError| {
        let parameter = match error.parameter {
            "cert_path" => "certificate_path",
            other => other,
        };
        ssl.error(parameter, error.message)
    };
    let versions = protocol_versions("version", None, None, None).map_err(refuse)?;
    let tls = server_config(&identity, &ClientAuth::None, versions).map_err(refuse)?;
    Ok(Some(Transport { tls: Some(tls), reset_on_close: false, receive_buffer: None }))
}

/// Of a self-signed certificate.
fn subject() -> Subject {
    Subject {
        country: "US".to_owned(),
        state: "CA".to_owned(),
        locality: "Mountain View".to_owned(),
        common_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        expiration: Duration::from_secs(10 * 365 * 86_400),
        strong: false,
    }
}
