//! Parsers allocate nothing for a line once their output has grown, and filters nothing for a record: counted by the
//! allocator itself, on the thread that does the work (the test harness has threads of its own).

use futures_util::FutureExt;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime};
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{Time, write_entry};
use logweir_engine::plugin::{Build, Driver, Kind, ParseOutput, Registry};
use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    // Without a destructor and with a constant value: reading it allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, so from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`; the caller's promises about `size` are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PARSERS: &[(&str, &str)] = &[
    ("@type none", "a line"),
    (
        "@type json",
        r#"{"timestamp":"2024-01-15T10:30:45.123Z","level":"info","context":{"ip":"192.168.1.1","n":[1,2.5]}}"#,
    ),
    ("@type json\ntime_format %iso8601", r#"{"time":"2024-01-15T10:30:45.123Z","message":"hi"}"#),
    ("@type json\ntime_type float", r#"{"time":"1700000000.5","message":"hi"}"#),
    ("@type cri", "2016-10-06T00:17:09.669794202Z stdout F the message"),
    ("@type cri\n<parse>\n@type json\n</parse>", r#"2016-10-06T00:17:09.669794202Z stdout F {"a":1}"#),
    (
        "@type nginx",
        r#"127.0.0.1 192.168.0.1 - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0" "-""#,
    ),
    (
        "@type apache2",
        r#"192.168.0.1 - - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0""#,
    ),
    (
        "@type regexp\nexpression /^(?<time>[^ ]+) (?<n>\\d+) (?<m>.*)$/\ntime_format %Y-%m-%dT%H:%M:%S.%N%z\ntypes n:integer",
        "2016-10-06T00:17:09.669794202Z 17 hello",
    ),
    ("@type syslog", "Feb 28 12:00:00 192.168.0.1 fluentd[11111]: [error] Syslog test"),
    ("@type syslog\nparser_engine string", "Feb 28 12:00:00 192.168.0.1 fluentd[11111]: [error] Syslog test"),
    (
        "@type syslog\nmessage_format rfc5424\nwith_priority true",
        "<16>1 2017-02-06T13:14:15.003Z h a p m [x k=\"v\"] hi",
    ),
    ("@type ltsv", "a:1\tb:x:y\thost:foo\tstatus:200"),
    ("@type csv\nkeys a,b,c,d", "1,\"x,y\",hello world,200"),
    ("@type tsv\nkeys a,b,c,d", "1\tx\thello world\t200"),
    ("@type multiline\nformat1 /^(?<level>\\w+) (?<message>.*)/", "INFO one\n  at two"),
];

#[test]
fn a_line_costs_no_allocation() {
    let registry: Registry = logweir_plugins::registry();
    let plugins: Vec<_> = registry.iter().collect();
    for (body, line) in PARSERS {
        let mut driver = Driver::new(&plugins);
        let params = driver
            .params(Kind::Parser, &format!("<parse>\n{body}\n</parse>"))
            .unwrap_or_else(|e| panic!("{}", e.message()));
        let descriptor = registry.find(Kind::Parser, params.plugin_type()).expect("a parser");
        let Build::Parser(build) = descriptor.build else { panic!("not a parser: {body}") };
        let parser = build(&params, &mut driver.context()).unwrap_or_else(|e| panic!("{}", e.message()));
        let mut out = ParseOutput::new();
        let mut parse = |times: usize| {
            for _ in 0..times {
                out.clear();
                parser.parse(line.as_bytes(), &mut out).unwrap_or_else(|e| panic!("{body}: {e}"));
                assert_eq!(out.entries().len(), 1, "{body}");
            }
        };
        // Automata grow while they see a text for the first times.
        parse(50);
        let before = ALLOCATIONS.get();
        parse(100);
        assert_eq!(ALLOCATIONS.get() - before, 0, "{body}");
    }
}

const FILTERS: &[(&str, &str)] = &[
    ("@type grep\n<regexp>\nkey level\npattern /^(info|warn)$/\n</regexp>", r#"{"level":"info","n":1}"#),
    ("@type grep\n<exclude>\nkey $.a.b\npattern health\n</exclude>", r#"{"a":{"b":"other"},"n":1}"#),
    ("@type parser\nkey_name log\n<parse>\n@type json\n</parse>", r#"{"log":"{\"a\":1}","n":1}"#),
    (
        "@type parser\nkey_name log\nreserve_data true\nremove_key_name_field true\n<parse>\n@type ltsv\n</parse>",
        r#"{"log":"a:1\tb:2","n":1}"#,
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
            let before = ALLOCATIONS.get();
            let emitted = router.emit(stream, &mut Receipt::unwatched()).now_or_never();
            emitted.expect("nothing to wait for").expect("taken");
            ALLOCATIONS.get() - before
        };
        // Arenas and automata grow with the first records.
        allocations(1000);
        let (few, many) = (allocations(10), allocations(1000));
        assert!(many <= few + 2, "{body}: {few} allocations for 10 records, {many} for 1000");
    }
}
