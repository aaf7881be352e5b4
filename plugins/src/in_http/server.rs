//! The listening socket, and what becomes of a request.

use super::cors::Allowed;
use super::fields::Fields;
use super::multipart;
use super::records::{Common, Reader, time_of_request};
use super::settings::Settings;
use crate::http_server::{Answer, BodyError, discard, read_body, serve};
use crate::inflate::{Compression, InflateError, Inflater};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request;
use hyper::{Method, Request, StatusCode, Version};
use logweir_engine::delivery::{EmitError, Origin, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::net::{Lease, MemoryPool, StreamServer};
use logweir_engine::plugin::{InputContext, StartError};
use logweir_engine::{log_debug, log_error, log_warn};
use std::net::SocketAddr;
use std::sync::Arc;

/// A GIF of one pixel.
const EMPTY_IMAGE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\xff\x00\xff\xff\xff\x00\x00\x00\
    \x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00\x3b";

/// Bytes of a path. Tags made of file paths (4096 at most) are the longest that are seen.
const PATH_BYTES_MAX: usize = 8192;

/// Inflated bytes between two looks at the memory pool.
const INFLATE_STEP: usize = 256 * 1024;

/// What an answer says when a buffer is full: when it is worth trying again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Serves requests in the background. Answers the address that the input listens on.
pub(super) fn listen(settings: Settings, context: &InputContext) -> Result<SocketAddr, StartError> {
    log_debug!(context.log, "listening http", bind = settings.server.bind, port = settings.server.port);
    let net = StreamServer::new(settings.server.clone(), context);
    let server = Arc::new(Server {
        memory: MemoryPool::new(settings.memory),
        net: net.clone(),
        context: context.clone(),
        settings,
    });
    net.listen(move |connection| {
        let server = server.clone();
        async move {
            let address = connection.address;
            let (keepalive, context) = (server.settings.keepalive, &server.context);
            serve(connection, keepalive, &context.stop, &context.log, |request| {
                let server = server.clone();
                Box::pin(async move { server.answer(request, address).await })
            })
            .await;
        }
    })
}

struct Server {
    settings: Settings,
    context: InputContext,
    net: Arc<StreamServer>,
    memory: Arc<MemoryPool>,
}

/// Why a request brought no events.
enum Refused {
    /// With this answer, after which the connection is closed.
    Closing(Answer),
    /// With 400 and this reason.
    Bad(String),
    /// The events were not taken.
    Emit(EmitError),
    /// The events are not durable.
    Commit(String),
}

impl Server {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let (head, body) = request.into_parts();
        let keeps_alive = keeps_alive(&head);
        let origin = head.headers.get(header::ORIGIN).map(HeaderValue::as_bytes);
        if head.method == Method::GET {
            // A health check.
            self.forget(&head, body);
            return closing(text(StatusCode::OK, ""));
        }
        if head.method == Method::OPTIONS {
            self.forget(&head, body);
            return closing(self.preflight(&head.headers, origin));
        }
        let allowed =
            self.settings.cors.as_ref().filter(|cors| cors.concerns(origin)).map(|cors| cors.allows(origin));
        if matches!(allowed, Some(None)) {
            self.forget(&head, body);
            return closing(text(StatusCode::FORBIDDEN, ""));
        }
        let mut answer = match self.take(&head, body, peer).await {
            Ok(()) => self.success(),
            Err(Refused::Closing(answer)) => return closing(answer),
            Err(refused) => self.failure(refused, peer),
        };
        if let Some(Some(allowed)) = allowed {
            allow(answer.headers_mut(), allowed);
        }
        if keeps_alive {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Keep-Alive"));
            return answer;
        }
        closing(answer)
    }

    /// Reads a body that nobody wants, while the answer is written; see [`discard`]. A peer that waits to be asked for it is
    /// not asked.
    fn forget(&self, head: &request::Parts, body: Incoming) {
        if !body.is_end_stream() && !head.headers.contains_key(header::EXPECT) {
            self.context.tasks.spawn(discard(body));
        }
    }

    /// Emits the events of a request and waits until they are durable.
    async fn take(&self, head: &request::Parts, body: Incoming, peer: SocketAddr) -> Result<(), Refused> {
        let path = head.uri.path();
        if path.len() > PATH_BYTES_MAX {
            return Err(Refused::Bad(format!("the path has more than {PATH_BYTES_MAX} bytes")));
        }
        let tag = self.tag(path);
        let mut lease = self.memory.lease();
        let body = self.body(&head.headers, body, peer, &mut lease).await?;
        let size = body.len();
        let (mut body, is_binary) = self.inflated(&head.headers, body, peer, &mut lease).await?;
        let inflated = body.len();
        let fields = self.fields(head, &mut body);
        let remote_addr = self.settings.add_remote_addr.then(|| remote_addr(&head.headers, peer));
        if fields.are_too_many() {
            return Err(Refused::Bad("the request has too many parameters".to_owned()));
        }
        let time = fields.get(b"time").map(time_of_request);
        let common = Common::new(time, &fields, remote_addr.as_ref().map(Option::as_deref));
        // JSON text grows when it becomes MessagePack: numbers by three at most.
        lease.grow_to(size + inflated * 4).await;
        let parsed = self.settings.reader.parse(&body, is_binary, &fields).map_err(Refused::Bad)?;
        let expected = parsed.entries_size(&common);
        if expected > self.settings.inflate.bytes {
            // Tiny records that get many fields.
            return Err(too_large());
        }
        lease.grow_to(size + inflated * 4 + expected as usize).await;
        let entries = parsed.entries(&common).map_err(Refused::Bad)?;
        if entries.count == 0 {
            log_debug!(self.context.log, "incoming event is invalid", path = path);
            return Ok(());
        }
        drop((body, fields));
        let stream = EventStream::new(tag, entries.bytes.into(), entries.count);
        let mut receipt = Receipt::durable(Origin::None);
        self.context.emit(stream, &mut receipt).await.map_err(Refused::Emit)?;
        receipt.committed().await.map_err(|error| Refused::Commit(error.to_string()))
    }

    /// The path with dots for slashes; empty parts at the end are none.
    fn tag(&self, path: &str) -> Tag {
        let path = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
        let tag = path.replace('/', ".");
        match &self.settings.tag_prefix {
            Some(prefix) => Tag::new(&format!("{prefix}.{tag}")),
            None => Tag::new(&tag),
        }
    }

    async fn body(
        &self,
        headers: &HeaderMap,
        mut body: Incoming,
        peer: SocketAddr,
        lease: &mut Lease,
    ) -> Result<Vec<u8>, Refused> {
        let settings = &self.settings;
        match headers.get(header::EXPECT).map(HeaderValue::as_bytes) {
            None => {}
            Some(b"100-continue") => {
                let announced = headers.get(header::CONTENT_LENGTH).and_then(|size| size.to_str().ok());
                let announced = announced.and_then(|size| size.parse::<u64>().ok());
                if announced.is_some_and(|size| size >= settings.body_max) {
                    return Err(too_large());
                }
            }
            Some(_) => return Err(Refused::Closing(text(StatusCode::EXPECTATION_FAILED, ""))),
        }
        match read_body(&mut body, settings.body_max, settings.keepalive, lease).await {
            Ok(bytes) => Ok(bytes),
            Err(BodyError::TooLarge) => {
                self.refused_body(peer, "body_size_limit");
                self.context.tasks.spawn(discard(body));
                Err(too_large())
            }
            Err(BodyError::TooSlow) => {
                self.refused_body(peer, "too_slow");
                Err(Refused::Closing(text(StatusCode::REQUEST_TIMEOUT, "")))
            }
            Err(BodyError::Broken(_)) => {
                self.refused_body(peer, "malformed");
                Err(Refused::Closing(text(StatusCode::BAD_REQUEST, "")))
            }
        }
    }

    fn refused_body(&self, peer: SocketAddr, reason: &'static str) {
        if self.net.closed(peer.ip(), reason) && self.settings.dump_error_log {
            let host = peer.ip().to_canonical().to_string();
            log_warn!(self.context.log, "a request was refused", host = host, reason = reason);
        }
    }

    /// The body without its Content-Encoding, and whether Ruby would tag it as binary: what was inflated, and what is not
    /// all ASCII.
    async fn inflated(
        &self,
        headers: &HeaderMap,
        body: Vec<u8>,
        peer: SocketAddr,
        lease: &mut Lease,
    ) -> Result<(Vec<u8>, bool), Refused> {
        let compression = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            Some(b"gzip") => Compression::Gzip,
            Some(b"deflate") => Compression::Zlib,
            _ => {
                let is_binary = !body.is_ascii();
                return Ok((body, is_binary));
            }
        };
        match self.inflate(compression, body.into(), lease).await {
            Ok(inflated) => Ok((inflated, true)),
            Err(error) => {
                if self.net.closed(peer.ip(), "decompression") {
                    log_warn!(
                        self.context.log,
                        "fails to decode payload",
                        host = peer.ip().to_canonical().to_string(),
                        error = error.to_string()
                    );
                }
                Err(Refused::Closing(text(StatusCode::BAD_REQUEST, "")))
            }
        }
    }

    async fn inflate(
        &self,
        compression: Compression,
        body: Bytes,
        lease: &mut Lease,
    ) -> Result<Vec<u8>, InflateError> {
        let mut inflater = Inflater::new(compression, &body, self.settings.inflate)?;
        let mut out = Vec::new();
        loop {
            lease.grow_to(body.len() + out.len().max(out.capacity()) + INFLATE_STEP).await;
            if inflater.step(&mut out, INFLATE_STEP)? {
                return Ok(out);
            }
            tokio::task::yield_now().await;
        }
    }

    /// The named values of a request, of which its body is one, or holds some, unless a parser reads it.
    fn fields(&self, head: &request::Parts, body: &mut Vec<u8>) -> Fields {
        let settings = &self.settings;
        let mut fields = Fields::new(settings.add_http_headers, settings.add_query_params);
        let query = head.uri.query().unwrap_or_default().as_bytes();
        fields.add_query(query);
        if matches!(settings.reader, Reader::BuiltIn(_)) {
            let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
            fields.add_body(kind, std::mem::take(body));
        }
        if settings.add_query_params {
            fields.add_query_params(query);
        }
        if settings.add_http_headers {
            for name in head.headers.keys() {
                let values = head.headers.get_all(name).iter().map(|value| value.as_bytes().to_vec());
                fields.add_header(name.as_str().as_bytes(), values.collect());
            }
        }
        fields
    }

    /// The answer to a browser that asks whether a page may send.
    fn preflight(&self, headers: &HeaderMap, origin: Option<&[u8]>) -> Answer {
        let method = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes);
        let allowed = self.settings.cors.as_ref().and_then(|cors| cors.allows(origin));
        let (Some(b"POST"), Some(allowed)) = (method, allowed) else {
            return text(StatusCode::FORBIDDEN, "");
        };
        let mut answer = text(StatusCode::OK, "");
        let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let all = answer.headers_mut();
        all.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        all.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            wanted.unwrap_or_else(|| HeaderValue::from_static("")),
        );
        allow(all, allowed);
        answer
    }

    fn success(&self) -> Answer {
        if self.settings.empty_image {
            let mut answer = Answer::new(Full::new(Bytes::from_static(EMPTY_IMAGE)));
            let kind = HeaderValue::from_static("image/gif; charset=utf-8");
            answer.headers_mut().insert(header::CONTENT_TYPE, kind);
            return answer;
        }
        if self.settings.no_content {
            let mut answer = Answer::default();
            *answer.status_mut() = StatusCode::NO_CONTENT;
            return answer;
        }
        text(StatusCode::OK, "")
    }

    fn failure(&self, refused: Refused, peer: SocketAddr) -> Answer {
        let logs = self.settings.dump_error_log && self.net.may_log(peer.ip(), "failed request");
        let (log, host) = (&self.context.log, peer.ip().to_canonical().to_string());
        let (reason, may_retry) = match refused {
            Refused::Closing(answer) => return answer,
            Refused::Bad(reason) => {
                if logs {
                    log_error!(log, "failed to process request", host = host, error = reason);
                }
                return text(StatusCode::BAD_REQUEST, format!("400 Bad Request\n{reason}\n"));
            }
            Refused::Emit(error) => {
                let may_retry = matches!(error, EmitError::BufferOverflow | EmitError::Shutdown);
                (error.to_string(), may_retry)
            }
            Refused::Commit(reason) => (reason, true),
        };
        if logs {
            log_error!(log, "failed to emit data", host = host, error = reason);
        }
        let mut answer =
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("500 Internal Server Error\n{reason}\n"));
        if may_retry {
            answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        answer
    }
}

/// The peer's address, or what a proxy says it is; `None` if it says nothing.
fn remote_addr(headers: &HeaderMap, peer: SocketAddr) -> Option<Vec<u8>> {
    match headers.get(HeaderName::from_static("x-forwarded-for")) {
        Some(addresses) if addresses.is_empty() => None,
        Some(addresses) => addresses.as_bytes().split(|byte| *byte == b',').next().map(<[u8]>::to_vec),
        None => Some(peer.ip().to_canonical().to_string().into_bytes()),
    }
}

/// Whether the peer wants to send more requests over the connection.
fn keeps_alive(head: &request::Parts) -> bool {
    let wish = head.headers.get(header::CONNECTION).map_or(&b""[..], HeaderValue::as_bytes);
    let wish = wish.to_ascii_lowercase();
    match crate::text::find(&wish, b"close") {
        Some(_) => false,
        None => head.version == Version::HTTP_11 || crate::text::find(&wish, b"keep-alive").is_some(),
    }
}

fn too_large() -> Refused {
    let mut answer = text(StatusCode::PAYLOAD_TOO_LARGE, "Too large");
    answer.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
    Refused::Closing(answer)
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Answer::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

/// The same answer, after which the connection is closed.
fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn allow(headers: &mut HeaderMap, allowed: Allowed) {
    // It came in a header, so it can go out in one.
    if let Ok(origin) = HeaderValue::from_maybe_shared(Bytes::from(allowed.origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    if allowed.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

impl Fields {
    /// Adds the body under the name that its type stands for, or what a form names.
    fn add_body(&mut self, kind: &[u8], body: Vec<u8>) {
        const NAMES: [(&[u8], &[u8]); 4] = [
            (b"application/json", b"json"),
            (b"application/csp-report", b"json"),
            (b"application/msgpack", b"msgpack"),
            (b"application/x-ndjson", b"ndjson"),
        ];
        if kind.starts_with(b"application/x-www-form-urlencoded") {
            self.add_query(&body);
        } else if let Some(boundary) = multipart::boundary(kind) {
            self.add_multipart(&body, &boundary);
        } else if let Some((_, name)) = NAMES.iter().find(|(prefix, _)| kind.starts_with(prefix)) {
            self.set(name.to_vec(), super::fields::Value::One(body));
        }
    }
}
