//! A Kubernetes API server for tests: pods and namespaces over HTTPS, with tokens, client certificates, lists, watches (chunked
//! JSON, one event a line), bookmarks, versions and 410, field selectors, and the troubles that a real one has.
//!
//! It holds what a test puts in, and nothing happens by itself.

mod objects;
mod serve;
mod shapes;

pub use shapes::{Pod, namespace};

use objects::Objects;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::Value;
use serve::Serving;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Only a client that hangs is waited for so long.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// See the module.
pub struct KubernetesApi {
    state: Arc<State>,
    serving: Option<Serving>,
    port: u16,
    tls: Arc<ServerConfig>,
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

/// What connections look at.
pub(crate) struct State {
    objects: Mutex<Objects>,
    changed: Condvar,
}

impl State {
    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().expect("no connection panics")
    }

    /// Waits for a change, or a little while.
    pub(crate) fn wait<'a>(&self, objects: MutexGuard<'a, Objects>) -> MutexGuard<'a, Objects> {
        self.changed.wait_timeout(objects, Duration::from_millis(50)).expect("no connection panics").0
    }

    fn change<T>(&self, what: impl FnOnce(&mut Objects) -> T) -> T {
        let result = what(&mut self.objects());
        self.changed.notify_all();
        result
    }
}

impl KubernetesApi {
    /// A server without objects that takes the token `token-1`. Its directory has `ca.crt` and `token`, as a pod's secrets.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA");
        std::fs::write(dir.path().join("ca.crt"), issuer.pem()).expect("ca.crt");
        std::fs::write(dir.path().join("token"), "token-1\n").expect("token");
        let state =
            Arc::new(State { objects: Mutex::new(Objects::new(&["token-1"])), changed: Condvar::new() });
        let tls = Arc::new(tls(&issuer));
        let serving = Serving::start(0, Arc::clone(&tls), Arc::clone(&state));
        let port = serving.port();
        Self { state, serving: Some(serving), port, tls, issuer, dir }
    }

    /// `https://127.0.0.1:PORT/api`
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/api", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with `ca.crt` and `token`.
    pub fn secrets(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a client's certificate, which counts as much as a token, and answers the files of it and its key.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["logweir".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let paths = (self.dir.path().join("client.crt"), self.dir.path().join("client.key"));
        std::fs::write(&paths.0, certificate.pem()).expect("client.crt");
        std::fs::write(&paths.1, key.serialize_pem()).expect("client.key");
        paths
    }

    /// Creates or replaces an object. Watches are told.
    pub fn put(&self, object: Value) {
        self.state.change(|objects| objects.put(object));
    }

    /// Deletes an object (`Pod`, `shop`, `web-0`; a namespace is in none). Watches are told.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.state.change(|objects| objects.delete(kind, namespace, name));
    }

    /// Tells watches that want bookmarks how far the server is, after changes to objects that they do not watch.
    pub fn bookmark(&self) {
        self.state.change(Objects::bookmark);
    }

    /// Forgets all changes so far: a watch that begins before now is told 410, as an event or, `as_status`, as the answer's
    /// status.
    pub fn forget_history(&self, as_status: bool) {
        self.state.change(|objects| objects.forget_history(as_status));
    }

    /// From now on only these tokens are good.
    pub fn take_tokens(&self, tokens: &[&str]) {
        self.state
            .change(|objects| objects.tokens = tokens.iter().map(|token| (*token).to_owned()).collect());
    }

    /// Refuses what a role does not allow: `list pods`, `watch namespaces`, `get pods`, ...
    pub fn forbid(&self, what: &[&str]) {
        self.state.change(|objects| objects.forbidden = what.iter().map(|what| (*what).to_owned()).collect());
    }

    /// Whether requests are left without an answer for now.
    pub fn hold(&self, is_holding: bool) {
        self.state.change(|objects| objects.is_holding = is_holding);
    }

    /// Ends all watches, as a server does from time to time.
    pub fn end_watches(&self) {
        self.state.change(|objects| objects.ended += 1);
    }

    /// Sends this line to all watches that are open, whatever it is.
    pub fn send_line(&self, line: &str) {
        self.state.change(|objects| objects.sent.push(line.to_owned()));
    }

    /// The requests so far: method, path and query.
    pub fn requests(&self) -> Vec<String> {
        self.state.objects().requests.clone()
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.state.objects().watches
    }

    /// Waits until so many watches are open.
    pub fn wait_for_watches(&self, count: usize) {
        let started = Instant::now();
        let mut objects = self.state.objects();
        while objects.watches != count {
            assert!(
                started.elapsed() < WAIT_MAX,
                "{} watches instead of {count}; requests: {:#?}",
                objects.watches,
                objects.requests
            );
            objects = self.state.wait(objects);
        }
    }

    /// Goes away: closes the port and all connections. Objects stay.
    pub fn stop(&mut self) {
        self.serving = None;
    }

    /// Comes back at the same port.
    pub fn start_again(&mut self) {
        assert!(self.serving.is_none(), "the server is still running");
        self.serving = Some(Serving::start(self.port, Arc::clone(&self.tls), Arc::clone(&self.state)));
    }
}

fn tls(issuer: &CertifiedIssuer<'static, KeyPair>) -> ServerConfig {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
    let certificate: CertificateDer<'static> =
        params.signed_by(&key, issuer).expect("a certificate").der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issuer.der().clone()).expect("our own CA");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .expect("a verifier");
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)
        .expect("our own certificate")
}
