//! Servers and clients against each other, with certificates of every kind.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const NAMES: ClientParameters = ClientParameters {
    trusted: "tls_cert_path",
    certificates: "tls_client_cert_path",
    key: "tls_client_private_key_path",
};

fn subject(name: &str) -> Subject {
    Subject {
        country: "US".to_owned(),
        state: "CA".to_owned(),
        locality: "Mountain View".to_owned(),
        common_name: name.to_owned(),
        expiration: Duration::from_secs(3600),
        strong: false,
    }
}

fn client(trusted: &[&Path]) -> ClientOptions {
    ClientOptions {
        versions: protocol_versions("tls_version", None, None, None).unwrap(),
        insecure: false,
        verify_hostname: true,
        trusted: trusted.iter().map(|path| path.display().to_string()).collect(),
        certificates: None,
        key: None,
        passphrase: None,
    }
}

/// A CA, and a leaf signed by it, as PEM files in a directory.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(leaf: CertificateParams) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "test CA");
        let ca_key = KeyPair::generate().unwrap();
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca_certificate.pem()).unwrap();
        std::fs::write(dir.path().join("ca.key"), ca_key.serialize_pem()).unwrap();
        std::fs::write(dir.path().join("leaf.pem"), leaf.pem()).unwrap();
        std::fs::write(dir.path().join("leaf.key"), leaf_key.serialize_pem()).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn identity(&self) -> Identity {
        Identity::Files { certificates: self.text("leaf.pem"), key: self.text("leaf.key"), passphrase: None }
    }
}

/// Shakes hands and sends one byte each way.
async fn meet(
    identity: &Identity,
    auth: &ClientAuth,
    client: &ClientOptions,
    name: Option<&str>,
) -> Result<(), String> {
    let versions = protocol_versions("version", None, None, None).unwrap();
    let acceptor = TlsAcceptor::from(server_config(identity, auth, versions).map_err(|e| e.to_string())?);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await.map_err(|error| error.to_string())?;
        let byte = stream.read_u8().await.map_err(|error| error.to_string())?;
        stream.write_u8(byte).await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())
    });
    let client = TlsClient::new(client, NAMES).map_err(|error| error.to_string())?;
    let tcp = TcpStream::connect(address).await.unwrap();
    let met = async {
        let mut stream = client.connect(tcp, name).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        stream.read_u8().await
    };
    match met.await {
        Ok(byte) => assert_eq!(byte, 7),
        Err(error) => return Err(format!("client: {error}; server: {:?}", server.await.unwrap())),
    }
    server.await.unwrap()
}

#[tokio::test]
async fn a_leaf_of_a_trusted_ca_is_accepted_under_its_name_only() {
    let files = Files::new(CertificateParams::new(["logs.example".to_owned()]).unwrap());
    let ca = client(&[&files.path("ca.pem")]);
    assert_eq!(meet(&files.identity(), &ClientAuth::None, &ca, Some("logs.example")).await, Ok(()));
    let error = meet(&files.identity(), &ClientAuth::None, &ca, Some("other.example")).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let mut lax = client(&[&files.path("ca.pem")]);
    lax.verify_hostname = false;
    assert_eq!(meet(&files.identity(), &ClientAuth::None, &lax, Some("other.example")).await, Ok(()));
}

#[tokio::test]
async fn a_second_connection_resumes_no_session() {
    let files = Files::new(CertificateParams::new(["logs.example".to_owned()]).unwrap());
    let versions = protocol_versions("version", None, None, None).unwrap();
    let acceptor = TlsAcceptor::from(server_config(&files.identity(), &ClientAuth::None, versions).unwrap());
    let client = TlsClient::new(&client(&[&files.path("ca.pem")]), NAMES).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..2 {
        let serve = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(tcp).await.unwrap();
            stream.write_u8(7).await.unwrap();
            stream.flush().await.unwrap();
            let _ = stream.read_u8().await;
        };
        let call = async {
            let tcp = TcpStream::connect(address).await.unwrap();
            let mut stream = client.connect(tcp, Some("logs.example")).await.unwrap();
            // By then the tickets of TLS 1.3 have come, too.
            assert_eq!(stream.read_u8().await.unwrap(), 7);
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
        };
        tokio::join!(serve, call);
    }
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_unless_insecure() {
    let files = Files::new(CertificateParams::new(["logs.example".to_owned()]).unwrap());
    let mut stranger = client(&[]);
    let error =
        meet(&files.identity(), &ClientAuth::None, &stranger, Some("logs.example")).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    stranger.insecure = true;
    assert_eq!(meet(&files.identity(), &ClientAuth::None, &stranger, Some("any.example")).await, Ok(()));
}

#[tokio::test]
async fn a_self_signed_certificate_is_accepted_when_it_is_listed_itself() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(["logs.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let (cert_path, key_path) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&cert_path, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        let identity = Identity::Files {
            certificates: cert_path.display().to_string(),
            key: key_path.display().to_string(),
            passphrase: None,
        };
        let listed = client(&[&cert_path]);
        assert_eq!(meet(&identity, &ClientAuth::None, &listed, Some("logs.example")).await, Ok(()));
        assert!(meet(&identity, &ClientAuth::None, &listed, Some("other.example")).await.is_err());
        assert!(meet(&identity, &ClientAuth::None, &client(&[]), Some("logs.example")).await.is_err());
    }
}

#[tokio::test]
async fn a_common_name_counts_when_there_are_no_alternative_names() {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "*.logs.example");
    let files = Files::new(params);
    let ca = client(&[&files.path("ca.pem")]);
    assert_eq!(meet(&files.identity(), &ClientAuth::None, &ca, Some("a.logs.example")).await, Ok(()));
    assert!(meet(&files.identity(), &ClientAuth::None, &ca, Some("a.b.logs.example")).await.is_err());
    assert!(meet(&files.identity(), &ClientAuth::None, &ca, Some("logs.example")).await.is_err());
}

#[tokio::test]
async fn clients_must_show_a_certificate_when_the_server_demands_one() {
    let files = Files::new(CertificateParams::new(["logs.example".to_owned()]).unwrap());
    let auth = ClientAuth::Required(Some(files.text("ca.pem")));
    let mut options = client(&[&files.path("ca.pem")]);
    assert!(meet(&files.identity(), &auth, &options, Some("logs.example")).await.is_err());
    options.certificates = Some(files.text("leaf.pem"));
    options.key = Some(files.text("leaf.key"));
    assert_eq!(meet(&files.identity(), &auth, &options, Some("logs.example")).await, Ok(()));
    let stranger = Files::new(CertificateParams::new(["logs.example".to_owned()]).unwrap());
    options.certificates = Some(stranger.text("leaf.pem"));
    options.key = Some(stranger.text("leaf.key"));
    assert!(meet(&files.identity(), &auth, &options, Some("logs.example")).await.is_err());
}

#[tokio::test]
async fn generated_certificates_work() {
    let files = Files::new(CertificateParams::default());
    let ca = client(&[&files.path("ca.pem")]);
    let by_ca = Identity::Ca {
        certificate: files.text("ca.pem"),
        key: files.text("ca.key"),
        passphrase: None,
        subject: subject("logs.example"),
    };
    assert_eq!(meet(&by_ca, &ClientAuth::None, &ca, Some("logs.example")).await, Ok(()));
    let mut insecure = client(&[]);
    insecure.insecure = true;
    let alone = Identity::SelfSigned(subject("logs.example"));
    assert_eq!(meet(&alone, &ClientAuth::None, &insecure, None).await, Ok(()));
    let strong = Identity::SelfSigned(Subject { strong: true, ..subject("10.0.0.1") });
    assert_eq!(meet(&strong, &ClientAuth::None, &insecure, None).await, Ok(()));
}

#[test]
fn mistakes_name_the_parameter() {
    let files = Files::new(CertificateParams::default());
    let other = Files::new(CertificateParams::default());
    let versions = protocol_versions("version", None, None, None).unwrap();
    let blame = |certificates: String, key: String| {
        let identity = Identity::Files { certificates, key, passphrase: None };
        server_config(&identity, &ClientAuth::None, versions).unwrap_err().parameter
    };
    assert_eq!(blame("/nowhere.pem".to_owned(), files.text("leaf.key")), "cert_path");
    assert_eq!(blame(files.text("leaf.key"), files.text("leaf.key")), "cert_path");
    assert_eq!(blame(files.text("leaf.pem"), files.text("leaf.pem")), "private_key_path");
    assert_eq!(blame(files.text("leaf.pem"), other.text("leaf.key")), "private_key_path");
}

/// What `openssl req -x509` and `openssl x509 -req` make.
#[tokio::test]
async fn version_1_certificates_of_a_listed_ca_are_accepted_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ca = path("ca.pem", include_str!("testdata/v1_ca.pem"));
    let (certificates, key) =
        (path("v1.pem", include_str!("testdata/v1.pem")), path("v1.key", include_str!("testdata/v1.key")));
    let identity = Identity::Files { certificates: certificates.clone(), key: key.clone(), passphrase: None };
    let mutual = ClientAuth::Required(Some(ca.clone()));
    let other = Files::new(CertificateParams::default());
    for version in ["TLSv1_2", "TLSv1_3"] {
        let mut options = client(&[Path::new(&ca)]);
        options.versions = protocol_versions("tls_version", Some(version), None, None).unwrap();
        options.certificates = Some(certificates.clone());
        options.key = Some(key.clone());
        assert_eq!(meet(&identity, &mutual, &options, Some("logs.example")).await, Ok(()), "{version}");
        assert!(meet(&identity, &mutual, &options, Some("other.example")).await.is_err(), "{version}");
        let stranger = ClientAuth::Required(Some(other.text("ca.pem")));
        assert!(meet(&identity, &stranger, &options, Some("logs.example")).await.is_err(), "{version}");
        options.trusted = vec![other.text("ca.pem")];
        assert!(meet(&identity, &mutual, &options, Some("logs.example")).await.is_err(), "{version}");
    }
}

/// Keys that OpenSSL wrote with the passphrase `secret`, in its present and its older format.
#[test]
fn encrypted_keys_are_decrypted() {
    let versions = protocol_versions("version", None, None, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificates = path("cert.pem", include_str!("testdata/cert.pem"));
    for (name, text) in [
        ("pkcs8.key", include_str!("testdata/pkcs8.key")),
        ("traditional.key", include_str!("testdata/traditional.key")),
    ] {
        let key = path(name, text);
        let with = |passphrase: Option<&str>| {
            let identity = Identity::Files {
                certificates: certificates.clone(),
                key: key.clone(),
                passphrase: passphrase.map(str::to_owned),
            };
            server_config(&identity, &ClientAuth::None, versions).map(|_| ()).map_err(|e| e.message)
        };
        assert_eq!(with(Some("secret")), Ok(()), "{name}");
        let wrong = with(Some("guess")).unwrap_err();
        assert!(wrong.contains("is the passphrase right?") || wrong.contains("cannot be used"), "{wrong}");
        assert!(with(None).unwrap_err().contains("the key is encrypted"), "{name}");
    }
}
