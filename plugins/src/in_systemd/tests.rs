//! Real journals, made by systemd-journal-remote.

use super::PLUGIN;
use super::entry::FIELD_BYTES_MAX;
use crate::socket::testing::events_of;
use crate::testing::{Behaviour, Pipeline, Sink, with_params};
use logweir_engine::plugin::{Build, Input};
use logweir_testing::{JournalFolder, journal_entry};
use std::path::{Path, PathBuf};
use std::time::Duration;

struct Place {
    folder: tempfile::TempDir,
    journal: JournalFolder,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = JournalFolder::create(&folder.path().join("journal"));
        Self { folder, journal }
    }

    fn storage(&self) -> PathBuf {
        self.folder.path().join("cursor.json")
    }

    /// The cursor that is saved.
    fn cursor(&self) -> Option<String> {
        cursor(&self.storage())
    }

    async fn start(&self, text: &str) -> Running {
        Running::start(&self.journal.path().display().to_string(), &self.storage(), text).await
    }

    /// What comes from the head of the journal.
    async fn read(&self, text: &str, count: usize) -> Vec<String> {
        let running = self.start(&format!("read_from_head true\n{text}")).await;
        let events = running.events(count).await;
        running.stop().await;
        events
    }

    async fn until_saved(&self, is_right: impl Fn(&str) -> bool) {
        for _ in 0..2000 {
            if self.cursor().is_some_and(|cursor| is_right(&cursor)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the cursor is {:?}", self.cursor());
    }
}

fn cursor(path: &Path) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
    value["journal"].as_str().map(str::to_owned)
}

struct Running {
    pipeline: Pipeline,
    _input: Box<dyn Input>,
}

impl Running {
    async fn start(path: &str, storage: &Path, text: &str) -> Self {
        let text = format!(
            "tag j\npath {path}\n<storage>\npersistent true\npath {}\n</storage>\n{text}",
            storage.display()
        );
        let mut input = with_params(&PLUGIN, &text, |params, context| match PLUGIN.build {
            Build::Input(build) => build(params, context),
            _ => panic!("not an input"),
        })
        .unwrap_or_else(|error| panic!("{error}"));
        let pipeline = Pipeline::new();
        input.start(pipeline.context.clone()).await.unwrap();
        Self { pipeline, _input: input }
    }

    fn sink(&self) -> &Sink {
        &self.pipeline.sink
    }

    async fn events(&self, count: usize) -> Vec<String> {
        events_of(self.sink(), count).await
    }

    /// The numbers of the messages that have come.
    async fn numbers(&self, count: usize) -> Vec<u64> {
        self.events(count).await.iter().map(|event| number(event)).collect()
    }

    async fn stop(self) -> Sink {
        self.pipeline.stop().await
    }
}

fn number(event: &str) -> u64 {
    let message = event.split(r#""MESSAGE":"line "#).nth(1).unwrap_or_else(|| panic!("{event}"));
    message.split('"').next().unwrap().parse().unwrap()
}

fn line(number: u64, more: &[(&str, &[u8])]) -> Vec<u8> {
    let message = format!("line {number}");
    journal_entry(number, &[&[("MESSAGE", message.as_bytes())][..], more].concat())
}

#[tokio::test]
async fn entries_become_records_with_their_time() {
    let place = Place::new();
    place
        .journal
        .append("a", &[line(1, &[("_PID", b"7"), ("TAGS", b"a"), ("TAGS", b"b"), ("D", b"\xff\0")])]);
    let events = place.read("", 1).await;
    assert!(events[0].starts_with("j 1700000000.001000000 {"), "{events:?}");
    for field in [r#""MESSAGE":"line 1""#, r#""_PID":"7""#, r#""TAGS":"b""#, r#""_BOOT_ID":"4737"#] {
        assert!(events[0].contains(field), "{field}: {events:?}");
    }
    let entry = "field_map {\"MESSAGE\": \"log\", \"_pid\": [\"pid\"]}\nfield_map_strict true";
    let place = Place::new();
    place.journal.append("a", &[line(1, &[("_pid_", b"7"), ("_PID", b"8")])]);
    let events = place.read(&format!("<entry>\n{entry}\n</entry>"), 1).await;
    assert_eq!(events, [r#"j 1700000000.001000000 {"log":"line 1","pid":"8"}"#]);
}

#[tokio::test]
async fn without_a_cursor_reading_begins_at_the_last_entry() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..5);
    let running = place.start("").await;
    assert_eq!(running.numbers(1).await, [4]);
    place.journal.append_messages("a", "line", 5..8);
    assert_eq!(running.numbers(4).await, [4, 5, 6, 7]);
    running.stop().await;
    // And goes on where it was.
    place.journal.append_messages("a", "line", 8..10);
    let running = place.start("read_from_head true").await;
    assert_eq!(running.numbers(2).await, [8, 9]);
    assert_eq!(running.stop().await.events().len(), 2);
}

#[tokio::test]
async fn an_empty_journal_is_read_when_entries_come() {
    let place = Place::new();
    let running = place.start("").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    place.journal.append_messages("a", "line", 0..3);
    assert_eq!(running.numbers(3).await, [0, 1, 2]);
    running.stop().await;
    let place = Place::new();
    let later = place.folder.path().join("later");
    let running = Running::start(&later.display().to_string(), &place.storage(), "read_from_head true").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    JournalFolder::create(&later).append_messages("a", "line", 0..3);
    assert_eq!(running.numbers(3).await, [0, 1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn matches_choose_entries() {
    let place = Place::new();
    let unit =
        |name: &'static [u8], priority: &'static [u8]| [("_SYSTEMD_UNIT", name), ("PRIORITY", priority)];
    let entries = [(b"a" as &[u8], b"3" as &[u8]), (b"a", b"4"), (b"b", b"3"), (b"c", b"6"), (b"b", b"4")];
    let entries: Vec<_> = entries
        .iter()
        .enumerate()
        .map(|(n, (name, priority))| line(n as u64, &unit(name, priority)))
        .collect();
    place.journal.append("a", &entries);
    for (matches, expected) in [
        (r#"matches [{"_SYSTEMD_UNIT":"a"}]"#, vec![0, 1]),
        (r#"matches [{"_systemd_unit":"a","PRIORITY":3}]"#, vec![0]),
        (r#"matches [{"_SYSTEMD_UNIT":"c"},{"PRIORITY":3}]"#, vec![0, 2, 3]),
        (r#"matches [{"_SYSTEMD_UNIT":["a","b"],"PRIORITY":4}]"#, vec![1, 4]),
        (r#"filters [{"_SYSTEMD_UNIT":"c"}]"#, vec![3]),
        ("matches []", vec![0, 1, 2, 3, 4]),
    ] {
        let _ = std::fs::remove_file(place.storage());
        let running = place.start(&format!("read_from_head true\n{matches}")).await;
        assert_eq!(running.numbers(expected.len()).await, expected, "{matches}");
        assert_eq!(running.stop().await.events().len(), expected.len(), "{matches}");
    }
}

#[tokio::test]
async fn files_come_and_go_as_journald_rotates_and_vacuums() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..10);
    let running = place.start("read_from_head true").await;
    running.events(10).await;
    place.journal.append_messages("b", "line", 10..20);
    running.events(20).await;
    place.journal.remove("a");
    place.journal.append_messages("b", "line", 20..30);
    place.journal.append_messages("c", "line", 30..40);
    assert_eq!(running.numbers(40).await, (0..40).collect::<Vec<u64>>());
    running.stop().await;
    // The entry of the cursor is vacuumed while nobody reads, and so are two that were never read.
    place.journal.append_messages("c", "line", 40..42);
    place.journal.append_messages("d", "line", 42..45);
    place.journal.remove("b");
    place.journal.remove("c");
    let running = place.start("").await;
    assert_eq!(running.numbers(3).await, [42, 43, 44]);
    assert_eq!(running.stop().await.events().len(), 3);
}

#[tokio::test]
async fn the_cursor_waits_for_commits() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..1);
    let running = place.start("read_from_head true").await;
    place.until_saved(|cursor| cursor.contains(";i=1;")).await;
    running.sink().behave(Behaviour::HoldCommits);
    place.journal.append_messages("a", "line", 1..3);
    running.events(3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(place.cursor().unwrap().contains(";i=1;"), "{:?}", place.cursor());
    running.sink().behave(Behaviour::Take);
    place.until_saved(|cursor| cursor.contains(";i=3;")).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_safe_is_read_again() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..2);
    let running = place.start("read_from_head true").await;
    place.until_saved(|cursor| cursor.contains(";i=2;")).await;
    running.sink().behave(Behaviour::FailCommits);
    place.journal.append_messages("a", "line", 2..4);
    running.events(4).await;
    running.sink().behave(Behaviour::Take);
    let mut seen = running.numbers(6).await;
    place.until_saved(|cursor| cursor.contains(";i=4;")).await;
    seen.drain(..2);
    assert!(seen.ends_with(&[2, 3]), "{seen:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_full_buffer_is_waited_for() {
    let place = Place::new();
    let running = place.start("read_from_head true").await;
    running.sink().behave(Behaviour::Refuse);
    place.journal.append_messages("a", "line", 0..3);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(place.cursor(), None);
    running.sink().behave(Behaviour::Take);
    assert_eq!(running.numbers(3).await, [0, 1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_full_buffer() {
    let place = Place::new();
    let running = place.start("read_from_head true").await;
    running.sink().behave(Behaviour::Refuse);
    place.journal.append_messages("a", "line", 0..3);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(running.stop().await.events().is_empty());
    assert_eq!(place.cursor(), None, "it is read after the restart");
}

#[tokio::test]
async fn a_cursor_that_makes_no_sense_is_passed_over() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..3);
    std::fs::write(place.storage(), r#"{"journal":"thisisinvalid"}"#).unwrap();
    let running = place.start("read_from_head true").await;
    assert_eq!(running.numbers(3).await, [0, 1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn large_values_come_whole_up_to_a_limit() {
    let place = Place::new();
    let (large, huge) = (vec![b'x'; 300 << 10], vec![b'y'; FIELD_BYTES_MAX + 1000]);
    place.journal.append("a", &[line(0, &[("L", &large)]), line(1, &[("L", &huge)]), line(2, &[])]);
    let running = place.start("read_from_head true").await;
    let events = running.sink().wait_for(3).await;
    let bytes = |entry: &[u8], byte: u8| entry.iter().filter(|b| **b == byte).count();
    assert_eq!(bytes(&events[0].1, b'x'), large.len(), "beyond libsystemd's 64 KiB");
    assert_eq!(bytes(&events[1].1, b'y'), FIELD_BYTES_MAX, "cut");
    running.stop().await;
}

#[tokio::test]
async fn damage_stops_nothing() {
    let place = Place::new();
    place.journal.append_messages("a", "line", 0..200);
    place.journal.append_messages("b", "line", 200..210);
    let path = place.journal.path().join("a.journal");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.windows(8).position(|window| window == b"line 100").unwrap();
    bytes[middle - 64..middle + 64].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let running = place.start("read_from_head true").await;
    // libsystemd gives up a damaged file where the damage is; the other is read to its end.
    let mut count = 100;
    loop {
        let events = running.events(count).await;
        if events.iter().any(|event| event.contains("line 209")) {
            break;
        }
        count = events.len() + 1;
    }
    running.stop().await;
}
