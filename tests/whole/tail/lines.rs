//! Where lines end, how they are joined and converted, and how fast they may come.

use super::*;

#[test]
fn a_line_that_is_written_in_pieces() {
    let tail = Tail::new(2);
    let file = tail.log("app.log");
    append(&file, "w 0\nw ");
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", LATE));
    let read_to = |logweir: &mut Logweir, offset| {
        logweir.wait("lines to be read", |_| tail.position("app.log").is_some_and(|(at, _)| at == offset));
    };
    read_to(&mut logweir, 4);
    append(&file, "1 and ");
    append(&file, "more\r\nw 2 begun");
    read_to(&mut logweir, 18);
    assert_eq!(logweir.stop().code(), Some(0));
    append(&file, " before");
    logweir.start_again();
    append(&file, " and after a restart\nw 3");
    read_to(&mut logweir, 55);
    logweir.kill();
    append(&file, "\n");
    logweir.start_again();
    read_to(&mut logweir, 59);
    tail.flush(&mut logweir, 4);
    assert_eq!(logweir.stop().code(), Some(0));
    for n in 0..2 {
        assert_eq!(tail.out(n), "w 0\nw 1 and more\nw 2 begun before and after a restart\nw 3\n");
    }
}

#[test]
fn a_line_without_an_end_in_a_file_that_was_rotated_is_completed_there() {
    let tail = Tail::new(1);
    let mut writer = Rotating::create(tail.log("app.log"));
    let logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", SOON));
    writer.write("w 0\nw");
    writer.rename();
    writer.write(" 1\n");
    writer.reopen();
    writer.write("w 2\n");
    tail.finish(logweir, &Written(BTreeMap::from([("w".to_owned(), 3)])));
}

#[test]
fn the_last_event_of_several_lines_comes_when_no_more_lines_do() {
    let tail = Tail::new(2);
    let parse = "@type multiline\n    format_firstline /^w /\n    format1 /^(?<message>w \\d+)(?<rest>.*)/";
    let file = tail.log("app.log");
    append(&file, "w 0\n  more\nw 1\n");
    let config = tail.config_of("app.log", "multiline_flush_interval 1s", parse, SOON);
    let mut logweir = Logweir::start(tail.dir(), &config);
    tail.wait_for(&mut logweir, 2);
    // The event that was ended by time is safe, like any other.
    tail.wait_until_read(&mut logweir, "app.log");
    append(&file, "w 2\n  more");
    assert_eq!(logweir.stop().code(), Some(0));
    logweir.start_again();
    append(&file, " of it\nw 3\n");
    tail.finish(logweir, &Written(BTreeMap::from([("w".to_owned(), 4)])));
}

#[test]
fn an_event_that_waits_for_more_lines_when_its_file_is_truncated_or_rotated() {
    let tail = Tail::new(2);
    let parse = "@type multiline\n    format_firstline /^w /\n    format1 /^(?<message>w \\d+)(?<rest>.*)/";
    let file = tail.log("app.log");
    append(&file, "w 0\nw 1\n  more\n");
    let config = tail.config_of("app.log", "rotate_wait 1s", parse, SOMETIMES);
    let mut logweir = Logweir::start(tail.dir(), &config);
    // The second event is held.
    tail.wait_for(&mut logweir, 1);
    File::create(&file).unwrap();
    tail.wait_for(&mut logweir, 2);
    append(&file, "w 2\nw 3\n");
    tail.wait_for(&mut logweir, 3);
    fs::rename(&file, tail.log("app.log.1")).unwrap();
    append(&file, "w 4\nw 5\n");
    tail.wait_for(&mut logweir, 5);
    assert_eq!(logweir.stop().code(), Some(0));
    // The last one is held to the end. Whether it still leaves a buffer then is a matter of moments.
    for output in 0..2 {
        let out = tail.out(output);
        let count = out.lines().count().max(5) as u64;
        assert!(count <= 6, "{out}");
        Written(BTreeMap::from([("w".to_owned(), count)])).account(&out, output);
    }
}

#[test]
fn texts_are_converted() {
    let tail = Tail::new(1);
    let source = "from_encoding Shift_JIS\n  encoding utf-8";
    append(&tail.log("app.log"), b"\x83\x8d\x83O 0\n plain 1\nbroken \x83\n");
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", source, SOON));
    tail.wait_for(&mut logweir, 3);
    append(&tail.log("app.log"), b"\x83");
    append(&tail.log("app.log"), b"\x8d in two pieces\n");
    tail.wait_for(&mut logweir, 4);
    assert_eq!(logweir.stop().code(), Some(0));
    assert_eq!(tail.out(0), "ログ 0\n plain 1\nbroken ?\nロ in two pieces\n");
}

#[test]
fn small_batches_lose_nothing() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    written.append(&tail.log("app.log"), "w", 2000);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "read_lines_limit 7", LATE));
    // In the middle of them.
    logweir.wait("a position", |_| tail.position("app.log").is_some_and(|(offset, _)| offset > 0));
    logweir.kill();
    written.append(&tail.log("app.log"), "w", 100);
    logweir.start_again();
    tail.flush_and_finish(logweir, &written);
}

#[test]
fn a_full_buffer_makes_files_wait() {
    let tail = Tail::new(2);
    let mut written = Written::default();
    for name in ["a", "b"] {
        written.append(&tail.log(&format!("{name}.log")), name, 600);
    }
    let buffer = format!("{SOMETIMES}\n      chunk_limit_size 1k\n      total_limit_size 2k");
    let config = tail.config("*.log", "read_lines_limit 20", &buffer);
    let mut logweir = Logweir::start(tail.dir(), &config);
    logweir.wait("a full buffer", |logweir| logweir.log().contains("BufferOverflowError"));
    tail.finish(logweir, &written);
}

/// A file that may give 8 KiB a second is rotated, twice, with more than that unread. It takes longer than rotate_wait.
#[test]
fn a_limit_of_bytes_a_second_holds_and_loses_nothing_of_rotated_files() {
    let tail = Tail::new(1);
    let mut written = Written::default();
    let source = "read_bytes_limit_per_second 8192\n  rotate_wait 0";
    let mut writer = Rotating::create(tail.log("app.log"));
    for _ in 0..2 {
        writer.write(&written.lines("w", 1500));
    }
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", source, SOON));
    tail.wait_for(&mut logweir, 1);
    // Not more than the first second's share has come.
    let early = tail.out(0).len();
    assert!(early <= 3 * 8192, "{early} bytes");
    writer.rotate();
    writer.write(&written.lines("w", 1000));
    writer.rotate();
    writer.write(&written.lines("w", 10));
    tail.finish(logweir, &written);
}

#[test]
fn a_line_that_is_too_long_is_left_out_with_one_warning() {
    let tail = Tail::new(1);
    let mut written = Written::default();
    let file = tail.log("app.log");
    written.append(&file, "w", 10);
    append(&file, "x".repeat(1_000_000));
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "max_line_size 2k", SOON));
    tail.wait_for(&mut logweir, 10);
    append(&file, format!("{}\n", "x".repeat(3000)));
    written.append(&file, "w", 10);
    tail.wait_for(&mut logweir, 20);
    assert_eq!(logweir.log().matches("received line length is longer than 2048").count(), 1);
    tail.finish(logweir, &written);
}

/// Longer than what is read at once, and allowed.
#[test]
fn long_lines_come_whole() {
    let tail = Tail::new(2);
    let file = tail.log("app.log");
    let long = |n: usize, len: usize| format!("w {n} {}\n", "y".repeat(len));
    let mut expected = long(0, 300_000) + &long(1, 5) + &long(2, 1_500_000);
    append(&file, &expected);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", LATE));
    tail.wait_until_read(&mut logweir, "app.log");
    let (begin, end) = (long(3, 700_000), long(4, 3));
    append(&file, &begin[..600_000]);
    logweir.kill();
    logweir.start_again();
    append(&file, format!("{}{end}", &begin[600_000..]));
    expected.push_str(&begin);
    expected.push_str(&end);
    tail.flush(&mut logweir, 5);
    assert_eq!(logweir.stop().code(), Some(0));
    for n in 0..2 {
        assert!(tail.out(n) == expected, "output {n}");
    }
}
