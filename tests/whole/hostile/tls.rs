//! TLS: who is let in, and certificates that change.

use super::*;
use std::process::{Command, Stdio};

const SOURCE: &str = "@type forward
  bind 127.0.0.1
  handshake_timeout 15s
  <transport tls>
    cert_path DIR/server.crt
    private_key_path DIR/server.key
    client_cert_auth true
    ca_path DIR/ca.crt
  </transport>";

/// What makes the certificates: a CA, a server's, and clients' that are good, expired and of another CA.
const CERTIFICATES: &str = r#"
set -e
cd "$0"
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" -keyout $1.key -out $1.crt \
    -addext basicConstraints=critical,CA:TRUE; }
leaf() { # name, CA, not before, not after
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n' > ext
    openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -extfile ext -out $1.crt $3
}
ca ca; ca other
leaf server ca "-days 30"; leaf server2 ca "-days 30"
leaf client ca "-days 30"; leaf stranger other "-days 30"
leaf expired ca "-days -1"
"#;

fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").arg("-c").arg(CERTIFICATES).arg(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", crate::logweir::words(&made));
    dir
}

/// Sends a message in TLS; answers what the server said, and what openssl did.
fn send(dir: &Path, port: u16, client: Option<&str>, version: &str, message: &[u8]) -> (Vec<u8>, String) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-no_ign_eof", version, "-connect"]).arg(format!("127.0.0.1:{port}"));
    command.arg("-CAfile").arg(dir.join("ca.crt"));
    if let Some(client) = client {
        command.arg("-cert").arg(dir.join(format!("{client}.crt")));
        command.arg("-key").arg(dir.join(format!("{client}.key")));
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("openssl");
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(message);
    let mut said = vec![0; 1024];
    let count = child.stdout.take().unwrap().read(&mut said).unwrap_or(0);
    said.truncate(count);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (said, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn only_clients_of_our_ca_with_a_version_that_is_safe() {
    let certificates = directory();
    let source = SOURCE.replace("DIR", &certificates.path().display().to_string());
    let mut target = Target::start(&source);
    let message = acked_message("honest", 0);
    for (client, version) in
        [(None, "-tls1_3"), (None, "-tls1_2"), (Some("stranger"), "-tls1_3"), (Some("expired"), "-tls1_3")]
    {
        let (said, _) = send(certificates.path(), target.port, client, version, &message);
        assert!(said.is_empty(), "{client:?} with {version} got {said:?}");
    }
    for version in ["-tls1_1", "-tls1"] {
        let (said, _) = send(certificates.path(), target.port, Some("client"), version, &message);
        assert!(said.is_empty(), "{version}");
    }
    // Without TLS.
    let mut plain = Peer::connect(target.port);
    plain.try_send(&message);
    plain.closed();
    // Nothing at all.
    let mut silent = Peer::connect(target.port);
    for (n, version) in ["-tls1_2", "-tls1_3"].into_iter().enumerate() {
        let message = acked_message("honest", n as u64);
        let (said, words) = send(certificates.path(), target.port, Some("client"), version, &message);
        assert!(!said.is_empty(), "{version}: {words}\n{}", target.logweir.log());
        target.acknowledged.insert(n as u64);
    }
    silent.closed();
    assert!(target.closed("tls_failed") >= 5, "{}", books(target.monitor));
    assert_eq!(target.closed("tls_handshake_timeout"), 1);
    target.complains(&["unexpected error before accepting TLS"], 1);
    target.finish(256);
}

#[test]
fn a_reload_reads_the_certificates_again() {
    let certificates = directory();
    let dir = certificates.path();
    let mut target = Target::start(&SOURCE.replace("DIR", &dir.display().to_string()));
    let subject = |port: u16| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect"]).arg(format!("127.0.0.1:{port}"));
        command.arg("-cert").arg(dir.join("client.crt")).arg("-key").arg(dir.join("client.key"));
        crate::logweir::words(&command.stdin(Stdio::null()).output().unwrap())
    };
    let words = subject(target.port);
    assert!(words.contains("CN = server\n") || words.contains("CN=server\n"), "{words}");
    for file in ["crt", "key"] {
        fs::rename(dir.join(format!("server2.{file}")), dir.join(format!("server.{file}"))).unwrap();
    }
    target.logweir.signal(rustix::process::Signal::HUP);
    target.logweir.wait("the reload", |logweir| logweir.log().contains("the new configuration is running"));
    let words = subject(target.port);
    assert!(words.contains("CN = server2") || words.contains("CN=server2"), "{words}");
    let (said, words) = send(dir, target.port, Some("client"), "-tls1_3", &acked_message("honest", 0));
    assert!(!said.is_empty(), "{words}");
    target.acknowledged.insert(0);
    target.finish(256);
}
