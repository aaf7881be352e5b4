//! The current ClickHouse engine in this process, over the C interface of `libchdb.so`.
//!
//! The library comes from npm's `@chdb/lib-linux-x64-gnu` and lies in a cache directory outside the repository;
//! `testing/fetch-libchdb.sh` puts it there. The engine allows one connection a process, so there is one, shared.
//!
//! ```text
//! chdb_connection* chdb_connect(int argc, char** argv);
//! chdb_result*     chdb_query_n(chdb_connection, const char* query, size_t, const char* format, size_t);
//! char* chdb_result_buffer(r);  size_t chdb_result_length(r);  const char* chdb_result_error(r);
//! void  chdb_destroy_query_result(r);
//! ```

use libloading::{Library, Symbol};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

type Connect = unsafe extern "C" fn(c_int, *const *const c_char) -> *mut *mut c_void;
type Query = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> *mut c_void;
type Buffer = unsafe extern "C" fn(*mut c_void) -> *const u8;
type Length = unsafe extern "C" fn(*mut c_void) -> usize;
type Message = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type Destroy = unsafe extern "C" fn(*mut c_void);

/// The engine of this process, with its data in a scratch directory.
pub struct Libchdb {
    inner: Mutex<Inner>,
    dir: PathBuf,
}

struct Inner {
    library: Library,
    connection: *mut c_void,
}

// SAFETY: the connection is used under the mutex only, by one thread at a time, which is what the library asks for;
// it is not bound to the thread that opened it.
unsafe impl Send for Inner {}

impl Libchdb {
    /// The engine, or `None` (after a line on stderr) where the library has not been fetched. With
    /// `LOGWEIR_REQUIRE_LIBCHDB` set, as in CI, its absence is a failure.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Libchdb>> = OnceLock::new();
        SHARED.get_or_init(Self::open).as_ref()
    }

    /// Where the library lies: `$LOGWEIR_LIBCHDB`, else the cache that `testing/fetch-libchdb.sh` fills.
    pub fn path() -> PathBuf {
        if let Some(path) = std::env::var_os("LOGWEIR_LIBCHDB") {
            return path.into();
        }
        let cache = std::env::var_os("LOGWEIR_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()));
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            cache.unwrap_or_else(|| home().join(".cache")).join("logweir")
        });
        cache.join("libchdb.so")
    }

    /// Runs a statement; the answer is the output in `format`, or the engine's error text.
    pub fn query_as(&self, sql: &str, format: &str) -> Result<Vec<u8>, String> {
        let inner = self.inner.lock().expect("an engine that did not panic");
        let pointer = |bytes: &str| bytes.as_ptr().cast::<c_char>();
        // SAFETY: the symbols have the signatures of chdb.h (above); the strings are passed with their lengths and
        // outlive the call; the result is read before it is destroyed, once.
        unsafe {
            let query: Symbol<'_, Query> = inner.library.get(b"chdb_query_n").expect("chdb_query_n");
            let buffer: Symbol<'_, Buffer> = inner.library.get(b"chdb_result_buffer").expect("buffer");
            let length: Symbol<'_, Length> = inner.library.get(b"chdb_result_length").expect("length");
            let message: Symbol<'_, Message> = inner.library.get(b"chdb_result_error").expect("error");
            let destroy: Symbol<'_, Destroy> =
                inner.library.get(b"chdb_destroy_query_result").expect("destroy");
            let result = query(inner.connection, pointer(sql), sql.len(), pointer(format), format.len());
            let error = message(result);
            let answer = if !error.is_null() {
                Err(CStr::from_ptr(error).to_string_lossy().into_owned())
            } else {
                let (bytes, size) = (buffer(result), length(result));
                Ok(if bytes.is_null() {
                    Vec::new()
                } else {
                    std::slice::from_raw_parts(bytes, size).to_vec()
                })
            };
            destroy(result);
            answer
        }
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
        let path = Self::path();
        if !path.is_file() {
            assert!(std::env::var_os("LOGWEIR_REQUIRE_LIBCHDB").is_none(), "no {}", path.display());
            eprintln!("not run: {} is missing; testing/fetch-libchdb.sh fetches it", path.display());
            return None;
        }
        let dir = scratch_directory();
        let arguments = [
            CString::new("clickhouse").expect("no zero byte"),
            CString::new(format!("--path={}", dir.join("data").display())).expect("no zero byte"),
        ];
        let pointers: Vec<*const c_char> = arguments.iter().map(|a| a.as_ptr()).collect();
        // SAFETY: libchdb's initialisers have no preconditions; `chdb_connect` has the signature of chdb.h, copies its
        // arguments, and answers a pointer to the connection or null.
        let inner = unsafe {
            let library = Library::new(&path).expect("libchdb.so loads");
            let connect: Symbol<'_, Connect> = library.get(b"chdb_connect").expect("chdb_connect");
            let connection = connect(pointers.len() as c_int, pointers.as_ptr());
            assert!(!connection.is_null(), "libchdb did not open its directory");
            let connection = *connection;
            Inner { library, connection }
        };
        Some(Self { inner: Mutex::new(inner), dir })
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
