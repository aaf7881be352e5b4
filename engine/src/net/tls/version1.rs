//! X.509 version 1 certificates, which `openssl x509 -req` makes when it is given no extensions file, as in most guides.
//! webpki takes none of them. OpenSSL, and with it Fluentd, does: so such a certificate is accepted when a CA that the
//! user has listed signed it directly. It has no extensions, hence no alternative names and no constraints.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

pub(super) const UNKNOWN_ISSUER: Error = Error::InvalidCertificate(CertificateError::UnknownIssuer);

/// Whether the certificate is of version 1.
pub(super) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.version() == X509Version::V1)
}

/// The certificate as x509-parser reads it.
pub(super) fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Whether one of `authorities` signed the certificate, and both are valid now.
pub(super) fn verify_issuer(
    certificate: &CertificateDer<'_>,
    authorities: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let leaf = parse(certificate)?;
    verify_dates(&leaf, now)?;
    for authority in authorities {
        let Ok(authority) = parse(authority) else { continue };
        if authority.subject().as_raw() == leaf.issuer().as_raw()
            && leaf.verify_signature(Some(authority.public_key())).is_ok()
        {
            return verify_dates(&authority, now);
        }
    }
    Err(UNKNOWN_ISSUER)
}

/// Whether the certificate is valid now.
pub(super) fn verify_dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let now = now.as_secs() as i64;
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now > validity.not_after.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// [`rustls::crypto::verify_tls12_signature`] for such a certificate.
pub(super) fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let key = public_key(certificate)?;
    let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| bad())?;
    let candidates = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
    for algorithm in candidates.flat_map(|(_, algorithms)| algorithms.iter()) {
        // TLS 1.2 does not say which of them it is; the wrong ones do not fit the key.
        if key.verify_signature(*algorithm, message, signature.signature()).is_ok() {
            return Ok(HandshakeSignatureValid::assertion());
        }
    }
    Err(bad())
}

/// [`rustls::crypto::verify_tls13_signature`] for such a certificate.
pub(super) fn verify_tls13_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signature, algorithms)
}

fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    Ok(parse(certificate)?.public_key().raw.to_vec().into())
}
