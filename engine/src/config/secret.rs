//! Secrets that nobody declares: in parameters whose names say it, and in URLs.

use std::borrow::Cow;

/// What a secret is shown as.
pub(crate) const MASKED: &str = "xxxxxx";

/// Whether a parameter of this name holds a secret, as far as names tell: `password`, `shared_key`, `aws_sec_key`, ... but
/// not the path of a file that has one.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_path = PATHS.iter().any(|end| name.ends_with(end));
    !is_path && (WHOLE.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part)))
}

const WHOLE: [&str; 3] = ["pass", "pw", "authorization"];
const PARTS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "key_pass",
    "secret",
    "sec_key",
    "token",
    "credential",
    "shared_key",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
];
const PATHS: [&str; 4] = ["_path", "_file", "_dir", "_field"];

/// `text` with the passwords of the URLs in it masked: `http://user:xxxxxx@host/path`.
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let authority = &after[..after.find(['/', '?', '#', ' ', '"', ',']).unwrap_or(after.len())];
        out.push_str(before);
        rest = after;
        if let Some((user, _)) = authority.rfind('@').and_then(|at| authority[..at].split_once(':')) {
            out.push_str(user);
            out.push(':');
            out.push_str(MASKED);
            rest = &after[authority.rfind('@').unwrap_or(0)..];
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (text, shown) in [
            ("http://u:p@h:1/path?a=b", "http://u:xxxxxx@h:1/path?a=b"),
            ("https://u:p@q@h", "https://u:xxxxxx@h"),
            ("http://a,http://u:p@b", "http://a,http://u:xxxxxx@b"),
            ("http://u@h/x:y@z", "http://u@h/x:y@z"),
            ("http://h:80/", "http://h:80/"),
            ("a:b@c", "a:b@c"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn names_tell_secrets_from_the_files_they_are_in() {
        for name in [
            "password",
            "Password",
            "user_password",
            "pass",
            "shared_key",
            "private_key_passphrase",
            "aws_sec_key",
            "aws_secret_access_key",
            "client_secret",
            "client_key_pass",
            "api_key",
            "access_token",
            "passwd",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "user",
            "username",
            "private_key_path",
            "bearer_token_file",
            "secret_dir",
            "key_name",
            "path",
            "tag_key",
            "passive",
            "compass",
            "keys",
            "timekey",
            "bypass_cache",
            "message_key",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
