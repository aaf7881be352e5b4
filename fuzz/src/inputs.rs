//! What peers send to in_http and in_syslog.

/// A body, behind a byte that says what it is.
pub fn http_bodies(data: &[u8]) {
    logweir_plugins::in_http::fuzz(data);
}

/// Bytes of a connection, behind two that say how they are framed and cut.
pub fn syslog_frames(data: &[u8]) {
    logweir_plugins::in_syslog::fuzz(data);
}
