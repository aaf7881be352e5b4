//! The conservation law (`telemetry/ledger.rs`) over a whole configuration: whatever becomes of records, at every moment of
//! rest nothing is missing and nothing came from nowhere.

use super::*;
use crate::load::{Client, Dice};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

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

    // After a stop, a kill and a reload, what was in the buffers is what the books open with, and every way is booked again.
    let mut kept = 10;
    for end in [End::Stop, End::Kill, End::Reload, End::Kill] {
        let buffered = all.total("buffered");
        let (failures, full) = (all.failures("oldest"), all.failures("full"));
        all.begin_anew(end);
        all.audit("kept", "opening", kept);
        assert_eq!((all.total("opening"), all.total("buffered")), (buffered, buffered), "{end:?}");
        all.send("kept.a");
        kept += 10;
        all.audit("kept", "buffered", kept);
        all.send("secondary.a");
        all.audit("secondary", "dead_lettered{secondary}", 10);
        all.send("evacuated.a");
        all.audit("evacuated", "dead_lettered{evacuated}", 10);
        all.send("plain.a");
        all.audit("plain", "stored", 10);
        all.audit("oldest", "opening", 10);
        all.wait_for_failure("oldest", failures);
        all.send("oldest.a");
        all.audit("oldest", "dropped{drop_oldest_chunk}", 10);
        all.audit("oldest", "buffered", 10);
        all.wait_for_failure("full", full);
        all.send("full.a");
        all.audit("full", "refused{buffer_overflow}", 10);
        all.audit("error_full", "stored", 10);
        assert_eq!(all.total("unexplained"), 0, "{end:?}");
    }
    all.logweir.signal(Signal::USR1);
    all.audit("kept", "stored", kept);
    assert!(all.logweir.stop().success());
}

/// A sender that sends again whatever it has no acknowledgement of, and a Logweir that is killed, stopped and told to reload
/// meanwhile: in each of its lives the books balance, and in the end everything is there.
#[test]
fn the_books_balance_over_lives_that_end_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let [port, monitor, dead] = [(); 3].map(|()| free_port());
    let config = CONFIG
        .replace("PORT", &port.to_string())
        .replace("MONITOR", &monitor.to_string())
        .replace("DEAD", &dead.to_string())
        .replace("HERE", &dir.path().display().to_string());
    let logweir = Logweir::start(dir.path(), &config);
    let mut all = Pipelines { logweir, port, monitor, chunk: 0 };
    let mut dice = Dice::new();
    let mut promised = 0;
    for life in 0..8 {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut client = Client::new(&format!("life{life}"), port);
        let sender = std::thread::spawn({
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            move || {
                while !stop.load(Relaxed) {
                    client.deliver("plain.a", 7);
                    acknowledged.fetch_add(7, Relaxed);
                }
                client.promised().1
            }
        });
        all.logweir.wait("acknowledgements", |_| acknowledged.load(Relaxed) > 0);
        std::thread::sleep(Duration::from_millis(dice.below(150) as u64));
        all.begin_anew([End::Kill, End::Stop, End::Kill, End::Reload][dice.below(4)]);
        let before = acknowledged.load(Relaxed);
        all.logweir.wait("acknowledgements of the new life", |_| acknowledged.load(Relaxed) > before);
        stop.store(true, Relaxed);
        promised += sender.join().unwrap();
        all.logweir.wait("rest", |_| {
            let total = &books(monitor)["records"]["total"];
            total["unexplained"] == 0 && total["buffered"] == 0
        });
        // out_file repeats what it had written when it was killed before it knew.
        let text = fs::read_to_string(dir.path().join("plain.log")).unwrap();
        let written: BTreeSet<&str> = text.lines().collect();
        assert_eq!(written.len() as u64, promised, "each record that was acknowledged, and no other");
    }
    assert!(all.logweir.stop().success());
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stop,
    Kill,
    Reload,
}

impl Pipelines {
    /// Ends, and begins again.
    fn begin_anew(&mut self, end: End) {
        match end {
            End::Stop => assert!(self.logweir.stop().success()),
            End::Kill => self.logweir.kill(),
            End::Reload => {
                let reloads =
                    |logweir: &Logweir| logweir.log().matches("the new configuration is running").count();
                let before = reloads(&self.logweir);
                self.logweir.signal(Signal::USR2);
                return self.logweir.wait("the reload", |logweir| reloads(logweir) > before);
            }
        }
        self.logweir.start_again();
    }

    /// How often an output has said that it cannot write.
    fn failures(&self, plugin: &str) -> usize {
        self.logweir.log().matches(&format!("[{plugin}] failed to flush the buffer")).count()
    }

    /// A chunk that is being written is not dropped: waits until it is not.
    fn wait_for_failure(&mut self, plugin: &str, before: usize) {
        let text = format!("[{plugin}] failed to flush the buffer");
        self.logweir.wait("a failure", |logweir| logweir.log().matches(&text).count() > before);
    }
}
