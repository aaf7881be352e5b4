//! Arguments of `logweir store`.

use super::{Command, UsageError};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Options of `store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// `--path`
    pub path: PathBuf,
    /// `--listen`
    pub listen: SocketAddr,
    /// `--libchdb`
    pub libchdb: Option<PathBuf>,
    /// `--user` and `--readonly-user`, each with its `--password-file`.
    pub users: Vec<StoreUser>,
    /// `--memory`, bytes.
    pub memory_bytes: Option<u64>,
    /// `--end-with-parent`
    pub end_with_parent: bool,
}

/// A user of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUser {
    /// The name.
    pub name: String,
    /// The file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// Whether it may only read.
    pub readonly: bool,
}

/// ClickHouse's own port, for this machine only.
const STORE_LISTEN: &str = "127.0.0.1:8123";

/// Parses the arguments behind `store`.
pub(super) fn parse(args: &[OsString]) -> Result<Command, UsageError> {
    let (mut path, mut listen, mut libchdb, mut memory_bytes) = (None, STORE_LISTEN.to_owned(), None, None);
    let (mut users, mut end_with_parent) = (Vec::<StoreUser>::new(), false);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("path") => path = Some(PathBuf::from(parser.value()?)),
            Long("listen") => listen = parser.value()?.string()?,
            Long("libchdb") => libchdb = Some(PathBuf::from(parser.value()?)),
            Long(option @ ("user" | "readonly-user")) => {
                let readonly = option == "readonly-user";
                users.push(StoreUser { name: parser.value()?.string()?, password_file: None, readonly });
            }
            Long("password-file") => {
                let file = PathBuf::from(parser.value()?);
                let user = users.last_mut().filter(|user| user.password_file.is_none());
                let user =
                    user.ok_or_else(|| UsageError("--password-file belongs behind a --user".to_owned()))?;
                user.password_file = Some(file);
            }
            Long("memory") => memory_bytes = Some(size(&parser.value()?.string()?)?),
            Long("end-with-parent") => end_with_parent = true,
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let path =
        path.ok_or_else(|| UsageError("store needs --path DIR, where the data is to lie".to_owned()))?;
    let listen = listen.parse().map_err(|_| {
        UsageError(format!("--listen {listen:?} is no address with a port, such as {STORE_LISTEN}"))
    })?;
    Ok(Command::Store(StoreOptions { path, listen, libchdb, users, memory_bytes, end_with_parent }))
}

/// `512m`, `4g`, or bytes.
fn size(text: &str) -> Result<u64, UsageError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        _ => None,
    };
    let bytes =
        digits.parse::<u64>().ok().zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    bytes
        .filter(|bytes| *bytes >= 256 << 20)
        .ok_or_else(|| UsageError(format!("--memory {text:?} is no size of at least 256m, such as 2g")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_and_its_users() {
        let line =
            "store --path d --user a --password-file f --readonly-user b --memory 2g --listen [::1]:81";
        let Command::Store(store) =
            parse(&line.split(' ').skip(1).map(OsString::from).collect::<Vec<_>>()).unwrap()
        else {
            panic!()
        };
        assert_eq!((store.listen.port(), store.memory_bytes), (81, Some(2 << 30)));
        let users: Vec<_> =
            store.users.iter().map(|user| (user.password_file.is_some(), user.readonly)).collect();
        assert_eq!(users, [(true, false), (false, true)]);
        let wrong = |line: &str| {
            parse(&line.split(' ').skip(1).map(OsString::from).collect::<Vec<_>>()).unwrap_err().0
        };
        assert!(wrong("store").contains("--path"));
        assert!(wrong("store --path d --password-file f").contains("--user"));
        assert!(wrong("store --path d --memory 1x").contains("256m"));
        assert!(wrong("store --path d --listen localhost").contains("127.0.0.1:8123"));
    }
}
