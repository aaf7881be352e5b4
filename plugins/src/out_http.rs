//! `@type http`: sends each chunk as one request.
//!
//! A 2xx answer is success. A code of retryable_response_codes is retried; any other is refused for good
//! (error_response_as_unrecoverable), or only logged.

mod connector;
mod proxy;

use connector::Connector;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params, without_credentials};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::Time;
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TLS_VERSIONS, TlsClient, protocol_versions};
use logweir_engine::output::Template;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Descriptor,
    EventFormat, FormatError, Kind, OutputPlugin, Param, ParamKind, SectionSpec, Status, WriteError,
    WriteFuture,
};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_debug, log_error, log_warn};
use proxy::Proxy;
use std::io::Write;
use std::time::Duration;

/// `@type http`
pub static PLUGIN: Descriptor = Descriptor {
    params: PARAMS,
    sections: &[
        SectionSpec::FORMAT.default_type("json"),
        SectionSpec {
            params: &[
                Param::new("method", ParamKind::Enum(&["basic"]), "The method").default("basic"),
                Param::new("username", ParamKind::String, "The user"),
                Param::new("password", ParamKind::String, "The password").secret(),
            ],
            ..SectionSpec::new("auth", "Authentication of the requests")
        },
    ],
    buffer: BufferSupport::Always(BufferDefaults::STANDARD),
    ..Descriptor::new(Kind::Output, "http", "Sends chunks as HTTP requests", Build::Output(build))
};

const PARAMS: &[Param] = &[
    Param::new("endpoint", ParamKind::String, "URL; may have placeholders").required(),
    Param::new("http_method", ParamKind::Enum(&["put", "post"]), "The request's method").default("post"),
    Param::new(
        "proxy",
        ParamKind::String,
        "The proxy, http://USER:PASSWORD@HOST:PORT; HTTP_PROXY or http_proxy of the environment if not set, none if empty",
    ),
    Param::new("content_type", ParamKind::String, "Content-Type; that of the formatter if not set"),
    Param::new("json_array", ParamKind::Bool, "Whether the body is one JSON array").default("false"),
    Param::new("headers", ParamKind::Hash, "Further headers"),
    Param::new(
        "headers_from_placeholders",
        ParamKind::Hash,
        "Further headers, with placeholders in their values",
    ),
    Param::new("compress", ParamKind::Enum(&["text", "gzip"]), "gzip compresses the body")
        .default("text")
        .since("1.17"),
    Param::new(
        "reuse_connections",
        ParamKind::Bool,
        "Whether a connection is kept for the next request; else each has its own",
    )
    .default("false")
    .since("1.17"),
    Param::new("open_timeout", ParamKind::Integer, "Seconds for a connection to be made"),
    Param::new("read_timeout", ParamKind::Integer, "Seconds for an answer"),
    Param::new("ssl_timeout", ParamKind::Integer, "Seconds for a TLS handshake; added to open_timeout"),
    Param::new("tls_ca_cert_path", ParamKind::String, "CA certificates that are trusted beside the system's"),
    Param::new("tls_client_cert_path", ParamKind::String, "The client's certificate chain"),
    Param::new("tls_private_key_path", ParamKind::String, "Its key"),
    Param::new("tls_private_key_passphrase", ParamKind::String, "The key's passphrase").secret(),
    Param::new(
        "tls_verify_mode",
        ParamKind::Enum(&["none", "peer"]),
        "Whether the server's certificate is verified",
    )
    .default("peer"),
    Param::new("tls_version", ParamKind::Enum(TLS_VERSIONS), "Least version of TLS"),
    Param::new("tls_ciphers", ParamKind::String, "OpenSSL cipher list").status(Status::WithoutEffect(
        "the suites are always those of rustls: ECDHE with AES-GCM or ChaCha20",
    )),
    Param::new(
        "error_response_as_unrecoverable",
        ParamKind::Bool,
        "Whether an error answer is refused for good",
    )
    .default("true"),
    Param::new(
        "retryable_response_codes",
        ParamKind::Array,
        "Codes of answers after which the chunk is sent again",
    ),
];

/// Ruby's `open_timeout` and `read_timeout` if none is set.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How much of an answer is read, for the log.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const RESPONSE_CLASS: &str = "Fluent::Plugin::HTTPOutput::RetryableResponse";

struct Http {
    endpoint: Template,
    method: Method,
    headers: Vec<(HeaderName, HeaderText)>,
    authorization: Option<HeaderValue>,
    content_type: HeaderValue,
    json_array: bool,
    gzip: bool,
    format: Body,
    read_timeout: Duration,
    error_response_as_unrecoverable: bool,
    retryable: Vec<u16>,
    client: HttpClient,
    proxy: Option<Proxy>,
    log: PluginLog,
}

type HttpClient = Client<HttpsConnector<Connector>, Full<Bytes>>;

enum HeaderText {
    Fixed(HeaderValue),
    Template(Template),
}

/// What a chunk holds.
struct Body {
    event: EventFormat,
    json_array: bool,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let keys = context.chunk_keys(params, PLUGIN.buffer)?;
    // Chunk keys need not be in it: Fluentd's does not check.
    let endpoint = Template::new("endpoint", &params.string("endpoint"), &keys, &context.log);
    let format_type = params.section("format").map_or("json", |section| section.plugin_type()).to_owned();
    let json_array = params.bool("json_array");
    if json_array && format_type != "json" {
        return Err(params.error("json_array", "json_array option could be used with json formatter only"));
    }
    let content_type = content_type(params, &format_type, json_array)?;
    let retryable = match params.array("retryable_response_codes") {
        Some(codes) => codes.iter().filter_map(|code| code.trim().parse().ok()).collect(),
        None => {
            log_warn!(
                context.log,
                "Status code 503 is going to be removed from default `retryable_response_codes` \
                from fluentd v2. Please add it by yourself if you wish"
            );
            vec![503]
        }
    };
    let mut headers = Vec::new();
    for (name, value) in params.hash("headers").unwrap_or_default() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value =
            HeaderValue::from_str(&text).map_err(|e| params.error("headers", format!("{name}: {e}")))?;
        headers.push((header_name(params, "headers", &name)?, HeaderText::Fixed(value)));
    }
    for (name, value) in params.hash("headers_from_placeholders").unwrap_or_default() {
        let param = "headers_from_placeholders";
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let template = Template::new(param, &text, &keys, &context.log);
        headers.push((header_name(params, param, &name)?, HeaderText::Template(template)));
    }
    let seconds = |name: &str| params.int(name).and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs);
    let open_timeout =
        seconds("open_timeout").unwrap_or(TIMEOUT_DEFAULT) + seconds("ssl_timeout").unwrap_or_default();
    let proxy = Proxy::of(params, |name| std::env::var(name).ok())?;
    Ok(OutputPlugin::Buffered(Box::new(Http {
        endpoint,
        method: if params.word("http_method") == Some("put") { Method::PUT } else { Method::POST },
        headers,
        authorization: authorization(params)?,
        content_type,
        json_array,
        gzip: params.word("compress") == Some("gzip"),
        format: Body { event: EventFormat::from_params(params, "json", context)?, json_array },
        read_timeout: seconds("read_timeout").unwrap_or(TIMEOUT_DEFAULT),
        error_response_as_unrecoverable: params.bool("error_response_as_unrecoverable"),
        retryable,
        client: client(params, open_timeout, proxy.clone())?,
        proxy,
        log: context.log.clone(),
    })))
}

fn content_type(params: &Params, format_type: &str, json_array: bool) -> Result<HeaderValue, Diagnostic> {
    let text = match params.str("content_type") {
        Some(text) => text,
        None => match format_type {
            "json" if json_array => "application/json",
            "json" => "application/x-ndjson",
            "csv" => "text/csv",
            "tsv" | "ltsv" => "text/tab-separated-values",
            "msgpack" => "application/x-msgpack",
            "out_file" | "single_value" | "stdout" | "hash" => "text/plain",
            _ => {
                let message =
                    "can't determine Content-Type from formatter type. Set content_type parameter explicitly";
                return Err(params.error_here(message));
            }
        },
    };
    HeaderValue::from_str(text).map_err(|error| params.error("content_type", error.to_string()))
}

fn header_name(params: &Params, param: &str, name: &str) -> Result<HeaderName, Diagnostic> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|error| params.error(param, format!("{name}: {error}")))
}

fn authorization(params: &Params) -> Result<Option<HeaderValue>, Diagnostic> {
    use base64::Engine;
    let Some(auth) = params.section("auth") else { return Ok(None) };
    if let Some(method) = auth.word("method").filter(|method| *method != "basic") {
        return Err(auth.error("method", format!("{method} is not supported")));
    }
    let pair = format!("{}:{}", auth.string("username"), auth.string("password"));
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).map_err(|error| auth.error_here(error.to_string()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn client(params: &Params, open_timeout: Duration, proxy: Option<Proxy>) -> Result<HttpClient, Diagnostic> {
    let names = ClientParameters {
        trusted: "tls_ca_cert_path",
        certificates: "tls_client_cert_path",
        key: "tls_private_key_path",
    };
    let versions = protocol_versions("tls_version", params.word("tls_version"), None, None);
    let insecure = params.word("tls_verify_mode") == Some("none");
    let tls = versions
        .map(|versions| ClientOptions {
            versions,
            insecure,
            verify_hostname: !insecure,
            trusted: params.str("tls_ca_cert_path").map(str::to_owned).into_iter().collect(),
            certificates: params.str("tls_client_cert_path").map(str::to_owned),
            key: params.str("tls_private_key_path").map(str::to_owned),
            passphrase: params.str("tls_private_key_passphrase").map(str::to_owned),
        })
        .and_then(|options| TlsClient::new(&options, names))
        .map_err(|error| params.error(error.parameter, error.message))?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(open_timeout));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.config())
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector { tcp: http, proxy });
    let mut client = Client::builder(TokioExecutor::new());
    if !params.bool("reuse_connections") {
        client.pool_max_idle_per_host(0);
    }
    Ok(client.build(https))
}

impl Http {
    fn request(&self, chunk: &Chunk) -> Result<(Uri, Request<Full<Bytes>>), WriteError> {
        let text = self.endpoint.expand(chunk)?;
        let refused = |error: String| {
            WriteError::reject("URI::InvalidURIError", format!("{}: {error}", without_credentials(&text)))
        };
        let uri: Uri =
            text.parse().map_err(|error: hyper::http::uri::InvalidUri| refused(error.to_string()))?;
        let body = chunk.read().map_err(|error| WriteError::retry("IOError", error.to_string()))?;
        let mut body = if self.json_array { array(&body) } else { body };
        if self.gzip {
            body = gzip(&body).map_err(|error| WriteError::retry("IOError", error.to_string()))?;
        }
        let mut request = Request::builder().method(self.method.clone()).uri(uri.clone());
        if let Some(headers) = request.headers_mut() {
            headers.insert(USER_AGENT, HeaderValue::from_static("Ruby"));
            if let Some(authorization) = &self.authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            for (name, value) in &self.headers {
                let value = match value {
                    HeaderText::Fixed(value) => value.clone(),
                    HeaderText::Template(template) => {
                        let text = template.expand(chunk)?;
                        HeaderValue::from_str(&text).map_err(|e| refused(format!("header {name}: {e}")))?
                    }
                };
                headers.insert(name.clone(), value);
            }
            headers.insert(CONTENT_TYPE, self.content_type.clone());
            if self.gzip {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            // The proxy reads the requests only that are not in a tunnel.
            if uri.scheme_str() == Some("http")
                && let Some(authorization) =
                    self.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref())
            {
                headers.insert(PROXY_AUTHORIZATION, authorization.clone());
            }
        }
        let request = request.body(Full::new(body)).map_err(|error| refused(error.to_string()))?;
        Ok((uri, request))
    }

    async fn send(&self, chunk: &Chunk) -> Result<(), WriteError> {
        let (uri, request) = self.request(chunk)?;
        let uri = uri.to_string();
        let uri = without_credentials(&uri);
        log_debug!(self.log, format!("{} data to {uri} with chunk({})", self.method, chunk.id().hex()));
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| describe(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            // The status decides; a body that is cut off or too long only shortens the log line.
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Ok::<_, String>((status, body))
        };
        let (status, body) = match tokio::time::timeout(self.read_timeout, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let through = match &self.proxy {
                    Some(proxy) => format!(" through the proxy {}", proxy.address()),
                    None => String::new(),
                };
                return Err(WriteError::retry("Errno::ECONNREFUSED", format!("{uri}{through}: {error}")));
            }
            Err(_) => {
                let message = format!("{uri}: no answer within {} seconds", self.read_timeout.as_secs());
                return Err(WriteError::retry("Net::ReadTimeout", message));
            }
        };
        if status.is_success() {
            return Ok(());
        }
        let reason = status.canonical_reason().unwrap_or_default();
        let message = format!("{} {reason} {}", status.as_u16(), String::from_utf8_lossy(&body).trim_start());
        if self.retryable.contains(&status.as_u16()) {
            return Err(WriteError::retry(RESPONSE_CLASS, message));
        }
        if self.error_response_as_unrecoverable {
            return Err(WriteError::reject("Fluent::UnrecoverableError", message));
        }
        log_error!(self.log, format!("got error response from '{} {uri}' : {message}", self.method));
        Ok(())
    }
}

/// `event,event,` to `[event,event]`.
fn array(body: &[u8]) -> Bytes {
    let inner = body.strip_suffix(b",").unwrap_or(body);
    let mut out = Vec::with_capacity(inner.len() + 2);
    out.push(b'[');
    out.extend_from_slice(inner);
    out.push(b']');
    out.into()
}

fn gzip(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}

/// An error with what caused it, which is what the user can act on.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl BufferedOutput for Http {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.format)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(self.send(chunk))
    }
}

impl ChunkFormatter for Body {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.event.format(tag, time, record, out)?;
        if self.json_array {
            out.push(b',');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_an_array() {
        assert_eq!(&array(b"{}\n,{}\n,")[..], b"[{}\n,{}\n]");
        assert_eq!(&array(b"")[..], b"[]");
    }
}
