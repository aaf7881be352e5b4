//! A certificate chain with the key that belongs to it.

use super::version1;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Puts chain and key together; the error says why they do not fit. rustls itself would refuse a certificate of
/// version 1 here, which peers may well accept.
pub(super) fn certified_key(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| format!("the private key cannot be used: {error}"))?;
    let leaf = chain.first().ok_or("there is no certificate")?;
    let leaf = version1::parse(leaf).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    if let Some(public) = key.public_key()
        && public.as_ref() != leaf.public_key().raw
    {
        return Err("the private key does not belong to the certificate".to_owned());
    }
    Ok(CertifiedKey::new(chain, key))
}
