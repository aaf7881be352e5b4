//! A ClickHouse whose merges do not keep up refuses inserts: records gather meanwhile, and go in few inserts when it takes them.

use crate::logweir::Logweir;
use logweir_testing::{ClickHouse, Options};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

#[test]
fn records_gather_while_the_server_has_too_many_parts() {
    // 18.16 looks at the second limit only where the first is reached.
    let limits =
        "<parts_to_delay_insert>3</parts_to_delay_insert><parts_to_throw_insert>3</parts_to_throw_insert>";
    let config = format!("<merge_tree>{limits}</merge_tree>");
    let server = ClickHouse::start_with(&Options { config, ..Options::default() });
    server.query("CREATE TABLE t (timestamp DateTime, n UInt32) ENGINE = MergeTree ORDER BY n");
    server.query("SYSTEM STOP MERGES");
    for part in 1_000_000..1_000_003 {
        server.query(&format!("INSERT INTO t VALUES (now(), {part})"));
    }
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("in.log");
    fs::write(&lines, "").unwrap();
    let mut logweir = Logweir::start(dir.path(), &config_for(dir.path(), server.port()));
    let mut file = OpenOptions::new().append(true).open(&lines).unwrap();
    let mut count = 0;
    // Longer than several flush intervals, until it was refused several times.
    while logweir.log().matches("Too many parts").count() < 4 || count < 600 {
        assert!(count < 20_000, "it is not refused:\n{}", logweir.log());
        for n in count..count + 10 {
            writeln!(file, "{{\"n\":{n}}}").unwrap();
        }
        count += 10;
        std::thread::sleep(Duration::from_millis(100));
    }
    // One that is refused, one behind it, one on the stage.
    let chunks = chunks(dir.path());
    assert!(chunks <= 3, "{chunks} chunks");
    server.query("SYSTEM START MERGES");
    let stored = "SELECT count(), uniqExact(n) FROM t WHERE n < 1000000";
    logweir.wait("all records", |_| {
        // Three parts are too few for 18.16 to merge by itself, and as many as refuse the next insert.
        server.query("OPTIMIZE TABLE t FINAL");
        server.query(stored) == format!("{count}\t{count}")
    });
    assert_eq!(logweir.stop().code(), Some(0));
    assert_eq!(server.query(stored), format!("{count}\t{count}"));
}

fn config_for(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "<source>
  @type tail
  path {dir}/in.log
  pos_file {dir}/pos
  tag t
  read_from_head true
  <parse>
    @type json
  </parse>
</source>
<match t>
  @type clickhouse
  host 127.0.0.1
  port {port}
  table t
  <buffer>
    @type file
    path {dir}/buffer
    flush_interval 1s
    retry_max_interval 2s
  </buffer>
</match>
"
    )
}

fn chunks(dir: &Path) -> usize {
    let entries = fs::read_dir(dir.join("buffer")).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("buffer.")).count()
}
