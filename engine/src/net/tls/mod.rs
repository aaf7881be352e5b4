//! TLS on rustls with ring: contexts from Fluentd's parameters, for servers and clients.

mod client;
mod clients;
mod error;
mod files;
mod identity;
mod issue;
mod server;
mod verify;
mod version;
mod version1;

pub use client::{ClientOptions, ClientParameters, TlsClient};
pub use error::TlsError;
pub use issue::Subject;
pub use server::{ClientAuth, Identity, server_config};
pub use version::{TLS_VERSIONS, protocol_versions};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use std::sync::{Arc, OnceLock};

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// The system's CAs, and what went wrong when they were read.
pub fn system_roots() -> (RootCertStore, Vec<String>) {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    for certificate in loaded.certs {
        // One damaged certificate among the system's hundred does not matter.
        let _ = roots.add(certificate);
    }
    (roots, loaded.errors.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests;
