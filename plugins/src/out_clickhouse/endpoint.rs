//! One ClickHouse server: requests to it, what it knows, whether it is well.

use super::server_error::ServerError;
use super::session::SESSION_IS_LOCKED;
use bytes::Bytes;
use clickhouse::Client;
use clickhouse::error::Error as ClientError;
use logweir_engine::fault;
use logweir_engine::net::tls::TlsClient;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many failures one after the other close a server.
const FAILURES_MAX: u32 = 5;
/// How long a closed server is left alone.
const CLOSED_FOR: Duration = Duration::from_secs(10);
/// After so many inserts without their sessions, different servers must be answering at the address.
const LOST_SESSIONS_MAX: u32 = 3;
/// Shorter than the server's own 3 seconds, so that no request meets a connection that is just being closed.
const POOL_IDLE: Duration = Duration::from_secs(2);

/// Code of an insert whose query id another one has that is running.
const QUERY_IS_RUNNING: u32 = 216;

/// How to reach servers.
#[derive(Clone)]
pub(crate) struct Access {
    /// The user.
    pub(crate) user: String,
    /// The password; empty for none.
    pub(crate) password: String,
    /// A token instead of user and password.
    pub(crate) access_token: Option<String>,
    /// For `https` URLs.
    pub(crate) tls: TlsClient,
    /// How long a connection may take to be made.
    pub(crate) connect_timeout: Duration,
    /// How long a piece of a body may take to be sent.
    pub(crate) send_timeout: Duration,
    /// How long an answer may take after a body was sent.
    pub(crate) answer_timeout: Duration,
}

/// See the module.
pub(crate) struct Endpoint {
    url: String,
    client: Client,
    send_timeout: Duration,
    answer_timeout: Duration,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    closed_until: Option<Instant>,
    /// Settings that this server does not know.
    unknown_settings: BTreeSet<String>,
    /// So many inserts in a row did not find the session that was just opened for them.
    lost_sessions: u32,
    version: Option<(u32, u32)>,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server was not reached: nothing was sent.
    #[error("{0}")]
    Unreached(String),
    /// The connection broke, or no answer came in time: what was sent may have been done.
    #[error("{0}")]
    Lost(String),
    /// The server answered that it did not do it.
    #[error("{0}")]
    Refused(ServerError),
    /// Nothing was sent, because another server may have it and does not answer.
    #[error("{reason}; the insert waits for this server, which may have stored it (doubt_wait)")]
    Held {
        /// Why there is no answer.
        reason: String,
        /// When to ask again.
        pause: Duration,
    },
}

impl Failure {
    /// Whether an insert may have been stored all the same.
    pub(crate) fn may_have_stored(&self) -> bool {
        match self {
            Self::Unreached(_) | Self::Held { .. } => false,
            Self::Lost(_) => true,
            Self::Refused(error) => error.may_have_stored(),
        }
    }

    /// Whether it is the server's own answer to the insert, so that nothing of it is still to come. One that says that the insert
    /// is running already is not.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::Refused(error) => {
                error.code.is_some_and(|code| !matches!(code, QUERY_IS_RUNNING | SESSION_IS_LOCKED))
            }
            _ => false,
        }
    }

    /// Whether a server that divides an insert by partitions may have stored some of them.
    pub(crate) fn may_have_stored_some(&self) -> bool {
        match self {
            Self::Refused(error) => error.may_have_stored_some(),
            _ => self.may_have_stored(),
        }
    }
}

impl Endpoint {
    /// A server at `url` (`http://host:port`).
    pub(crate) fn new(url: &str, access: &Access) -> Self {
        let mut http = hyper_util::client::legacy::connect::HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        http.set_connect_timeout(Some(access.connect_timeout));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(access.tls.config())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let http_client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(https);
        let client = Client::with_http_client(http_client)
            .with_url(url)
            .with_compression(clickhouse::Compression::None)
            .with_product_info("logweir", env!("CARGO_PKG_VERSION"));
        let client = match &access.access_token {
            Some(token) => client.with_access_token(token),
            None => client.with_user(&access.user).with_password(&access.password),
        };
        Self {
            url: url.to_owned(),
            client,
            send_timeout: access.send_timeout,
            answer_timeout: access.answer_timeout,
            health: Mutex::new(Health::default()),
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement and answers its output in `format`.
    pub(crate) async fn query(&self, sql: &str, format: &str) -> Result<Bytes, Failure> {
        self.run(self.client.query_raw(sql), format).await
    }

    /// Runs a statement with settings.
    pub(crate) async fn query_with(
        &self,
        sql: &str,
        format: &str,
        settings: &[(&'static str, String)],
    ) -> Result<Bytes, Failure> {
        let mut query = self.client.query_raw(sql);
        for (name, value) in settings {
            query = query.with_setting(*name, value);
        }
        self.run(query, format).await
    }

    async fn run(&self, query: clickhouse::query::Query, format: &str) -> Result<Bytes, Failure> {
        let run = async { query.fetch_bytes(format)?.collect().await };
        match tokio::time::timeout(self.answer_timeout, run).await {
            Ok(answer) => self.noted(answer.map_err(failure)),
            Err(_) => self.noted(Err(Failure::Lost(format!("no answer within {:?}", self.answer_timeout)))),
        }
    }

    /// Runs `INSERT ... FORMAT Native` with `body` as its data. Settings that the server does not know are left out;
    /// `required` ones, which the user wrote and which prevail, are not.
    pub(crate) async fn insert(
        &self,
        sql: &str,
        settings: &[(&'static str, String)],
        required: &[(String, String)],
        body: &[Bytes],
    ) -> Result<(), Failure> {
        let is_required = |name: &str| required.iter().any(|(theirs, _)| theirs == name);
        loop {
            let unknown = self.health().unknown_settings.clone();
            let ours = settings.iter().filter(|(name, _)| !unknown.contains(*name) && !is_required(name));
            let theirs = required.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let all = ours.map(|(name, value)| (*name, value.as_str())).chain(theirs);
            let outcome = self.insert_once(sql, all, body).await;
            if let Err(Failure::Refused(error)) = &outcome
                && error.code == Some(115)
                && let Some(name) = error.unknown_setting()
                && settings.iter().any(|(ours, _)| *ours == name)
                && !is_required(name)
                && self.health().unknown_settings.insert(name.to_owned())
            {
                continue;
            }
            return self.noted(outcome);
        }
    }

    async fn insert_once(
        &self,
        sql: &str,
        settings: impl Iterator<Item = (&str, &str)>,
        body: &[Bytes],
    ) -> Result<(), Failure> {
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_timeouts(Some(self.send_timeout), Some(self.answer_timeout));
        for (name, value) in settings {
            insert = insert.with_setting(name, value);
        }
        fault!("insert-sending");
        for piece in body {
            fault!("insert-torn", insert.send(piece.slice(..piece.len() / 2)).await);
            insert.send(piece.clone()).await.map_err(failure)?;
        }
        fault!("insert-sent");
        let answered = insert.end().await.map_err(failure);
        fault!("insert-answered");
        answered
    }

    /// Whether a request may be tried: it is open, or it is time to see whether it is well again.
    pub(crate) fn is_open(&self) -> bool {
        self.health().closed_until.is_none_or(|until| Instant::now() >= until)
    }

    /// Whether a session that was opened is found again. Behind a load balancer it is not.
    pub(crate) fn keeps_sessions(&self) -> bool {
        self.health().lost_sessions < LOST_SESSIONS_MAX
    }

    /// Notes whether an insert found the session that was just opened for it; `true` if it is now clear that they do not.
    pub(crate) fn note_session(&self, is_found: bool) -> bool {
        let mut health = self.health();
        if is_found {
            health.lost_sessions = 0;
        } else {
            health.lost_sessions = health.lost_sessions.saturating_add(1);
        }
        health.lost_sessions == LOST_SESSIONS_MAX
    }

    /// The server has no sessions.
    pub(crate) fn has_no_sessions(&self) {
        self.health().lost_sessions = LOST_SESSIONS_MAX;
    }

    /// The server's version, once [`Endpoint::learn_version`] has asked.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        self.health().version
    }

    /// Remembers the version; a new one may know more settings.
    pub(crate) fn learn_version(&self, text: &str) {
        let mut parts = text.split('.').map_while(|part| part.parse().ok());
        let version = parts.next().zip(parts.next());
        let mut health = self.health();
        if health.version != version {
            health.version = version;
            health.unknown_settings.clear();
        }
    }

    /// Counts failures of the server; its refusals show that it is there.
    fn noted<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let mut health = self.health();
        match &outcome {
            Err(Failure::Unreached(_) | Failure::Lost(_)) => {
                health.failures += 1;
                if health.failures >= FAILURES_MAX {
                    health.closed_until = Some(Instant::now() + CLOSED_FOR);
                }
            }
            _ => {
                health.failures = 0;
                health.closed_until = None;
            }
        }
        drop(health);
        outcome
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(error: ClientError) -> Failure {
    match error {
        ClientError::BadResponse(body) => Failure::Refused(ServerError::parse(&body)),
        ClientError::TimedOut => Failure::Lost("no answer in time".to_owned()),
        ClientError::Network(source) => {
            let unreached = source
                .downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(hyper_util::client::legacy::Error::is_connect);
            let message = chain(&*source);
            if unreached { Failure::Unreached(message) } else { Failure::Lost(message) }
        }
        other => Failure::Lost(chain(&other)),
    }
}

/// An error with what caused it, the way `a: b: c`.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}
