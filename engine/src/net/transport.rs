//! The section `<transport tcp|tls>` of servers.

use super::tls::{self, ClientAuth, Identity, Subject, TLS_VERSIONS, TlsError};
use crate::config::{Diagnostic, Params};
use crate::log_warn;
use crate::plugin::{Param, ParamKind, SectionSpec, Status};
use crate::telemetry::PluginLog;
use rustls::ServerConfig;
use std::sync::Arc;

/// Table of `<transport>`, for the plugins that listen.
pub const TRANSPORT: SectionSpec = SectionSpec {
    params: TRANSPORT_PARAMS,
    ..SectionSpec::new("transport", "TCP (the default) or TLS, written as the section's argument")
};

static TRANSPORT_PARAMS: &[Param] = &[
    Param::new(
        "linger_timeout",
        ParamKind::Integer,
        "0 closes connections with an RST, so that none stays in TIME_WAIT; more closes them with a FIN",
    )
    .default("0"),
    Param::new(
        "receive_buffer_size",
        ParamKind::Size,
        "Size of the socket's receive buffer in bytes; the kernel's own choice if not set",
    )
    .since("1.18"),
    Param::new(
        "version",
        ParamKind::Enum(TLS_VERSIONS),
        "The one TLS version to accept; 1.2 and 1.3 if not set",
    ),
    Param::new("min_version", ParamKind::Enum(TLS_VERSIONS), "Lowest TLS version; needs max_version"),
    Param::new("max_version", ParamKind::Enum(TLS_VERSIONS), "Highest TLS version; needs min_version"),
    Param::new("ciphers", ParamKind::String, "OpenSSL cipher list").status(Status::WithoutEffect(
        "the suites are always those of rustls: ECDHE with AES-GCM or ChaCha20",
    )),
    Param::new("insecure", ParamKind::Bool, "Use a self-signed certificate that is made at the start")
        .default("false"),
    Param::new("ensure_fips", ParamKind::Bool, "Demand FIPS mode; this build has none, true is refused")
        .since("1.18")
        .default("false"),
    Param::new("cert_path", ParamKind::String, "Certificate of the server in PEM, intermediates behind it"),
    Param::new("private_key_path", ParamKind::String, "Its private key in PEM"),
    Param::new("private_key_passphrase", ParamKind::String, "Passphrase of the private key").secret(),
    Param::new("client_cert_auth", ParamKind::Bool, "Demand a certificate from clients and verify it")
        .default("false"),
    Param::new("ca_path", ParamKind::String, "CAs of client certificates in PEM; the system's if not set"),
    Param::new("ca_cert_path", ParamKind::String, "CA that signs a certificate made at the start"),
    Param::new("ca_private_key_path", ParamKind::String, "Private key of that CA"),
    Param::new("ca_private_key_passphrase", ParamKind::String, "Passphrase of that key").secret(),
    Param::new("cert_verifier", ParamKind::String, "Ruby code that verifies certificates; cannot run here"),
    Param::new("generate_private_key_length", ParamKind::Integer, "Bits of generated RSA keys")
        .default("2048")
        .status(Status::WithoutEffect("the generated key is an ECDSA key")),
    Param::new("generate_cert_country", ParamKind::String, "Country in a generated certificate")
        .default("US"),
    Param::new("generate_cert_state", ParamKind::String, "State in a generated certificate").default("CA"),
    Param::new("generate_cert_locality", ParamKind::String, "Locality in a generated certificate")
        .default("Mountain View"),
    Param::new(
        "generate_cert_common_name",
        ParamKind::String,
        "Name in a generated certificate; this host's name if not set",
    ),
    Param::new("generate_cert_expiration", ParamKind::Time, "Lifetime of a generated certificate")
        .default("315360000"),
    Param::new(
        "generate_cert_digest",
        ParamKind::Enum(&["sha1", "sha256", "sha384", "sha512"]),
        "Digest in a generated certificate",
    )
    .default("sha256"),
];

/// How a server's connections are carried.
#[derive(Clone, Debug)]
pub struct Transport {
    /// The TLS context, if the connections are TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Close with an RST (linger_timeout 0) instead of a FIN.
    pub reset_on_close: bool,
    /// Size of the socket's receive buffer, if configured.
    pub receive_buffer: Option<usize>,
}

impl Transport {
    /// From the section, or the defaults if there is none. `linger_timeout` is the older parameter of the plugin
    /// itself, which wins.
    pub fn new(
        section: Option<&Params>,
        linger_timeout: Option<i64>,
        log: &PluginLog,
    ) -> Result<Self, Diagnostic> {
        match section.map(|section| (section, section.arg())) {
            None | Some((_, "" | "tcp")) => Self::with_tls(section, false, linger_timeout, log),
            Some((_, "tls")) => Self::with_tls(section, true, linger_timeout, log),
            Some((section, other)) => Err(section.error_here(format!(
                "valid options are tcp,tls but got {other}: write <transport tcp> or <transport tls>"
            ))),
        }
    }

    /// The same for an input that has read the section's argument itself.
    pub fn with_tls(
        section: Option<&Params>,
        is_tls: bool,
        linger_timeout: Option<i64>,
        log: &PluginLog,
    ) -> Result<Self, Diagnostic> {
        let linger = linger_timeout.or_else(|| section.and_then(|s| s.int("linger_timeout"))).unwrap_or(0);
        let tls = match section {
            Some(section) if is_tls => Some(tls_config(section, log)?),
            _ => None,
        };
        Ok(Self { tls, reset_on_close: linger <= 0, receive_buffer: receive_buffer(section) })
    }
}

/// `receive_buffer_size` of the section, if it is set.
pub fn receive_buffer(section: Option<&Params>) -> Option<usize> {
    section.and_then(|s| s.size("receive_buffer_size")).and_then(|size| usize::try_from(size).ok())
}

fn tls_config(section: &Params, log: &PluginLog) -> Result<Arc<ServerConfig>, Diagnostic> {
    let fail = |error: TlsError| section.error(error.parameter, error.message);
    if section.bool("ensure_fips") {
        return Err(section.error("ensure_fips", "FIPS mode is not available in this build"));
    }
    if section.is_set("cert_verifier") {
        return Err(section.error(
            "cert_verifier",
            "cert_verifier is Ruby code, which cannot run here; use client_cert_auth with ca_path",
        ));
    }
    let version = section.is_set("version").then(|| section.str("version")).flatten();
    let versions =
        tls::protocol_versions("version", version, section.str("min_version"), section.str("max_version"))
            .map_err(fail)?;
    let identity = identity(section, log)?;
    let clients = if section.bool("client_cert_auth") {
        ClientAuth::Required(section.str("ca_path").map(str::to_owned))
    } else {
        ClientAuth::None
    };
    tls::server_config(&identity, &clients, versions).map_err(fail)
}

fn identity(section: &Params, log: &PluginLog) -> Result<Identity, Diagnostic> {
    let text = |name: &str| section.str(name).map(str::to_owned);
    if let Some(certificates) = text("cert_path") {
        let Some(key) = text("private_key_path") else {
            return Err(
                section.error("cert_path", "private_key_path is required when cert_path is specified")
            );
        };
        let passphrase = text("private_key_passphrase");
        if passphrase.is_none() {
            log_warn!(
                log,
                "For security reason, setting private_key_passphrase is recommended when cert_path is specified"
            );
        }
        return Ok(Identity::Files { certificates, key, passphrase });
    }
    if let Some(certificate) = text("ca_cert_path") {
        let Some(key) = text("ca_private_key_path") else {
            return Err(section
                .error("ca_cert_path", "ca_private_key_path is required when ca_cert_path is specified"));
        };
        let passphrase = text("ca_private_key_passphrase");
        if passphrase.is_none() {
            log_warn!(
                log,
                "For security reason, setting ca_private_key_passphrase is recommended when ca_cert_path is specified"
            );
        }
        return Ok(Identity::Ca { certificate, key, passphrase, subject: subject(section)? });
    }
    if section.bool("insecure") {
        log_warn!(log, "insecure TLS communication server is configured (using 'insecure' mode)");
        return Ok(Identity::SelfSigned(subject(section)?));
    }
    Err(section.error_here(
        "no valid cert options configured. specify either 'cert_path', 'ca_cert_path' or 'insecure'",
    ))
}

fn subject(section: &Params) -> Result<Subject, Diagnostic> {
    let digest = section.word("generate_cert_digest").unwrap_or("sha256");
    if digest == "sha1" {
        return Err(section.error("generate_cert_digest", "sha1 is insecure; use sha256"));
    }
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(Subject {
        country: section.string("generate_cert_country"),
        state: section.string("generate_cert_state"),
        locality: section.string("generate_cert_locality"),
        common_name: section.str("generate_cert_common_name").map_or_else(host, str::to_owned),
        expiration: section.time("generate_cert_expiration").unwrap_or_default(),
        strong: digest != "sha256",
    })
}
