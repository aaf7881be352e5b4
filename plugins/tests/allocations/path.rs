//! From the socket into the file buffer and back as an ack, no record costs an allocation: ten thousand in a message cost as
//! many as ten. Counted are all threads of the process, the client's too, which allocates nothing.

use crate::counting::in_the_process;
use logweir_engine::event::EventTime;
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{Time, write_array_len, write_bin, write_entry, write_map_len, write_str};
use logweir_engine::plugin::{Build, Driver, InputContext, Kind, Output, PluginId};
use logweir_engine::route::{Collector, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The number of a chunk.
const NUMBER: &str = "00000000";
const FEW: usize = 10;
const MANY: usize = 10_000;
/// What may be more with many records, which are 3 MB: a read buffer that grows, more rounds of the thread that syncs.
const MORE_MAX: u64 = 100;

#[test]
fn a_record_that_nothing_touches_costs_no_allocation() {
    compare(&[]);
}

#[test]
fn a_record_that_fields_are_spliced_into_costs_no_allocation() {
    compare(&["@type record_transformer\n<record>\nhostname a\nenvironment production\n</record>"]);
}

#[test]
fn a_record_that_is_selected_costs_no_allocation() {
    compare(&["@type grep\n<regexp>\nkey level\npattern /^(info|error)$/\n</regexp>"]);
}

#[test]
fn an_expression_whose_value_is_a_slice_of_the_record_costs_no_allocation() {
    let record =
        "venue ${record['venueId'][6..-1]}\nid ${record['metadata']['requestId']}\ntag ${tag_parts[1]}";
    compare(&[&format!("@type record_transformer\nenable_ruby true\n<record>\n{record}\n</record>")]);
}

/// One test at a time: they count the allocations of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Sends messages of few and of many records through these filters, and compares.
fn compare(filters: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let port = logweir_testing::free_port();
    let running = runtime.block_on(start(port, dir.path(), filters));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut messages = [message(FEW, "few"), message(MANY, "many")];
    // Caches and buffers fill.
    for _ in 0..3 {
        messages.iter_mut().for_each(|message| exchange(&mut client, message));
    }
    // The harness and the tests of parsers allocate, too: the fewest of some attempts are those of the messages.
    let cost = |client: &mut TcpStream, message: &mut Message| {
        let mut attempt = || {
            let before = in_the_process();
            exchange(client, message);
            in_the_process() - before
        };
        (0..10).map(|_| attempt()).min().unwrap()
    };
    let [few, many] = messages.each_mut().map(|message| cost(&mut client, message));
    assert!(few > 0 && many <= few + MORE_MAX, "{few} for {FEW} records, {many} for {MANY}: {filters:?}");
    runtime.block_on(running.stop());
}

/// A message and its ack. Both end with the number of the chunk, which is another one each time: a chunk that comes again is
/// not stored again.
struct Message {
    bytes: Vec<u8>,
    ack: Vec<u8>,
    count: usize,
}

/// A PackedForward message of `count` records of Servio's shape.
fn message(count: usize, name: &str) -> Message {
    let chunk = format!("{name}{NUMBER}");
    let mut entries = Vec::new();
    for number in 0..count {
        let text = format!(
            r#"{{"timestamp":"2024-01-15T10:30:45.123Z","level":"info","service":"app","venueId":"venue_{}","message":"User logged in","context":{{"ip":"192.168.1.1","userAgent":"Mozilla/5.0"}},"metadata":{{"requestId":"req_{number:08x}","traceId":"trace_{number:08x}"}}}}"#,
            number % 97
        );
        let mut record = Vec::new();
        to_msgpack(text.as_bytes(), &mut record, ReadOptions::default()).unwrap();
        write_entry(&mut entries, Time::Event(EventTime { sec: 1_700_000_000, nsec: 0 }), None, &record);
    }
    let mut bytes = Vec::new();
    write_array_len(&mut bytes, 3);
    write_str(&mut bytes, b"servio.app");
    write_bin(&mut bytes, &entries);
    write_map_len(&mut bytes, 1);
    write_str(&mut bytes, b"chunk");
    write_str(&mut bytes, chunk.as_bytes());
    let mut ack = Vec::new();
    write_map_len(&mut ack, 1);
    write_str(&mut ack, b"ack");
    write_str(&mut ack, chunk.as_bytes());
    Message { bytes, ack, count: 0 }
}

/// Sends a message and waits for its ack.
fn exchange(client: &mut TcpStream, message: &mut Message) {
    message.count += 1;
    let Message { bytes, ack, count } = message;
    for text in [&mut *bytes, &mut *ack] {
        let at = text.len() - NUMBER.len();
        write!(&mut text[at..], "{count:08}").unwrap();
    }
    client.write_all(bytes).unwrap();
    let mut got = [0; 64];
    let got = &mut got[..ack.len()];
    client.read_exact(got).unwrap();
    assert_eq!(got, *ack);
}

struct Running {
    output: Arc<dyn Output>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// in_forward, filters and a synced file buffer.
async fn start(port: u16, dir: &std::path::Path, filters: &[&str]) -> Running {
    let registry = logweir_plugins::registry();
    let plugins: Vec<_> = registry.iter().collect();
    let mut driver = Driver::new(&plugins);
    let all = || TagPatterns::parse("**").unwrap();
    let mut rules = Vec::new();
    for body in filters {
        let params = driver.params(Kind::Filter, &format!("<filter **>\n{body}\n</filter>"));
        let params = params.unwrap_or_else(|e| panic!("{}", e.message()));
        let descriptor = registry.find(Kind::Filter, params.plugin_type()).unwrap();
        let Build::Filter(build) = descriptor.build else { panic!("not a filter: {body}") };
        let filter = build(&params, &mut driver.context()).unwrap_or_else(|e| panic!("{}", e.message()));
        rules.push((all(), Collector::Filter(filter.into())));
    }
    let path = dir.join("buffer");
    let output = driver
        .output(&format!(
            "<match **>\n@type null\n<buffer>\n@type file\npath {}\nflush_mode interval\nflush_interval 1h\n</buffer>\n</match>",
            path.display()
        ))
        .unwrap_or_else(|e| panic!("{}", e.message()));
    output.start().await.unwrap();
    rules.push((all(), Collector::Output(Arc::clone(&output))));
    let log = PluginLog::program();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let context = InputContext {
        id: PluginId { text: "test".into(), configured: false },
        log: log.clone(),
        router: Router::new(rules, driver.errors.clone(), log, false),
        tasks: tasks.clone(),
        stop: stop.clone(),
        counters: Arc::default(),
    };
    let text = format!("<source>\n@type forward\nbind 127.0.0.1\nport {port}\n</source>");
    let params = driver.params(Kind::Input, &text).unwrap_or_else(|e| panic!("{}", e.message()));
    let Build::Input(build) = registry.find(Kind::Input, "forward").unwrap().build else {
        panic!("no input")
    };
    let mut input = build(&params, &mut driver.context()).unwrap_or_else(|e| panic!("{}", e.message()));
    input.start(context).await.unwrap();
    Running { output, tasks, stop }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.output.shutdown().await;
    }
}
