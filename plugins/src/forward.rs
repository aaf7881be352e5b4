//! What both ends of the forward protocol share.

use std::io;
use std::sync::OnceLock;

/// Random bytes that nobody can guess, for nonces and salts.
pub(crate) fn random() -> io::Result<[u8; 16]> {
    static PROVIDER: OnceLock<rustls::crypto::CryptoProvider> = OnceLock::new();
    let provider = PROVIDER.get_or_init(rustls::crypto::ring::default_provider);
    let mut bytes = [0; 16];
    provider
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}
