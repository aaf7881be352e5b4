//! The embedded store of `embedded true`: a process of Logweir's own binary, watched by a thread.
//!
//! It is another process so that nothing the engine does takes the collector down: when it dies it is started again, after a
//! pause that doubles while it does not live long, and records wait in the buffer meanwhile. Outputs with the same store share it.
//! The process has a group of its own, so that an interrupt from the terminal lets outputs flush into it first, and is told by the
//! kernel when this one ends.

use super::config::port;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::StartError;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_info, log_warn};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The pause before the first new start; it doubles up to the second.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A store that lived so long was well.
const LIVED_LONG: Duration = Duration::from_secs(60);
/// How often the child is looked after.
const LOOK: Duration = Duration::from_millis(50);
/// Chunks wait so long for the store to answer; then they fail and are retried as configured.
const READY_MAX: Duration = Duration::from_secs(20);
/// A store that is told to stop has so long; it takes at most 31 seconds itself.
const STOP_MAX: Duration = Duration::from_secs(40);
/// The store's log is moved aside when it is this long.
const LOG_BYTES_MAX: u64 = 10 << 20;
/// What it gets of the environment: where the engine is looked for, the time zone.
const ENVIRONMENT: [&str; 7] =
    ["PATH", "HOME", "TZ", "LANG", "LOGWEIR_LIBCHDB", "LOGWEIR_CACHE", "XDG_CACHE_HOME"];
/// An answer to a ping is shorter.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Of its log so much is looked at for what it said last.
const LOG_TAIL_BYTES: u64 = 4096;

/// What the store is run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreOptions {
    /// Its directory.
    pub(crate) path: PathBuf,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// The engine's file.
    pub(crate) libchdb: Option<PathBuf>,
    /// What it may use.
    pub(crate) memory_bytes: Option<u64>,
}

impl StoreOptions {
    /// If the configuration asks for the store: with `embedded true`, or with a path and no server.
    pub(crate) fn new(params: &Params) -> Result<Option<Self>, Diagnostic> {
        let server = ["host", "urls"].into_iter().find(|name| params.is_set(name));
        let wanted = params.opt_bool("embedded").unwrap_or(params.is_set("path") && server.is_none());
        if !wanted {
            let unused = ["path", "libchdb", "memory"].into_iter().find(|name| params.is_set(name));
            return match unused {
                Some(name) => Err(params
                    .error(name, "belongs to the embedded store, which is not run here (embedded true)")),
                None => Ok(None),
            };
        }
        let elsewhere = server.or(["scheme", "ssl", "access_token", "user", "password"]
            .into_iter()
            .find(|name| params.is_set(name)));
        if let Some(name) = elsewhere {
            return Err(params.error(
                name,
                "belongs to a server, but embedded true uses the store that Logweir runs itself",
            ));
        }
        let path = params
            .path("path")
            .ok_or_else(|| params.error_here("embedded true needs a path for the store's data"))?;
        Ok(Some(Self {
            path,
            port: port(params, 8123)?,
            libchdb: params.path("libchdb"),
            memory_bytes: params.size("memory"),
        }))
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn log_path(&self) -> PathBuf {
        self.path.join("store.log")
    }
}

/// A running store, until the last output has released it.
pub(crate) struct Embedded {
    options: StoreOptions,
    state: watch::Receiver<State>,
    stop: Arc<Stop>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    /// It has ended, and is started again after a pause.
    Away,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn asked(&self) -> MutexGuard<'_, bool> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not once it is asked for; says whether it is.
    fn wait(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.asked(), time, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// All stores of this process.
static STORES: Mutex<Vec<Weak<Embedded>>> = Mutex::new(Vec::new());

impl Embedded {
    /// The store with these options; it is started if no output has done so.
    pub(crate) fn start(options: &StoreOptions, log: &PluginLog) -> Result<Arc<Self>, StartError> {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain(|store| store.strong_count() > 0);
        if let Some(store) = stores.iter().filter_map(Weak::upgrade).find(|store| store.options == *options) {
            return Ok(store);
        }
        let (state, observed) = watch::channel(State::Starting);
        let stop = Arc::new(Stop::default());
        let watcher = Watcher { options: options.clone(), log: log.clone(), state, stop: stop.clone() };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || watcher.run());
        let thread = thread
            .map_err(|error| StartError::new("ThreadError", format!("cannot start a thread: {error}")))?;
        let store = Arc::new(Self {
            options: options.clone(),
            state: observed,
            stop,
            watcher: Mutex::new(Some(thread)),
        });
        stores.push(Arc::downgrade(&store));
        Ok(store)
    }

    /// Waits a while for a store that is starting, and says whether it answers. Nothing may be sent to its port before: another
    /// server may have it.
    pub(crate) async fn ready(&self) -> bool {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| *state != State::Starting);
        let settled = tokio::time::timeout(READY_MAX, settled).await;
        settled.is_ok_and(|state| state.is_ok_and(|state| *state == State::Ready))
    }

    /// Why a chunk waits.
    pub(crate) fn is_away(&self) -> String {
        format!("the embedded store does not answer; see {}", self.options.log_path().display())
    }

    /// Gives up one output's share; the last one stops the store and waits for its end.
    pub(crate) async fn release(store: Arc<Self>) {
        let Some(store) = Arc::into_inner(store) else { return };
        let _ = tokio::task::spawn_blocking(move || drop(store)).await;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        *self.stop.asked() = true;
        self.stop.changed.notify_all();
        if let Some(watcher) = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = watcher.join();
        }
    }
}

/// The thread that looks after the process. It is also the process's parent in the kernel's eyes, so it lives as long.
struct Watcher {
    options: StoreOptions,
    log: PluginLog,
    state: watch::Sender<State>,
    stop: Arc<Stop>,
}

impl Watcher {
    fn run(self) {
        let mut pause = PAUSE_MIN;
        loop {
            let started = Instant::now();
            self.state.send_replace(State::Starting);
            let ended = match self.spawn() {
                Ok(child) => self.watch(child),
                Err(error) => Some(format!("cannot start: {error}")),
            };
            self.state.send_replace(State::Away);
            let Some(ended) = ended else { return };
            if started.elapsed() >= LIVED_LONG {
                pause = PAUSE_MIN;
            }
            let waits = format!("{:.1}", pause.as_secs_f64());
            log_warn!(
                self.log,
                "the embedded store has ended; records wait in the buffer until it is back",
                path = self.options.path.display().to_string(),
                reason = ended,
                next_start_seconds = waits
            );
            if self.stop.wait(pause) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let options = &self.options;
        fs::create_dir_all(&options.path)?;
        let log_path = options.log_path();
        if fs::metadata(&log_path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
            fs::rename(&log_path, log_path.with_extension("log.1"))?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&log_path)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("store").arg("--path").arg(&options.path).arg("--end-with-parent");
        command.arg("--listen").arg(options.address().to_string());
        if let Some(libchdb) = &options.libchdb {
            command.arg("--libchdb").arg(libchdb);
        }
        if let Some(bytes) = options.memory_bytes {
            command.arg("--memory").arg(bytes.to_string());
        }
        // SQL can read the store's environment; what else is in this process's, passwords say, is none of its business.
        command.env_clear().envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()
    }

    /// Until it ends, and how; `None` if it was told to.
    fn watch(&self, mut child: Child) -> Option<String> {
        let mut ready = false;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Some(self.reason(status)),
                Ok(None) => {}
                Err(error) => return Some(error.to_string()),
            }
            if !ready && answers(self.options.address(), child.id()) {
                ready = true;
                self.state.send_replace(State::Ready);
                log_info!(
                    self.log,
                    "the embedded store is running",
                    url = self.options.url(),
                    path = self.options.path.display().to_string(),
                    pid = child.id()
                );
            }
            if self.stop.wait(LOOK) {
                self.end(child);
                return None;
            }
        }
    }

    fn end(&self, mut child: Child) {
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if !matches!(child.try_wait(), Ok(None)) {
                log_info!(
                    self.log,
                    "the embedded store has stopped",
                    path = self.options.path.display().to_string()
                );
                return;
            }
            std::thread::sleep(LOOK);
        }
        log_warn!(
            self.log,
            "the embedded store does not stop and is killed; what it answered is on the disk"
        );
        let _ = child.kill();
        let _ = child.wait();
    }

    /// How it ended, and what it said last.
    fn reason(&self, status: ExitStatus) -> String {
        let path = self.options.log_path();
        match last_line(&path) {
            Some(line) if status.code().is_some() => format!("{status}: {line}"),
            // Killed by a signal it said nothing of it.
            _ => format!("{status} (see {})", path.display()),
        }
    }
}

/// Whether the store with this process id answers `GET /ping`, and not another server on its port.
fn answers(address: SocketAddr, pid: u32) -> bool {
    let ping = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let header = format!("x-logweir-store-pid: {pid}");
    ping().is_ok_and(|answer| answer.lines().any(|line| line.trim_end().eq_ignore_ascii_case(&header)))
}

fn last_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LOG_TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    tail.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out_clickhouse::PLUGIN;
    use logweir_engine::plugin::{Driver, Kind};

    fn options(lines: &str) -> Result<Option<StoreOptions>, String> {
        let driver = Driver::new(&[&PLUGIN]);
        let text = format!("<match **>\n@type clickhouse\ntable t\n{lines}\n</match>");
        let params = driver.params(Kind::Output, &text).unwrap_or_else(|error| panic!("{error:?}"));
        StoreOptions::new(&params).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn when_a_store_is_run() {
        let store = |lines| options(lines).unwrap().map(|store| (store.path.clone(), store.url()));
        let data = Some((PathBuf::from("/data"), "http://127.0.0.1:8123".to_owned()));
        assert_eq!(store("path /data"), data);
        assert_eq!(store("embedded true\npath /data"), data);
        assert_eq!(store("path /data\nport 9").unwrap().1, "http://127.0.0.1:9");
        assert_eq!(store(""), None);
        assert_eq!(store("host a"), None);
        assert_eq!(options("path /data\nmemory 2g").unwrap().unwrap().memory_bytes, Some(2 << 30));
        for (lines, word) in [
            ("embedded true", "path"),
            ("embedded true\npath /data\nhost a", "belongs to a server"),
            ("path /data\nhost a", "embedded true"),
            ("path /data\npassword x", "belongs to a server"),
            ("host a\nlibchdb /x", "belongs to the embedded store"),
        ] {
            let error = options(lines).unwrap_err();
            assert!(error.contains(word), "{lines}: {error}");
        }
    }
}
