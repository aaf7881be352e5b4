//! The server side of TLS.

use super::clients::Verifier;
use super::identity::certified_key;
use super::{TlsError, files, issue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// Where a server's certificate comes from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// From files: leaf first, intermediates behind it in the same file.
    Files {
        /// `cert_path`
        certificates: String,
        /// `private_key_path`
        key: String,
        /// `private_key_passphrase`
        passphrase: Option<String>,
    },
    /// Made at the start and signed by a CA.
    Ca {
        /// `ca_cert_path`
        certificate: String,
        /// `ca_private_key_path`
        key: String,
        /// `ca_private_key_passphrase`
        passphrase: Option<String>,
        /// What the certificate says.
        subject: issue::Subject,
    },
    /// Made at the start, signed by itself.
    SelfSigned(issue::Subject),
}

/// Which clients a server accepts.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// All; no certificate is asked for.
    None,
    /// Those with a certificate of the CAs in this file, or of the system's CAs.
    Required(Option<String>),
}

/// Makes the context. Certificates are read once, here.
pub fn server_config(
    identity: &Identity,
    clients: &ClientAuth,
    versions: &'static [&'static SupportedProtocolVersion],
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = super::provider();
    let (chain, key) = load(identity)?;
    let key =
        certified_key(&provider, chain, key).map_err(|message| TlsError::new("private_key_path", message))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::new("version", error.to_string()))?;
    let builder = match clients {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Required(path) => {
            let (roots, authorities) = match path {
                Some(path) => file_roots("ca_path", path)?,
                None => (super::system_roots().0, Vec::new()),
            };
            builder.with_client_cert_verifier(Arc::new(Verifier::new(provider, roots, authorities)?))
        }
    };
    Ok(Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)))))
}

fn load(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    match identity {
        Identity::Files { certificates, key, passphrase } => Ok((
            files::certificates("cert_path", certificates)?,
            files::private_key("private_key_path", key, passphrase.as_deref())?,
        )),
        Identity::Ca { certificate, key, passphrase, subject } => {
            let (leaf, leaf_key) = issue::signed_by_ca(subject, certificate, key, passphrase.as_deref())?;
            Ok((vec![leaf], leaf_key))
        }
        Identity::SelfSigned(subject) => {
            let (leaf, key) = issue::self_signed(subject)?;
            Ok((vec![leaf], key))
        }
    }
}

fn file_roots(
    parameter: &'static str,
    path: &str,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let mut roots = RootCertStore::empty();
    let certificates = files::certificates(parameter, path)?;
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| TlsError::new(parameter, format!("{path}: not usable as a CA: {error}")))?;
    }
    Ok((roots, certificates))
}
