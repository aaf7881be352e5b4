//! Targets of `logweir_engine::expr`.

use bumpalo::Bump;
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::expr::{ConfigurationExpressions, Expression, Host, RecordScope, TagNames};
use logweir_engine::msgpack::Record;

/// `{"a": 1, "s": "text", "h": {"k": [1.5, nil]}, "l": ["x", "y"], "b": true}`
const RECORD: &[u8] = b"\x85\xa1a\x01\xa1s\xa4text\xa1h\x81\xa1k\x92\xcb\x3f\xf8\0\0\0\0\0\0\xc0\xa1l\x92\xa1x\xa1y\xa1b\xc3";

/// Ruby that somebody wrote into a configuration: as code, as a template and as a `"#{...}"`. What compiles is evaluated.
pub fn expressions(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let host = Host::fixed("host", &[("HOME", "/root")]);
    let tag = TagNames::new(&Tag::new("app.web.1"));
    for compiled in [Expression::code(source), Expression::template(source)] {
        match compiled {
            Ok(expression) => evaluate(&expression, &tag, &host),
            Err(error) => drop(error.to_string()),
        }
    }
    if let Err(error) = ConfigurationExpressions::new(host).value(source) {
        drop(error.to_string());
    }
}

fn evaluate(expression: &Expression, tag: &TagNames, host: &Host) {
    let arena = Bump::new();
    let record = Record::decode(RECORD, &arena).expect("a record");
    let time = EventTime { sec: 1_700_000_000, nsec: 5 };
    let scope = RecordScope::new(tag, time, &record, host, expression.mutates(), &arena);
    for as_text in [false, true] {
        match scope.evaluate(expression) {
            Ok(outcome) if as_text => drop(scope.text(outcome).map(<[u8]>::len)),
            Ok(outcome) => drop(scope.value(outcome)),
            Err(error) => drop(error.to_string()),
        }
    }
    drop(scope.changes(expression));
}
