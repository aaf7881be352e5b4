//! Files that are renamed, copied and truncated, deleted, and linked to.

use super::*;
use std::process::Command;
use std::time::Duration;

#[test]
fn renames_that_come_faster_than_looks() {
    storm("app.log", "");
}

#[test]
fn renames_that_come_faster_than_looks_with_follow_inodes() {
    storm("app.log*", "follow_inodes true");
}

#[test]
fn renames_that_come_faster_than_looks_behind_a_link() {
    let tail = Tail::new(1);
    fs::create_dir(tail.log("pod")).unwrap();
    std::os::unix::fs::symlink("pod/0.log", tail.log("app.log")).unwrap();
    storm_in(&tail, "app.log", "", tail.log("pod/0.log"));
}

/// A writer rotates, up to four times in a row, into two buffers. What it left behind is rotated away before it was seen.
fn storm(path: &str, source: &str) {
    let tail = Tail::new(2);
    let file = tail.log("app.log");
    storm_in(&tail, path, source, file);
}

fn storm_in(tail: &Tail, path: &str, source: &str, file: PathBuf) {
    let mut random = Random::new();
    let mut writer = Rotating::create(file);
    let mut written = Written::default();
    let logweir = Logweir::start(tail.dir(), &tail.config(path, source, SOON));
    for _ in 0..50 {
        for _ in 0..random.below(5) {
            let text = written.lines("w", random.below(40));
            // Not always whole lines at once.
            let cut = random.below(text.len() as u64 + 1) as usize;
            writer.write(&text[..cut]);
            writer.write(&text[cut..]);
            writer.rotate();
        }
        writer.write(&written.lines("w", random.below(500)));
        if random.below(2) == 0 {
            std::thread::sleep(Duration::from_millis(random.below(20)));
        }
    }
    tail.finish(logweir, &written);
    if source.is_empty() {
        let meta = fs::metadata(tail.log("app.log")).unwrap();
        assert_eq!(tail.positions(), [(tail.log("app.log"), meta.len(), meta.ino())]);
    }
}

/// The file is deleted by a rename over it; the new one leaves at once.
#[test]
fn a_file_that_another_one_is_renamed_over() {
    let tail = Tail::new(1);
    let mut written = Written::default();
    let file = tail.log("app.log");
    written.append(&file, "w", 10);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", SOON));
    for round in 0..5 {
        tail.wait_until_read(&mut logweir, "app.log");
        written.append(&tail.log("next"), "w", 10);
        fs::rename(tail.log("next"), &file).unwrap();
        fs::rename(&file, tail.log(&format!("app.log.{round}"))).unwrap();
        written.append(&file, "w", 10);
    }
    tail.finish(logweir, &written);
}

#[test]
fn with_the_timer_alone() {
    one_by_one("enable_stat_watcher false");
}

#[test]
fn with_inotify_alone() {
    one_by_one("enable_watch_timer false");
}

/// A file is rotated as soon as it is known, however much of it is unread.
fn one_by_one(source: &str) {
    let tail = Tail::new(2);
    let mut written = Written::default();
    let mut writer = Rotating::create(tail.log("app.log"));
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", source, SOON));
    for round in 0..4 {
        writer.write(&written.lines("w", 1500));
        logweir.wait("the file to be known", |_| {
            tail.position("app.log").is_some_and(|(_, of)| of == inode(&tail.log("app.log")))
        });
        writer.write(&written.lines("w", 1500 * (round % 2)));
        writer.rotate();
    }
    writer.write(&written.lines("w", 1));
    tail.finish(logweir, &written);
}

#[test]
fn lines_that_are_written_to_a_renamed_file_come_before_those_of_the_next() {
    let tail = Tail::new(1);
    let mut written = Written::default();
    let mut writer = Rotating::create(tail.log("app.log"));
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "rotate_wait 2s", SOON));
    for _ in 0..3 {
        writer.write(&written.lines("w", 10));
        // As logrotate does it: the new file is there before the program opens it.
        writer.rename();
        File::create(tail.log("app.log")).unwrap();
        writer.write(&written.lines("w", 10));
        tail.wait_for(&mut logweir, written.total());
        writer.write(&written.lines("w", 10));
        writer.reopen();
        writer.write(&written.lines("w", 10));
    }
    tail.finish(logweir, &written);
}

#[test]
fn a_file_that_is_moved_out_of_sight_and_a_successor_that_comes_late() {
    let tail = Tail::new(1);
    fs::create_dir(tail.dir().join("old")).unwrap();
    let mut written = Written::default();
    written.append(&tail.log("app.log"), "w", 10);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "rotate_wait 1s", SOON));
    for round in 0..2 {
        tail.wait_until_read(&mut logweir, "app.log");
        let old = tail.dir().join(format!("old/{round}"));
        fs::rename(tail.log("app.log"), &old).unwrap();
        written.append(&old, "w", 10);
        tail.wait_for(&mut logweir, written.total());
        if round == 1 {
            // Until nothing of it is followed any more.
            logweir.wait("the entry to go", |_| tail.position("app.log").is_none());
        }
        written.append(&tail.log("app.log"), "w", 10);
        tail.wait_for(&mut logweir, written.total());
    }
    tail.finish(logweir, &written);
}

/// logrotate's copytruncate copies the file and then truncates it. What is written between the two is lost, whoever tails;
/// and what is written and truncated before it is read is lost to whoever tails. Here the writer waits at the truncation until
/// everything is read, so that neither is part of the test.
#[test]
fn copytruncate_by_logrotate() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    let file = tail.log("app.log");
    let script = tail.dir().join("logrotate.conf");
    let text = format!("\"{}\" {{\n  rotate 20\n  copytruncate\n}}\n", file.display());
    fs::write(&script, text).unwrap();
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    written.append(&file, "w", 100);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", SOON));
    // Fewer, more and as many lines as before.
    for count in [10, 500, 1, 800, 800, 3] {
        tail.wait_until_read(&mut logweir, "app.log");
        let mut logrotate = Command::new("logrotate");
        logrotate
            .env("PATH", &path)
            .arg("--force")
            .arg("--state")
            .arg(tail.dir().join("logrotate.state"))
            .arg(&script);
        let output = logrotate.output().expect("logrotate is not installed: run `make setup`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        written.append(&file, "w", count);
    }
    tail.finish(logweir, &written);
    let meta = fs::metadata(&file).unwrap();
    assert_eq!(tail.positions(), [(file, meta.len(), meta.ino())]);
}

#[test]
fn a_link_that_is_pointed_to_other_files_and_back() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    let point_to = |name: &str| {
        let link = tail.log("link.tmp");
        std::os::unix::fs::symlink(name, &link).unwrap();
        fs::rename(link, tail.log("app.log")).unwrap();
    };
    written.append(&tail.log("a"), "a", 10);
    written.append(&tail.log("b"), "b", 20);
    point_to("a");
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "rotate_wait 1s", SOON));
    for round in 0..4 {
        tail.wait_until_read(&mut logweir, "app.log");
        let (next, other) = if round % 2 == 0 { ("b", "a") } else { ("a", "b") };
        written.append(&tail.log(other), other, 5);
        point_to(next);
        written.append(&tail.log(next), next, 5);
        tail.wait_for(&mut logweir, written.total());
    }
    tail.finish(logweir, &written);
}

#[test]
fn a_rotation_while_nobody_looks() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    let mut writer = Rotating::create(tail.log("app.log"));
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", LATE));
    for round in 0..3 {
        writer.write(&written.lines("w", 10));
        tail.wait_until_read(&mut logweir, "app.log");
        if round == 1 {
            logweir.kill()
        } else {
            assert_eq!(logweir.stop().code(), Some(0))
        }
        writer.write(&written.lines("w", 10));
        writer.rotate();
        writer.write(&written.lines("w", 10));
        logweir.start_again();
    }
    tail.flush_and_finish(logweir, &written);
}
