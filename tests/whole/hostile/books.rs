//! The conservation law (`telemetry/ledger.rs`) over a whole configuration: whatever becomes of records, at every moment of
//! rest nothing is missing and nothing came from nowhere.

use super::*;

/// Every way that a record can go. Nobody listens on DEAD.
const CONFIG: &str = "
<system>\n root_dir HERE/root\n</system>
<source>\n @id in\n @type forward\n bind 127.0.0.1\n port PORT\n</source>
<source>\n @type monitor_agent\n bind 127.0.0.1\n port MONITOR\n</source>
<filter filtered.**>\n @type grep\n <exclude>\n key n\n pattern /[13579]$/\n </exclude>\n</filter>
<filter failed.**>\n @type parser\n key_name text\n <parse>\n @type json\n </parse>\n</filter>
<match copied.**>
  @type copy
  <store>\n @id copy_a\n @type null\n </store>
  <store ignore_error>\n @id copy_b\n @type null\n never_flush true\n </store>
  <store>\n @id copy_c\n @type relabel\n @label @NEXT\n </store>
</match>
<match secondary.**>
  @id secondary
  @type forward
  <server>\n host 127.0.0.1\n port DEAD\n </server>
  <secondary>\n @type secondary_file\n directory HERE/secondary\n </secondary>
  <buffer>\n @type file\n path HERE/buffer.secondary\n flush_mode immediate\n retry_wait 0.1\n retry_max_times 2\n </buffer>
</match>
<match evacuated.**>
  @id evacuated
  @type forward
  <server>\n host 127.0.0.1\n port DEAD\n </server>
  <buffer>\n @type file\n path HERE/buffer.evacuated\n flush_mode immediate\n retry_wait 0.1\n retry_max_times 1\n </buffer>
</match>
<match oldest.**>
  @id oldest
  @type forward
  <server>\n host 127.0.0.1\n port DEAD\n </server>
  <buffer>\n @type file\n path HERE/buffer.oldest\n flush_mode immediate\n retry_wait 1h\n total_limit_size 200\n
    overflow_action drop_oldest_chunk\n </buffer>
</match>
<match full.**>
  @id full
  @type forward
  <server>\n host 127.0.0.1\n port DEAD\n </server>
  <buffer>\n @type file\n path HERE/buffer.full\n flush_mode immediate\n retry_wait 1h\n total_limit_size 200\n </buffer>
</match>
<match kept.**>
  @id kept
  @type file
  path HERE/kept
  <buffer>\n @type file\n path HERE/buffer.kept\n flush_mode lazy\n timekey 1d\n flush_at_shutdown false\n </buffer>
</match>
<match {filtered,failed,plain}.**>
  @id plain
  @type file
  path HERE/plain
  append true
  <format>\n @type json\n </format>
  <buffer []>\n @type file\n path HERE/buffer.plain\n flush_mode immediate\n </buffer>
</match>
<label @NEXT>\n <match **>\n @id next\n @type null\n </match>\n</label>
<label @ERROR>
  <match full.**>\n @id error_full\n @type null\n </match>
  <match failed.**>\n @id error_failed\n @type null\n </match>
</label>
<label @FLUENT_LOG>\n <match **>\n @id own_log\n @type null\n </match>\n</label>
";

struct Pipelines {
    logweir: Logweir,
    port: u16,
    monitor: u16,
    chunk: u64,
}

impl Pipelines {
    /// Sends ten records; answers when they are acknowledged.
    fn send(&mut self, tag: &str) {
        self.chunk += 1;
        let chunk = format!("c{}", self.chunk);
        self.send_chunk(tag, &chunk);
    }

    fn send_chunk(&mut self, tag: &str, chunk: &str) {
        let text = |n: u64| if n < 4 { "no JSON" } else { r#"{"a":1}"# };
        let entries: Vec<_> =
            (0..10).map(|n| (1_700_000_000, serde_json::json!({"n": n, "text": text(n)}))).collect();
        let mut peer = Peer::connect(self.port);
        peer.send(&rmp_serde::to_vec(&(tag, entries, serde_json::json!({"chunk": chunk}))).unwrap());
        let count = peer.0.read(&mut [0; 64]).expect("an acknowledgement");
        assert!(count > 0, "{tag}: no acknowledgement");
    }

    /// Waits for rest, and for what an account says then.
    fn audit(&mut self, plugin: &str, account: &str, amount: u64) {
        let monitor = self.monitor;
        self.logweir.wait(&format!("{account} of {plugin} to be {amount}"), |_| {
            let books = books(monitor);
            books["records"]["total"]["unexplained"] == 0
                && books["records"]["plugins"][plugin][account].as_u64().unwrap_or(0) == amount
        });
    }

    fn total(&self, name: &str) -> u64 {
        books(self.monitor)["records"]["total"][name].as_u64().unwrap()
    }
}

#[test]
fn every_record_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let [port, monitor, dead] = [(); 3].map(|()| free_port());
    let config = CONFIG
        .replace("PORT", &port.to_string())
        .replace("MONITOR", &monitor.to_string())
        .replace("DEAD", &dead.to_string())
        .replace("HERE", &dir.path().display().to_string());
    let logweir = Logweir::start(dir.path(), &config);
    let mut all = Pipelines { logweir, port, monitor, chunk: 0 };

    all.send("plain.a");
    all.audit("plain", "stored", 10);
    all.send("filtered.a");
    all.audit("plain", "stored", 15);
    assert_eq!(all.total("filtered"), 5);
    all.send("failed.a");
    all.audit("error_failed", "stored", 4);
    all.audit("plain", "stored", 21);
    all.send("copied.a");
    for (output, account, amount) in
        [("copy_a", "stored", 10), ("copy_b", "refused{failed}", 10), ("next", "stored", 10)]
    {
        all.audit(output, account, amount);
    }
    assert_eq!(all.total("copied"), 20);
    all.send("nowhere.a");
    all.audit("in", "received", 50);
    // ignore_error of a store, and no <match>.
    assert_eq!(all.total("dropped"), 20);
    all.send("secondary.a");
    all.audit("secondary", "dead_lettered{secondary}", 10);
    all.send("evacuated.a");
    all.audit("evacuated", "dead_lettered{evacuated}", 10);
    all.send("oldest.a");
    // A chunk that is being written is not dropped.
    all.logweir.wait("a failure", |logweir| logweir.log().contains("[oldest] failed to flush the buffer"));
    all.send("oldest.a");
    all.send("oldest.a");
    all.audit("oldest", "buffered", 10);
    all.audit("oldest", "dropped{drop_oldest_chunk}", 20);
    // The buffer is full, so @ERROR takes the second.
    all.send("full.a");
    all.send("full.a");
    all.audit("full", "refused{buffer_overflow}", 10);
    all.audit("error_full", "stored", 10);
    // The same chunk again, by a sender that did not read its acknowledgement.
    all.send_chunk("plain.a", "again");
    all.send_chunk("plain.a", "again");
    all.audit("in", "duplicate", 10);
    all.audit("plain", "stored", 31);
    all.send("kept.a");
    all.audit("kept", "buffered", 10);

    // After a stop and after a kill, what was in the buffers is what the books open with.
    for kill in [false, true] {
        let buffered = all.total("buffered");
        if kill {
            all.logweir.kill();
        } else {
            assert!(all.logweir.stop().success());
        }
        all.logweir.start_again();
        all.audit("kept", "opening", if kill { 20 } else { 10 });
        assert_eq!((all.total("opening"), all.total("buffered")), (buffered, buffered));
        all.send("kept.a");
        all.audit("kept", "buffered", if kill { 30 } else { 20 });
    }
    all.logweir.signal(rustix::process::Signal::USR1);
    all.audit("kept", "stored", 30);
    assert!(all.logweir.stop().success());
}
