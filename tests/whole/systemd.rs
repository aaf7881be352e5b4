//! in_systemd and real journals: whatever ends Logweir, each entry comes to each output once.

use crate::logweir::Logweir;
use logweir_testing::JournalFolder;
use rustix::process::Signal;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Points at which [`wherever_it_ends`] ends Logweir. They are not in the table of `faults`, whose scenes have no journal.
pub(crate) const POINTS: [&str; 3] = ["journal-emitted", "cursor-saving", "cursor-saved"];

/// Outputs, each with a buffer of its own.
const OUTPUTS: usize = 2;
const KILLS: usize = 5;

struct Place {
    dir: tempfile::TempDir,
    journal: JournalFolder,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = JournalFolder::create(&dir.path().join("journal"));
        Self { dir, journal }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The buffers keep everything until they are told to let go.
    fn config(&self) -> String {
        let dir = self.dir().display();
        let mut config = format!(
            "<source>
  @type systemd
  path {dir}/journal
  tag journal
  read_from_head true
  <storage>
    @type local
    persistent true
    path {dir}/cursor.json
  </storage>
  <entry>
    field_map {{\"MESSAGE\": \"message\"}}
    fields_strip_underscores true
    fields_lowercase true
  </entry>
</source>
<match journal>
  @type copy
"
        );
        for n in 0..OUTPUTS {
            let _ = writeln!(
                config,
                "  <store>
    @type file
    path {dir}/out{n}
    append true
    <format>
      @type single_value
    </format>
    <buffer []>
      @type file
      path {dir}/buffer{n}
      flush_mode interval
      flush_interval 1h
      flush_at_shutdown false
    </buffer>
  </store>"
            );
        }
        config + "</match>\n"
    }

    fn out(&self, n: usize) -> String {
        std::fs::read_to_string(self.dir().join(format!("out{n}.log"))).unwrap_or_default()
    }

    /// Lets the buffers go until each output has so many lines, stops, and accounts for each of them.
    fn finish(&self, mut logweir: Logweir, total: u64) {
        for n in 0..OUTPUTS {
            let what = format!("{total} lines in out{n}.log");
            logweir.wait(&what, |logweir| {
                logweir.signal(Signal::USR1);
                self.out(n).lines().count() as u64 >= total
            });
        }
        assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
        for n in 0..OUTPUTS {
            let mut numbers: Vec<u64> = self
                .out(n)
                .lines()
                .map(|line| line.strip_prefix("line ").unwrap().parse().unwrap())
                .collect();
            numbers.sort_unstable();
            let expected: Vec<u64> = (0..total).collect();
            assert!(numbers == expected, "output {n} has {} lines of {total}, not each once", numbers.len());
        }
    }
}

/// Entries are written, and the journal is rotated, while Logweir is killed again and again.
#[test]
fn however_often_it_is_killed() {
    let place = Place::new();
    let stop = AtomicBool::new(false);
    let (logweir, total) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (mut next, mut file) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let count = 1 + next % 700;
                place.journal.append_messages(&format!("f{file}"), "line", next..next + count);
                next += count;
                file += u64::from(next % 3 == 0);
            }
            next
        });
        let _until_the_end = StopAtTheEnd(&stop);
        let mut logweir = Logweir::start(place.dir(), &place.config());
        for round in 0..KILLS {
            std::thread::sleep(Duration::from_millis(150 + 70 * round as u64));
            logweir.kill();
            logweir.start_again();
        }
        stop.store(true, Ordering::Relaxed);
        (logweir, writing.join().unwrap())
    });
    assert!(total > 100, "{total}");
    place.finish(logweir, total);
}

/// A writer must not go on after a test that failed.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn wherever_it_ends() {
    for point in POINTS {
        for passes in [1, 3] {
            let place = Place::new();
            let mut logweir = Logweir::not_started(place.dir(), &place.config());
            logweir.spawn(&[("LOGWEIR_FAULT", &format!("{point}:{passes}"))]);
            let mut total = 0;
            let ended = loop {
                if let Some(status) = logweir.ended() {
                    break status;
                }
                assert!(total < 100_000, "{point} is not passed {passes} times:\n{}", logweir.log());
                place.journal.append_messages("a", "line", total..total + 40);
                total += 40;
            };
            let at_point = logweir.log().contains(&format!("ended by LOGWEIR_FAULT at {point}\n"));
            assert!(at_point, "{ended}, not at {point}:\n{}", logweir.log());
            logweir.start_again();
            place.journal.append_messages("a", "line", total..total + 40);
            place.finish(logweir, total + 40);
        }
    }
}

/// A reload ends the input and begins another one at the same place.
#[test]
fn over_a_reload() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..50);
    let mut logweir = Logweir::start(place.dir(), &place.config());
    logweir.signal(Signal::HUP);
    logweir.wait("the reload", |process| process.log().contains("the new configuration is running"));
    place.journal.append_messages("b", "line", 50..100);
    place.finish(logweir, 100);
}

#[test]
fn a_storage_that_cannot_be_read_is_an_error_at_the_start() {
    let place = Place::new();
    std::fs::write(place.dir().join("cursor.json"), "nonsense").unwrap();
    let mut logweir = Logweir::not_started(place.dir(), &place.config());
    logweir.spawn(&[]);
    let status = loop {
        if let Some(status) = logweir.ended() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(!status.success());
    assert!(logweir.log().contains("failed to read data from plugin storage file"), "{}", logweir.log());
}
