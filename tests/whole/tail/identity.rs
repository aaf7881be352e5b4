//! Files that are given the inode number of an earlier file, and files that two sources read.

use super::*;

/// How often it is tried to get a certain inode number. ext4 and xfs give a free one away again at once.
const TRIES_MAX: u32 = 2000;
/// Rounds in which a number is to be had again. Somebody else may be given it, too.
const ROUNDS: u32 = 4;
const ROUNDS_MAX: u32 = 40;

#[test]
fn a_new_file_with_the_inode_number_of_one_that_was_deleted() {
    let tail = Tail::new(2);
    let file = tail.log("app.log");
    // The first line is all that there is when a file is first read, and it is the same in all.
    let mut expected = "same\n".to_owned();
    append(&file, "same\n");
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "rotate_wait 0", SOON));
    tail.wait_until_read(&mut logweir, "app.log");
    each_round(&tail, |round| {
        let text = lines(round, [100, 200, 3, 50][round as usize % 4]);
        append(&file, &text);
        expected.push_str(&text);
        tail.wait_until_read(&mut logweir, "app.log");
        let number = inode(&file);
        fs::remove_file(&file).unwrap();
        logweir.wait("the entry to go", |_| tail.position("app.log").is_none());
        let is_same = create(&tail, number, "same\n");
        expected.push_str("same\n");
        tail.wait_until_read(&mut logweir, "app.log");
        is_same
    });
    tail.wait_for(&mut logweir, expected.lines().count());
    assert_eq!(logweir.stop().code(), Some(0));
    assert_outputs(&tail, &expected);
}

#[test]
fn a_new_file_with_the_inode_number_of_one_that_was_deleted_while_nobody_looked() {
    let tail = Tail::new(2);
    let file = tail.log("app.log");
    let mut expected = lines(0, 10);
    append(&file, &expected);
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", "", LATE));
    tail.wait_until_read(&mut logweir, "app.log");
    each_round(&tail, |round| {
        if round % 2 == 1 {
            logweir.kill()
        } else {
            assert_eq!(logweir.stop().code(), Some(0))
        }
        let number = inode(&file);
        fs::remove_file(&file).unwrap();
        // Longer than the one before.
        let text = lines(round, 10 * (round + 1));
        expected.push_str(&text);
        let is_same = create(&tail, number, &text);
        logweir.start_again();
        tail.wait_until_read(&mut logweir, "app.log");
        is_same
    });
    tail.flush(&mut logweir, expected.lines().count());
    assert_eq!(logweir.stop().code(), Some(0));
    assert_outputs(&tail, &expected);
}

#[test]
fn a_file_that_is_not_kept_open_and_is_replaced_by_one_with_its_inode_number() {
    let tail = Tail::new(1);
    let file = tail.log("app.log");
    let mut expected = lines(0, 10);
    append(&file, &expected);
    let source = "open_on_every_update true\n  enable_stat_watcher false";
    let mut logweir = Logweir::start(tail.dir(), &tail.config("app.log", source, SOON));
    each_round(&tail, |round| {
        tail.wait_until_read(&mut logweir, "app.log");
        let number = inode(&file);
        fs::remove_file(&file).unwrap();
        let text = lines(round, 10 * (round + 1));
        expected.push_str(&text);
        let is_same = create(&tail, number, &text);
        tail.wait_for(&mut logweir, expected.lines().count());
        is_same
    });
    assert_eq!(logweir.stop().code(), Some(0));
    assert_outputs(&tail, &expected);
}

#[test]
fn two_sources_read_the_same_file_into_the_same_buffer() {
    let tail = Tail::new(2);
    let mut config = tail.config("app.log", "", LATE);
    config.push_str(&config.split_once("<match").unwrap().0.replace("/pos\n", "/other.pos\n"));
    let mut written = Written::default();
    let mut logweir = Logweir::start(tail.dir(), &config);
    for _ in 0..3 {
        written.append(&tail.log("app.log"), "w", 100);
        tail.wait_until_read(&mut logweir, "app.log");
        logweir.kill();
        logweir.start_again();
    }
    tail.flush(&mut logweir, 2 * written.total());
    assert_eq!(logweir.stop().code(), Some(0));
    for n in 0..2 {
        let mut got: Vec<String> = tail.out(n).lines().map(str::to_owned).collect();
        got.sort_by_key(|line| line.split(' ').nth(1).and_then(|number| number.parse::<u64>().ok()));
        let twice: Vec<String> = (0..300).flat_map(|n| [format!("w {n}"), format!("w {n}")]).collect();
        assert_eq!(got, twice);
    }
}

fn lines(round: u32, count: u32) -> String {
    (0..count).map(|n| format!("{round} {n}\n")).collect()
}

/// Runs rounds until in enough of them a number was given away again.
fn each_round(tail: &Tail, mut round: impl FnMut(u32) -> bool) {
    let mut again = 0;
    for n in 1..ROUNDS_MAX {
        again += u32::from(round(n));
        if again == ROUNDS {
            return;
        }
    }
    let place = tail.dir().display();
    panic!(
        "{place} is on a file system that gives inode numbers away again too seldom: set TMPDIR to one on ext4 or xfs"
    );
}

/// Makes the tailed file anew, if possible with the given inode number; answers whether it was.
fn create(tail: &Tail, number: u64, text: &str) -> bool {
    let name = |n: u32| tail.log(&format!("try{n}"));
    let mut made = 0;
    let mut is_same = false;
    while made < TRIES_MAX && !is_same {
        fs::write(name(made), text).unwrap();
        is_same = inode(&name(made)) == number;
        made += 1;
    }
    fs::rename(name(made - 1), tail.log("app.log")).unwrap();
    (0..made - 1).for_each(|n| fs::remove_file(name(n)).unwrap());
    is_same
}

fn assert_outputs(tail: &Tail, expected: &str) {
    for n in 0..tail.outputs {
        let out = tail.out(n);
        let first = out.lines().zip(expected.lines()).position(|(got, expected)| got != expected);
        assert!(out == expected, "output {n}: {} lines, line {first:?} is wrong", out.lines().count());
    }
    let meta = fs::metadata(tail.log("app.log")).unwrap();
    assert_eq!(tail.positions(), [(tail.log("app.log"), meta.len(), meta.ino())]);
}
