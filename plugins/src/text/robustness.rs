//! Whatever a text is made of, a parser writes whole maps or nothing.

use super::testing::parser;
use logweir_engine::msgpack::{Kind, skip};
use logweir_engine::plugin::ParseOutput;
use proptest::prelude::*;

const PARSERS: &[&str] = &[
    "@type apache",
    "@type apache2\nkeep_time_key true",
    "@type apache_error",
    "@type cri",
    "@type cri\n<parse>\n@type json\n</parse>",
    "@type csv\nkeys a,b,time\ntime_key time\ntypes a:integer,b:array",
    "@type csv\nkeys a,b,c\nparser_engine fast",
    "@type json\ntypes a:integer,b:float,c:time:%Y\nnull_empty_string true",
    "@type ltsv\ntypes a:integer",
    "@type ltsv\ndelimiter_pattern /[ ,]*/",
    "@type msgpack\ntime_key t",
    "@type multiline\nformat1 /(?<a>\\w*)[^\\n]?/\nunmatched_lines true",
    "@type nginx",
    "@type none",
    "@type regexp\nexpression /^(?<a>[^ ]*+) (?<time>.*)$/m\ntime_type mixed\ntime_format %iso8601\ntime_format_fallbacks unixtime",
    "@type syslog\nwith_priority true",
    "@type syslog\nwith_priority true\nparser_engine string\nmessage_format auto",
    "@type syslog\nmessage_format rfc5424\nwith_priority true",
    "@type tsv\nkeys a,b,c",
];

const SEEDS: &[&str] = &[
    r#"192.168.0.1 - - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0""#,
    "[Wed Oct 11 14:32:52 2000] [error] [client 127.0.0.1] client denied",
    r#"2016-10-06T00:17:09.669794202Z stdout F {"a":"1","time":5,"b":[1,{"c":null}]}"#,
    r#"{"a":"12","b":"1.5","c":"2023","time":1700000000.5,"e":""}"#,
    "1,\"a,\"\"b\",1700000000",
    "a:1\tb:x:y\ttime:5\tnolabel",
    "<6>Feb 28 12:00:00.5 192.168.0.1 fluentd[11111]: [error] Syslog test",
    r#"<16>1 2017-02-06T13:14:15.003Z h a p m [a@1 x="y]\"z"][b@1] two"#,
    "\u{82}\u{a1}a\u{1}",
    "x 2023-11-14T22:13:20Z\ny 5",
];

proptest! {
    #[test]
    fn maps_are_whole(
        which in 0..PARSERS.len(),
        seed in 0..SEEDS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..6),
        binary: bool,
    ) {
        let mut text = SEEDS[seed].as_bytes().to_vec();
        for (place, byte, kind) in edits {
            let at = place.index(text.len() + 1);
            match kind {
                0 => text.insert(at, byte),
                1 => text.truncate(at),
                2 if at < text.len() => text[at] = byte,
                _ if at < text.len() => drop(text.remove(at)),
                _ => {}
            }
        }
        let mut out = ParseOutput::new();
        out.set_binary(binary);
        out.begin().push(0x80);
        out.commit(None);
        let _ = parser(PARSERS[which]).parse(&text, &mut out);
        let mut end = 0;
        for (index, entry) in out.entries().iter().enumerate() {
            prop_assert_eq!(entry.start, end);
            end = entry.end;
            let record = out.record(index);
            prop_assert_eq!(record.first().copied().and_then(Kind::of), Some(Kind::Map));
            prop_assert_eq!(skip(record, 0), Ok(record.len()));
        }
        prop_assert_eq!(out.bytes().len(), end, "nothing lies behind the last entry");
    }
}
