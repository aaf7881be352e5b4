//! libchdb over its C interface. All `unsafe` code of the store is in this file.
//!
//! ```text
//! void             chdb_set_signal_handlers_enabled(int);
//! chdb_connection* chdb_connect(int argc, char** argv);
//! void             chdb_close_conn(chdb_connection*);
//! chdb_result*     chdb_query_n(chdb_connection, const char* query, size_t, const char* format, size_t);
//! char*            chdb_result_buffer(r);        size_t   chdb_result_length(r);
//! const char*      chdb_result_error(r);         void     chdb_destroy_query_result(r);
//! uint64_t         chdb_result_storage_rows_read(r), chdb_result_storage_bytes_read(r),
//!                  chdb_result_rows_read(r), chdb_result_bytes_read(r),
//!                  chdb_result_rows_written(r), chdb_result_bytes_written(r);
//! double           chdb_result_elapsed(r);
//! ```
//!
//! The first connection starts the engine, the last one that is closed stops it. Queries on one connection wait for each
//! other; those on several run side by side. A connection costs about 0.2 ms, so each request gets its own: settings, the
//! current database and temporary tables never leak from one to the next.

use libloading::{Library as Loaded, Symbol};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

type SetSignals = unsafe extern "C" fn(c_int);
type Connect = unsafe extern "C" fn(c_int, *const *const c_char) -> *mut *mut c_void;
type Close = unsafe extern "C" fn(*mut *mut c_void);
type Query = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> *mut c_void;
type Buffer = unsafe extern "C" fn(*mut c_void) -> *const u8;
type Length = unsafe extern "C" fn(*mut c_void) -> usize;
type Count = unsafe extern "C" fn(*mut c_void) -> u64;
type Seconds = unsafe extern "C" fn(*mut c_void) -> f64;
type Message = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type Destroy = unsafe extern "C" fn(*mut c_void);

/// The loaded library. It is never unloaded: the engine's threads live until the process ends.
pub struct Library {
    connect: Connect,
    close: Close,
    query: Query,
    buffer: Buffer,
    length: Length,
    error: Message,
    destroy: Destroy,
    elapsed: Seconds,
    rows_read: Count,
    bytes_read: Count,
    storage_rows_read: Count,
    storage_bytes_read: Count,
    rows_written: Count,
    bytes_written: Count,
}

/// Why the library is of no use.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// It cannot be loaded.
    #[error("cannot load {}: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// It is another library, or too old.
    #[error("{} lacks {symbol}: it is no libchdb, or one before 26.5", path.display())]
    Symbol {
        /// The file.
        path: PathBuf,
        /// The function.
        symbol: &'static str,
    },
}

impl Library {
    /// Loads `path`. The engine's own signal handlers, which keep a crashed process alive for minutes, are turned off.
    pub fn load(path: &Path) -> Result<&'static Self, LibraryError> {
        // SAFETY: libchdb's initialisers have no preconditions. The symbols have the signatures of chdb.h (see the module),
        // and the library is leaked below, so the copied function pointers stay valid for ever.
        unsafe {
            let library = Loaded::new(path)
                .map_err(|error| LibraryError::Load { path: path.to_owned(), reason: reason(&error) })?;
            let set_signals: SetSignals = symbol(&library, path, "chdb_set_signal_handlers_enabled")?;
            let api = Self {
                connect: symbol(&library, path, "chdb_connect")?,
                close: symbol(&library, path, "chdb_close_conn")?,
                query: symbol(&library, path, "chdb_query_n")?,
                buffer: symbol(&library, path, "chdb_result_buffer")?,
                length: symbol(&library, path, "chdb_result_length")?,
                error: symbol(&library, path, "chdb_result_error")?,
                destroy: symbol(&library, path, "chdb_destroy_query_result")?,
                elapsed: symbol(&library, path, "chdb_result_elapsed")?,
                rows_read: symbol(&library, path, "chdb_result_rows_read")?,
                bytes_read: symbol(&library, path, "chdb_result_bytes_read")?,
                storage_rows_read: symbol(&library, path, "chdb_result_storage_rows_read")?,
                storage_bytes_read: symbol(&library, path, "chdb_result_storage_bytes_read")?,
                rows_written: symbol(&library, path, "chdb_result_rows_written")?,
                bytes_written: symbol(&library, path, "chdb_result_bytes_written")?,
            };
            set_signals(0);
            std::mem::forget(library);
            Ok(Box::leak(Box::new(api)))
        }
    }

    /// Opens a connection; the first one starts the engine with these `arguments` (`--path=DIR`, `--config-file=FILE`). `None`
    /// if the engine refuses, of which it writes the reason into its log.
    pub fn connect(&'static self, arguments: &[String]) -> Option<Connection> {
        let arguments: Vec<CString> = std::iter::once("clickhouse")
            .chain(arguments.iter().map(String::as_str))
            .map(CString::new)
            .collect::<Result<_, _>>()
            .ok()?;
        let pointers: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        // SAFETY: the pointers are to zero-terminated strings that outlive the call, which copies them.
        let handle = unsafe { (self.connect)(pointers.len() as c_int, pointers.as_ptr()) };
        (!handle.is_null()).then_some(Connection { library: self, handle })
    }
}

/// What the loader says, which libloading keeps inside its own error.
fn reason(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Looks a function up.
///
/// # Safety
/// `F` must be the type of the function `name`, and must not be called once the library is unloaded.
unsafe fn symbol<F: Copy>(library: &Loaded, path: &Path, name: &'static str) -> Result<F, LibraryError> {
    // SAFETY: as the caller promises.
    let found: Result<Symbol<'_, F>, _> = unsafe { library.get(name.as_bytes()) };
    found.map(|symbol| *symbol).map_err(|_| LibraryError::Symbol { path: path.to_owned(), symbol: name })
}

/// A session with the engine: its own settings, current database and temporary tables.
pub struct Connection {
    library: &'static Library,
    handle: *mut *mut c_void,
}

// SAFETY: a connection is not bound to the thread that opened it, and `query` takes it exclusively.
unsafe impl Send for Connection {}

/// What a statement did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Rows read from tables.
    pub read_rows: u64,
    /// Bytes of them, as the engine holds them.
    pub read_bytes: u64,
    /// Rows of the result.
    pub result_rows: u64,
    /// Bytes of them.
    pub result_bytes: u64,
    /// Rows inserted, into materialized views too.
    pub written_rows: u64,
    /// Bytes of them.
    pub written_bytes: u64,
    /// How long it took.
    pub elapsed_s: f64,
}

impl Connection {
    /// Runs statements (the engine takes several, separated by `;`) and answers the output of the last in `format`, unless it
    /// says another. The error is the engine's text: `Code: 60. DB::Exception: ...`.
    pub fn query(&mut self, sql: &[u8], format: &str) -> Result<(Vec<u8>, Statistics), String> {
        let library = self.library;
        // SAFETY: the handle is from chdb_connect and not closed before `self` is dropped; the strings are passed with
        // their lengths and outlive the call. The result is read before it is destroyed, once; its counters are read
        // only if it is not an error, which is when they are set.
        unsafe {
            let result = (library.query)(
                *self.handle,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
            );
            if result.is_null() {
                return Err(
                    "Code: 1002. DB::Exception: the engine gave no answer. (UNKNOWN_EXCEPTION)".to_owned()
                );
            }
            let error = (library.error)(result);
            let answer = if error.is_null() {
                let (bytes, size) = ((library.buffer)(result), (library.length)(result));
                let output = match bytes.is_null() {
                    true => Vec::new(),
                    false => std::slice::from_raw_parts(bytes, size).to_vec(),
                };
                let statistics = Statistics {
                    read_rows: (library.storage_rows_read)(result),
                    read_bytes: (library.storage_bytes_read)(result),
                    result_rows: (library.rows_read)(result),
                    result_bytes: (library.bytes_read)(result),
                    written_rows: (library.rows_written)(result),
                    written_bytes: (library.bytes_written)(result),
                    elapsed_s: (library.elapsed)(result),
                };
                Ok((output, statistics))
            } else {
                Err(CStr::from_ptr(error).to_string_lossy().into_owned())
            };
            (library.destroy)(result);
            answer
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the handle is from chdb_connect and is closed here only.
        unsafe { (self.library.close)(self.handle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_libchdb_is_refused() {
        let missing = Library::load(Path::new("/nonexistent/libchdb.so")).err().unwrap();
        assert_eq!(
            missing.to_string(),
            "cannot load /nonexistent/libchdb.so: /nonexistent/libchdb.so: cannot open shared object file: No such file or \
             directory"
        );
        let mut text = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut text, &[b'x'; 4096]).unwrap();
        let text = Library::load(text.path()).err().unwrap();
        assert!(text.to_string().ends_with(": invalid ELF header"), "{text}");
        let other = Library::load(Path::new("libc.so.6")).err().unwrap();
        assert!(other.to_string().contains("lacks chdb_set_signal_handlers_enabled"), "{other}");
    }
}
