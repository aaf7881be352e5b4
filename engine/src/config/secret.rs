//! Parameters that nobody declares, and whose names say that their values are secret.

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

#[cfg(test)]
mod tests {
    use super::*;

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
