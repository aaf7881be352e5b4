//! I/O errors under the names that Fluentd's users know.

use std::io::{Error, ErrorKind};

/// The Ruby class of an I/O error, for log lines (`Errno::ECONNREFUSED`).
pub fn error_class(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "Errno::EADDRINUSE",
        ErrorKind::AddrNotAvailable => "Errno::EADDRNOTAVAIL",
        ErrorKind::PermissionDenied => "Errno::EACCES",
        ErrorKind::ConnectionRefused => "Errno::ECONNREFUSED",
        ErrorKind::ConnectionReset => "Errno::ECONNRESET",
        ErrorKind::ConnectionAborted => "Errno::ECONNABORTED",
        ErrorKind::BrokenPipe => "Errno::EPIPE",
        ErrorKind::TimedOut => "Errno::ETIMEDOUT",
        ErrorKind::HostUnreachable => "Errno::EHOSTUNREACH",
        ErrorKind::NetworkUnreachable => "Errno::ENETUNREACH",
        ErrorKind::UnexpectedEof => "EOFError",
        ErrorKind::NotFound => "SocketError",
        ErrorKind::InvalidData => "OpenSSL::SSL::SSLError",
        _ if error.raw_os_error().is_none() => "SocketError",
        _ => "SystemCallError",
    }
}
