//! Tags that want to be something else: paths, log lines, SQL.

use super::*;
use logweir_testing::ClickHouse;

const TAGS: [&str; 9] = [
    "../../etc/passwd",
    "..",
    "/etc/passwd",
    "a/../../b",
    "a\n2026-01-01 00:00:00 +0000 [error]: forged",
    "a\u{1b}[2J",
    "a\0b",
    "$(touch /tmp/x)",
    "`id`;'\"\\",
];

#[test]
fn a_path_made_of_a_tag_stays_in_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (here, port) = (dir.path().display(), free_port());
    fs::create_dir(dir.path().join("out")).unwrap();
    let config = format!(
        "<system>\n root_dir {here}/root\n</system>
<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>
{NO_OWN_LOG}
<match **>
  @type file
  path {here}/out/${{tag}}
  append true
  <format>\n @type json\n </format>
  <buffer tag>\n @type file\n path {here}/buffer\n flush_mode immediate\n </buffer>
</match>
"
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    // File systems take no name as long as that.
    let long = "x".repeat(300);
    for (n, tag) in TAGS.into_iter().chain([long.as_str(), "honest"]).enumerate() {
        let mut peer = Peer::connect(port);
        peer.send(&acked_message(tag, n as u64));
        assert!(peer.0.read(&mut [0; 64]).unwrap() > 0, "an acknowledgement for {tag:?}");
    }
    logweir.wait("the honest file", |_| dir.path().join("out/honest.log").exists());
    logweir.wait("an empty buffer", |_| {
        fs::read_dir(dir.path().join("buffer"))
            .unwrap()
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with("buffer."))
    });
    let expected = ["buffer", "fluent.conf", "logweir.log", "out", "root"].map(str::to_owned);
    assert_eq!(names(dir.path()), BTreeSet::from(expected));
    // What was refused is kept in the backup directory, not lost.
    assert!(logweir.log().contains("Invalid path component"), "{}", logweir.log());
    let forged = logweir.log().lines().filter(|line| line.starts_with("2026-01-01 00:00:00")).count();
    assert_eq!(forged, 0, "a tag cannot begin a line of the log");
    assert!(!logweir.log().contains('\u{1b}'), "nor send escape sequences to a terminal");
    assert!(logweir.stop().success());
}

#[test]
fn a_table_made_of_a_tag_is_only_a_name() {
    let clickhouse = ClickHouse::start();
    clickhouse.query("CREATE TABLE keep (n Int64) ENGINE = MergeTree ORDER BY n");
    let dir = tempfile::tempdir().unwrap();
    let (here, port, clickhouse_port) = (dir.path().display(), free_port(), clickhouse.port());
    let config = format!(
        "<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>
{NO_OWN_LOG}
<match **>
  @type clickhouse
  host 127.0.0.1
  port {clickhouse_port}
  database default
  table t_${{tag}}
  create_table true
  <buffer tag>\n @type file\n path {here}/buffer\n flush_mode immediate\n retry_max_times 1\n </buffer>
</match>
"
    );
    let mut logweir = Logweir::start(dir.path(), &config);
    let tags = ["x` (n Int64) ENGINE = Log; DROP TABLE keep; --", "y; DROP TABLE keep", "z'\"\\", "honest"];
    for (n, tag) in tags.iter().enumerate() {
        let mut peer = Peer::connect(port);
        let message = rmp_serde::to_vec(&(
            serde_json::Value::from(*tag),
            [(1_700_000_000, serde_json::json!({"n": n}))],
            serde_json::json!({"chunk": format!("c{n}")}),
        ));
        peer.send(&message.unwrap());
        assert!(peer.0.read(&mut [0; 64]).unwrap() > 0, "an acknowledgement");
    }
    logweir.wait("the honest table", |_| clickhouse.query("EXISTS TABLE t_honest") == "1");
    logweir.wait("its row", |_| clickhouse.query("SELECT count() FROM t_honest") == "1");
    assert_eq!(clickhouse.query("EXISTS TABLE keep"), "1");
    let tables = clickhouse.query("SELECT count() FROM system.tables WHERE database = 'default' AND name NOT LIKE 't\\\\_%' AND name != 'keep'");
    assert_eq!(tables, "0");
    logweir.signal(rustix::process::Signal::TERM);
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
