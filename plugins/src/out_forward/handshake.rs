//! HELO, PING and PONG, the client's side (forward protocol v1).

use crate::forward::{hex, is_equal, password_digest, random, shared_key_digest};
use logweir_engine::msgpack::{Kind, Reader, write_array_len, write_str};
use std::io;

/// What a client shows.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) self_hostname: String,
    pub(super) shared_key: String,
    pub(super) username: String,
    pub(super) password: String,
}

/// What HELO says.
#[derive(Debug, PartialEq, Eq)]
struct Helo {
    nonce: Vec<u8>,
    /// Empty if users are not checked.
    auth: Vec<u8>,
}

/// What PONG says.
struct Pong<'a> {
    ok: bool,
    reason: &'a [u8],
    hostname: &'a [u8],
    digest: &'a [u8],
}

/// A handshake whose PING has been made.
#[derive(Debug)]
pub(super) struct Handshake {
    salt: String,
    nonce: Vec<u8>,
}

impl Handshake {
    /// Reads HELO and makes PING. `None` if it is no HELO.
    pub(super) fn begin(credentials: &Credentials, helo: &[u8]) -> io::Result<Option<(Self, Vec<u8>)>> {
        let salt = hex(&random()?);
        Ok(read_helo(helo).map(|helo| {
            let ping = make_ping(credentials, &helo, &salt);
            (Self { salt, nonce: helo.nonce }, ping)
        }))
    }

    /// Checks PONG; answers what the server calls itself. The error is the reason for the refusal, of either side.
    pub(super) fn finish(&self, credentials: &Credentials, pong: &[u8]) -> Result<String, String> {
        let invalid = || "invalid format for PONG message".to_owned();
        let Some(Pong { ok, reason, hostname, digest }) = read_pong(pong) else { return Err(invalid()) };
        if !ok {
            return Err(format!("authentication failed: {}", String::from_utf8_lossy(reason)));
        }
        if hostname == credentials.self_hostname.as_bytes() {
            return Err("same hostname between input and output: invalid configuration".to_owned());
        }
        let key = credentials.shared_key.as_bytes();
        let expected = shared_key_digest(self.salt.as_bytes(), hostname, &self.nonce, key);
        if !is_equal(digest, expected.as_bytes()) {
            return Err("shared key mismatch".to_owned());
        }
        Ok(String::from_utf8_lossy(hostname).into_owned())
    }
}

fn read_helo(bytes: &[u8]) -> Option<Helo> {
    let mut reader = Reader::new(bytes);
    if reader.read_array_len().ok()? != 2 || reader.read_bytes().ok()? != b"HELO" {
        return None;
    }
    let mut helo = Helo { nonce: Vec::new(), auth: Vec::new() };
    if reader.peek().ok()? == Kind::Nil {
        return Some(helo);
    }
    for _ in 0..reader.read_map_len().ok()? {
        let name = reader.read_value().ok()?.bytes();
        let value = reader.read_value().ok()?.bytes().unwrap_or_default();
        match name {
            Some(b"nonce") => helo.nonce = value.to_vec(),
            Some(b"auth") => helo.auth = value.to_vec(),
            _ => {}
        }
    }
    Some(helo)
}

fn make_ping(credentials: &Credentials, helo: &Helo, salt: &str) -> Vec<u8> {
    let Credentials { self_hostname, shared_key, username, password } = credentials;
    let digest =
        shared_key_digest(salt.as_bytes(), self_hostname.as_bytes(), &helo.nonce, shared_key.as_bytes());
    let (user, password) = if helo.auth.is_empty() {
        ("", String::new())
    } else {
        (username.as_str(), password_digest(&helo.auth, username.as_bytes(), password.as_bytes()))
    };
    let mut out = Vec::with_capacity(320);
    write_array_len(&mut out, 6);
    for field in ["PING", self_hostname, salt, &digest, user, &password] {
        write_str(&mut out, field.as_bytes());
    }
    out
}

fn read_pong(bytes: &[u8]) -> Option<Pong<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.read_array_len().ok()? != 5 || reader.read_bytes().ok()? != b"PONG" {
        return None;
    }
    let ok = reader.read_bool().ok()?;
    let mut next = || reader.read_bytes().ok();
    Some(Pong { ok, reason: next()?, hostname: next()?, digest: next()? })
}

/// The body of a fuzz target: HELO, of a length that the first byte gives, then PONG. Panics if a server that does not know
/// the shared key is trusted.
#[cfg(feature = "fuzz")]
pub fn fuzz(data: &[u8]) {
    let Some((length, bytes)) = data.split_first() else { return };
    let (helo, pong) = bytes.split_at(usize::from(*length).min(bytes.len()));
    let credentials = Credentials {
        self_hostname: "client".to_owned(),
        shared_key: "key".to_owned(),
        username: "user".to_owned(),
        password: "password".to_owned(),
    };
    let read = read_helo(helo);
    if let Some(helo) = &read {
        make_ping(&credentials, helo, "salt");
    }
    let handshake =
        Handshake { salt: "salt".to_owned(), nonce: read.map(|helo| helo.nonce).unwrap_or_default() };
    assert!(handshake.finish(&credentials, pong).is_err(), "nobody guesses a digest");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::vectors::{AUTH, NONCE, PASSWORD_DIGEST, PING_DIGEST, PONG_DIGEST, SALT};
    use logweir_engine::msgpack::{write_bin, write_bool, write_map_len, write_nil};

    fn credentials() -> Credentials {
        Credentials {
            self_hostname: "client.example".to_owned(),
            shared_key: "secret".to_owned(),
            username: "user1".to_owned(),
            password: "pw1".to_owned(),
        }
    }

    fn helo(auth: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_array_len(&mut out, 2);
        write_str(&mut out, b"HELO");
        write_map_len(&mut out, 3);
        write_str(&mut out, b"nonce");
        write_bin(&mut out, &NONCE);
        write_str(&mut out, b"auth");
        write_bin(&mut out, auth);
        write_str(&mut out, b"keepalive");
        write_bool(&mut out, true);
        out
    }

    fn pong(ok: bool, reason: &str, hostname: &str, digest: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_array_len(&mut out, 5);
        write_str(&mut out, b"PONG");
        write_bool(&mut out, ok);
        for field in [reason, hostname, digest] {
            write_str(&mut out, field.as_bytes());
        }
        out
    }

    #[test]
    fn ping_proves_the_key_and_the_password() {
        let salt = std::str::from_utf8(SALT).unwrap();
        let fields = |auth: &[u8]| {
            let ping = make_ping(&credentials(), &read_helo(&helo(auth)).unwrap(), salt);
            let mut reader = Reader::new(&ping);
            assert_eq!(reader.read_array_len().unwrap(), 6);
            let mut next = || String::from_utf8(reader.read_str().unwrap().to_vec()).unwrap();
            [next(), next(), next(), next(), next(), next()]
        };
        assert_eq!(fields(b""), ["PING", "client.example", salt, PING_DIGEST, "", ""]);
        assert_eq!(fields(&AUTH), ["PING", "client.example", salt, PING_DIGEST, "user1", PASSWORD_DIGEST]);
    }

    #[test]
    fn pong_must_prove_the_key_too() {
        let handshake = Handshake { salt: String::from_utf8(SALT.to_vec()).unwrap(), nonce: NONCE.to_vec() };
        let finish = |pong: &[u8]| handshake.finish(&credentials(), pong);
        assert_eq!(finish(&pong(true, "", "server.example", PONG_DIGEST)), Ok("server.example".to_owned()));
        for (answer, reason) in [
            (pong(false, "shared_key mismatch", "", ""), "authentication failed: shared_key mismatch"),
            (
                pong(true, "", "client.example", PONG_DIGEST),
                "same hostname between input and output: invalid configuration",
            ),
            (pong(true, "", "server.example", ""), "shared key mismatch"),
            (pong(true, "", "other.example", PONG_DIGEST), "shared key mismatch"),
            (b"\x91\xa4PONG".to_vec(), "invalid format for PONG message"),
            (vec![0xc0], "invalid format for PONG message"),
        ] {
            assert_eq!(finish(&answer), Err(reason.to_owned()));
        }
    }

    #[test]
    fn what_is_no_helo() {
        for bytes in [&[0xc0][..], b"\x92\xa4PONG\x80", b"\x91\xa4HELO", b"\x92\xa4HELO\x05", &helo(b"")[..9]]
        {
            assert_eq!(read_helo(bytes), None, "{bytes:x?}");
        }
        let mut without_options = b"\x92\xa4HELO".to_vec();
        write_nil(&mut without_options);
        assert_eq!(read_helo(&without_options), Some(Helo { nonce: Vec::new(), auth: Vec::new() }));
    }
}
