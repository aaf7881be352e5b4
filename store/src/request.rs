//! What a request to ClickHouse's HTTP interface says in its URL and its headers.

use crate::compression::Encoding;
use crate::error::Exception;
use base64::Engine as _;
use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};

/// A request for a query, without its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryRequest {
    /// `query` of the URL.
    pub(crate) query: Vec<u8>,
    /// `query_id`, if the client chose one.
    pub(crate) query_id: Option<String>,
    /// `database`.
    pub(crate) database: Option<String>,
    /// `default_format`.
    pub(crate) default_format: Option<String>,
    /// Settings, in order.
    pub(crate) settings: Vec<(String, Vec<u8>)>,
    /// `session_id`.
    pub(crate) session: Option<SessionRequest>,
    /// `compress`: the answer is to be in ClickHouse's frames.
    pub(crate) compress: bool,
    /// `decompress`: the body is in them.
    pub(crate) decompress: bool,
    /// The body's `Content-Encoding`.
    pub(crate) encoding: Option<Encoding>,
    /// What the answer is to be packed in.
    pub(crate) accept: Option<Encoding>,
    /// `wait_end_of_query`
    pub(crate) wait_end_of_query: bool,
    /// `buffer_size`
    pub(crate) buffer_bytes: Option<usize>,
}

/// See [`QueryRequest::session`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRequest {
    /// Its name.
    pub(crate) id: String,
    /// `session_check`: it must be there.
    pub(crate) must_exist: bool,
    /// `session_timeout`, seconds.
    pub(crate) timeout_s: u64,
    /// `close_session`: it ends with this query.
    pub(crate) close: bool,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// ClickHouse's defaults for sessions, seconds.
const SESSION_TIMEOUT_S: u64 = 60;
const SESSION_TIMEOUT_MAX_S: u64 = 3600;

impl QueryRequest {
    /// From the URL's parameters and the headers.
    pub(crate) fn parse(url_query: &str, headers: &HeaderMap) -> Result<(Self, Credentials), Exception> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.to_ascii_lowercase().starts_with("multipart/") {
            return Err(Exception::not_implemented(
                "the embedded store takes no multipart bodies; put external tables into a temporary table of a session",
            ));
        }
        let mut request = Self { encoding: content_encoding(headers)?, ..Self::default() };
        let (mut user, mut password) = (None, None);
        let (mut session_id, mut must_exist, mut timeout_s, mut close) =
            (None, false, SESSION_TIMEOUT_S, false);
        let mut http_compression = false;
        request.database = header(headers, "x-clickhouse-database")?;
        request.default_format = header(headers, "x-clickhouse-format")?;
        for (name, value) in parameters(url_query) {
            let text = || {
                String::from_utf8(value.clone())
                    .map_err(|_| Exception::bad_arguments(format!("{name} in the URL is not UTF-8")))
            };
            match name.as_str() {
                "query" => request.query = value,
                "query_id" => request.query_id = Some(text()?).filter(|id| !id.is_empty()),
                "database" => request.database = Some(text()?).filter(|name| !name.is_empty()),
                "default_format" => request.default_format = Some(text()?).filter(|name| !name.is_empty()),
                "user" => user = Some(text()?),
                "password" => password = Some(text()?),
                "session_id" => session_id = Some(text()?).filter(|id| !id.is_empty()),
                "session_check" => must_exist = flag(&name, &text()?)?,
                "session_timeout" => {
                    timeout_s =
                        text()?.parse().ok().filter(|seconds| *seconds <= SESSION_TIMEOUT_MAX_S).ok_or_else(
                            || Exception::new(374, "INVALID_SESSION_TIMEOUT", "Invalid session timeout"),
                        )?;
                }
                "close_session" => close = flag(&name, &text()?)?,
                "compress" => request.compress = flag(&name, &text()?)?,
                "decompress" => request.decompress = flag(&name, &text()?)?,
                "enable_http_compression" => http_compression = flag(&name, &text()?)?,
                "wait_end_of_query" => request.wait_end_of_query = flag(&name, &text()?)?,
                "buffer_size" => {
                    let size = text()?.parse();
                    request.buffer_bytes =
                        Some(size.map_err(|_| {
                            Exception::bad_arguments("buffer_size in the URL is not a number")
                        })?);
                }
                // The store has no quotas and no roles, prints no stack traces, and knows one protocol.
                "quota_key" | "stacktrace" | "client_protocol_version" => {}
                "role" => return Err(Exception::not_implemented("the embedded store has no roles")),
                _ => request.settings.push((name, value)),
            }
        }
        if http_compression {
            request.accept = accepted(headers);
        }
        request.session = session_id.map(|id| SessionRequest { id, must_exist, timeout_s, close });
        let credentials = credentials(headers, user, password)?;
        Ok((request, credentials))
    }
}

/// The parameters of a URL, decoded.
pub(crate) fn parameters(url_query: &str) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    url_query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (String::from_utf8_lossy(&decode(name)).into_owned(), decode(value))
    })
}

/// Undoes percent-encoding, and `+` for a space.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => match digit(at + 1).zip(digit(at + 2)) {
                Some((high, low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                None => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    out
}

fn flag(name: &str, text: &str) -> Result<bool, Exception> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => {
            Err(Exception::new(467, "CANNOT_PARSE_BOOL", format!("Cannot parse {name}={text} as a boolean")))
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>, Exception> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Exception::bad_arguments(format!("the header {name} is not UTF-8")))?;
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// One of three ways, as in ClickHouse: its own headers, basic authentication, the URL. Mixing them is an error.
fn credentials(
    headers: &HeaderMap,
    user: Option<String>,
    password: Option<String>,
) -> Result<Credentials, Exception> {
    const DEFAULT: &str = "default";
    let failed = |message: &str| {
        Exception::new(516, "AUTHENTICATION_FAILED", format!("Invalid authentication: {message}"))
    };
    let own_user = header(headers, "x-clickhouse-user")?;
    let own_key = header(headers, "x-clickhouse-key")?;
    let basic = headers.get(AUTHORIZATION);
    let ways =
        [own_user.is_some() || own_key.is_some(), basic.is_some(), user.is_some() || password.is_some()];
    if ways.iter().filter(|used| **used).count() > 1 {
        return Err(failed("it is not allowed to use several ways of authentication simultaneously"));
    }
    if let Some(basic) = basic {
        let decoded = basic
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, encoded)| base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| failed("only the 'Basic' HTTP Authorization scheme is supported"))?;
        let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
        let user = if user.is_empty() { DEFAULT } else { user };
        return Ok(Credentials { user: user.to_owned(), password: password.to_owned() });
    }
    let user = own_user.or(user).filter(|user| !user.is_empty()).unwrap_or_else(|| DEFAULT.to_owned());
    Ok(Credentials { user, password: own_key.or(password).unwrap_or_default() })
}

fn content_encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Exception> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
    let name = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    if name.is_empty() || name == "identity" {
        return Ok(None);
    }
    Encoding::parse(&name).map(Some).ok_or_else(|| {
        Exception::not_implemented(format!(
            "Unknown compression method {name}; gzip, deflate, zstd and lz4 are known"
        ))
    })
}

/// The first of ClickHouse's order that the client takes and the store knows.
fn accepted(headers: &HeaderMap) -> Option<Encoding> {
    let list = headers.get(ACCEPT_ENCODING)?.to_str().ok()?.to_ascii_lowercase();
    let takes = |name: &str| {
        list.split(',').any(|part| {
            let mut part = part.split(';').map(str::trim);
            part.next() == Some(name) && !part.any(|weight| weight.replace(' ', "") == "q=0")
        })
    };
    ["lz4", "gzip", "deflate", "zstd"].into_iter().find(|name| takes(name)).and_then(Encoding::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn urls() {
        let url = "query=SELECT+%27a%26b%27&database=d&max_threads=2&param_x=1%092&query_id=q&wait_end_of_query=1&\
                   session_id=s&session_timeout=5&%zz=";
        let (request, credentials) = QueryRequest::parse(url, &headers(&[])).unwrap();
        assert_eq!(request.query, b"SELECT 'a&b'");
        assert_eq!(request.settings[0], ("max_threads".to_owned(), b"2".to_vec()));
        assert_eq!(request.settings[1], ("param_x".to_owned(), b"1\t2".to_vec()));
        assert_eq!(request.settings[2].0, "%zz");
        assert!(request.wait_end_of_query && request.query_id.as_deref() == Some("q"));
        assert_eq!(request.session.unwrap().timeout_s, 5);
        assert_eq!(credentials, Credentials { user: "default".to_owned(), password: String::new() });
        let error = |url| QueryRequest::parse(url, &headers(&[])).unwrap_err().code;
        assert_eq!(
            [error("wait_end_of_query=x"), error("session_timeout=4000"), error("role=r")],
            [467, 374, 48]
        );
        assert_eq!(error("database=%ff"), 36);
    }

    #[test]
    fn three_ways_to_say_who_one_is() {
        let who = |url: &str, pairs: &[(&'static str, &str)]| {
            QueryRequest::parse(url, &headers(pairs)).map(|(_, who)| (who.user, who.password))
        };
        let ada = Ok(("ada".to_owned(), "p:w".to_owned()));
        assert_eq!(who("user=ada&password=p%3Aw", &[]), ada);
        assert_eq!(who("", &[("x-clickhouse-user", "ada"), ("x-clickhouse-key", "p:w")]), ada);
        assert_eq!(who("", &[("authorization", "Basic YWRhOnA6dw==")]), ada);
        assert_eq!(who("user=ada", &[("x-clickhouse-key", "p")]).unwrap_err().code, 516);
        assert_eq!(who("", &[("authorization", "Bearer x")]).unwrap_err().code, 516);
    }

    #[test]
    fn what_bodies_are_packed_in() {
        let parse = |url: &str, pairs: &[(&'static str, &str)]| QueryRequest::parse(url, &headers(pairs));
        let accept =
            |value| parse("enable_http_compression=1", &[("accept-encoding", value)]).unwrap().0.accept;
        assert_eq!(accept("deflate, gzip;q=0.5, zstd"), Some(Encoding::Gzip));
        assert_eq!(accept("br, zstd"), Some(Encoding::Zstd));
        assert_eq!(accept("gzip;q=0, br"), None);
        assert_eq!(parse("", &[("accept-encoding", "gzip")]).unwrap().0.accept, None);
        assert_eq!(parse("", &[("content-encoding", "gzip")]).unwrap().0.encoding, Some(Encoding::Gzip));
        assert_eq!(parse("", &[("content-encoding", "br")]).unwrap_err().code, 48);
        assert_eq!(parse("", &[("content-type", "multipart/form-data; boundary=x")]).unwrap_err().code, 48);
    }
}
