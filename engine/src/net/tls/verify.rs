//! How a client checks a server's certificate: as OpenSSL does for Fluentd, where webpki alone is stricter.
//!
//! - A certificate that is listed itself among the trusted ones is accepted, although it is no CA's (self-signed
//!   server certificates are deployed that way).
//! - A certificate without alternative names is matched by its common name.
//! - A certificate of X.509 version 1 is accepted from a CA that is listed.

use super::version1::{self, is_version_1};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    trusted: Vec<CertificateDer<'static>>,
    insecure: bool,
    verify_hostname: bool,
}

impl Verifier {
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        trusted: Vec<CertificateDer<'static>>,
        insecure: bool,
        verify_hostname: bool,
    ) -> Self {
        let mut roots = if insecure { RootCertStore::empty() } else { super::system_roots().0 };
        for certificate in &trusted {
            // One that cannot be a CA may still be the server's own, which is compared as a whole.
            let _ = roots.add(certificate.clone());
        }
        Self { provider: provider.clone(), roots, trusted, insecure, verify_hostname }
    }

    fn verify_chain(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.trusted.iter().any(|trusted| trusted == certificate) {
            return version1::verify_dates(&version1::parse(certificate)?, now);
        }
        if is_version_1(certificate) {
            return version1::verify_issuer(certificate, &self.trusted, now);
        }
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )
    }

    fn verify_name(&self, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        let named = if is_version_1(certificate) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        } else {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
        };
        match named {
            Err(error) if !has_common_name(certificate, name) => Err(error),
            _ => Ok(()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.insecure {
            self.verify_chain(certificate, intermediates, now)?;
            if self.verify_hostname {
                self.verify_name(certificate, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if is_version_1(certificate) {
            return version1::verify_tls12_signature(message, certificate, signature, algorithms);
        }
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        if is_version_1(certificate) {
            return version1::verify_tls13_signature(message, certificate, signature, algorithms);
        }
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether the certificate has no alternative names and its common name is `name`, or `*.` and its parent.
fn has_common_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(parsed) = version1::parse(certificate) else { return false };
    if !matches!(parsed.subject_alternative_name(), Ok(None)) {
        return false;
    }
    let name = name.to_str();
    parsed.subject().iter_common_name().filter_map(|attribute| attribute.as_str().ok()).any(|common| {
        common.eq_ignore_ascii_case(&name)
            || match (common.strip_prefix("*."), name.split_once('.')) {
                (Some(parent), Some((_, rest))) => parent.contains('.') && parent.eq_ignore_ascii_case(rest),
                _ => false,
            }
    })
}
