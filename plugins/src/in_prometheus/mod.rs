//! `@type prometheus` as an input: the metrics, for a Prometheus server to fetch (fluent-plugin-prometheus 2.2).
//!
//! | path | answer |
//! |---|---|
//! | `metrics_path` | this process: what the configuration declares, `fluentd_*` of the monitors, `logweir_*`, `process_*` |
//! | `aggregated_metrics_path` | the same: one process does the work of all workers |

mod own;
mod settings;
#[cfg(test)]
mod tests;

use crate::http_server::{Answer, serve};
use crate::prometheus::Worker;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_debug;
use logweir_engine::net::{ServerOptions, StreamServer};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Input, InputContext, Kind, Plugins, StartError,
};
use logweir_engine::telemetry::prometheus::{Exposition, MetricRegistry, recorder, show_process};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// `@type prometheus` in a `<source>`.
pub static PLUGIN: Descriptor = Descriptor {
    params: settings::PARAMS,
    sections: settings::SECTIONS,
    ..Descriptor::new(Kind::Input, "prometheus", "Gives metrics to a Prometheus server", Build::Input(build))
};

/// A connection on which nothing is asked for this long is closed: longer than the usual interval of a Prometheus server, which
/// keeps its connection.
const IDLE_MAX: Duration = Duration::from_secs(180);

/// What the text format calls itself.
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let (page, server) = configured(params, context)?;
    Ok(Box::new(Prometheus { page: Arc::new(page), server }))
}

fn configured(params: &Params, context: &mut BuildContext<'_>) -> Result<(Page, ServerOptions), Diagnostic> {
    let mut server = settings::server(params, context)?;
    // In Fluentd each worker has an endpoint of its own, and so a port. Those in `<worker>` sections have it here too.
    let worker = Worker::of(context.system).number;
    let port = u16::try_from(worker).ok().and_then(|worker| server.port.checked_add(worker));
    server.port =
        port.ok_or_else(|| params.error("port", format!("'port' is too high for worker {worker}")))?;
    let page = Page {
        metrics: Arc::clone(&context.shared.metrics),
        plugins: Arc::clone(&context.shared.plugins),
        paths: [params.string("metrics_path"), params.string("aggregated_metrics_path")],
        gzip: params.word("content_encoding") == Some("gzip"),
    };
    Ok((page, server))
}

struct Prometheus {
    page: Arc<Page>,
    server: ServerOptions,
}

impl Input for Prometheus {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let ServerOptions { bind, port, .. } = &self.server;
            let scheme = if self.server.transport.tls.is_some() { "https" } else { "http" };
            let [path, _] = &self.page.paths;
            let host = if bind.contains(':') { format!("[{bind}]") } else { bind.clone() };
            let message = format!("listening prometheus http server on {scheme}://{host}:{port}{path}");
            log_debug!(context.log, message);
            listen(&self.page, self.server.clone(), &context).map(drop)
        })
    }
}

/// Serves requests in the background. Answers the address that the input listens on.
fn listen(
    page: &Arc<Page>,
    options: ServerOptions,
    context: &InputContext,
) -> Result<std::net::SocketAddr, StartError> {
    let net = StreamServer::new(options, context);
    let (page, context) = (Arc::clone(page), context.clone());
    net.listen(move |connection| {
        let (page, context) = (Arc::clone(&page), context.clone());
        async move {
            serve(connection, IDLE_MAX, &context.stop, &context.log, |request| {
                let answer = page.answer(request.method(), request.uri().path(), request.headers());
                Box::pin(async move { answer })
            })
            .await;
        }
    })
}

/// What is shown, and how.
struct Page {
    metrics: Arc<MetricRegistry>,
    plugins: Arc<Plugins>,
    paths: [String; 2],
    gzip: bool,
}

impl Page {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
        if method == Method::GET && self.paths.iter().any(|known| known == path) {
            return self.encoded(self.text(), headers);
        }
        let mut answer = Answer::new(Full::new(Bytes::from_static(b"Not Found\n")));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        answer
    }

    fn text(&self) -> String {
        let mut exposition = Exposition::default();
        self.metrics.show(&mut exposition);
        recorder().show(&mut exposition);
        own::show(&self.plugins, &mut exposition);
        show_process(&mut exposition);
        exposition.into_text()
    }

    fn encoded(&self, text: String, headers: &HeaderMap) -> Answer {
        let zipped = (self.gzip && takes_gzip(headers)).then(|| gzip(text.as_bytes())).flatten();
        let is_zipped = zipped.is_some();
        let mut answer = Answer::new(Full::new(zipped.map_or_else(|| Bytes::from(text), Bytes::from)));
        answer.headers_mut().insert(CONTENT_TYPE, TEXT_FORMAT);
        if is_zipped {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }
}

/// Whether who asks can read gzip. Fluentd does not ask.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| {
        value.split(',').any(|item| {
            let (coding, quality) = item.split_once(';').unwrap_or((item, ""));
            matches!(coding.trim(), "gzip" | "*") && !matches!(quality.trim(), "q=0" | "q=0.0")
        })
    })
}

fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}
