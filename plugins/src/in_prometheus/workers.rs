//! The other worker processes, asked for their metrics over HTTP, as Fluentd does it.

use crate::prometheus::worker::Workers;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_error;
use logweir_engine::net::ServerOptions;
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TlsClient, protocol_versions};
use logweir_engine::telemetry::PluginLog;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A worker is waited for so long.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Bytes of a worker's answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Where the other workers are, and how they are asked.
pub(super) struct OtherWorkers {
    host: String,
    ports: Vec<u16>,
    path: String,
    tls: Option<TlsClient>,
    quiet: Duration,
    said: Mutex<Option<Said>>,
}

/// Trouble that was logged.
struct Said {
    when: Instant,
    what: String,
    /// How often it came again since.
    again: u64,
}

/// The port of a worker; `None` if there is none so high. Port 0, any that is free, is the same for all.
pub(super) fn port(first: u16, worker: u16) -> Option<u16> {
    if first == 0 { Some(0) } else { first.checked_add(worker) }
}

/// A host as it stands in a URL.
pub(super) fn in_url(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl OtherWorkers {
    /// Those beside `workers.own`; none if one process does the work of all. `server` is how the first worker listens.
    pub(super) fn new(params: &Params, server: &ServerOptions, workers: Workers) -> Result<Self, Diagnostic> {
        let others = (0..workers.processes).filter(|worker| *worker != workers.own);
        let ports: Option<Vec<u16>> = others.map(|worker| port(server.port, worker)).collect();
        let ports = ports.ok_or_else(|| params.error("port", "'port' is too high for so many workers"))?;
        let tls = match &server.transport.tls {
            Some(_) if !ports.is_empty() => Some(trusting().map_err(|message| params.error_here(message))?),
            _ => None,
        };
        Ok(Self {
            // Nobody can connect to "any address".
            host: match server.bind.as_str() {
                "0.0.0.0" => "127.0.0.1".to_owned(),
                "::" => "::1".to_owned(),
                bind => bind.to_owned(),
            },
            ports,
            path: params.string("metrics_path"),
            tls,
            quiet: params.time("ignore_error_log_interval").unwrap_or_default(),
            said: Mutex::new(None),
        })
    }

    /// The metrics of all of them. One that does not answer is an error: without its counters sums would seem to fall.
    pub(super) async fn ask_all(&self) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        for port in &self.ports {
            let asked = timeout(ANSWER_WAIT_MAX, self.ask(*port)).await;
            let answer = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            texts.push(answer.map_err(|error| format!("{}:{port}: {error}", in_url(&self.host)))?);
        }
        Ok(texts)
    }

    /// Logs trouble, but the same not again within ignore_error_log_interval.
    pub(super) fn complain(&self, log: &PluginLog, error: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut suppressed = 0;
        if let Some(last) = said.as_mut().filter(|last| last.what == error) {
            if now.duration_since(last.when) < self.quiet {
                last.again += 1;
                return;
            }
            suppressed = last.again;
        }
        *said = Some(Said { when: now, what: error.to_owned(), again: 0 });
        let message = "in_prometheus: failed to render workers metrics";
        log_error!(log, message, error = error, suppressed_log_count = suppressed);
    }

    async fn ask(&self, port: u16) -> Result<String, String> {
        let text = |error: std::io::Error| error.to_string();
        let stream = TcpStream::connect((self.host.as_str(), port)).await.map_err(text)?;
        match &self.tls {
            Some(tls) => self.request(tls.connect(stream, None).await.map_err(text)?, port).await,
            None => self.request(stream, port).await,
        }
    }

    async fn request<S>(&self, stream: S, port: u16) -> Result<String, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // It ends with the answer, or with the error that the request has too.
        let connection = tokio::spawn(connection);
        let request = Request::get(&self.path)
            .header(HOST, format!("{}:{port}", in_url(&self.host)))
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        connection.abort();
        if status != StatusCode::OK {
            return Err(format!("status {status}"));
        }
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
    }
}

/// The others are this program's own processes on this machine: whatever certificate they have is theirs.
fn trusting() -> Result<TlsClient, String> {
    let versions = protocol_versions("version", None, None, None).map_err(|error| error.message)?;
    let options = ClientOptions {
        versions,
        insecure: true,
        verify_hostname: false,
        trusted: Vec::new(),
        certificates: None,
        key: None,
        passphrase: None,
    };
    let names = ClientParameters { trusted: "cert_path", certificates: "cert_path", key: "private_key_path" };
    TlsClient::new(&options, names).map_err(|error| error.message)
}
