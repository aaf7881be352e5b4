//! Why the API server did not answer as it should.

use hyper::StatusCode;
use std::error::Error;
use std::io;

/// See the module.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// No connection, or one that broke, or no answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The server's certificate is not trusted, or not the server's.
    #[error("{0}")]
    Certificate(String),
    /// The token's file cannot be read.
    #[error("{0}")]
    Token(String),
    /// An answer that is no success.
    #[error("{status}: {message}")]
    Status { status: StatusCode, message: String },
    /// The version that a watch was to begin at is forgotten.
    #[error("410 Gone: {0}")]
    Gone(String),
    /// An answer that is none.
    #[error("{0}")]
    Broken(String),
}

/// What is said of an error once, and not for each one of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ErrorKind {
    Unreachable,
    Certificate,
    Token,
    Unauthorized,
    Forbidden,
    Other,
}

impl ApiError {
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable(_) => ErrorKind::Unreachable,
            Self::Certificate(_) => ErrorKind::Certificate,
            Self::Token(_) => ErrorKind::Token,
            Self::Status { status: StatusCode::UNAUTHORIZED, .. } => ErrorKind::Unauthorized,
            Self::Status { status: StatusCode::FORBIDDEN, .. } => ErrorKind::Forbidden,
            Self::Status { .. } | Self::Gone(_) | Self::Broken(_) => ErrorKind::Other,
        }
    }

    /// Of an error of the HTTP client.
    pub(super) fn of_client(error: &(dyn Error + 'static)) -> Self {
        let text = describe(error);
        let mut cause = Some(error);
        while let Some(error) = cause {
            if is_certificate(error) {
                return Self::Certificate(text);
            }
            cause = error.source();
        }
        Self::Unreachable(text)
    }

    /// Of an answer that is no success, with its body: a `Status` of Kubernetes, or whatever a proxy says.
    pub(super) fn of_answer(status: StatusCode, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct StatusJson {
            message: String,
        }
        let message = match serde_json::from_slice::<StatusJson>(body) {
            Ok(said) => said.message,
            Err(_) => String::from_utf8_lossy(body).trim().chars().take(SHOWN_MAX).collect(),
        };
        match status {
            StatusCode::GONE => Self::Gone(message),
            _ => Self::Status { status, message },
        }
    }
}

/// How much of an answer is shown.
const SHOWN_MAX: usize = 500;

/// Errors of TLS come as the inside of errors of I/O, which may be within each other.
fn is_certificate(error: &(dyn Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.is_some_and(|inner| is_certificate(inner))
}

/// An error with what caused it, which is what the user can act on.
fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some errors say what their cause says.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says() {
        let body = br#"{"kind":"Status","status":"Failure","message":"pods is forbidden","reason":"Forbidden","code":403}"#;
        let error = ApiError::of_answer(StatusCode::FORBIDDEN, body);
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.to_string(), "403 Forbidden: pods is forbidden");
        let error =
            ApiError::of_answer(StatusCode::BAD_GATEWAY, format!(" {} ", "x".repeat(2000)).as_bytes());
        assert_eq!(error.to_string(), format!("502 Bad Gateway: {}", "x".repeat(SHOWN_MAX)));
        assert!(matches!(ApiError::of_answer(StatusCode::GONE, b""), ApiError::Gone(_)));
    }

    #[test]
    fn a_certificate_is_told_from_other_troubles() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = io::Error::new(io::ErrorKind::InvalidData, tls);
        assert_eq!(ApiError::of_client(&error).kind(), ErrorKind::Certificate);
        assert_eq!(ApiError::of_client(&io::Error::other(error)).kind(), ErrorKind::Certificate);
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(ApiError::of_client(&refused).kind(), ErrorKind::Unreachable);
    }
}
