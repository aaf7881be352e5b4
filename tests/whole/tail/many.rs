//! Thousands of files.

use super::*;
use std::time::Duration;

const FILES: usize = 3000;
/// Threads of a Logweir, however many files it reads.
const THREADS_MAX: usize = 64;

#[test]
fn thousands_of_files_take_no_threads_and_bounded_open_files() {
    const OPEN_FILES: u64 = 1024;
    let tail = Tail::new(1);
    let mut written = Written::default();
    for n in 0..FILES {
        fs::write(tail.log(&format!("idle{n}.log")), "").unwrap();
        written.append(&tail.log(&format!("{n}.log")), &n.to_string(), 2);
    }
    let config =
        tail.config("*.log", "", "flush_interval 1").replace("refresh_interval 1s", "refresh_interval 60s");
    let mut logweir = Logweir::start_with(tail.dir(), &config, Some(OPEN_FILES), |_| {});
    tail.wait_for(&mut logweir, written.total());
    for n in 0..FILES {
        written.append(&tail.log(&format!("{n}.log")), &n.to_string(), 1);
        // Some are rotated while they are closed.
        if n % 10 == 0 {
            fs::rename(tail.log(&format!("{n}.log")), tail.log(&format!("{n}.log.1"))).unwrap();
            written.append(&tail.log(&format!("{n}.log")), &n.to_string(), 1);
        }
    }
    tail.wait_for(&mut logweir, written.total());
    let (threads, open) = (entries(&logweir, "task"), entries(&logweir, "fd"));
    assert!(threads <= THREADS_MAX, "{threads} threads");
    assert!(open as u64 <= OPEN_FILES / 2 + 100, "{open} open files");
    assert!(!logweir.log().contains("[warn]"), "{}", logweir.log());
    let before = cpu_ticks(&logweir);
    std::thread::sleep(Duration::from_secs(2));
    // Only shown: how much it is depends on the machine.
    println!("{} idle files: {} ms of CPU time in 2 s", 2 * FILES, (cpu_ticks(&logweir) - before) * 10);
    tail.finish(logweir, &written);
}

/// At a limit that leaves no room: one warning, every line.
#[test]
fn at_the_limit_of_open_files_they_take_turns() {
    const FILES: usize = 200;
    let tail = Tail::new(1);
    let mut written = Written::default();
    for n in 0..FILES {
        written.append(&tail.log(&format!("{n}.log")), &n.to_string(), 10);
    }
    let config = tail.config("*.log", "rotate_wait 1s", SOMETIMES);
    let probe = {
        // What Logweir needs for itself.
        let mut logweir = Logweir::start(tail.dir(), &tail.config("none.log", "", SOON));
        let open = entries(&logweir, "fd");
        assert_eq!(logweir.stop().code(), Some(0));
        open
    };
    let limit = probe as u64 + 16;
    let mut logweir = Logweir::start_with(tail.dir(), &config, Some(limit), |_| {});
    tail.wait_for(&mut logweir, written.total());
    for n in 0..FILES {
        fs::rename(tail.log(&format!("{n}.log")), tail.log(&format!("{n}.log.1"))).unwrap();
        written.append(&tail.log(&format!("{n}.log")), &n.to_string(), 10);
    }
    tail.wait_for(&mut logweir, written.total());
    let warnings = logweir.log().matches("cannot open more files").count();
    assert_eq!(warnings, 1, "{}", logweir.log());
    tail.finish(logweir, &written);
}

/// How many entries a folder of the process has in /proc.
fn entries(logweir: &Logweir, folder: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{folder}", logweir.pid())).unwrap().count()
}

/// utime and stime, in hundredths of a second.
fn cpu_ticks(logweir: &Logweir) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", logweir.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
