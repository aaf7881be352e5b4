//! A whole Logweir that tails a file into the store: Native blocks in LZ4 frames, stored once.

use super::Store;
use crate::logweir::Logweir;
use crate::pieces::tail_json;
use std::fs;

const LINES: u64 = 5000;

#[test]
fn records_arrive_once_with_the_store_killed_on_the_way() {
    let Some(mut store) = Store::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let lines: String = (0..LINES)
        .map(|n| format!("{{\"n\":{n},\"level\":\"info\",\"service\":\"api\",\"user\":{{\"id\":{n}}},\"message\":\"grün {n}\"}}\n"))
        .collect();
    fs::write(dir.path().join("in.log"), lines).unwrap();
    let output = format!(
        "<match app>
  @type clickhouse
  host 127.0.0.1
  port {}
  database logs
  table app
  create_table true
  compress lz4
  <buffer>
    @type file
    path {here}/buffer
    flush_mode interval
    flush_interval 0.05
    chunk_limit_records 500
    retry_wait 0.1
    retry_max_interval 0.2
  </buffer>
</match>
",
        store.port()
    );
    let mut logweir = Logweir::start(dir.path(), &(tail_json(dir.path(), "app") + &output));
    let some = |store: &Store| {
        let answer = store.post("", "SELECT count() FROM logs.app");
        if answer.status == 200 { answer.text().trim().parse().unwrap_or(0) } else { 0u64 }
    };
    logweir.wait("the first rows", |_| some(&store) > 0);
    store.kill();
    fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join("in.log"))
        .and_then(|mut file| {
            std::io::Write::write_all(
                &mut file,
                format!("{{\"n\":{LINES},\"message\":\"last\"}}\n").as_bytes(),
            )
        })
        .unwrap();
    store.start_again();
    logweir.wait("all rows", |_| some(&store) > LINES);
    assert_eq!(logweir.stop().code(), Some(0));
    assert_eq!(
        store.query("SELECT count(), uniqExact(message) FROM logs.app"),
        format!("{0}\t{0}", LINES + 1)
    );
    assert_eq!(store.query("SELECT count() FROM logs.app WHERE message = 'grün 7' AND service = 'api'"), "1");
    store.stop();
}
