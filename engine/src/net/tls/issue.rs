//! Certificates that Logweir makes for itself: self-signed (`insecure true`) or signed by the user's own CA
//! (`ca_cert_path`).
//!
//! The new key is an ECDSA key on P-256 (P-384 for `generate_cert_digest sha384` or `sha512`): ring makes no RSA keys, and
//! every TLS 1.2 client of the last decade takes ECDSA. The CA's own key may be RSA.

use super::{TlsError, files};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::time::{Duration, SystemTime};

/// What a generated certificate says.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `generate_cert_country`
    pub country: String,
    /// `generate_cert_state`
    pub state: String,
    /// `generate_cert_locality`
    pub locality: String,
    /// `generate_cert_common_name`, or the host's name; also the certificate's alternative name.
    pub common_name: String,
    /// `generate_cert_expiration`
    pub expiration: Duration,
    /// Whether `generate_cert_digest` asks for more than SHA-256.
    pub strong: bool,
}

/// A certificate and its key.
pub(super) type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A self-signed certificate.
pub(super) fn self_signed(subject: &Subject) -> Result<Pair, TlsError> {
    let key = new_key(subject)?;
    let certificate = parameters(subject)
        .and_then(|parameters| parameters.self_signed(&key))
        .map_err(|error| TlsError::new("insecure", format!("cannot make a certificate: {error}")))?;
    Ok((certificate.der().clone(), der(&key)))
}

/// A certificate that the CA in these files signs.
pub(super) fn signed_by_ca(
    subject: &Subject,
    ca_certificate: &str,
    ca_key: &str,
    ca_passphrase: Option<&str>,
) -> Result<Pair, TlsError> {
    let certificate = files::certificates("ca_cert_path", ca_certificate)?.swap_remove(0);
    let ca_key = signing_key(files::private_key("ca_private_key_path", ca_key, ca_passphrase)?)?;
    let issuer = Issuer::from_ca_cert_der(&certificate, ca_key).map_err(|error| {
        TlsError::new("ca_cert_path", format!("{ca_certificate} cannot be used as a CA: {error}"))
    })?;
    let key = new_key(subject)?;
    let certificate = parameters(subject)
        .and_then(|parameters| parameters.signed_by(&key, &issuer))
        .map_err(|error| TlsError::new("ca_cert_path", format!("cannot make a certificate: {error}")))?;
    Ok((certificate.der().clone(), der(&key)))
}

fn parameters(subject: &Subject) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, subject.country.as_str());
    name.push(DnType::StateOrProvinceName, subject.state.as_str());
    name.push(DnType::LocalityName, subject.locality.as_str());
    name.push(DnType::CommonName, subject.common_name.as_str());
    parameters.distinguished_name = name;
    parameters.subject_alt_names = match subject.common_name.parse() {
        Ok(address) => vec![SanType::IpAddress(address)],
        Err(_) => vec![SanType::DnsName(subject.common_name.as_str().try_into()?)],
    };
    parameters.not_before = SystemTime::UNIX_EPOCH.into();
    parameters.not_after = (SystemTime::now() + subject.expiration.min(EXPIRATION_MAX)).into();
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

fn new_key(subject: &Subject) -> Result<KeyPair, TlsError> {
    let algorithm =
        if subject.strong { &rcgen::PKCS_ECDSA_P384_SHA384 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
    KeyPair::generate_for(algorithm)
        .map_err(|error| TlsError::new("insecure", format!("cannot make a private key: {error}")))
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// rcgen with ring signs with PKCS#8 keys only; the older forms are put into its envelope (RFC 5958):
/// `SEQUENCE { INTEGER 0, SEQUENCE { algorithm }, OCTET STRING key }`.
fn signing_key(key: PrivateKeyDer<'static>) -> Result<KeyPair, TlsError> {
    let fail = |message: String| TlsError::new("ca_private_key_path", message);
    let pkcs8 = match &key {
        PrivateKeyDer::Pkcs1(key) => envelope(RSA_ENCRYPTION, key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => {
            let key = key.secret_sec1_der();
            let algorithm = [EC_P256, EC_P384]
                .into_iter()
                .find(|algorithm| memchr::memmem::find(key, &algorithm[EC_CURVE_AT..]).is_some())
                .ok_or_else(|| fail("the CA's key is on a curve other than P-256 and P-384".to_owned()))?;
            envelope(algorithm, key)
        }
        PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
        _ => return Err(fail("the CA's key is of an unknown kind".to_owned())),
    };
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8))
        .map_err(|error| fail(format!("the CA's key cannot sign: {error}")))
}

const RSA_ENCRYPTION: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const EC_P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
const EC_P384: &[u8] =
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
/// Where the curve's identifier begins in the two above.
const EC_CURVE_AT: usize = 9;

fn envelope(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut body = vec![0x02, 0x01, 0x00, 0x30, algorithm.len() as u8];
    body.extend_from_slice(algorithm);
    body.push(0x04);
    der_length(key.len(), &mut body);
    body.extend_from_slice(key);
    let mut out = vec![0x30];
    der_length(body.len(), &mut out);
    out.extend_from_slice(&body);
    out
}

fn der_length(length: usize, out: &mut Vec<u8>) {
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let bytes = length.to_be_bytes();
    let used = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    out.push(0x80 | used.len() as u8);
    out.extend_from_slice(used);
}

/// X.509 times end with the year 9999; a century is long enough.
const EXPIRATION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
