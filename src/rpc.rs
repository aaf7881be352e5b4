//! The RPC server of `<system> rpc_endpoint` (spec config-syntax 11): requests that are signals elsewhere, over HTTP.
//!
//! Any method will do, as with Fluentd, and nobody is asked for a password: it should listen on loopback.

use crate::process::Request;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use logweir_engine::config::System;
use logweir_engine::net::listen_tcp;
use logweir_engine::plugin::StartError;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_debug, log_info, log_warn};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections at a time; more have to wait.
const CONNECTIONS_MAX: usize = 16;

/// A connection on which nobody asks for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// Requests that wait for the process to look at them.
const WAITING_MAX: usize = 16;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RpcError {
    /// The parameter is no endpoint.
    #[error("Invalid rpc_endpoint: {0}")]
    Endpoint(String),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] StartError),
}

/// What comes in. Without an endpoint, nothing ever does.
pub(crate) struct Rpc {
    requests: mpsc::Receiver<Request>,
    /// Keeps the channel open when there is no server.
    _sender: mpsc::Sender<Request>,
}

impl Rpc {
    /// Listens where the configuration says. The server lives as long as the process, whatever is reloaded.
    pub(crate) fn start(system: &System, log: &PluginLog) -> Result<Self, RpcError> {
        let (sender, requests) = mpsc::channel(WAITING_MAX);
        if let Some(endpoint) = &system.rpc_endpoint {
            let (host, port) = parse(endpoint).ok_or_else(|| RpcError::Endpoint(endpoint.clone()))?;
            let listener = listen_tcp(host, port, None)?;
            log_debug!(log, format!("listening RPC http server on http://{endpoint}/"));
            if host.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback()) {
                log_warn!(
                    log,
                    "rpc_endpoint is not on loopback: whoever reaches it can stop and reload this process",
                    rpc_endpoint = endpoint
                );
            }
            let server =
                Server { get_dump: system.enable_get_dump, requests: sender.clone(), log: log.clone() };
            tokio::spawn(accept(listener, Arc::new(server)));
        }
        Ok(Self { requests, _sender: sender })
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        match self.requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

/// `host:port`, as Fluentd's pattern takes it.
fn parse(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.');
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    (!host.is_empty() && host.chars().all(is_host) && digits).then(|| Some((host, port.parse().ok()?)))?
}

struct Server {
    get_dump: bool,
    requests: mpsc::Sender<Request>,
    log: PluginLog,
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    server.serve(stream, peer).await;
                    drop(place);
                });
            }
            // Out of file descriptors, most likely; they come back.
            Err(error) => {
                log_warn!(server.log, "rpc_endpoint cannot accept a connection", error = error.to_string());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

impl Server {
    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let service = service_fn(|request: HttpRequest<Incoming>| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(request.uri().path(), peer).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            log_debug!(
                self.log,
                "RPC connection closed",
                host = peer.ip().to_string(),
                error = error.to_string()
            );
        }
    }

    async fn answer(&self, path: &str, peer: SocketAddr) -> Response<String> {
        let request = match path {
            "/api/processes.interruptWorkers" => Request::Stop("INT"),
            "/api/processes.killWorkers" => Request::Stop("TERM"),
            "/api/processes.flushBuffersAndKillWorkers" => Request::FlushAndStop,
            "/api/processes.zeroDowntimeRestart" => Request::Reload("USR2"),
            "/api/plugins.flushBuffers" => Request::Flush,
            "/api/config.reload" => Request::Reload("HUP"),
            "/api/config.gracefulReload" => Request::Reload("USR2"),
            "/api/config.dump" => Request::LogConfiguration,
            "/api/config.getDump" if self.get_dump => return self.configuration().await,
            _ => return not_found(path),
        };
        log_info!(self.log, format!("fluentd RPC got {path} request"), host = peer.ip().to_string());
        if self.requests.send(request).await.is_err() {
            return unavailable();
        }
        in_json(StatusCode::OK, &serde_json::json!({"ok": true}))
    }

    async fn configuration(&self) -> Response<String> {
        let (sender, answer) = oneshot::channel();
        if self.requests.send(Request::ShowConfiguration(sender)).await.is_err() {
            return unavailable();
        }
        match answer.await {
            Ok(text) => in_json(StatusCode::OK, &serde_json::json!({"conf": text, "ok": true})),
            Err(_) => unavailable(),
        }
    }
}

fn in_json(status: StatusCode, body: &serde_json::Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The process is on its way out.
fn unavailable() -> Response<String> {
    in_json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({"ok": false, "message": "stopping"}))
}

/// What nobody knows is a page, as it is with Fluentd.
fn not_found(path: &str) -> Response<String> {
    let shown = path.replace('&', "&amp;").replace('<', "&lt;");
    let mut response = Response::new(format!(
        "<!DOCTYPE HTML>\n<HTML><HEAD><TITLE>Not Found</TITLE></HEAD>\
         <BODY><H1>Not Found</H1>`{shown}' not found.</BODY></HTML>\n"
    ));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_what_fluentd_takes_for_one() {
        assert_eq!(parse("127.0.0.1:24444"), Some(("127.0.0.1", 24444)));
        assert_eq!(parse("localhost:1"), Some(("localhost", 1)));
        assert_eq!(parse("[::1]:24444"), Some(("::1", 24444)));
        for bad in ["", "24444", ":24444", "host:", "host:x", "host:70000", "ho st:1", "http://h:1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
