//! `@type prometheus` as an input: the metrics, for a Prometheus server to fetch (fluent-plugin-prometheus 2.2).
//!
//! | path | answer |
//! |---|---|
//! | `metrics_path` | this process: what the configuration declares, `fluentd_*` of the monitors, `logweir_*`, `process_*` |
//! | `aggregated_metrics_path` | all worker processes; each is asked for its metrics, as in Fluentd |
//!
//! With several worker processes each listens on `port` plus its number.

mod aggregate;
mod own;
mod settings;
#[cfg(test)]
mod tests;
mod workers;

use crate::http_server::{Answer, serve};
use crate::prometheus::worker::Workers;
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
use workers::OtherWorkers;

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
    let workers = Workers::of(context.system);
    let mut server = settings::server(params, context)?;
    let others = OtherWorkers::new(params, &server, workers)?;
    server.port = workers::port(server.port, workers.own)
        .ok_or_else(|| params.error("port", "'port' is too high for so many workers"))?;
    let common = match workers.processes {
        1 => Vec::new(),
        _ => vec![("worker_id".to_owned(), workers.own.to_string())],
    };
    let page = Page {
        metrics: Arc::clone(&context.shared.metrics),
        plugins: Arc::clone(&context.shared.plugins),
        common,
        others,
        path: params.string("metrics_path"),
        aggregated_path: params.string("aggregated_metrics_path"),
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
            let place = format!("{scheme}://{}:{port}{}", workers::in_url(bind), self.page.path);
            log_debug!(context.log, format!("listening prometheus http server on {place}"));
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
                let (page, log) = (Arc::clone(&page), context.log.clone());
                let (head, _) = request.into_parts();
                Box::pin(async move { page.answer(&head.method, head.uri.path(), &head.headers, &log).await })
            })
            .await;
        }
    })
}

/// What is shown, and how.
struct Page {
    metrics: Arc<MetricRegistry>,
    plugins: Arc<Plugins>,
    /// Labels of Logweir's own metrics.
    common: Vec<(String, String)>,
    others: OtherWorkers,
    path: String,
    aggregated_path: String,
    gzip: bool,
}

impl Page {
    async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        log: &logweir_engine::telemetry::PluginLog,
    ) -> Answer {
        if method != Method::GET {
            return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
        }
        let text = if path == self.path {
            self.text()
        } else if path == self.aggregated_path {
            match self.others.ask_all().await {
                Ok(texts) if texts.is_empty() => self.text(),
                Ok(mut texts) => {
                    texts.push(self.text());
                    aggregate::merge(&texts)
                }
                Err(error) => {
                    self.others.complain(log, &error);
                    return plain(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "in_prometheus server error: a worker does not give its metrics\n".to_owned(),
                    );
                }
            }
        } else {
            return plain(StatusCode::NOT_FOUND, "Not Found\n".to_owned());
        };
        self.encoded(text, headers)
    }

    /// The metrics of this process.
    fn text(&self) -> String {
        let mut exposition = Exposition::new(self.common.clone());
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

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Answer::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}
