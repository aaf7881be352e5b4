//! Filters allocate nothing for a record.

use crate::counting::on_this_thread;
use futures_util::FutureExt;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime};
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{Time, write_entry};
use logweir_engine::plugin::{Build, Driver, Kind, Registry};
use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;

const FILTERS: &[(&str, &str)] = &[
    ("@type grep\n<regexp>\nkey level\npattern /^(info|warn)$/\n</regexp>", r#"{"level":"info","n":1}"#),
    ("@type grep\n<exclude>\nkey $.a.b\npattern health\n</exclude>", r#"{"a":{"b":"other"},"n":1}"#),
    ("@type parser\nkey_name log\n<parse>\n@type json\n</parse>", r#"{"log":"{\"a\":1}","n":1}"#),
    (
        "@type parser\nkey_name log\nreserve_data true\nremove_key_name_field true\n<parse>\n@type ltsv\n</parse>",
        r#"{"log":"a:1\tb:2","n":1}"#,
    ),
    (
        "@type kubernetes_metadata\n\
         tag_to_kubernetes_name_regexp ^(?<pod_name>t)(?<namespace>)(?<container_name>)(?<docker_id>)",
        r#"{"stream":"stdout","message":"a line"}"#,
    ),
    (
        "@type kubernetes_metadata",
        r#"{"docker":{"container_id":"i"},"kubernetes":{"namespace_name":"n","pod_name":"p","container_name":"c"}}"#,
    ),
    ("@type record_transformer\n<record>\nhost here\n</record>", r#"{"n":1}"#),
    ("@type record_transformer\n<record>\ncopy ${record[\"n\"]}\n</record>", r#"{"n":1}"#),
    (
        "@type record_transformer\nenable_ruby true\n<record>\nmail ${record[\"context\"][\"email\"]}\nn ${record[\"n\"]}\n\
         up ${record[\"level\"].upcase}\nwhere ${tag}/${record[\"level\"]}\nhost ${hostname}\n</record>",
        r#"{"level":"info","n":1,"context":{"email":"a@b"}}"#,
    ),
];

#[test]
fn a_record_in_a_filter_costs_no_allocation() {
    let registry: Registry = logweir_plugins::registry();
    let plugins: Vec<_> = registry.iter().collect();
    for (body, record) in FILTERS {
        let mut driver = Driver::new(&plugins);
        let params = driver
            .params(Kind::Filter, &format!("<filter **>\n{body}\n</filter>"))
            .unwrap_or_else(|e| panic!("{}", e.message()));
        let descriptor = registry.find(Kind::Filter, params.plugin_type()).expect("a filter");
        let Build::Filter(build) = descriptor.build else { panic!("not a filter: {body}") };
        let filter = build(&params, &mut driver.context()).unwrap_or_else(|e| panic!("{}", e.message()));
        let output =
            driver.output("<match **>\n@type null\n</match>").unwrap_or_else(|e| panic!("{}", e.message()));
        let pattern = || TagPatterns::parse("**").expect("a pattern");
        let rules =
            vec![(pattern(), Collector::Filter(filter.into())), (pattern(), Collector::Output(output))];
        let log = PluginLog::program();
        let errors = ErrorEvents::new(log.clone(), std::time::Duration::ZERO);
        let router = Router::new(rules, errors, log, false);

        let mut map = Vec::new();
        to_msgpack(record.as_bytes(), &mut map, ReadOptions::default()).expect("JSON");
        let mut entry = Vec::new();
        write_entry(&mut entry, Time::Event(EventTime::from_secs(1)), None, &map);
        let allocations = |records: usize| {
            let stream = EventStream::new("t".into(), entry.repeat(records).into(), records);
            let before = on_this_thread();
            let emitted = router.emit(stream, &mut Receipt::unwatched()).now_or_never();
            emitted.expect("nothing to wait for").expect("taken");
            on_this_thread() - before
        };
        // Arenas and automata grow with the first records.
        allocations(1000);
        let (few, many) = (allocations(10), allocations(1000));
        assert!(many <= few + 2, "{body}: {few} allocations for 10 records, {many} for 1000");
    }
}
