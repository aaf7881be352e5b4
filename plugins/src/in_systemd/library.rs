//! libsystemd's journal over its C interface, loaded when a configuration first asks for it. All `unsafe` code of the plugin is in
//! this file.
//!
//! ```text
//! int  sd_journal_open_directory(sd_journal**, const char* path, int flags);    void sd_journal_close(sd_journal*);
//! int  sd_journal_add_match(j, const void* data, size_t size);                  int  sd_journal_add_disjunction(j);
//! int  sd_journal_seek_head(j);  int sd_journal_seek_tail(j);                   int  sd_journal_seek_cursor(j, const char*);
//! int  sd_journal_next(j);       int sd_journal_previous(j);                    int  sd_journal_wait(j, uint64_t usec);
//! int  sd_journal_test_cursor(j, const char*);                                  int  sd_journal_get_cursor(j, char**);
//! int  sd_journal_get_realtime_usec(j, uint64_t*);                              int  sd_journal_set_data_threshold(j, size_t);
//! void sd_journal_restart_data(j);                                              int  sd_journal_enumerate_data(j, const void**, size_t*);
//! ```
//!
//! Functions answer a negative errno if they fail (sd-journal(3)). A journal belongs to the thread that opened it.

use libloading::{Library as Loaded, Symbol};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

type Handle = *mut c_void;
type OpenDirectory = unsafe extern "C" fn(*mut Handle, *const c_char, c_int) -> c_int;
type Close = unsafe extern "C" fn(Handle);
type AddMatch = unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int;
type Plain = unsafe extern "C" fn(Handle) -> c_int;
type WithCursor = unsafe extern "C" fn(Handle, *const c_char) -> c_int;
type GetCursor = unsafe extern "C" fn(Handle, *mut *mut c_char) -> c_int;
type GetTime = unsafe extern "C" fn(Handle, *mut u64) -> c_int;
type Wait = unsafe extern "C" fn(Handle, u64) -> c_int;
type Threshold = unsafe extern "C" fn(Handle, usize) -> c_int;
type Restart = unsafe extern "C" fn(Handle);
type Enumerate = unsafe extern "C" fn(Handle, *mut *const c_void, *mut usize) -> c_int;

unsafe extern "C" {
    /// The C library's, which made what `sd_journal_get_cursor` answers.
    fn free(pointer: *mut c_void);
}

/// The name under which every distribution has it.
pub(super) const FILE: &str = "libsystemd.so.0";

/// The loaded library. It is never unloaded.
pub(super) struct Library {
    open_directory: OpenDirectory,
    close: Close,
    add_match: AddMatch,
    add_disjunction: Plain,
    seek_head: Plain,
    seek_tail: Plain,
    seek_cursor: WithCursor,
    next: Plain,
    previous: Plain,
    wait: Wait,
    test_cursor: WithCursor,
    get_cursor: GetCursor,
    get_realtime: GetTime,
    set_data_threshold: Threshold,
    restart_data: Restart,
    enumerate_data: Enumerate,
}

/// Why the library is of no use, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(super) enum LibraryError {
    #[error(
        "cannot load {file}, with which the journal is read: {reason}; install it: the package libsystemd0 on Debian and \
         Ubuntu, systemd-libs on Fedora and RHEL"
    )]
    Load { file: String, reason: String },
    #[error("{file} lacks {symbol}: it is no libsystemd, or one that is too old")]
    Symbol { file: String, symbol: &'static str },
}

impl Library {
    /// The one that is loaded for the whole process, or the first one.
    pub(super) fn get() -> Result<&'static Self, LibraryError> {
        static LIBRARY: OnceLock<Library> = OnceLock::new();
        match LIBRARY.get() {
            Some(library) => Ok(library),
            None => {
                let loaded = Self::load(FILE)?;
                Ok(LIBRARY.get_or_init(|| loaded))
            }
        }
    }

    fn load(file: &str) -> Result<Self, LibraryError> {
        // SAFETY: libsystemd's initialisers have no preconditions. The symbols have the signatures of sd-journal.h (see the
        // module), and the library is leaked below, so the copied function pointers stay valid for ever.
        unsafe {
            let library = Loaded::new(file)
                .map_err(|error| LibraryError::Load { file: file.to_owned(), reason: reason(&error) })?;
            let api = Self {
                open_directory: symbol(&library, file, "sd_journal_open_directory")?,
                close: symbol(&library, file, "sd_journal_close")?,
                add_match: symbol(&library, file, "sd_journal_add_match")?,
                add_disjunction: symbol(&library, file, "sd_journal_add_disjunction")?,
                seek_head: symbol(&library, file, "sd_journal_seek_head")?,
                seek_tail: symbol(&library, file, "sd_journal_seek_tail")?,
                seek_cursor: symbol(&library, file, "sd_journal_seek_cursor")?,
                next: symbol(&library, file, "sd_journal_next")?,
                previous: symbol(&library, file, "sd_journal_previous")?,
                wait: symbol(&library, file, "sd_journal_wait")?,
                test_cursor: symbol(&library, file, "sd_journal_test_cursor")?,
                get_cursor: symbol(&library, file, "sd_journal_get_cursor")?,
                get_realtime: symbol(&library, file, "sd_journal_get_realtime_usec")?,
                set_data_threshold: symbol(&library, file, "sd_journal_set_data_threshold")?,
                restart_data: symbol(&library, file, "sd_journal_restart_data")?,
                // Passes over fields that this libsystemd cannot read; versions before 246 do not have it.
                enumerate_data: symbol(&library, file, "sd_journal_enumerate_available_data")
                    .or_else(|_| symbol(&library, file, "sd_journal_enumerate_data"))?,
            };
            std::mem::forget(library);
            Ok(api)
        }
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
unsafe fn symbol<F: Copy>(library: &Loaded, file: &str, name: &'static str) -> Result<F, LibraryError> {
    // SAFETY: as the caller promises.
    let found: Result<Symbol<'_, F>, _> = unsafe { library.get(name.as_bytes()) };
    found.map(|symbol| *symbol).map_err(|_| LibraryError::Symbol { file: file.to_owned(), symbol: name })
}

/// What [`Journal::wait`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// Entries were added, or files came or went.
    Something,
}

/// An open journal: a folder with its files, of which entries are read in order. Bound to its thread.
pub(super) struct Journal {
    library: &'static Library,
    handle: Handle,
}

impl Journal {
    /// Opens all journal files in `path` and in the folders of machines in it.
    pub(super) fn open(library: &'static Library, path: &str) -> io::Result<Self> {
        let path = c_string(path)?;
        let mut handle = ptr::null_mut();
        // SAFETY: both pointers are valid for the call, and the path is zero-terminated.
        check(unsafe { (library.open_directory)(&mut handle, path.as_ptr(), 0) })?;
        Ok(Self { library, handle })
    }

    /// Only entries that have this `FIELD=value`, or another one for the same field.
    pub(super) fn add_match(&mut self, text: &[u8]) -> io::Result<()> {
        // SAFETY: `handle` is an open journal; the bytes are copied within the call.
        check(unsafe { (self.library.add_match)(self.handle, text.as_ptr().cast(), text.len()) })?;
        Ok(())
    }

    /// Matches that are added from now on are alternatives to all those before.
    pub(super) fn add_disjunction(&mut self) -> io::Result<()> {
        self.call(self.library.add_disjunction).map(drop)
    }

    /// Before the first entry.
    pub(super) fn seek_head(&mut self) -> io::Result<()> {
        self.call(self.library.seek_head).map(drop)
    }

    /// Behind the last entry.
    pub(super) fn seek_tail(&mut self) -> io::Result<()> {
        self.call(self.library.seek_tail).map(drop)
    }

    /// To the entry with that cursor, or to where it would be. [`Self::next`] goes there.
    pub(super) fn seek_cursor(&mut self, cursor: &str) -> io::Result<()> {
        let cursor = c_string(cursor)?;
        // SAFETY: `handle` is an open journal, the text is zero-terminated.
        check(unsafe { (self.library.seek_cursor)(self.handle, cursor.as_ptr()) })?;
        Ok(())
    }

    /// Goes to the next entry; `false` if there is none.
    pub(super) fn next(&mut self) -> io::Result<bool> {
        Ok(self.call(self.library.next)? > 0)
    }

    /// Goes to the entry before; `false` if there is none.
    pub(super) fn previous(&mut self) -> io::Result<bool> {
        Ok(self.call(self.library.previous)? > 0)
    }

    /// Waits until something changes, at most so long. Also takes notice of files that have come and gone.
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<Change> {
        let usec = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX - 1);
        // SAFETY: `handle` is an open journal.
        let seen = check(unsafe { (self.library.wait)(self.handle, usec) })?;
        Ok(if seen == 0 { Change::Nothing } else { Change::Something })
    }

    /// Whether the entry that it is at has that cursor.
    pub(super) fn is_at(&self, cursor: &str) -> io::Result<bool> {
        let cursor = c_string(cursor)?;
        // SAFETY: `handle` is an open journal, the text is zero-terminated.
        Ok(check(unsafe { (self.library.test_cursor)(self.handle, cursor.as_ptr()) })? > 0)
    }

    /// The cursor of the entry that it is at.
    pub(super) fn cursor(&self) -> io::Result<String> {
        let mut text = ptr::null_mut();
        // SAFETY: `handle` is an open journal. After success `text` is a zero-terminated string from malloc, which is ours: it
        // is copied, then freed once.
        unsafe {
            check((self.library.get_cursor)(self.handle, &mut text))?;
            let cursor = CStr::from_ptr(text).to_string_lossy().into_owned();
            free(text.cast());
            Ok(cursor)
        }
    }

    /// When journald received the entry, in microseconds since the epoch.
    pub(super) fn realtime_usec(&self) -> io::Result<u64> {
        let mut usec = 0;
        // SAFETY: `handle` is an open journal, `usec` is valid for the call.
        check(unsafe { (self.library.get_realtime)(self.handle, &mut usec) })?;
        Ok(usec)
    }

    /// At most so many bytes of a compressed field are inflated.
    pub(super) fn limit_fields(&mut self, bytes: usize) -> io::Result<()> {
        // SAFETY: `handle` is an open journal.
        check(unsafe { (self.library.set_data_threshold)(self.handle, bytes) })?;
        Ok(())
    }

    /// Gives each `FIELD=value` of the entry to `take`, in the journal's order.
    pub(super) fn fields(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        // SAFETY: `handle` is an open journal.
        unsafe { (self.library.restart_data)(self.handle) };
        loop {
            let (mut data, mut size) = (ptr::null(), 0);
            // SAFETY: `handle` is an open journal, and both places are valid for the call.
            if check(unsafe { (self.library.enumerate_data)(self.handle, &mut data, &mut size) })? == 0 {
                return Ok(());
            }
            if data.is_null() || size == 0 {
                continue;
            }
            // SAFETY: after success `data` points to `size` readable bytes until the next call on this journal, which `self`
            // being borrowed exclusively forbids while `take` runs.
            take(unsafe { std::slice::from_raw_parts(data.cast(), size) });
        }
    }

    fn call(&self, function: Plain) -> io::Result<c_int> {
        // SAFETY: `handle` is an open journal.
        check(unsafe { function(self.handle) })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // SAFETY: `handle` is from sd_journal_open_directory and is closed here only.
        unsafe { (self.library.close)(self.handle) }
    }
}

fn check(answer: c_int) -> io::Result<c_int> {
    if answer < 0 { Err(io::Error::from_raw_os_error(-answer)) } else { Ok(answer) }
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a zero byte in the text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named_with_its_package() {
        let missing = Library::load("/nonexistent/libsystemd.so.0").err().unwrap().to_string();
        assert!(missing.starts_with("cannot load /nonexistent/libsystemd.so.0, "), "{missing}");
        for part in ["cannot open shared object file", "the package libsystemd0 on Debian"] {
            assert!(missing.contains(part), "{missing}");
        }
        let other = Library::load("libc.so.6").err().unwrap().to_string();
        assert_eq!(
            other,
            "libc.so.6 lacks sd_journal_open_directory: it is no libsystemd, or one that is too old"
        );
    }

    #[test]
    fn what_is_no_journal_is_an_error_or_empty() {
        let library = Library::get().unwrap();
        let missing = Journal::open(library, "/nonexistent/journal").err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(Journal::open(library, "a\0b").is_err());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rubbish.journal"), [0x5a; 5000]).unwrap();
        let mut journal = Journal::open(library, folder.path().to_str().unwrap()).unwrap();
        journal.seek_head().unwrap();
        assert!(!journal.next().unwrap());
        assert!(journal.cursor().is_err() && journal.realtime_usec().is_err());
        assert!(journal.seek_cursor("nonsense").is_err());
        assert!(journal.add_match(b"no match").is_err());
        assert!(journal.fields(|_| panic!("no fields")).is_err());
        assert!(matches!(journal.wait(Duration::ZERO), Ok(Change::Nothing | Change::Something)));
    }
}
