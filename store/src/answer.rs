//! The engine's output as the answer to an HTTP request.
//!
//! An answer that fits into the buffer is sent whole, with the status that the query ended with. A longer one is sent as it
//! comes; if the query fails after that, its exception is at the end, between marks that the head announced, as ClickHouse
//! does it, and the connection is broken off:
//!
//! ```text
//! \r\n__exception__\r\nTAG\r\nCode: ... \nLENGTH TAG\r\n__exception__\r\n
//! ```

use crate::compression::{Encoding, Packer};
use crate::engine::Facts;
use crate::error::Exception;
use crate::library::Statistics;
use crate::pool::Waiter;
use crate::spool::{Space, Spool};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::http::response::Builder;
use hyper::{Response, StatusCode};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// ClickHouse's `buffer_size`.
pub(crate) const BUFFER_BYTES: usize = 1 << 20;
/// The largest `buffer_size`.
pub(crate) const BUFFER_BYTES_MAX: usize = 64 << 20;
/// Pieces in which output is read.
const PIECE_BYTES: usize = 256 << 10;
/// How long the connection is kept for an exception at the end to be sent.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The length of an exception's tag.
const TAG_CHARS: usize = 16;

/// What an answer says of itself.
pub(crate) struct Shape {
    pub(crate) query_id: String,
    /// The output's format, as ClickHouse writes it, and its content type.
    pub(crate) format: Option<(String, String)>,
    pub(crate) timezone: String,
    pub(crate) accept: Option<Encoding>,
    pub(crate) framed: bool,
}

/// A query that runs.
pub(crate) struct Output {
    pub(crate) pipe: Receiver,
    pub(crate) outcome: JoinHandle<Result<Statistics, Exception>>,
    /// Cancels the query if the client goes away.
    pub(crate) _waiter: Waiter,
}

/// An answer that is text.
pub(crate) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    response
}

/// An answer that is an exception.
pub(crate) fn exception(error: &Exception, facts: &Facts, query_id: Option<&str>) -> Response<Body> {
    let mut response = plain(error.status(), error.text(&facts.version));
    let headers = response.headers_mut();
    headers.insert("x-clickhouse-exception-code", error.code.into());
    for (name, value) in [
        ("x-clickhouse-server-display-name", Some(facts.display_name.as_str())),
        ("x-clickhouse-query-id", query_id),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

/// Waits for output, and answers with it.
pub(crate) async fn answer(
    mut output: Output,
    shape: Shape,
    facts: &Facts,
    buffer_bytes: usize,
    whole: Option<&Arc<Space>>,
) -> Response<Body> {
    if let Some(space) = whole {
        return match keep(&mut output, space).await {
            Ok((spool, statistics)) => kept(spool, &statistics, &shape, facts),
            Err(error) => exception(&error, facts, Some(&shape.query_id)),
        };
    }
    let mut buffer = BytesMut::new();
    let ended = loop {
        if buffer.len() >= buffer_bytes {
            break false;
        }
        buffer.reserve(PIECE_BYTES);
        match output.pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break true,
            Ok(_) => {}
        }
    };
    if ended {
        return match outcome(&mut output.outcome).await {
            Ok(statistics) => packed(buffer.freeze(), &statistics, &shape, facts),
            Err(error) => exception(&error, facts, Some(&shape.query_id)),
        };
    }
    streamed(output, buffer.freeze(), &shape, facts)
}

/// `wait_end_of_query=1`: nothing is sent before the query has ended.
async fn keep(output: &mut Output, space: &Arc<Space>) -> Result<(Spool, Statistics), Exception> {
    let mut spool = Spool::new(space)?;
    let mut buffer = BytesMut::with_capacity(PIECE_BYTES);
    while output.pipe.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        spool.write(&buffer)?;
        buffer.clear();
    }
    Ok((spool, outcome(&mut output.outcome).await?))
}

fn kept(spool: Spool, statistics: &Statistics, shape: &Shape, facts: &Facts) -> Response<Body> {
    let parts = spool.reader().and_then(|reader| Ok((reader, packer(shape)?)));
    let (reader, packer) = match parts {
        Ok(parts) => parts,
        Err(error) => return exception(&error, facts, Some(&shape.query_id)),
    };
    // The spool lives as long as its reader is read.
    let state = Some((reader, packer, spool));
    let body = stream::try_unfold(state, |state| async move {
        let Some((mut reader, mut packer, spool)) = state else { return Ok(None) };
        let mut piece = vec![0; PIECE_BYTES];
        let read = tokio::task::block_in_place(|| reader.read(&mut piece))?;
        piece.truncate(read);
        if read == 0 {
            return Ok(Some((Frame::data(packer.finish()?), None)));
        }
        Ok(Some((Frame::data(packer.push(piece.into())?), Some((reader, packer, spool)))))
    });
    finish(head(shape, facts, Some(statistics)), StreamBody::new(body).boxed_unsync())
}

fn packed(output: Bytes, statistics: &Statistics, shape: &Shape, facts: &Facts) -> Response<Body> {
    let pack = || {
        let mut packer = packer(shape)?;
        let mut bytes = BytesMut::from(&packer.push(output).map_err(cannot_pack)?[..]);
        bytes.extend_from_slice(&packer.finish().map_err(cannot_pack)?);
        Ok(bytes.freeze())
    };
    match pack() {
        Ok(bytes) => finish(head(shape, facts, Some(statistics)), full(bytes)),
        Err(error) => exception(&error, facts, Some(&shape.query_id)),
    }
}

fn streamed(output: Output, first: Bytes, shape: &Shape, facts: &Facts) -> Response<Body> {
    let packer = match packer(shape) {
        Ok(packer) => packer,
        Err(error) => return exception(&error, facts, Some(&shape.query_id)),
    };
    let tag = tag();
    let head = head(shape, facts, None).header("x-clickhouse-exception-tag", &tag);
    let version = facts.version.clone();
    enum State {
        Open(Box<(Output, Packer, Bytes)>),
        Failed,
        Done,
    }
    let state = State::Open(Box::new((output, packer, first)));
    let body = stream::unfold(state, move |state| {
        let (tag, version) = (tag.clone(), version.clone());
        async move {
            let (mut output, mut packer, first) = match state {
                State::Open(open) => *open,
                State::Failed => {
                    // What breaks off at once is not sent.
                    tokio::time::sleep(LAST_WORDS).await;
                    return Some((Err(io::ErrorKind::ConnectionAborted.into()), State::Done));
                }
                State::Done => return None,
            };
            let mut piece = BytesMut::from(&first[..]);
            let read = match piece.is_empty() {
                true => {
                    piece.reserve(PIECE_BYTES);
                    output.pipe.read_buf(&mut piece).await.unwrap_or(0)
                }
                false => piece.len(),
            };
            if read > 0 {
                let packed = packer.push(piece.freeze());
                let open = State::Open(Box::new((output, packer, Bytes::new())));
                return Some((packed.map(Frame::data), open));
            }
            match outcome(&mut output.outcome).await {
                Ok(_) => Some((packer.finish().map(Frame::data), State::Done)),
                Err(error) => Some((Ok(Frame::data(late(&error, &tag, &version))), State::Failed)),
            }
        }
    });
    finish(head, StreamBody::new(body).boxed_unsync())
}

/// An exception after the head.
fn late(error: &Exception, tag: &str, version: &str) -> Bytes {
    let text = error.text(version);
    format!("\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n", text.len()).into()
}

fn tag() -> String {
    let mut random = [0; TAG_CHARS];
    // Without random numbers the tag is a constant, which only makes it less unlikely in data.
    let _ = getrandom::fill(&mut random);
    random.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

fn head(shape: &Shape, facts: &Facts, statistics: Option<&Statistics>) -> Builder {
    let mut head = Response::builder()
        .header("x-clickhouse-query-id", &shape.query_id)
        .header("x-clickhouse-timezone", &shape.timezone)
        .header("x-clickhouse-server-display-name", &facts.display_name)
        .header("x-clickhouse-summary", summary(&statistics.copied().unwrap_or_default()));
    if let Some((format, content_type)) = &shape.format {
        head = head.header("x-clickhouse-format", format).header(CONTENT_TYPE, content_type);
    }
    if let Some(encoding) = shape.accept.filter(|_| !shape.framed) {
        head = head.header(CONTENT_ENCODING, encoding.name());
    }
    head
}

fn summary(statistics: &Statistics) -> String {
    format!(
        "{{\"read_rows\":\"{}\",\"read_bytes\":\"{}\",\"written_rows\":\"{}\",\"written_bytes\":\"{}\",\
         \"total_rows_to_read\":\"0\",\"result_rows\":\"{}\",\"result_bytes\":\"{}\",\"elapsed_ns\":\"{}\"}}",
        statistics.read_rows,
        statistics.read_bytes,
        statistics.written_rows,
        statistics.written_bytes,
        statistics.result_rows,
        statistics.result_bytes,
        (statistics.elapsed_s * 1e9) as u64
    )
}

async fn outcome(handle: &mut JoinHandle<Result<Statistics, Exception>>) -> Result<Statistics, Exception> {
    handle.await.unwrap_or_else(|error| {
        Err(Exception::new(1002, "UNKNOWN_EXCEPTION", format!("the query's thread failed: {error}")))
    })
}

fn packer(shape: &Shape) -> Result<Packer, Exception> {
    Packer::new(shape.accept, shape.framed).map_err(cannot_pack)
}

fn cannot_pack(error: io::Error) -> Exception {
    Exception::new(1002, "UNKNOWN_EXCEPTION", format!("cannot compress the answer: {error}"))
}

/// The head's values come from clients (query id, time zone); one that cannot stand in a header spoils it.
fn finish(head: Builder, body: Body) -> Response<Body> {
    head.body(body).unwrap_or_else(|_| {
        plain(StatusCode::BAD_REQUEST, "a value of the request cannot stand in a header\n")
    })
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_after_the_head() {
        let error = Exception::new(159, "TIMEOUT_EXCEEDED", "Timeout exceeded");
        let text = "Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED) (version 1)\n";
        let expected = format!("\r\n__exception__\r\nabc\r\n{text}{} abc\r\n__exception__\r\n", text.len());
        assert_eq!(late(&error, "abc", "1"), expected);
        assert!(tag() != tag() && tag().len() == TAG_CHARS);
    }
}
