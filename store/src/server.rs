//! ClickHouse's HTTP interface: connections, paths, and the way of a query through the store.

use crate::answer::{self, BUFFER_BYTES, BUFFER_BYTES_MAX, Body, Output, Shape};
use crate::auth::{User, Users};
use crate::compression::unpacked;
use crate::confine::confine;
use crate::engine::{Engine, StoreError, scratch};
use crate::error::Exception;
use crate::execute::Work;
use crate::limits::Limits;
use crate::patient::Patient;
use crate::pool::Pool;
use crate::request::QueryRequest;
use crate::session::Sessions;
use crate::spool::{Space, Spool};
use crate::statement::{Parsed, Statement, parse};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_info, log_warn};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a store is run with.
pub struct Options {
    /// Its directory.
    pub path: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The library's file.
    pub libchdb: PathBuf,
    /// Who may ask; nobody means the user `default` without a password.
    pub users: Vec<User>,
    /// Its limits.
    pub limits: Limits,
}

/// Queries that read when the store is stopped have so long to end.
const STOP_READS_GRACE: Duration = Duration::from_secs(1);
/// All others have so long to end, and then so long again to notice that they are cancelled.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// ClickHouse's default of `max_query_size`, the text of a query without an insert's data, and how far a client may raise it.
const QUERY_BYTES: usize = 256 << 10;
const QUERY_BYTES_MAX: usize = 64 << 20;
/// So much of a body is enough to find where most inserts' data begins.
const QUERY_BYTES_FIRST: usize = 8 << 10;

/// Runs a store until SIGTERM or SIGINT.
pub fn serve(options: Options) -> Result<(), StoreError> {
    if options.users.is_empty() && !options.listen.ip().is_loopback() {
        return Err(StoreError::Open(options.listen));
    }
    // Before there are other threads, which would keep their freedom.
    let confined = confine(&options.path, &options.libchdb)?;
    if !confined {
        log_warn!(
            PluginLog::program(),
            "this kernel has no Landlock, so SQL can reach what the store's user can read; let only people ask who may"
        );
    }
    let limits = options.limits;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each query has a thread, each request may need one for a moment.
        .max_blocking_threads(limits.reads_max + limits.writes_max + limits.connections_max)
        .build()
        .map_err(StoreError::Start)?;
    let listener = runtime.block_on(TcpListener::bind(options.listen));
    let listener = listener.map_err(|error| StoreError::Listen { address: options.listen, error })?;
    let engine = Arc::new(Engine::open(&options.path, &options.libchdb, &limits)?);
    runtime.block_on(run(listener, options, engine))?;
    runtime.shutdown_timeout(STOP_GRACE);
    Ok(())
}

struct Store {
    engine: Arc<Engine>,
    users: Users,
    pool: Arc<Pool>,
    sessions: Arc<Sessions>,
    space: Arc<Space>,
    limits: Limits,
}

async fn run(listener: TcpListener, options: Options, engine: Arc<Engine>) -> Result<(), StoreError> {
    let limits = options.limits;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StoreError::Start)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StoreError::Start)?;
    let space = Space::new(
        &scratch(&options.path),
        limits.body_bytes_max,
        limits.body_memory_bytes,
        limits.bodies_memory_bytes,
    );
    let store = Arc::new(Store {
        users: Users::new(options.users),
        pool: Pool::new(engine.clone(), limits.reads_max, limits.writes_max, limits.waiting_max),
        sessions: Sessions::new(limits.sessions_max),
        space,
        limits,
        engine,
    });
    let log = PluginLog::program();
    let address = listener.local_addr().unwrap_or(options.listen);
    log_info!(
        log,
        "the embedded store is ready",
        address = address.to_string(),
        path = options.path.display().to_string(),
        engine = store.engine.facts().version,
        memory_bytes = limits.memory_bytes
    );
    let (places, stop, tasks) =
        (Arc::new(Semaphore::new(limits.connections_max)), CancellationToken::new(), TaskTracker::new());
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (store, stop) = (store.clone(), stop.clone());
                tasks.spawn(async move {
                    let _place = place;
                    connection(stream, store, stop).await;
                });
            }
            Err(error) => {
                log_warn!(log, "cannot accept a connection", error = error.to_string());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    log_info!(log, "the embedded store is stopping", queries = store.pool.running_count() as u64);
    drop(listener);
    stop.cancel();
    tasks.close();
    let idle = async {
        tasks.wait().await;
        // Queries of clients that have gone are still being cancelled.
        while store.pool.running_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut idle = std::pin::pin!(idle);
    for (grace, writes_too) in [(STOP_READS_GRACE, false), (STOP_GRACE, true), (STOP_GRACE, true)] {
        if tokio::time::timeout(grace, idle.as_mut()).await.is_ok() {
            break;
        }
        store.pool.cancel_running(writes_too);
    }
    store.sessions.close_all();
    let engine = store.engine.clone();
    let stopped = tokio::task::spawn_blocking(move || engine.stop());
    if tokio::time::timeout(STOP_GRACE, stopped).await.is_err() || store.pool.running_count() > 0 {
        log_warn!(log, "the engine does not stop and is killed; what was answered is on the disk");
        // A process that ends in the usual way would take the engine apart under its own threads.
        let _ = kill_process(getpid(), Signal::KILL);
    }
    log_info!(log, "the embedded store has stopped");
    Ok(())
}

async fn connection(stream: TcpStream, store: Arc<Store>, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patient::new(stream, store.limits.body_timeout));
    let head_timeout = store.limits.head_timeout;
    let service = service_fn(move |request| {
        let store = store.clone();
        async move { Ok::<_, std::convert::Infallible>(store.respond(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_timeout);
    let mut serving = std::pin::pin!(builder.serve_connection(io, service));
    tokio::select! {
        // A client that goes away, or sends no HTTP, is no concern of the store's.
        _ = serving.as_mut() => return,
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

impl Store {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let facts = self.engine.facts();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/ping" | "/replicas_status" if reads => {
                let mut response = answer::plain(StatusCode::OK, "Ok.\n");
                // By this whoever started the store tells it from another server on its port.
                response.headers_mut().insert("x-logweir-store-pid", std::process::id().into());
                return response;
            }
            "/" | "/query" if reads || request.method() == Method::POST => {}
            "/" | "/query" => {
                let error =
                    Exception::not_implemented(format!("the method {} is not used here", request.method()));
                return answer::exception(&error, facts, None);
            }
            path => {
                let text = format!(
                    "There is no handle {path}\n\nUse / or /ping for health checks.\nOr /replicas_status for more \
                     sophisticated health checks.\n\nSend queries from your program with POST method or GET /?query=...\n"
                );
                return answer::plain(StatusCode::NOT_FOUND, text);
            }
        }
        let url_query = request.uri().query().unwrap_or_default();
        if reads && url_query.is_empty() {
            return answer::plain(StatusCode::OK, "Ok.\n");
        }
        let parsed = QueryRequest::parse(url_query, request.headers());
        let (query, credentials) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return answer::exception(&error, facts, None),
        };
        let query_id = query.query_id.clone().unwrap_or_else(new_query_id);
        let readonly = match self.users.check(&credentials) {
            Ok(readonly) => readonly || reads,
            Err(error) => return answer::exception(&error, facts, Some(&query_id)),
        };
        match self.query(query, request.into_body(), &query_id, &credentials.user, readonly).await {
            Ok(response) => response,
            Err(error) => answer::exception(&error, facts, Some(&query_id)),
        }
    }

    async fn query(
        &self,
        request: QueryRequest,
        body: Incoming,
        query_id: &str,
        user: &str,
        readonly: bool,
    ) -> Result<Response<Body>, Exception> {
        let body = self.receive(body).await?;
        let (space, given) = (self.space.clone(), request.clone());
        let taken_apart = tokio::task::spawn_blocking(move || take_apart(&given, body, &space)).await;
        let (text, statement, data) = taken_apart.map_err(|error| {
            Exception::new(1002, "UNKNOWN_EXCEPTION", format!("the request's thread failed: {error}"))
        })??;

        let named = match &statement {
            Statement::Output { format, .. } => format.clone(),
            _ => None,
        };
        let format = named.or(request.default_format).unwrap_or_else(|| "TabSeparated".to_owned());
        let facts = self.engine.facts();
        let setting =
            |name: &str| request.settings.iter().rfind(|(given, _)| given == name).map(|(_, value)| value);
        let timezone = setting("session_timezone").and_then(|value| String::from_utf8(value.clone()).ok());
        let shape = Shape {
            query_id: query_id.to_owned(),
            format: facts.format(&format).map(|(name, kind)| (name.to_owned(), kind.to_owned())),
            timezone: timezone.unwrap_or_else(|| facts.timezone.clone()),
            accept: request.accept,
            framed: request.compress,
        };
        let whole = request.wait_end_of_query.then_some(&self.space);
        let buffer_bytes = request.buffer_bytes.unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES_MAX);

        let writes = !matches!(statement, Statement::Output { .. });
        let (ticket, waiter) = self.pool.admit(query_id.to_owned(), writes).await?;
        let session = match &request.session {
            Some(session) => Some(self.sessions.take(&self.engine, user, session)?),
            None => None,
        };
        let no_pipe =
            |error: io::Error| Exception::new(298, "CANNOT_PIPE", format!("cannot make a pipe: {error}"));
        let (sender, receiver) = pipe::pipe().map_err(no_pipe)?;
        ticket.query().keep(receiver.as_fd().try_clone_to_owned().map_err(no_pipe)?);
        // Of the sender only the number is used, and that it is closed at the end.
        let sender = sender.into_blocking_fd().map_err(no_pipe)?;
        let work = Work {
            engine: self.engine.clone(),
            session,
            text,
            statement,
            data,
            database: request.database,
            settings: request.settings,
            readonly,
            format,
        };
        let outcome = tokio::task::spawn_blocking(move || work.run(&ticket, sender));
        let output = Output { pipe: receiver, outcome, _waiter: waiter };
        Ok(answer::answer(output, shape, facts, buffer_bytes, whole).await)
    }

    /// The whole body.
    async fn receive(&self, mut body: Incoming) -> Result<Spool, Exception> {
        let mut spool = Spool::new(&self.space)?;
        let broken =
            |what: String| Exception::new(210, "NETWORK_ERROR", format!("the body did not arrive: {what}"));
        loop {
            let Ok(frame) = tokio::time::timeout(self.limits.body_timeout, body.frame()).await else {
                let seconds = self.limits.body_timeout.as_secs();
                return Err(Exception::new(
                    209,
                    "SOCKET_TIMEOUT",
                    format!("no piece of the body came within {seconds} s"),
                ));
            };
            let Some(frame) = frame else { return Ok(spool) };
            let frame = frame.map_err(|error| broken(error.to_string()))?;
            if let Some(piece) = frame.data_ref() {
                match spool.on_disk() {
                    true => tokio::task::block_in_place(|| spool.write(piece))?,
                    false => spool.write(piece)?,
                }
            }
        }
    }
}

/// The query's text and kind, and an insert's data, out of the URL and the body, which ClickHouse reads as one text with a
/// line end between them.
fn take_apart(
    request: &QueryRequest,
    body: Spool,
    space: &Arc<Space>,
) -> Result<(Vec<u8>, Statement, Option<Spool>), Exception> {
    let cannot_read =
        |error: io::Error| Exception::new(271, "CANNOT_DECOMPRESS", format!("the body: {error}"));
    let raised = request.settings.iter().rfind(|(name, _)| name == "max_query_size");
    let raised = raised.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
    let bytes_max = raised.unwrap_or(QUERY_BYTES).clamp(QUERY_BYTES_FIRST, QUERY_BYTES_MAX);
    let is_plain = request.encoding.is_none() && !request.decompress;
    let mut text = request.query.clone();
    if !text.is_empty() && body.size() > 0 {
        text.push(b'\n');
    }
    let in_url = text.len();
    // Most inserts have their query in the URL, and their body is the data.
    if in_url > 0
        && is_plain
        && let Parsed::Statement(Statement::Insert(insert)) = parse(&text, body.size() == 0)?
        && insert.data_at == in_url
    {
        return Ok((text, Statement::Insert(insert), Some(body)));
    }
    let mut reader = unpacked(body.reader()?, request.encoding, request.decompress).map_err(cannot_read)?;
    let mut wanted = QUERY_BYTES_FIRST;
    loop {
        let more = wanted.saturating_sub(text.len()) as u64;
        let read = (&mut reader).take(more).read_to_end(&mut text).map_err(cannot_read)?;
        let complete = (read as u64) < more;
        match parse(&text, complete)? {
            Parsed::Statement(Statement::Insert(insert)) => {
                let mut data = Spool::new(space)?;
                data.write(&text[insert.data_at..])?;
                let mut piece = vec![0; 256 << 10];
                loop {
                    match reader.read(&mut piece).map_err(cannot_read)? {
                        0 => break,
                        read => data.write(&piece[..read])?,
                    }
                }
                text.truncate(insert.data_at);
                return Ok((text, Statement::Insert(insert), Some(data)));
            }
            Parsed::Statement(statement) => return Ok((text, statement, None)),
            Parsed::More if wanted < bytes_max => wanted = bytes_max,
            Parsed::More => {
                return Err(Exception::syntax(format!(
                    "Syntax error: failed at position {bytes_max}: Max query size exceeded (can be increased with the \
                     `max_query_size` setting)"
                )));
            }
        }
    }
}

/// A random UUID.
fn new_query_id() -> String {
    let mut bytes = [0; 16];
    // Without random numbers all ids are one, and queries beside each other are refused rather than mixed up.
    let _ = getrandom::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
