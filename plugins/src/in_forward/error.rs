//! Why a connection ends.

use super::decoder::DecodeError;
use super::message::MessageError;
use super::options::OptionError;
use super::replies::ReplyError;
use crate::inflate::InflateError;
use logweir_engine::delivery::EmitError;
use logweir_engine::net::ReadFailure;
use std::io;

/// Why a connection ends before its peer closes it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Message(#[from] MessageError),
    #[error("{0}")]
    Option(#[from] OptionError),
    #[error("{0}")]
    Inflate(#[from] InflateError),
    #[error("{0}")]
    Emit(#[from] EmitError),
    #[error("{0}")]
    Reply(#[from] ReplyError),
    /// What [`ConnectionError::Reply`] says, seen from the reading side.
    #[error("replies can no longer be sent")]
    RepliesEnded,
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A message, or the handshake, took too long.
    #[error("{0}")]
    TooSlow(&'static str),
    /// Nothing came for idle_timeout.
    #[error("nothing was sent for idle_timeout")]
    Idle,
    /// More values than broken_message_limit that are no messages.
    #[error("{0} values that are no messages; broken_message_limit allows no more")]
    Broken(u64),
    /// The peer began a TLS handshake.
    #[error("the peer speaks TLS, and this port does not: set <transport tls> here, or tls off there")]
    TlsOnPlain,
}

impl ConnectionError {
    /// The class that a log line names.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Decode(DecodeError::Json(_)) => "Yajl::ParseError",
            Self::Decode(_) | Self::Message(MessageError::Entries(_)) => "MessagePack::MalformedFormatError",
            Self::Message(MessageError::Extension) => "MessagePack::UnknownExtTypeError",
            Self::Message(_) | Self::Option(_) => "TypeError",
            Self::Inflate(InflateError::Unknown(_)) => "ArgumentError",
            Self::Inflate(_) => "Zlib::Error",
            Self::Emit(error) => error.class(),
            Self::Reply(ReplyError::Commit(_)) => "Logweir::CommitError",
            Self::Reply(ReplyError::Write(error)) | Self::Read(error) => {
                logweir_engine::net::error_class(error)
            }
            Self::RepliesEnded => "IOError",
            Self::TooSlow(_) | Self::Idle => "Timeout::Error",
            Self::Broken(_) => "TypeError",
            Self::TlsOnPlain => "OpenSSL::SSL::SSLError",
        }
    }

    /// The reason that is counted; `None` if the peer just went away, or the fault is ours.
    pub(super) fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Decode(error) if error.is_too_long() => "message_size_limit",
            Self::Decode(_) | Self::Message(_) | Self::Option(_) => "malformed",
            Self::Inflate(_) => "decompression",
            Self::TooSlow(_) => "too_slow",
            Self::Idle => "idle",
            Self::Broken(_) => "broken_message_limit",
            Self::TlsOnPlain => "tls_on_plain_port",
            Self::Emit(_) | Self::Reply(_) | Self::RepliesEnded | Self::Read(_) => return None,
        })
    }

    /// Whether the peer just went away, which happens all the time.
    pub(super) fn is_disconnect(&self) -> bool {
        match self {
            Self::Read(_) | Self::RepliesEnded | Self::Idle => true,
            Self::Reply(ReplyError::Write(error)) => error.kind() != io::ErrorKind::TimedOut,
            _ => false,
        }
    }
}

impl From<ReadFailure> for ConnectionError {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Read(error) => Self::Read(error),
            ReadFailure::TooSlow(what) => Self::TooSlow(what),
            ReadFailure::Idle => Self::Idle,
        }
    }
}
