//! From the bytes of a message into the file buffer no record costs an allocation: ten thousand in a message cost as many
//! as ten.

use crate::counting::on_this_thread;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime};
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{Time, write_array_len, write_bin, write_entry, write_map_len, write_str};
use logweir_engine::plugin::{Build, Driver, Kind, Output};
use logweir_engine::route::{Collector, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use logweir_plugins::in_forward::count_entries;
use std::sync::Arc;

const FEW: usize = 10;
const MANY: usize = 10_000;

#[test]
fn a_message_costs_as_many_allocations_whatever_is_in_it() {
    let cost = |count: usize| {
        let bytes = message(&entries(count));
        let before = on_this_thread();
        assert_eq!(count_entries(&bytes), Some(count));
        on_this_thread() - before
    };
    cost(MANY);
    assert_eq!(cost(MANY), cost(FEW));
}

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

/// Sends streams of few and of many records through these filters into a file buffer, and compares.
fn compare(filters: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let (router, output) = start(dir.path(), filters).await;
        let [few, many] = [FEW, MANY].map(|count| (count, bytes::Bytes::from(entries(count))));
        let cost = async |(count, entries): &(usize, bytes::Bytes)| {
            let stream = EventStream::new("servio.app".into(), entries.clone(), *count);
            let mut receipt = Receipt::unwatched();
            let before = on_this_thread();
            router.emit(stream, &mut receipt).await.unwrap();
            on_this_thread() - before
        };
        // Caches, arenas and automata fill.
        for _ in 0..3 {
            cost(&many).await;
        }
        let (few, many) = (cost(&few).await, cost(&many).await);
        // An arena may take a chunk of memory more.
        assert!(many <= few + 2, "{few} for {FEW} records, {many} for {MANY}: {filters:?}");
        output.shutdown().await;
    });
}

/// `count` entries of Servio's shape.
fn entries(count: usize) -> Vec<u8> {
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
    entries
}

/// A PackedForward message of these.
fn message(entries: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_array_len(&mut bytes, 3);
    write_str(&mut bytes, b"servio.app");
    write_bin(&mut bytes, entries);
    write_map_len(&mut bytes, 1);
    write_str(&mut bytes, b"chunk");
    write_str(&mut bytes, b"p8n9gmxTQVC8/nh2wlKKeQ==");
    bytes
}

/// Filters in front of a synced file buffer.
async fn start(dir: &std::path::Path, filters: &[&str]) -> (Arc<Router>, Arc<dyn Output>) {
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
    (Router::new(rules, driver.errors.clone(), log, false), output)
}
