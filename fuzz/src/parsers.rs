//! The parser plugins.

use logweir_engine::msgpack::skip;
use logweir_engine::plugin::{Descriptor, Driver, Kind, ParseOutput, Parser};
use std::cell::OnceCell;
use std::sync::Arc;

thread_local! {
    static PARSERS: OnceCell<Vec<Arc<dyn Parser>>> = const { OnceCell::new() };
}

/// `<parse>` sections, an input's first byte chooses one. A target must not change what an old input means: add at the end.
const SECTIONS: &[&str] = &[
    "@type json",
    "@type json\ntime_key t\ntime_format %Y-%m-%dT%H:%M:%S.%N%z\nkeep_time_key true\ntypes a:integer,b:float,c:bool,d:time,e:array",
    "@type none",
    "@type csv\nkeys a,b,c\nnull_value_pattern ^-$\nnull_empty_string true",
    "@type csv\nkeys a,b,c\nparser_type fast\ndelimiter ;",
    "@type tsv\nkeys a,b,c\ntime_key a\ntime_type float",
    "@type ltsv\ntypes a:integer,b:time:%s,c:array:;",
    "@type ltsv\nlabel_delimiter =\ndelimiter_pattern /[ ,]+/",
    "@type apache",
    "@type apache2",
    "@type apache_error",
    "@type nginx",
    "@type syslog",
    "@type syslog\nmessage_format rfc5424\nwith_priority true",
    "@type syslog\nmessage_format auto\nwith_priority true\nparser_engine string",
    "@type syslog\nmessage_format auto\nwith_priority true\nparser_engine regexp",
    "@type cri",
    "@type cri\nmerge_cri_fields true\n<parse>\n@type json\n</parse>",
    "@type msgpack",
    "@type regexp\nexpression /^(?<time>[^ ]*) (?<a>\\S+)(?: \"(?<b>(?:[^\\\"]|\\.)*)\")?$/\ntime_format %d/%b/%Y:%H:%M:%S %z",
    "@type multiline\nformat_firstline /^\\d/\nformat1 /^(?<time>\\d+) (?<m>.*)/\nformat2 /(?<n>.*)/\ntime_type unixtime",
];

/// A text behind a byte that says which parser reads it: nothing panics, and what comes out are entries.
pub fn parsers(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    PARSERS.with(|parsers| {
        let parsers = parsers.get_or_init(|| SECTIONS.iter().map(|section| parser(section)).collect());
        let parser = &parsers[usize::from(*choice) % parsers.len()];
        let mut out = ParseOutput::new();
        if let Err(failure) = parser.parse(text, &mut out) {
            drop(failure.to_string());
        }
        for entry in out.entries() {
            let bytes = &out.bytes()[..entry.end];
            assert_eq!(skip(bytes, entry.start), Ok(entry.end), "an entry");
            assert_eq!(skip(bytes, entry.record_start()), Ok(entry.end), "its record");
            assert!(entry.time.is_none_or(|time| time.nsec < 1_000_000_000));
        }
        if let Some(multiline) = parser.multiline() {
            multiline.is_firstline(text);
        }
    });
}

fn parser(section: &str) -> Arc<dyn Parser> {
    let plugins: Vec<&'static Descriptor> = logweir_plugins::registry().iter().collect();
    let mut driver = Driver::new(&plugins);
    let text = format!("<filter **>\n@type parser\nkey_name k\n<parse>\n{section}\n</parse>\n</filter>");
    let params = driver.params(Kind::Filter, &text).expect(section);
    driver.context().parser(&params, None).expect(section)
}
