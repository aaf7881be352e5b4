//! Parsers allocate nothing for a line once their output has grown.

use crate::counting::on_this_thread;
use logweir_engine::plugin::{Build, Driver, Kind, ParseOutput, Registry};
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
        let before = on_this_thread();
        parse(100);
        assert_eq!(on_this_thread() - before, 0, "{body}");
    }
}
