//! A ClickHouse that is away for long: memory and disk stay within their limits, sources wait, and when it is back
//! everything arrives, each record once.

use super::*;
use logweir_testing::ClickHouse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// total_limit_size of each buffer.
const TOTAL: u64 = 4 << 20;
/// Lines and records are padded to this.
const PADDING: usize = 1000;

#[test]
fn clickhouse_is_away_and_everything_waits() {
    let mut clickhouse = ClickHouse::start();
    clickhouse.query("CREATE TABLE events (n Int64, source String, pad String) ENGINE = MergeTree ORDER BY n SETTINGS index_granularity = 8192");
    clickhouse.stop();
    let dir = tempfile::tempdir().unwrap();
    let (port, monitor) = (free_port(), free_port());
    let mut logweir = Logweir::start(dir.path(), &config(dir.path(), port, monitor, clickhouse.port()));

    let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let sender = std::thread::spawn({
        let (acked, stop) = (Arc::clone(&acked), Arc::clone(&stop));
        move || forward(port, &acked, &stop)
    });
    let lines = 20_000;
    let mut log = String::new();
    for n in 0..lines {
        log.push_str(&format!("{{\"n\":{n},\"source\":\"tail\",\"pad\":\"{}\"}}\n", "x".repeat(PADDING)));
    }
    fs::write(dir.path().join("app.log"), &log).unwrap();
    drop(log);

    // Both buffers fill up, and then nothing moves any more.
    let buffered = |monitor: u16| books(monitor)["records"]["total"]["buffered"].as_u64().unwrap();
    logweir.wait("full buffers", |_| {
        ["forward", "tail"].into_iter().all(|name| used(&dir.path().join(name)) >= TOTAL)
    });
    // An append that is under way may wait for a slow disk.
    logweir.wait("rest", |_| {
        let before = (buffered(monitor), acked.load(SeqCst));
        (0..6).all(|_| {
            std::thread::sleep(Duration::from_millis(500));
            before == (buffered(monitor), acked.load(SeqCst))
        })
    });
    let (full, memory) = (buffered(monitor), peak_memory_mib(logweir.pid()));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(200));
        for name in ["forward", "tail"] {
            let used = used(&dir.path().join(name));
            // The append that reaches the limit still fits, and one chunk file may be kept spare.
            assert!(used <= TOTAL + (2 << 20), "{name}: {used} bytes");
        }
    }
    assert_eq!(buffered(monitor), full, "nothing was taken and nothing was dropped");
    assert!(acked.load(SeqCst) < 20_000, "the sender is held back");
    assert!(peak_memory_mib(logweir.pid()) <= memory + 8, "memory stays flat");
    assert!(memory < 192, "{memory} MiB");

    clickhouse.start_again();
    logweir.wait("the forwarded records to go on", |_| acked.load(SeqCst) > 20_000);
    stop.store(true, SeqCst);
    let sent = sender.join().unwrap();
    let count = |source: &str| {
        clickhouse.query(&format!("SELECT count(), uniqExact(n) FROM events WHERE source = '{source}'"))
    };
    logweir.wait("everything", |_| {
        count("tail") == format!("{lines}\t{lines}") && count("forward") == format!("{sent}\t{sent}")
    });
    logweir.wait("balanced books", |_| {
        let total = &books(monitor)["records"]["total"];
        total["unexplained"] == 0 && total["buffered"] == 0 && total["dropped"] == 0
    });
    assert!(logweir.stop().success());
    assert_eq!((count("tail"), count("forward")), (format!("{lines}\t{lines}"), format!("{sent}\t{sent}")));
}

/// Sends records until it is told to stop; answers how many were acknowledged. The next chunk is sent when the last is.
fn forward(port: u16, acked: &AtomicU64, stop: &AtomicBool) -> u64 {
    let mut peer = Peer::connect(port);
    peer.0.set_read_timeout(None).unwrap();
    let pad = "x".repeat(PADDING);
    let mut n: u64 = 0;
    while !stop.load(SeqCst) {
        let record = |n: u64| serde_json::json!({"n": n, "source": "forward", "pad": pad});
        let entries: Vec<_> = (n..n + 100).map(|n| (1_700_000_000, record(n))).collect();
        let option = serde_json::json!({"chunk": format!("c{n}")});
        peer.send(&rmp_serde::to_vec(&("forward", entries, option)).unwrap());
        assert!(peer.0.read(&mut [0; 64]).unwrap() > 0, "an acknowledgement");
        n += 100;
        acked.store(n, SeqCst);
    }
    n
}

fn config(dir: &Path, port: u16, monitor: u16, clickhouse: u16) -> String {
    let here = dir.display();
    let mut config = format!(
        "<source>\n @type forward\n bind 127.0.0.1\n port {port}\n receive_memory_limit 16m\n</source>
<source>
  @type tail
  path {here}/app.log
  pos_file {here}/app.pos
  tag tail
  read_from_head true
  <parse>\n @type json\n </parse>
</source>
<source>\n @type monitor_agent\n bind 127.0.0.1\n port {monitor}\n</source>
{NO_OWN_LOG}"
    );
    for name in ["forward", "tail"] {
        config.push_str(&format!(
            "<match {name}>
  @type clickhouse
  host 127.0.0.1
  port {clickhouse}
  database default
  table events
  <buffer>
    @type file
    path {here}/{name}
    chunk_limit_size 512k
    total_limit_size {TOTAL}
    flush_interval 0.2
    retry_wait 0.2
    retry_max_interval 0.5
    retry_forever true
    overflow_action block
  </buffer>
</match>
"
        ));
    }
    config
}

/// Bytes of the files in a directory, as they are on the disk.
fn used(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    // A chunk that is purged while this looks at it is no error.
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}
