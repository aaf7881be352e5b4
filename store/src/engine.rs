//! The one engine of the process.
//!
//! ```text
//! DIR/data         the engine's directory: databases, tables, parts
//! DIR/scratch      long bodies while they arrive; emptied at the start
//! DIR/config.xml, users.xml   written at each start
//! DIR/engine.log   what the engine says of itself
//! DIR/logweir-store.lock
//! ```

use crate::deduplication;
use crate::engine_config::{self, TABLE_SETTINGS};
use crate::library::{Connection, Library, LibraryError, Statistics};
use crate::limits::Limits;
use rustix::fs::FlockOperation;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Why the store does not run.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The library cannot be used.
    #[error("{0}")]
    Library(#[from] LibraryError),
    /// A directory or file cannot be made.
    #[error("cannot use {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by another store; stop it, or use another --path", .0.display())]
    InUse(PathBuf),
    /// The engine does not start.
    #[error("the ClickHouse engine does not open {}: {reason}", path.display())]
    Engine {
        /// The directory.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// It would be open to everybody.
    #[error(
        "{0} is reachable from other machines: give the store a --user with a --password-file, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// Threads or signals.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// See the module.
pub(crate) struct Engine {
    library: &'static Library,
    arguments: Vec<String>,
    /// Keeps the engine running between requests; the last connection that is closed stops it.
    keeper: Mutex<Option<Connection>>,
    /// Connections besides.
    open: Arc<AtomicUsize>,
    facts: Facts,
    _lock: File,
}

/// What does not change while the engine runs.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) version: String,
    pub(crate) timezone: String,
    pub(crate) display_name: String,
    /// Lower-case name -> name, content type.
    formats: HashMap<String, (String, String)>,
}

impl Facts {
    /// A format's name as ClickHouse writes it, and its content type.
    pub(crate) fn format(&self, name: &str) -> Option<(&str, &str)> {
        self.formats.get(&name.to_ascii_lowercase()).map(|(name, kind)| (name.as_str(), kind.as_str()))
    }
}

impl Engine {
    /// Opens the directory `dir`, which is made if it is missing.
    pub(crate) fn open(dir: &Path, library: &Path, limits: &Limits) -> Result<Self, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        fs::create_dir_all(dir).map_err(io(dir))?;
        let dir = dir.canonicalize().map_err(io(dir))?;
        let lock = lock(&dir)?;
        let scratch = scratch(&dir);
        let _ = fs::remove_dir_all(&scratch);
        let data = dir.join("data");
        for made in [&scratch, &data] {
            fs::create_dir_all(made).map_err(io(made))?;
        }
        let (config, users, log) = (dir.join("config.xml"), dir.join("users.xml"), dir.join("engine.log"));
        fs::write(&config, engine_config::server(&users, &log, limits)).map_err(io(&config))?;
        fs::write(&users, engine_config::users(limits)).map_err(io(&users))?;
        deduplication::repair(&data).map_err(io(&data))?;
        let library = Library::load(library)?;
        let arguments = vec![
            format!("--path={}", data.display()),
            format!("--config-file={}", config.display()),
            "--log-level=warning".to_owned(),
        ];
        let failed = |reason: String| StoreError::Engine { path: data.clone(), reason };
        let mut keeper = library.connect(&arguments).ok_or_else(|| failed(last_line(&log)))?;
        let facts = facts(&mut keeper).map_err(failed)?;
        let keeper = Mutex::new(Some(keeper));
        Ok(Self { library, arguments, keeper, open: Arc::default(), facts, _lock: lock })
    }

    /// A new session. `None` if the engine refuses, which it does only while it stops.
    pub(crate) fn connect(&self) -> Option<Session> {
        self.open.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(self.open.clone());
        let connection = self.library.connect(&self.arguments)?;
        Some(Session { connection, _counted: counted })
    }

    /// What does not change.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Waits until no other connection is open and stops the engine. A process that ended before would take it apart under its
    /// own threads.
    pub(crate) fn stop(&self) {
        while self.open.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let keeper = self.keeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        drop(keeper);
    }
}

/// A connection that the engine's stop waits for.
pub(crate) struct Session {
    connection: Connection,
    // Dropped after the connection.
    _counted: Counted,
}

impl Session {
    /// Runs a statement; see [`Connection::query`].
    pub(crate) fn query(&mut self, sql: &[u8], format: &str) -> Result<(Vec<u8>, Statistics), String> {
        self.connection.query(sql, format)
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Where long bodies go.
pub(crate) fn scratch(dir: &Path) -> PathBuf {
    dir.join("scratch")
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("logweir-store.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| StoreError::Io { path, error })?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(StoreError::InUse(dir.to_owned())),
    }
}

/// Asks the engine about itself, and makes sure that it keeps what inserts are promised.
fn facts(connection: &mut Connection) -> Result<Facts, String> {
    let mut ask = |sql: &str| {
        let answer = connection.query(sql.as_bytes(), "TabSeparatedRaw")?;
        Ok::<_, String>(String::from_utf8_lossy(&answer.0).into_owned())
    };
    for (name, expected) in TABLE_SETTINGS {
        let value = ask(&format!("SELECT value FROM system.merge_tree_settings WHERE name = '{name}'"))?;
        if value.trim() != expected.to_string() {
            return Err(format!(
                "it does not take the setting {name}, without which inserts would not be durable"
            ));
        }
    }
    let mut facts = Facts {
        version: ask("SELECT version()")?.trim().to_owned(),
        timezone: ask("SELECT timezone()")?.trim().to_owned(),
        display_name: ask("SELECT hostName()")?.trim().to_owned(),
        formats: HashMap::new(),
    };
    for line in ask("SELECT name, content_type FROM system.formats")?.lines() {
        if let Some((name, kind)) = line.split_once('\t') {
            facts.formats.insert(name.to_ascii_lowercase(), (name.to_owned(), kind.to_owned()));
        }
    }
    Ok(facts)
}

/// The end of the engine's log, which says why it does not start.
fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rfind(|line| line.contains("Exception")).unwrap_or_default();
    let reason = line.find("Code: ").map_or(line, |at| &line[at..]);
    format!("{reason} (see {})", log.display())
}
