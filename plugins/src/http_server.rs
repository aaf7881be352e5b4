//! What the inputs that speak HTTP share: one connection's requests in turn, under limits of size and time.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use logweir_engine::log_debug;
use logweir_engine::net::{Connection, Lease};
use logweir_engine::telemetry::PluginLog;
use std::convert::Infallible;
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Bytes of a request line and its headers, those of the parser that Fluentd uses.
const HEAD_BYTES_MAX: usize = 80 << 10;

/// A request has at most this many headers.
const HEADERS_MAX: usize = 256;

/// A body may take this long to arrive, plus what it takes at [`BODY_RATE_MIN`].
const BODY_WAIT_BASE: Duration = Duration::from_secs(60);

/// Bytes per second that a peer must deliver of a body.
const BODY_RATE_MIN: u64 = 4 << 10;

/// What is read and thrown away of a body that is refused, so that its peer gets to read why: a connection that is closed
/// before its peer has sent everything looks broken to it.
const DISCARD_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It has more bytes than are taken.
    #[error("the body is too large")]
    TooLarge,
    /// It took too long.
    #[error("the body takes too long to arrive")]
    TooSlow,
    /// The connection broke, or the chunks are malformed.
    #[error("{0}")]
    Broken(String),
}

/// Serves a connection's requests until its peer closes it, keeps it idle for longer than `idle_max`, or the program
/// stops: then the request in work is answered.
pub(crate) async fn serve<H>(
    connection: Connection,
    idle_max: Duration,
    stop: &CancellationToken,
    log: &PluginLog,
    handle: H,
) where
    H: Fn(Request<Incoming>) -> BoxFuture<'static, Answer>,
{
    let Connection { stream, address, ticket, counters } = connection;
    let service = service_fn(|request| {
        ticket.touch();
        let answer = handle(request);
        Box::pin(async move { Ok::<_, Infallible>(answer.await) })
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(idle_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .title_case_headers(true)
        // A peer may close its side as soon as it has sent its request.
        .half_close(true);
    let mut http = http.serve_connection(TokioIo::new(stream), service);
    let mut is_stopping = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = poll_fn(|context| http.poll_without_shutdown(context)) => break ended,
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                Pin::new(&mut http).graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            counters.closed.add("malformed");
        }
        // Malformed requests have been answered with 400, and idle connections close all the time.
        log_debug!(
            log,
            "connection closed",
            host = address.ip().to_canonical().to_string(),
            port = address.port(),
            error = error.to_string()
        );
    }
    http.into_parts().io.into_inner().close_politely().await;
}

/// Reads a body of at most `bytes_max` bytes. Memory for it is leased; `quiet_max` is how long its peer may pause.
pub(crate) async fn read_body(
    body: &mut Incoming,
    bytes_max: u64,
    quiet_max: Duration,
    lease: &mut Lease,
) -> Result<Vec<u8>, BodyError> {
    let announced = body.size_hint().lower();
    if announced > bytes_max {
        return Err(BodyError::TooLarge);
    }
    let begin = Instant::now();
    let mut bytes = Vec::new();
    // Time in which memory was waited for is not the peer's.
    let mut waited = Duration::ZERO;
    loop {
        let allowed = BODY_WAIT_BASE + Duration::from_secs(bytes.len() as u64 / BODY_RATE_MIN) + waited;
        let until = (begin + allowed).min(Instant::now() + quiet_max);
        let frame = match timeout_at(until, body.frame()).await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(error))) => return Err(BodyError::Broken(error.to_string())),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if (bytes.len() + data.len()) as u64 > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if bytes.capacity() - bytes.len() < data.len() {
            let room = (bytes.len() + data.len()).max(2 * bytes.len());
            let asked = Instant::now();
            lease.grow_to(room).await;
            waited += asked.elapsed();
            bytes.reserve_exact(room - bytes.len());
        }
        bytes.extend_from_slice(&data);
    }
}

/// Reads the rest of a body that is refused, for a while, and forgets it.
pub(crate) async fn discard(mut body: Incoming) {
    let read = async { while matches!(body.frame().await, Some(Ok(_))) {} };
    let _ = timeout(DISCARD_WAIT_MAX, read).await;
}
