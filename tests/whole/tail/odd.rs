//! What is no regular file, cannot be read, comes late, vanishes, or has no end.

use super::*;
use rustix::fs::{CWD, Mode, mkfifoat};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// `nobody`
const NOBODY: u32 = 65534;

#[test]
fn what_is_no_file_is_passed_over() {
    let tail = Tail::new(1);
    let mut written = Written::default();
    odd_things(&tail);
    written.append(&tail.log("app.log"), "w", 10);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("*.log", "rotate_wait 1s", SOON));
    tail.wait_for(&mut logweir, written.total());
    // What was a file may be none, and the other way round.
    let fifo = tail.log("other");
    mkfifoat(CWD, &fifo, Mode::RWXU).unwrap();
    fs::rename(&fifo, tail.log("app.log")).unwrap();
    fs::remove_dir(tail.log("folder.log")).unwrap();
    written.append(&tail.log("folder.log"), "folder", 10);
    fs::remove_file(tail.log("dangling")).unwrap_or_default();
    written.append(&tail.log("nowhere"), "link", 10);
    tail.wait_for(&mut logweir, written.total());
    logweir.wait("the entry to go", |_| tail.position("app.log").is_none());
    fs::remove_file(tail.log("app.log")).unwrap();
    written.append(&tail.log("app.log"), "w", 10);
    tail.finish(logweir, &written);
}

#[test]
fn what_is_no_file_is_named_if_it_is_asked_for_by_name() {
    let tail = Tail::new(1);
    odd_things(&tail);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("fifo.log", "", SOON));
    logweir.wait("a warning", |logweir| logweir.log().contains("it is not a regular file"));
    fs::remove_file(tail.log("fifo.log")).unwrap();
    let mut written = Written::default();
    written.append(&tail.log("fifo.log"), "w", 10);
    tail.finish(logweir, &written);
}

fn odd_things(tail: &Tail) {
    fs::create_dir(tail.log("folder.log")).unwrap();
    mkfifoat(CWD, tail.log("fifo.log"), Mode::RWXU).unwrap();
    UnixListener::bind(tail.log("socket.log")).unwrap();
    symlink("nowhere", tail.log("dangling.log")).unwrap();
    symlink("loop.log", tail.log("loop.log")).unwrap();
    symlink("/dev/zero", tail.log("zero.log")).unwrap();
}

#[test]
fn a_file_without_the_right_to_read_it() {
    let tail = Tail::new(1);
    open_to_all(&tail);
    let mut written = Written::default();
    written.append(&tail.log("open.log"), "open", 10);
    written.append(&tail.log("closed.log"), "closed", 10);
    let mode = |mode| {
        fs::set_permissions(tail.log("closed.log"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o000);
    let config = tail.config("*.log", "ignore_repeated_permission_error true", SOON);
    let mut logweir = Logweir::start_with(tail.dir(), &config, None, as_nobody);
    tail.wait_for(&mut logweir, 10);
    logweir.wait("a warning", |logweir| logweir.log().contains("closed.log unreadable"));
    mode(0o644);
    tail.wait_for(&mut logweir, 20);
    mode(0o000);
    written.append(&tail.log("open.log"), "open", 10);
    tail.wait_for(&mut logweir, 30);
    mode(0o644);
    written.append(&tail.log("closed.log"), "closed", 10);
    tail.finish(logweir, &written);
}

/// It is closed after each read, so that its rest cannot be read any more once the rights are gone.
#[test]
fn a_rotated_file_without_the_right_to_read_it_does_not_hold_up_its_successor() {
    let tail = Tail::new(1);
    open_to_all(&tail);
    let file = tail.log("app.log");
    let mut written = Written::default();
    written.append(&file, "w", 10);
    let config = tail.config("app.log", "open_on_every_update true\n  rotate_wait 1s", SOON);
    let mut logweir = Logweir::start_with(tail.dir(), &config, None, as_nobody);
    tail.wait_until_read(&mut logweir, "app.log");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    fs::rename(&file, tail.log("app.log.1")).unwrap();
    written.append(&file, "w", 10);
    tail.wait_for(&mut logweir, written.total());
    assert_eq!(logweir.log().matches("cannot open a file").count(), 1);
    tail.finish(logweir, &written);
}

/// As with a full disk: what a buffer could not write is offered again.
#[test]
fn a_buffer_that_cannot_be_written_for_a_while() {
    let tail = Tail::new(2);
    open_to_all(&tail);
    let mut written = Written::default();
    written.append(&tail.log("app.log"), "w", 10);
    let config = tail.config("app.log", "", SOON);
    let mut logweir = Logweir::start_with(tail.dir(), &config, None, as_nobody);
    tail.wait_for(&mut logweir, written.total());
    let mode = |mode| {
        fs::set_permissions(tail.dir().join("buffer1"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o555);
    for round in 0..2 {
        written.append(&tail.log("app.log"), "w", 10);
        if round == 0 {
            logweir.wait("an error", |logweir| logweir.log().contains("can't write to the buffer"));
        }
    }
    mode(0o755);
    tail.finish(logweir, &written);
}

/// root may read everything.
fn as_nobody(command: &mut Command) {
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn open_to_all(tail: &Tail) {
    for path in [tail.dir().to_owned(), tail.dir().join("log")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
}

#[test]
fn paths_that_appear_later() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    let mut logweir = Logweir::start(tail.dir(), &tail.config("late/app.log", "", SOON));
    fs::create_dir(tail.log("late")).unwrap();
    written.append(&tail.log("late/app.log"), "w", 10);
    tail.wait_for(&mut logweir, written.total());
    // The folder is made anew.
    fs::remove_dir_all(tail.log("late")).unwrap();
    fs::create_dir(tail.log("late")).unwrap();
    written.append(&tail.log("late/app.log"), "w", 10);
    tail.finish(logweir, &written);
}

/// Files come and go as fast as they can while names are listed; others are not disturbed.
#[test]
fn files_that_vanish() {
    let tail = Tail::new(1);
    let mut written = Written::default();
    let mut logweir = Logweir::start(tail.dir(), &tail.config("*.log", "rotate_wait 0", SOON));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for n in 0..20 {
                    fs::write(tail.log(&format!("vanish{n}.log")), "").unwrap();
                }
                for n in 0..20 {
                    fs::remove_file(tail.log(&format!("vanish{n}.log"))).unwrap();
                }
            }
        });
        for n in 0..3 {
            let name = format!("stay{n}");
            written.append(&tail.log(&format!("{name}.log")), &name, 10);
            let out = tail.dir().join("out0.log");
            let total = written.total();
            logweir.wait("lines", |logweir| {
                let ended = logweir.log().contains("panicked");
                ended || fs::read_to_string(&out).unwrap_or_default().lines().count() >= total
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
    tail.finish(logweir, &written);
}

/// 200 MB without a line end, most of it a hole in the file.
#[test]
fn a_line_that_does_not_end_takes_no_memory_and_stops_no_other_file() {
    const LEN: u64 = 200 << 20;
    let tail = Tail::new(1);
    let mut written = Written::default();
    let mut endless = File::create(tail.log("endless.log")).unwrap();
    let config = tail.config("*.log", "max_line_size 1m", SOON);
    let mut logweir = Logweir::start(tail.dir(), &config);
    written.append(&tail.log("other.log"), "w", 10);
    tail.wait_for(&mut logweir, 10);
    let before = memory_peak(&logweir);
    endless.write_all(b"begin").unwrap();
    endless.seek(SeekFrom::Start(LEN)).unwrap();
    endless.write_all(b"end").unwrap();
    for _ in 0..3 {
        written.append(&tail.log("other.log"), "w", 10);
        tail.wait_for(&mut logweir, written.total());
    }
    endless.write_all(format!("\n{}", written.lines("endless", 10)).as_bytes()).unwrap();
    tail.wait_for(&mut logweir, written.total());
    let grown = memory_peak(&logweir) - before;
    assert!(grown < 32 << 20, "{grown} bytes more");
    assert_eq!(logweir.log().matches("received line length is longer than").count(), 1);
    tail.finish(logweir, &written);
}

/// The most memory that the process has had so far.
fn memory_peak(logweir: &Logweir) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", logweir.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
