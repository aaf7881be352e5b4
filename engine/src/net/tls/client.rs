//! The client side of TLS.

use super::identity::certified_key;
use super::verify::Verifier;
use super::{TlsError, files};
use rustls::ClientConfig;
use rustls::SupportedProtocolVersion;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

/// What a client demands and shows.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Allowed protocol versions.
    pub versions: &'static [&'static SupportedProtocolVersion],
    /// Whether to take any certificate.
    pub insecure: bool,
    /// Whether the certificate must name the server.
    pub verify_hostname: bool,
    /// Files of CAs, or of servers' own certificates, that are trusted beside the system's CAs.
    pub trusted: Vec<String>,
    /// The client's own certificate chain.
    pub certificates: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// The key's passphrase.
    pub passphrase: Option<String>,
}

/// Names of the parameters that [`ClientOptions`] was filled from, for error messages.
#[derive(Clone, Copy, Debug)]
pub struct ClientParameters {
    /// Trusted certificates (`tls_cert_path`).
    pub trusted: &'static str,
    /// The client's certificate (`tls_client_cert_path`).
    pub certificates: &'static str,
    /// The client's key (`tls_client_private_key_path`).
    pub key: &'static str,
}

/// Makes TLS connections.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
}

impl TlsClient {
    /// Reads all files and makes the context.
    pub fn new(options: &ClientOptions, names: ClientParameters) -> Result<Self, TlsError> {
        let provider = super::provider();
        let mut trusted = Vec::new();
        for path in &options.trusted {
            trusted.extend(files::certificates(names.trusted, path)?);
        }
        let verifier = Verifier::new(&provider, trusted, options.insecure, options.verify_hostname);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(options.versions)
            .map_err(|error| TlsError::new("tls_version", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&options.certificates, &options.key) {
            (Some(certificates), Some(key)) => {
                let chain = files::certificates(names.certificates, certificates)?;
                let key = files::private_key(names.key, key, options.passphrase.as_deref())?;
                let key = certified_key(&provider, chain, key)
                    .map_err(|message| TlsError::new(names.key, message))?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            (Some(_), None) => {
                return Err(TlsError::new(
                    names.certificates,
                    format!("{} is required when {} is specified", names.key, names.certificates),
                ));
            }
            (None, Some(_)) => {
                return Err(TlsError::new(
                    names.key,
                    format!("{} is required when {} is specified", names.certificates, names.key),
                ));
            }
            (None, None) => builder.with_no_client_auth(),
        };
        config.enable_sni = options.verify_hostname;
        // Fluentd's servers end a handshake that resumes a session ("session id context uninitialized").
        config.resumption = Resumption::disabled();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// The context, for a client library that opens its connections itself.
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(self.connector.config())
    }

    /// Shakes hands on `tcp`. `name` is what the certificate must name; without one, it is the peer's address.
    pub async fn connect(&self, tcp: TcpStream, name: Option<&str>) -> io::Result<TlsStream<TcpStream>> {
        let server = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is not a host name"))
            })?,
            None => ServerName::IpAddress(canonical(tcp.peer_addr()?.ip()).into()),
        };
        Ok(TlsStream::Client(self.connector.connect(server, tcp).await?))
    }
}

/// An IPv4 address that was mapped into IPv6, as itself.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
