//! What peers send to in_forward.

/// Bytes of a connection, behind a byte that says how they are cut.
pub fn forward_messages(data: &[u8]) {
    logweir_plugins::in_forward::fuzz(data);
}

/// HELO up to a length that the first byte gives, then PONG: what a server sends to out_forward.
pub fn client_handshake(data: &[u8]) {
    logweir_plugins::out_forward::fuzz(data);
}

/// A compressed payload, behind a byte that says how and in which steps it is inflated.
pub fn inflate(data: &[u8]) {
    logweir_plugins::fuzz_inflate(data);
}
