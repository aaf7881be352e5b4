//! What both ends of the forward protocol share: the digests of its handshake.

use sha2::{Digest, Sha512};
use std::io;
use std::sync::OnceLock;
use subtle::ConstantTimeEq;

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

/// Whether digests are equal; takes the same time wherever they differ.
pub(crate) fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Hex SHA-512 of salt, hostname, nonce and shared key.
pub(crate) fn shared_key_digest(salt: &[u8], hostname: &[u8], nonce: &[u8], key: &[u8]) -> String {
    let digest = Sha512::new().chain_update(salt).chain_update(hostname).chain_update(nonce);
    hex(&digest.chain_update(key).finalize())
}

/// Hex SHA-512 of auth, user name and password.
pub(crate) fn password_digest(auth: &[u8], username: &[u8], password: &[u8]) -> String {
    let digest = Sha512::new().chain_update(auth).chain_update(username).chain_update(password);
    hex(&digest.finalize())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(crate) mod vectors {
    //! Test vectors of the forward protocol's handshake, with the shared key `secret`.

    use super::*;

    pub(crate) const NONCE: [u8; 16] =
        [0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    pub(crate) const AUTH: [u8; 16] =
        [0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0];
    pub(crate) const SALT: &[u8] = b"0123456789abcdef0123456789abcdef";
    /// Of client.example.
    pub(crate) const PING_DIGEST: &str = "040fa772679ead7c1b6632d9c6274c6bb043e5507bd3bcc5073846602182883fbc6053b05c04e78cbc1cf511c7e2536e566e0c73a971f8c82ca3a1d72468827e";
    /// Of server.example.
    pub(crate) const PONG_DIGEST: &str = "c2f93f7db8aee0c7c728d056fa7fc77a04133c405ce326358f6a93fa1d93d62059b436853af2d228ea573c21a322c1f333876475b079c15f8c48e091f8021a89";
    /// Of user1 with pw1.
    pub(crate) const PASSWORD_DIGEST: &str = "e8aab0bf74811073da42bb759faa4cbd5884e22b00a29efba5c4d137f52a4a304057b9a013d5ba19b695ca2bd9b5a725d9611f302d53476c73015e072c38ef60";

    #[test]
    fn the_digests_are_those_of_the_specification() {
        assert_eq!(shared_key_digest(SALT, b"client.example", &NONCE, b"secret"), PING_DIGEST);
        assert_eq!(shared_key_digest(SALT, b"server.example", &NONCE, b"secret"), PONG_DIGEST);
        assert_eq!(password_digest(&AUTH, b"user1", b"pw1"), PASSWORD_DIGEST);
    }
}
