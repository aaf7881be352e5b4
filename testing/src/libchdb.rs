//! The current ClickHouse engine in this process.
//!
//! The library comes from npm's `@chdb/lib-linux-x64-gnu` and lies in a cache directory outside the repository;
//! `tools/fetch-libchdb` puts it there. The engine takes one directory a process, so there is one, shared.

use logweir_store::find_library;
use logweir_store::library::{Connection, Library};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

/// The engine of this process, with its data in a scratch directory.
pub struct Libchdb {
    connection: Mutex<Connection>,
    dir: PathBuf,
}

impl Libchdb {
    /// The engine, or `None` where the library has not been fetched; see [`Libchdb::path`].
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Libchdb>> = OnceLock::new();
        SHARED.get_or_init(Self::open).as_ref()
    }

    /// Where the library lies: `$LOGWEIR_LIBCHDB`, else where Logweir looks for it, the cache that `tools/fetch-libchdb`
    /// fills included. `None` (after a line on stderr) where it has not been fetched; with `LOGWEIR_REQUIRE_LIBCHDB` set, as in
    /// CI, that is a failure.
    pub fn path() -> Option<PathBuf> {
        match find_library(None).file() {
            Ok(path) => Some(path),
            Err(reason) => {
                assert!(std::env::var_os("LOGWEIR_REQUIRE_LIBCHDB").is_none(), "{reason}");
                eprintln!("not run: {reason}; tools/fetch-libchdb fetches it");
                None
            }
        }
    }

    /// Runs a statement; the answer is the output in `format`, or the engine's error text.
    pub fn query_as(&self, sql: &str, format: &str) -> Result<Vec<u8>, String> {
        let mut connection = self.connection.lock().expect("an engine that did not panic");
        connection.query(sql.as_bytes(), format).map(|(output, _)| output)
    }

    /// Runs a statement and answers its output as tab-separated text without the last line end; panics on an error.
    pub fn query(&self, sql: &str) -> String {
        match self.query_as(sql, "TSV") {
            Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned(),
            Err(error) => panic!("{sql}\n-> {error}"),
        }
    }

    /// Runs `insert` (`INSERT INTO t (a, b)`, with ` SETTINGS x = 1` behind it or not) with `body` as its data in `format`.
    pub fn insert(&self, insert: &str, format: &str, body: &[u8]) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new_in(&self.dir).expect("a scratch file");
        std::fs::write(file.path(), body).expect("a scratch file");
        let (insert, settings) = match insert.split_once(" SETTINGS ") {
            Some((insert, settings)) => (insert, format!(" SETTINGS {settings}")),
            None => (insert, String::new()),
        };
        let path = file.path().display();
        self.query_as(&format!("{insert} FROM INFILE '{path}'{settings} FORMAT {format}"), "TSV")?;
        Ok(())
    }

    fn open() -> Option<Self> {
        let library = Library::load(&Self::path()?).expect("libchdb.so loads");
        let dir = scratch_directory();
        let connection = library.connect(&[format!("--path={}", dir.join("data").display())]);
        let connection = Mutex::new(connection.expect("libchdb opens its directory"));
        Some(Self { connection, dir })
    }
}

/// A directory named after this process. The engine lives until the process ends, so each start clears away the
/// directories of processes that have ended.
fn scratch_directory() -> PathBuf {
    const PREFIX: &str = "logweir-libchdb-";
    let temporary = std::env::temp_dir();
    for entry in std::fs::read_dir(&temporary).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = name.strip_prefix(PREFIX)
            && !PathBuf::from(format!("/proc/{pid}")).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let dir = temporary.join(format!("{PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a scratch directory");
    dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_answers_or_says_what_is_wrong() {
        let Some(engine) = Libchdb::shared() else { return };
        assert_eq!(engine.query("SELECT 1 + 1"), "2");
        assert!(engine.query_as("SELECT nothing", "TSV").unwrap_err().contains("Code: 47"));
        engine.query("CREATE TABLE numbers (n UInt8) ENGINE = Memory");
        engine.insert("INSERT INTO numbers", "RowBinary", &[7, 8]).unwrap();
        assert_eq!(engine.query("SELECT sum(n) FROM numbers"), "15");
    }
}
