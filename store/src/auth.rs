//! Who may ask.

use crate::error::Exception;
use crate::request::Credentials;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A user of the store. The engine has one user, whose rights are the store's; passwords are checked before it is asked.
#[derive(Clone)]
pub struct User {
    name: String,
    password: [u8; 32],
    readonly: bool,
}

impl User {
    /// A user with a password. One that is `readonly` may only read, and change settings.
    pub fn new(name: &str, password: &str, readonly: bool) -> Self {
        Self { name: name.to_owned(), password: Sha256::digest(password).into(), readonly }
    }
}

/// All users.
pub(crate) struct Users {
    users: Vec<User>,
}

impl Users {
    /// These, or if there are none: `default`, without a password.
    pub(crate) fn new(users: Vec<User>) -> Self {
        if users.is_empty() {
            return Self { users: vec![User::new("default", "", false)] };
        }
        Self { users }
    }

    /// Whether the user may only read.
    pub(crate) fn check(&self, credentials: &Credentials) -> Result<bool, Exception> {
        let given: [u8; 32] = Sha256::digest(&credentials.password).into();
        let found = self.users.iter().find(|user| user.name == credentials.user);
        // An unknown user costs as much as a wrong password.
        let expected = found.map_or([0; 32], |user| user.password);
        let equal = bool::from(expected.ct_eq(&given));
        found.filter(|_| equal).map(|user| user.readonly).ok_or_else(|| {
            Exception::new(
                516,
                "AUTHENTICATION_FAILED",
                format!(
                    "{}: Authentication failed: password is incorrect, or there is no user with such name",
                    credentials.user
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let users = Users::new(vec![User::new("ada", "secret", false), User::new("eve", "", true)]);
        let check = |user: &str, password: &str| {
            users
                .check(&Credentials { user: user.to_owned(), password: password.to_owned() })
                .map_err(|e| e.code)
        };
        assert_eq!([check("ada", "secret"), check("eve", "")], [Ok(false), Ok(true)]);
        assert_eq!([check("ada", "x"), check("ada", ""), check("default", "")], [Err(516); 3]);
        let open = Users::new(Vec::new());
        assert_eq!(
            open.check(&Credentials { user: "default".to_owned(), password: String::new() }),
            Ok(false)
        );
    }
}
