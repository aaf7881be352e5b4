//! Arguments of `logweir query`.

use super::{Command, UsageError};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// Options of `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    /// The SQL on the command line.
    pub sql: Option<String>,
    /// `-f`: a file of statements.
    pub file: Option<PathBuf>,
    /// `--format`
    pub format: Option<String>,
    /// `-c`: where the store or server is looked up.
    pub config_path: Option<PathBuf>,
    /// `--url`: the server itself.
    pub url: Option<String>,
    /// `--database`
    pub database: Option<String>,
    /// `--user`
    pub user: Option<String>,
    /// `--password-file`: its first line.
    pub password_file: Option<PathBuf>,
}

/// Parses the arguments behind `query`.
pub(super) fn parse(args: &[OsString]) -> Result<Command, UsageError> {
    let mut options = QueryOptions::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('f') | Long("file") => options.file = Some(parser.value()?.into()),
            Short('c') | Long("config") => options.config_path = Some(parser.value()?.into()),
            Long("format") => options.format = Some(parser.value()?.string()?),
            Long("url") => options.url = Some(parser.value()?.string()?),
            Short('d') | Long("database") => options.database = Some(parser.value()?.string()?),
            Short('u') | Long("user") => options.user = Some(parser.value()?.string()?),
            Long("password-file") => options.password_file = Some(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(sql) if options.sql.is_none() => options.sql = Some(sql.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.sql.is_some() && options.file.is_some() {
        return Err(UsageError("query takes SQL or -f FILE, not both".to_owned()));
    }
    if options.url.is_some() && options.config_path.is_some() {
        return Err(UsageError("query takes --url or -c FILE, not both".to_owned()));
    }
    Ok(Command::Query(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_and_options() {
        let parse = |words: &[&str]| parse(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let Command::Query(options) = parse(&["SELECT 1", "-c", "a.conf", "--format", "CSV"]).unwrap() else {
            panic!()
        };
        assert_eq!((options.sql.as_deref(), options.format.as_deref()), (Some("SELECT 1"), Some("CSV")));
        assert!(parse(&["SELECT", "1"]).is_err());
        assert!(parse(&["SELECT 1", "-f", "x"]).unwrap_err().0.contains("not both"));
        assert!(parse(&["--url", "http://a", "-c", "x"]).unwrap_err().0.contains("not both"));
    }
}
