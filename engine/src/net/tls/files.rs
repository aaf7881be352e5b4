//! Certificates and private keys from PEM files.
//!
//! A key may be PKCS#8, PKCS#1 or SEC1, plain or with a passphrase: `ENCRYPTED PRIVATE KEY` (PKCS#8, what OpenSSL has
//! written since 3.0) and the older `Proc-Type: 4,ENCRYPTED` with AES-CBC.

use super::TlsError;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::{Digest, Md5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

/// All certificates of a PEM file, in order. None is an error.
pub(super) fn certificates(
    parameter: &'static str,
    path: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(parameter, path)?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| {
            TlsError::new(parameter, format!("{path}: not a PEM file of certificates: {error}"))
        })?;
    if certificates.is_empty() {
        return Err(TlsError::new(
            parameter,
            format!("{parameter} does not contain a valid certificate: no BEGIN CERTIFICATE in {path}"),
        ));
    }
    Ok(certificates)
}

/// The private key of a PEM file.
pub(super) fn private_key(
    parameter: &'static str,
    path: &str,
    passphrase: Option<&str>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(parameter, path)?;
    let text = String::from_utf8_lossy(&bytes);
    let fail = |message: String| TlsError::new(parameter, format!("{path}: {message}"));
    if let Some(block) = pem_block(&text, "ENCRYPTED PRIVATE KEY") {
        let passphrase = passphrase.ok_or_else(|| fail(NEEDS_PASSPHRASE.to_owned()))?;
        return decrypt_pkcs8(block, passphrase).map_err(fail);
    }
    for label in ["RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        if let Some(block) = pem_block(&text, label)
            && block.contains("Proc-Type: 4,ENCRYPTED")
        {
            let passphrase = passphrase.ok_or_else(|| fail(NEEDS_PASSPHRASE.to_owned()))?;
            let der = decrypt_traditional(block, passphrase).map_err(fail)?;
            return Ok(if label.starts_with("RSA") {
                PrivatePkcs1KeyDer::from(der).into()
            } else {
                PrivateSec1KeyDer::from(der).into()
            });
        }
    }
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| fail(format!("no private key that can be read: {error}")))
}

const NEEDS_PASSPHRASE: &str = "the key is encrypted: give its passphrase";

fn read(parameter: &'static str, path: &str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::new(parameter, format!("cannot read {path}: {error}")))
}

/// The first PEM block with that label, markers included.
fn pem_block<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let start = text.find(&format!("-----BEGIN {label}-----"))?;
    let end_marker = format!("-----END {label}-----");
    let end = text[start..].find(&end_marker)? + start + end_marker.len();
    Some(&text[start..end])
}

fn decrypt_pkcs8(block: &str, passphrase: &str) -> Result<PrivateKeyDer<'static>, String> {
    use pkcs8::der::{Decode, SecretDocument};
    let (_, document) =
        SecretDocument::from_pem(block).map_err(|error| format!("the encrypted key is damaged: {error}"))?;
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::from_der(document.as_bytes())
        .map_err(|error| format!("the encrypted key is damaged: {error}"))?;
    let plain = encrypted
        .decrypt(passphrase)
        .map_err(|error| format!("cannot decrypt the key; is the passphrase right? ({error})"))?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

/// OpenSSL's traditional encryption: `DEK-Info: CIPHER,IV`; the cipher's key is MD5 over (previous digest,
/// passphrase, first 8 bytes of the IV), repeated until it is long enough.
fn decrypt_traditional(block: &str, passphrase: &str) -> Result<Vec<u8>, String> {
    let dek = block
        .lines()
        .find_map(|line| line.strip_prefix("DEK-Info:"))
        .ok_or("the encrypted key has no DEK-Info line")?;
    let (cipher, iv) = dek.trim().split_once(',').ok_or("the DEK-Info line of the key is damaged")?;
    let iv = hex(iv.trim()).filter(|iv| iv.len() >= 8).ok_or("the DEK-Info line of the key is damaged")?;
    let body: String = block
        .lines()
        .filter(|line| !line.starts_with("-----") && !line.contains(':'))
        .map(str::trim)
        .collect();
    let mut data = base64(&body).ok_or("the encrypted key is not base64")?;
    let key = traditional_key(passphrase.as_bytes(), &iv[..8]);
    let wrong = "cannot decrypt the key; is the passphrase right?";
    let plain = match cipher {
        "AES-128-CBC" => cbc::Decryptor::<aes::Aes128>::new_from_slices(&key[..16], &iv)
            .map_err(|_| wrong)?
            .decrypt_padded::<Pkcs7>(&mut data),
        "AES-192-CBC" => cbc::Decryptor::<aes::Aes192>::new_from_slices(&key[..24], &iv)
            .map_err(|_| wrong)?
            .decrypt_padded::<Pkcs7>(&mut data),
        "AES-256-CBC" => cbc::Decryptor::<aes::Aes256>::new_from_slices(&key[..32], &iv)
            .map_err(|_| wrong)?
            .decrypt_padded::<Pkcs7>(&mut data),
        other => {
            return Err(format!(
                "keys encrypted with {other} are not supported; convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
            ));
        }
    };
    Ok(plain.map_err(|_| wrong)?.to_vec())
}

fn traditional_key(passphrase: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let first = Md5::new().chain_update(passphrase).chain_update(salt).finalize();
    let second = Md5::new().chain_update(first).chain_update(passphrase).chain_update(salt).finalize();
    key[..16].copy_from_slice(&first);
    key[16..].copy_from_slice(&second);
    key
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits = 0u32;
    let mut count = 0;
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}
