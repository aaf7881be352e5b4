//! HELO, PING and PONG, the server's side (forward protocol v1).
//!
//! ```text
//! server  ["HELO", {"nonce": bin 16, "auth": bin 16, "keepalive": bool}]
//! client  ["PING", self_hostname, shared_key_salt, digest, username, password digest]
//! server  ["PONG", ok, reason, self_hostname, digest]
//! ```
//!
//! Digests are SHA-512 in lower-case hex: of salt, hostname, nonce and shared key; of auth, username and password. They
//! are compared in constant time.

use super::security::Security;
use crate::forward::{is_equal, password_digest, shared_key_digest};
use logweir_engine::msgpack::{
    Kind, Reader, write_array_len, write_bin, write_bool, write_map_len, write_str,
};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// One connection's handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    nonce: [u8; 16],
    auth: [u8; 16],
}

/// A client that passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The client's self_hostname.
    pub(super) hostname: String,
    /// PONG.
    pub(super) pong: Vec<u8>,
}

/// A client that did not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What the log says; nothing if PING was no PING.
    pub(super) log: Option<&'static str>,
    pub(super) hostname: String,
    pub(super) username: Option<String>,
    /// PONG with the reason.
    pub(super) pong: Vec<u8>,
}

/// PING, taken apart.
#[derive(Debug)]
struct Ping<'a> {
    hostname: &'a [u8],
    salt: &'a [u8],
    digest: &'a [u8],
    username: &'a [u8],
    password_digest: &'a [u8],
}

impl Handshake {
    pub(super) fn new(nonce: [u8; 16], auth: [u8; 16]) -> Self {
        Self { nonce, auth }
    }

    /// HELO. `auth` is there even if users are not checked, as Fluentd has it.
    pub(super) fn helo(&self, keepalive: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        write_array_len(&mut out, 2);
        write_str(&mut out, b"HELO");
        write_map_len(&mut out, 3);
        write_str(&mut out, b"nonce");
        write_bin(&mut out, &self.nonce);
        write_str(&mut out, b"auth");
        write_bin(&mut out, &self.auth);
        write_str(&mut out, b"keepalive");
        write_bool(&mut out, keepalive);
        out
    }

    /// Judges the first message of a client.
    pub(super) fn check(
        &self,
        security: &Security,
        address: IpAddr,
        message: &[u8],
    ) -> Result<Accepted, Box<Refused>> {
        let Some(ping) = Ping::read(message) else {
            return Err(Box::new(Refused {
                log: None,
                hostname: String::new(),
                username: None,
                pong: refusal("invalid ping message"),
            }));
        };
        let hostname = String::from_utf8_lossy(ping.hostname).into_owned();
        let refuse = |log, reason: &str, username: Option<&[u8]>| {
            Err(Box::new(Refused {
                log: Some(log),
                hostname: hostname.clone(),
                username: username.map(|name| String::from_utf8_lossy(name).into_owned()),
                pong: refusal(reason),
            }))
        };
        let client = security.client(address);
        if client.is_none() && !security.allow_anonymous_source {
            let reason = format!("anonymous source host '{address}' denied");
            return refuse("Anonymous client disallowed", &reason, None);
        }
        let shared_key = client.map_or(&security.shared_key, |client| &client.shared_key);
        let expected = shared_key_digest(ping.salt, ping.hostname, &self.nonce, shared_key.as_bytes());
        if !is_equal(ping.digest, expected.as_bytes()) {
            return refuse("Shared key mismatch", "shared_key mismatch", None);
        }
        if security.user_auth {
            let allowed = client.map_or(&[][..], |client| &client.users);
            if !self.is_user(security, allowed, &ping) {
                let reason = "username/password mismatch";
                return refuse("Authentication failed", reason, Some(ping.username));
            }
        }
        let own = security.self_hostname.as_bytes();
        let digest = shared_key_digest(ping.salt, own, &self.nonce, shared_key.as_bytes());
        Ok(Accepted { hostname, pong: pong(true, "", own, &digest) })
    }

    /// Looks at all users, so that the time does not tell which of them exist.
    fn is_user(&self, security: &Security, allowed: &[String], ping: &Ping<'_>) -> bool {
        let mut found = subtle::Choice::from(0);
        for (name, password) in &security.users {
            let may = allowed.is_empty() || allowed.contains(name);
            let digest = password_digest(&self.auth, name.as_bytes(), password.as_bytes());
            found |= subtle::Choice::from(u8::from(may))
                & name.as_bytes().ct_eq(ping.username)
                & digest.as_bytes().ct_eq(ping.password_digest);
        }
        found.into()
    }
}

impl<'a> Ping<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        if reader.read_array_len().ok()? != 6 || reader.read_bytes().ok()? != b"PING" {
            return None;
        }
        let mut next = || reader.read_bytes().ok();
        Some(Self {
            hostname: next()?,
            salt: next()?,
            digest: next()?,
            username: Self::read_optional(&mut reader)?,
            password_digest: Self::read_optional(&mut reader)?,
        })
    }

    /// Text or nil: npm's fluent-logger has no user name where nobody gave it one.
    fn read_optional(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
        if reader.peek().ok()? == Kind::Nil {
            reader.skip().ok()?;
            return Some(b"");
        }
        reader.read_bytes().ok()
    }
}

fn refusal(reason: &str) -> Vec<u8> {
    pong(false, reason, b"", "")
}

fn pong(ok: bool, reason: &str, hostname: &[u8], digest: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(160 + reason.len() + hostname.len());
    write_array_len(&mut out, 5);
    write_str(&mut out, b"PONG");
    write_bool(&mut out, ok);
    write_str(&mut out, reason.as_bytes());
    write_str(&mut out, hostname);
    write_str(&mut out, digest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::super::security::Security;
    use super::*;
    use crate::forward::vectors::{AUTH, NONCE, PASSWORD_DIGEST, PING_DIGEST, PONG_DIGEST, SALT};

    fn security() -> Security {
        Security {
            self_hostname: "server.example".to_owned(),
            shared_key: "secret".to_owned(),
            user_auth: false,
            allow_anonymous_source: true,
            users: vec![("user1".to_owned(), "pw1".to_owned()), ("user2".to_owned(), "pw2".to_owned())],
            clients: Vec::new(),
        }
    }

    fn ping(fields: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        write_array_len(&mut out, fields.len());
        for field in fields {
            write_str(&mut out, field);
        }
        out
    }

    fn usual(digest: &str, username: &str, password_digest: &str) -> Vec<u8> {
        ping(&[
            b"PING",
            b"client.example",
            SALT,
            digest.as_bytes(),
            username.as_bytes(),
            password_digest.as_bytes(),
        ])
    }

    fn check(security: &Security, message: &[u8]) -> Result<Accepted, Box<Refused>> {
        Handshake::new(NONCE, AUTH).check(security, "10.0.0.1".parse().unwrap(), message)
    }

    #[test]
    fn the_right_key_is_answered_with_proof() {
        let accepted = check(&security(), &usual(PING_DIGEST, "", "")).unwrap();
        assert_eq!(accepted.hostname, "client.example");
        assert_eq!(accepted.pong, pong(true, "", b"server.example", PONG_DIGEST));
    }

    #[test]
    fn without_users_the_name_may_be_nil() {
        let usual = usual(PING_DIGEST, "", "");
        let nil = [&usual[..usual.len() - 2], &[0xc0, 0xc0]].concat();
        assert!(check(&security(), &nil).is_ok());
    }

    #[test]
    fn refusals_say_why() {
        let wrong = PING_DIGEST.replace('0', "1");
        let refused = check(&security(), &usual(&wrong, "", "")).unwrap_err();
        assert_eq!(refused.log, Some("Shared key mismatch"));
        assert_eq!(refused.pong, refusal("shared_key mismatch"));
        for message in [
            ping(&[b"PING", b"client.example", SALT, PING_DIGEST.as_bytes(), b""]),
            ping(&[b"PONG", b"client.example", SALT, PING_DIGEST.as_bytes(), b"", b""]),
            vec![0x93, 0xa1, b't', 1, 0x80],
            vec![0x96, 1, 2, 3, 4, 5, 6],
            vec![0xc0],
            vec![],
        ] {
            let refused = check(&security(), &message).unwrap_err();
            assert_eq!(refused.pong, refusal("invalid ping message"), "{message:x?}");
        }
        let closed = Security { allow_anonymous_source: false, ..security() };
        let refused = check(&closed, &usual(PING_DIGEST, "", "")).unwrap_err();
        assert_eq!(refused.pong, refusal("anonymous source host '10.0.0.1' denied"));
    }

    #[test]
    fn users_are_checked_when_configured() {
        let security = Security { user_auth: true, ..security() };
        assert!(check(&security, &usual(PING_DIGEST, "user1", PASSWORD_DIGEST)).is_ok());
        for (name, digest) in [("user2", PASSWORD_DIGEST), ("user1", ""), ("", PASSWORD_DIGEST), ("eve", "x")]
        {
            let refused = check(&security, &usual(PING_DIGEST, name, digest)).unwrap_err();
            assert_eq!(refused.log, Some("Authentication failed"));
            assert_eq!(refused.username.as_deref(), Some(name));
            assert_eq!(refused.pong, refusal("username/password mismatch"));
        }
    }
}
