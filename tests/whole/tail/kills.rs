//! SIGKILL in the middle of writing and rotating. The buffers keep everything until the end, so that what comes out of them
//! is what in_tail put in.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KILLS: usize = 6;

#[test]
fn with_follow_inodes_however_often_files_are_rotated_meanwhile() {
    let tail = Tail::new(2);
    let config = tail.config("app.log*", "follow_inodes true\n  rotate_wait 1s", LATE);
    killed(&tail, &config, |tail, random, stop| {
        let mut written = Written::default();
        let mut writer = Rotating::create(tail.log("app.log"));
        while !stop.load(Ordering::Relaxed) {
            // The order of files is not kept over a restart, that of a file's lines is.
            let name = format!("w{}", writer.generations);
            writer.write(&written.lines(&name, random.below(200)));
            if random.below(20) == 0 {
                (0..=random.below(3)).for_each(|_| writer.rotate());
            }
            std::thread::sleep(Duration::from_millis(random.below(4)));
        }
        written
    });
}

/// Without follow_inodes the pos file has one entry for a path, which is that of the oldest file with something to read. One
/// rotation may come on top of it; what is rotated more often while Logweir is down is not found again, as with Fluentd.
#[test]
fn without_follow_inodes() {
    let tail = Tail::new(2);
    let config = tail.config("app.log", "rotate_wait 1s", LATE);
    killed(&tail, &config, |tail, random, stop| {
        let mut written = Written::default();
        let mut writer = Rotating::create(tail.log("app.log"));
        while !stop.load(Ordering::Relaxed) {
            writer.write(&written.lines("w", random.below(200)));
            if random.below(10) == 0 && is_followed(tail) {
                writer.rotate();
            }
            std::thread::sleep(Duration::from_millis(random.below(4)));
        }
        written
    });
}

#[test]
fn events_of_several_lines() {
    let tail = Tail::new(2);
    let parse = "@type multiline\n    format_firstline /^start /\n    format1 /^start (?<message>[^\\n]*)/";
    let config = tail.config_of("app.log", "multiline_flush_interval 1s", parse, LATE);
    killed(&tail, &config, |tail, random, stop| {
        let mut written = Written::default();
        let mut writer = Rotating::create(tail.log("app.log"));
        while !stop.load(Ordering::Relaxed) {
            let mut text = String::new();
            for line in written.lines("w", random.below(50)).lines() {
                let _ = writeln!(text, "start {line}");
                (0..random.below(4)).for_each(|n| text.push_str(&format!("  more {n}\n")));
            }
            writer.write(&text);
            if random.below(10) == 0 && is_followed(tail) {
                writer.rotate();
            }
            std::thread::sleep(Duration::from_millis(random.below(4)));
        }
        written
    });
}

/// Several files, and a pos file that knows nothing: what the buffers have is not stored again even so.
#[test]
fn several_files_and_a_lost_pos_file() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    let mut logweir = Logweir::start(tail.dir(), &tail.config("*.log", "", LATE));
    for _ in 0..3 {
        for name in ["a", "b", "c"] {
            written.append(&tail.log(&format!("{name}.log")), name, 1500);
        }
        for name in ["a.log", "b.log", "c.log"] {
            tail.wait_until_read(&mut logweir, name);
        }
        logweir.kill();
        fs::remove_file(tail.dir().join("pos")).unwrap();
        logweir.start_again();
    }
    tail.flush_and_finish(logweir, &written);
}

/// Whether the entry in the pos file is that of the file at the path.
fn is_followed(tail: &Tail) -> bool {
    tail.position("app.log").is_some_and(|(_, of)| of == inode(&tail.log("app.log")))
}

/// Kills Logweir several times while `writer` writes, and accounts for what it wrote.
fn killed(tail: &Tail, config: &str, writer: fn(&Tail, &mut Random, &AtomicBool) -> Written) {
    let mut random = Random::new();
    let mut writers_random = Random(random.below(u64::MAX) | 1);
    let stop = AtomicBool::new(false);
    let (logweir, written) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| writer(tail, &mut writers_random, &stop));
        let until_the_end = StopAtTheEnd(&stop);
        let mut logweir = Logweir::start(tail.dir(), config);
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(random.below(400)));
            logweir.kill();
            std::thread::sleep(Duration::from_millis(random.below(50)));
            logweir.start_again();
        }
        drop(until_the_end);
        (logweir, writing.join().unwrap())
    });
    tail.flush_and_finish(logweir, &written);
}

/// A writer must not go on after a test that failed.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
