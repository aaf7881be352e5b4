//! JSON in configurations, against what Ruby's parser takes.

use super::*;
use crate::config::Source;

fn scanned(text: &str) -> (RawValue, String) {
    let mut cursor = Cursor::new(Source::new("f", text));
    let none = |code: &str| Err::<Evaluated, _>(format!("not asked: {code}"));
    let value = scan(&mut cursor, &none, &mut Diagnostics::new());
    (value, cursor.rest().to_owned())
}

fn json(text: &str) -> String {
    match scanned(text).0 {
        RawValue::Text(text) => text,
        other => format!("{other:?}"),
    }
}

#[test]
fn json_is_written_back_without_blanks() {
    assert_eq!(json("[1, # one\n 2,\n 3]"), "[1,2,3]");
    assert_eq!(json("{\"x\":\n {\"y\":\"#z\"}} # c"), r##"{"x":{"y":"#z"}}"##);
    assert_eq!(json("[ # empty\n]"), "[]");
    assert_eq!(json("{\"a\":1 # c\n , \"b\" : [ ] }"), r#"{"a":1,"b":[]}"#);
    assert_eq!(json("[1, // c ]\n /* ] */ 2]"), "[1,2]");
    assert_eq!(json(r#"{"b":1,"a":2,"b":3}"#), r#"{"b":3,"a":2}"#);
    assert_eq!(json(r#"["\u00e9\ud83d\ude00\d\/\u0001"]"#), "[\"é😀d/\\u0001\"]");
    assert_eq!(json(r##"{"a":"#{1+1}"}"##), r##"{"a":"#{1+1}"}"##);
}

#[test]
fn numbers_are_rubys() {
    assert_eq!(
        json("[1.0, 1e3, -0, 1e20, 1.5e-7, 0.0001, 1e16, 1e15]"),
        "[1.0,1000.0,0,1.0e+20,1.5e-07,0.0001,1.0e+16,1000000000000000.0]"
    );
    assert_eq!(json("[123456789012345678901234567890]"), "[123456789012345678901234567890]");
    for text in ["[01]", "[1.]", "[.5]", "[NaN]", "[-]", "[1e]", "[1e999]"] {
        assert_eq!(json(text), "Invalid", "{text}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "{foo}",
        "[abc]*.log",
        "[1,]",
        "[1",
        "{\"a\"",
        "[\"a\nb\"]",
        "[1,\n # c\n 2]",
        "[[1, # c\n2]]",
        "/*",
        "[/*/]",
    ] {
        assert_eq!(json(text), "Invalid", "{text}");
    }
    let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(json(&deep(100)), deep(100));
    assert_eq!(json(&deep(101)), "Invalid");
}

/// As in Fluentd from 1.18 on.
struct InJson;

impl Evaluate for InJson {
    fn evaluate(&self, code: &str) -> Result<Evaluated, String> {
        match code {
            "text" => Ok(Evaluated::Text("a\"b".to_owned())),
            "nil" => Ok(Evaluated::Nil),
            "use_nil" => Ok(Evaluated::UseNil),
            "use_default" => Ok(Evaluated::UseDefault),
            other => Err(format!("no {other}")),
        }
    }

    fn in_json(&self) -> bool {
        true
    }
}

#[test]
fn expressions_in_strings_are_evaluated_where_that_is_wanted() {
    let scanned = |text: &str| {
        let mut cursor = Cursor::new(Source::new("f", text));
        let mut diagnostics = Diagnostics::new();
        let value = scan(&mut cursor, &InJson, &mut diagnostics);
        let errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
        (value, errors, cursor.rest().to_owned())
    };
    let text = |text: &str| (RawValue::Text(text.to_owned()), Vec::new(), String::new());
    assert_eq!(
        scanned(r##"["x#{text}y", "#{nil}", "#", "#{text"]"##),
        text(r##"["xa\"by","","#","#{text"]"##)
    );
    assert_eq!(scanned(r##"{"#{text}":1}"##), text(r#"{"a\"b":1}"#));
    assert_eq!(scanned(r##"["#{use_nil}"]"##).0, RawValue::Nil);
    assert_eq!(scanned(r##"["a", "#{use_default}"]"##).0, RawValue::Default);
    let (value, errors, rest) = scanned(r##"[ "#{gone}"] # c"##);
    assert_eq!((value, rest.as_str()), (RawValue::Invalid, " # c"));
    assert_eq!(errors, ["f:1:4: cannot evaluate embedded code \"#{gone}\": no gone"]);
}

#[test]
fn scanning_goes_on_behind_what_cannot_be_read() {
    assert_eq!(scanned("[abc]*.log\nb 1").1, "\nb 1");
    assert_eq!(scanned("{foo\nb 1").1, "\nb 1");
    assert_eq!(scanned("{\n  a: 1,\n  b: [2]\n}\nc 1").1, "\nc 1");
    assert_eq!(scanned("{ {\n</m>\n}").1, "\n</m>\n}");
    assert_eq!(scanned("[1] x").1, " x");
}
