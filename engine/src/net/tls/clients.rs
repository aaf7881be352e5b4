//! How a server checks the certificates of clients: as webpki does, and version 1 as OpenSSL does.

use super::TlsError;
use super::version1::{self, is_version_1};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
    authorities: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// Accepts clients whose certificates these CAs have signed.
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        roots: RootCertStore,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TlsError> {
        let webpki =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(
                |error| TlsError::new("ca_path", format!("no CA for client certificates: {error}")),
            )?;
        Ok(Self { webpki, provider, authorities })
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if is_version_1(certificate) {
            version1::verify_issuer(certificate, &self.authorities, now)?;
            return Ok(ClientCertVerified::assertion());
        }
        self.webpki.verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if is_version_1(certificate) {
            let algorithms = &self.provider.signature_verification_algorithms;
            return version1::verify_tls12_signature(message, certificate, signature, algorithms);
        }
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if is_version_1(certificate) {
            let algorithms = &self.provider.signature_verification_algorithms;
            return version1::verify_tls13_signature(message, certificate, signature, algorithms);
        }
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
