//! The expressions that parsers bring: the engine matches them directly, and answers what its other engines answer, whatever
//! has become of a line.

use logweir_engine::plugin::{DefaultValue, Descriptor};
use logweir_engine::regexp::{RegexpFlags, fuzz_direct};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const ACCESS: &[&str] = &[
    r#"127.0.0.1 192.168.0.1 - [28/Feb/2013:12:00:00 +0900] "GET /a?b=c HTTP/1.1" 200 777 "-" "Opera/12.0" "10.0.0.1""#,
    r#"::1 - frank [10/Oct/2000:13:55:36 -0700] "POST /é\" x HTTP/1.0" 404 - "r\"s" "a (b; c)""#,
    r#"a - - [28/Feb/2013:12:00:00 +0900] "-" 408 0"#,
];
const ERRORS: &[&str] = &[
    "[Wed Oct 11 14:32:52 2000] [error] [pid 5] [client 127.0.0.1] client denied by server: é",
    "[Wed Oct 11 14:32:52 2000] [notice] restarting",
];
const SYSLOG: &[&str] =
    &["192.168.0.1 fluentd[11111]: [error] Syslog test", "host app message: it is\n", "h a [x] - b"];

const SYSLOG_5424: &[&str] = &[r#"h app 12 id [a@1 x="y]\"z"][b@1] two]"#, "h a p m - é", r"h a p m [\]]"];

fn default_of(plugin: &Descriptor) -> &'static str {
    let expression = plugin.params.iter().find(|param| param.name == "expression").unwrap();
    let DefaultValue::Text(default) = expression.default else { panic!("no default") };
    default.strip_prefix('/').unwrap().strip_suffix('/').unwrap()
}

fn expressions() -> [(&'static str, &'static [&'static str]); 6] {
    [
        (default_of(&crate::parser_nginx::PLUGIN), ACCESS),
        (default_of(&crate::parser_apache::PLUGIN), ACCESS),
        (crate::parser_apache2::EXPRESSION, ACCESS),
        (default_of(&crate::parser_apache_error::PLUGIN), ERRORS),
        (crate::parser_syslog::RFC3164, SYSLOG),
        (crate::parser_syslog::RFC5424, SYSLOG_5424),
    ]
}

/// What stands in place of a character, or is put between two.
const PIECES: &[&str] =
    &["", " ", "  ", "\"", "\\\"", "\\", "[", "]", ":", "-", "é", "漢", "\n", "\t", "x y", "HTTP/1.1\" "];

#[test]
fn lines_that_are_almost_right() {
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let edit = (any::<prop::sample::Index>(), prop::sample::select(PIECES), 0..3usize);
    let result = runner.run(&prop::collection::vec(edit, 0..5), |edits| {
        for (expression, lines) in expressions() {
            let edited: Vec<String> = lines.iter().map(|line| edited(line, &edits)).collect();
            let edited: Vec<&str> = edited.iter().map(String::as_str).collect();
            let flags = RegexpFlags { multi_line: lines == SYSLOG_5424, ..RegexpFlags::default() };
            let compared = fuzz_direct(expression, &edited, flags);
            prop_assert_eq!(compared, lines.len(), "{} is not matched directly", expression);
        }
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

/// Puts pieces in place of so many characters.
fn edited(line: &str, edits: &[(prop::sample::Index, &str, usize)]) -> String {
    let mut chars: Vec<String> = line.chars().map(String::from).collect();
    for (place, piece, taken) in edits {
        let at = place.index(chars.len() + 1);
        let end = (at + taken).min(chars.len());
        chars.splice(at..end, [(*piece).to_owned()]);
    }
    chars.concat()
}
