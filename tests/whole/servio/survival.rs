//! Every line is stored once, whatever is rotated, stopped and killed meanwhile.
//!
//! Four services write their logs without a pause. In an order, and at moments, that a seed decides, Logweir is killed,
//! ClickHouse is stopped and killed, both are killed, and the files are rotated by logrotate: with `create`, as
//! conf/servio/logrotate says, and with `copytruncate`. The seed is printed; `LOGWEIR_SEED=n` repeats it.

use super::*;
use crate::load::Dice;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens, each several times.
#[derive(Clone, Copy, Debug)]
enum Incident {
    /// SIGKILL for Logweir.
    KillLogweir,
    /// SIGTERM for ClickHouse.
    StopClickHouse,
    /// SIGKILL for ClickHouse.
    KillClickHouse,
    /// SIGKILL for both.
    KillBoth,
    /// logrotate as conf/servio has it.
    Create,
    /// logrotate with copytruncate.
    CopyTruncate,
}

use Incident::*;

#[test]
fn every_line_is_stored_once() {
    let mut dice = Dice::new();
    #[rustfmt::skip]
    let mut incidents = vec![
        KillLogweir, KillLogweir, KillLogweir, KillLogweir, KillLogweir, KillLogweir, StopClickHouse, KillClickHouse,
        KillClickHouse, KillClickHouse, KillBoth, KillBoth, KillBoth, Create, Create, CopyTruncate, CopyTruncate,
    ];
    for end in (1..incidents.len()).rev() {
        incidents.swap(end, dice.below(end + 1));
    }
    eprintln!("{incidents:?}");
    let dir = tempfile::tempdir().unwrap();
    let mut server = ClickHouse::start();
    make_table(&server);
    make_logs(&dir.path().join("servio"));
    // More inserts than one every five seconds, so that more of them meet an incident.
    let config = substituted("fluent.conf", dir.path(), server.port());
    assert!(config.contains("flush_interval 5s"));
    let config = config.replace("flush_interval 5s", "flush_interval 1s");
    let mut logweir = Logweir::start(dir.path(), &config);
    wait_for_files(&mut logweir, SERVICES.len());
    let writers = Writers::start(&dir.path().join("servio"));
    for incident in incidents {
        std::thread::sleep(Duration::from_millis(50 + dice.below(400) as u64));
        if dice.below(2) == 0 {
            // The moment at which an insert is under way.
            wait_for_a_queued_chunk(dir.path());
            std::thread::sleep(Duration::from_micros(dice.below(20_000) as u64));
        }
        match incident {
            KillLogweir => {
                logweir.kill();
                logweir.start_again();
            }
            StopClickHouse => {
                server.stop();
                server.start_again();
            }
            KillClickHouse => {
                server.kill();
                server.start_again();
            }
            KillBoth => {
                if dice.below(2) == 0 {
                    logweir.kill();
                    server.kill();
                } else {
                    server.kill();
                    logweir.kill();
                }
                server.start_again();
                logweir.start_again();
            }
            Create => {
                writers.wait_until_rotated(&mut logweir, dir.path());
                rotate(dir.path(), &create());
                writers.rotations.fetch_add(1, Ordering::SeqCst);
            }
            CopyTruncate => {
                writers.wait_until_rotated(&mut logweir, dir.path());
                // What is not read yet when a file is truncated is gone, whoever reads it.
                let _pause = writers.pause.write().unwrap();
                logweir.wait("all lines to be read", |_| all_read(dir.path()));
                rotate(dir.path(), "copytruncate");
            }
        }
    }
    let counts = writers.finish();
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let buffer = dir.path().join("fluentd-buffers/servio");
    logweir.wait("all lines to be stored", |_| {
        // If some never come, it is better to say which.
        all_read(dir.path()) && chunks(&buffer).is_empty() && (rows(&server) >= total || is_quiet(dir.path()))
    });
    assert_eq!(logweir.stop().code(), Some(0));
    eprintln!("{total} lines");
    assert_stored_once(&server, &counts);
}

/// The line that the example's `create` becomes for the user who runs this test.
fn create() -> String {
    let id = |what: &str| {
        let output = Command::new("id").arg(what).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    format!("create 0644 {} {}", id("-un"), id("-gn"))
}

/// Runs logrotate with the directives of conf/servio/logrotate, with `how` in the place of `create`.
fn rotate(dir: &Path, how: &str) {
    let text = conf_text("logrotate").replace("/var/log/", &format!("{}/", dir.display()));
    assert!(text.contains("create 0644 servio servio"), "{text}");
    let file = dir.join("logrotate.conf");
    fs::write(&file, text.replace("create 0644 servio servio", how)).unwrap();
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("logrotate");
    command.env("PATH", path).arg("--force").arg("--state").arg(dir.join("logrotate.state")).arg(file);
    let output = command.output().expect("logrotate is not installed: run `make setup`");
    assert!(output.status.success(), "{}", crate::logweir::words(&output));
}

fn wait_for_a_queued_chunk(dir: &Path) {
    let queued = |name: &String| name.starts_with("buffer.q");
    let buffer = dir.join("fluentd-buffers/servio");
    for _ in 0..2000 {
        if chunks(&buffer).iter().any(queued) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether each file is read to its end.
fn all_read(dir: &Path) -> bool {
    all_positions(dir, |offset, inode, meta| (offset, inode) == (meta.len(), meta.ino()))
}

/// Whether each path's entry in the pos file is that of the file that is there.
fn all_followed(dir: &Path) -> bool {
    all_positions(dir, |_, inode, meta| inode == meta.ino())
}

fn all_positions(dir: &Path, is: impl Fn(u64, u64, &fs::Metadata) -> bool) -> bool {
    let positions = fs::read_to_string(dir.join("fluentd-servio.pos")).unwrap_or_default();
    let position = |path: &Path| {
        let line = positions.lines().find(|line| line.starts_with(&format!("{}\t", path.display())))?;
        let mut numbers = line.split('\t').skip(1).map(|number| u64::from_str_radix(number, 16));
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    SERVICES.iter().all(|service| {
        let path = dir.join(format!("servio/{service}.log"));
        let meta = fs::metadata(&path).unwrap();
        position(&path).is_some_and(|(offset, inode)| is(offset, inode, &meta))
    })
}

/// Whether nothing has been written to the pos file for so long that nothing will be.
fn is_quiet(dir: &Path) -> bool {
    let modified = fs::metadata(dir.join("fluentd-servio.pos")).and_then(|meta| meta.modified()).unwrap();
    modified.elapsed().is_ok_and(|age| age > Duration::from_secs(20))
}

/// The services.
struct Writers {
    end: Arc<AtomicBool>,
    pause: Arc<RwLock<()>>,
    rotations: Arc<AtomicUsize>,
    /// How often a service has opened its file again.
    opened: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<(&'static str, usize)>>,
}

impl Writers {
    fn start(logs: &Path) -> Self {
        let (end, pause) = <(Arc<AtomicBool>, Arc<RwLock<()>>)>::default();
        let (rotations, opened) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let write = |service: &'static str| {
            let (end, pause) = (Arc::clone(&end), Arc::clone(&pause));
            let (rotations, opened) = (Arc::clone(&rotations), Arc::clone(&opened));
            let path = logs.join(format!("{service}.log"));
            std::thread::spawn(move || {
                (service, write_lines(service, &path, &end, &pause, &rotations, &opened))
            })
        };
        let threads = SERVICES.map(write).into_iter().collect();
        Self { end, pause, rotations, opened, threads }
    }

    /// Days lie between two rotations: the one before is over, for those who write and for the one who reads.
    fn wait_until_rotated(&self, logweir: &mut Logweir, dir: &Path) {
        logweir.wait("the last rotation to be over", |_| {
            let all = SERVICES.len() * self.rotations.load(Ordering::SeqCst);
            self.opened.load(Ordering::SeqCst) == all && all_followed(dir)
        });
    }

    fn finish(self) -> Vec<(&'static str, usize)> {
        self.end.store(true, Ordering::SeqCst);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

/// Writes lines as a service does that keeps its file open, and opens it again some time after it was rotated.
fn write_lines(
    service: &str,
    path: &Path,
    end: &AtomicBool,
    pause: &RwLock<()>,
    rotations: &AtomicUsize,
    opened: &AtomicUsize,
) -> usize {
    let open = || OpenOptions::new().append(true).open(path).unwrap();
    let (mut file, mut seen, mut left) = (open(), 0, 0);
    let mut n = 0;
    while !end.load(Ordering::SeqCst) {
        {
            let _running = pause.read().unwrap();
            file.write_all(format!("{}\n", record(service, n)).as_bytes()).unwrap();
            n += 1;
        }
        let now = rotations.load(Ordering::SeqCst);
        if now != seen {
            (seen, left) = (now, 30);
        } else if left > 0 {
            left -= 1;
            if left == 0 {
                file = open();
                opened.fetch_add(1, Ordering::SeqCst);
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    n
}
