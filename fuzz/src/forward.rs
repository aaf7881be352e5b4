//! What peers send to in_forward.

/// Bytes of a connection, behind a byte that says how they are cut.
pub fn forward_messages(data: &[u8]) {
    logweir_plugins::in_forward::fuzz(data);
}
