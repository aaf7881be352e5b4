//! Requests to the API server.

use super::error::ApiError;
use super::server::ServerSettings;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TlsClient, TlsError, protocol_versions};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// How much of the body of an error is read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// The largest object that is read; those of Kubernetes end at 1.5 MiB.
pub(super) const OBJECT_BYTES_MAX: usize = 8 << 20;
/// A connection whose peer has gone without a word is noticed within about two minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a connection may wait for the next request.
const IDLE: Duration = Duration::from_secs(20);

/// See the module.
pub(super) struct Api {
    server: ServerSettings,
    client: Mutex<Made>,
}

/// A client, and what it was made of.
struct Made {
    client: HttpClient,
    ca: Option<Vec<u8>>,
}

impl Api {
    /// Reads certificates and keys.
    pub(super) fn new(server: &ServerSettings) -> Result<Self, TlsError> {
        let made = Made { client: client(server)?, ca: ca(server) };
        Ok(Self { server: server.clone(), client: Mutex::new(made) })
    }

    /// An object; `None` if there is none.
    pub(super) async fn object(&self, path: &str) -> Result<Option<Bytes>, ApiError> {
        let response = match self.get(path).await {
            Err(ApiError::Status { status: StatusCode::NOT_FOUND, .. }) => return Ok(None),
            other => other?,
        };
        let body = Limited::new(response.into_body(), OBJECT_BYTES_MAX).collect();
        match self.in_time(self.server.read_timeout, body).await? {
            Ok(body) => Ok(Some(body.to_bytes())),
            Err(error) => Err(ApiError::Broken(format!("GET {path}: {error}"))),
        }
    }

    /// An answer with the status 200, whose body is still to come.
    pub(super) async fn get(&self, path: &str) -> Result<Response<Incoming>, ApiError> {
        let request = self.request(path)?;
        let client = {
            let made = self.client.lock().unwrap_or_else(PoisonError::into_inner);
            made.client.clone()
        };
        let limit = self.server.open_timeout + self.server.read_timeout;
        let response = match self.in_time(limit, client.request(request)).await? {
            Ok(response) => response,
            Err(error) => {
                let error = ApiError::of_client(&error);
                if matches!(error, ApiError::Certificate(_)) {
                    self.read_ca_again();
                }
                return Err(error);
            }
        };
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect();
        let body = self.in_time(self.server.read_timeout, body).await?;
        Err(ApiError::of_answer(status, &body.map(|body| body.to_bytes()).unwrap_or_default()))
    }

    /// The next piece of a body, which is waited for as long as that.
    pub(super) async fn piece(body: &mut Incoming, limit: Duration) -> Result<Option<Bytes>, ApiError> {
        loop {
            let frame = match timeout(limit, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(ApiError::of_client(&error)),
                Ok(None) => return Ok(None),
                Err(_) => return Err(silent(limit)),
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    pub(super) fn read_timeout(&self) -> Duration {
        self.server.read_timeout
    }

    async fn in_time<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, ApiError> {
        timeout(limit, work).await.map_err(|_| silent(limit))
    }

    fn request(&self, path: &str) -> Result<Request<Empty<Bytes>>, ApiError> {
        let mut request = Request::get(format!("{}{path}", self.server.base))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(concat!("logweir/", env!("CARGO_PKG_VERSION"))))
            .body(Empty::new())
            .map_err(|error| ApiError::Broken(format!("{}{path}: {error}", self.server.base)))?;
        // Kubernetes replaces the token from time to time; a request is rare enough to look each time.
        if let Some(file) = &self.server.token_file {
            let token = std::fs::read_to_string(file)
                .map_err(|error| ApiError::Token(format!("{}: {error}", file.display())))?;
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| ApiError::Token(format!("{}: this is no token", file.display())))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// The CA may have been replaced as well.
    fn read_ca_again(&self) {
        let now = ca(&self.server);
        let mut made = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_some()
            && now != made.ca
            && let Ok(client) = client(&self.server)
        {
            *made = Made { client, ca: now };
        }
    }
}

fn silent(limit: Duration) -> ApiError {
    ApiError::Unreachable(format!("no answer within {} seconds", limit.as_secs()))
}

fn ca(server: &ServerSettings) -> Option<Vec<u8>> {
    std::fs::read(server.ca_file.as_ref()?).ok()
}

fn client(server: &ServerSettings) -> Result<HttpClient, TlsError> {
    let names = ClientParameters { trusted: "ca_file", certificates: "client_cert", key: "client_key" };
    let options = ClientOptions {
        versions: protocol_versions("kubernetes_url", None, None, None)?,
        insecure: !server.verify,
        verify_hostname: server.verify,
        trusted: server.ca_file.clone().into_iter().collect(),
        certificates: server.client_cert.clone(),
        key: server.client_key.clone(),
        passphrase: None,
    };
    let tls = TlsClient::new(&options, names)?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(server.open_timeout));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE));
    http.set_keepalive_retries(Some(3));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.config())
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(2).pool_timer(TokioTimer::new());
    Ok(builder.build(https))
}
