//! What Fluentd v1.16.5 was seen to do with each oddity of the syntax.

use super::*;
use serde_json::{Value as Json, json};

/// Knows the few expressions of the tables below.
fn evaluate(code: &str) -> Result<Evaluated, String> {
    Ok(match code {
        "1+1" => Evaluated::Text("2".to_owned()),
        "nil" | "ENV['NOPE_X']" => Evaluated::Nil,
        "use_nil" | "ENV['NOPE_X'] || use_nil" => Evaluated::UseNil,
        "use_default" | "ENV['NOPE_X'] || use_default" => Evaluated::UseDefault,
        other => return Err(format!("undefined local variable or method `{other}'")),
    })
}

fn parse(text: &str) -> (Document, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let document = parse_text("t", text, &evaluate, &mut diagnostics);
    (document, diagnostics)
}

/// `[[name, arg, {attrs}], ...]` of all sections, or of the root if there are none.
fn tree(document: &Document) -> Json {
    let shape = |element: &Element| {
        let json = element.to_json();
        json!([json["name"], json["arg"], json["attrs"]])
    };
    match document.root.elements.as_slice() {
        [] => json!([shape(&document.root)]),
        elements => elements.iter().map(shape).collect(),
    }
}

/// `(oddity, text, tree)`
#[rustfmt::skip]
const ACCEPTED: &[(&str, &str, &str)] = &[
    ("comment after value", "<m>\na b # c\n</m>\n", r#"[["m","",{"a":"b"}]]"#),
    ("# inside value", "<m>\na b#c\n</m>\n", r#"[["m","",{"a":"b#c"}]]"#),
    ("comment right after the name", "<m>\na # c\nb 1\n</m>\n", r##"[["m","",{"a":"# c","b":"1"}]]"##),
    ("#{} unquoted", "<m>\na #{1+1}\nb x#{1+1}\n</m>\n", r##"[["m","",{"a":"#{1+1}","b":"x#{1+1}"}]]"##),
    ("#{} single quotes", "<m>\na '#{1+1}'\n</m>\n", r##"[["m","",{"a":"#{1+1}"}]]"##),
    ("#{} double quotes", "<m>\na \"x#{1+1}y\"\n</m>\n", r#"[["m","",{"a":"x2y"}]]"#),
    ("#{} in the tag, double-quoted", "<match \"a.#{1+1}.**\">\n</match>\n", r#"[["match","a.2.**",{}]]"#),
    ("#{} in the tag, unquoted", "<match a.#{1+1}.**>\n</match>\n", r#"[["match","a.#{1+1}.**",{}]]"#),
    ("#{nil} alone", "<m>\na \"#{nil}\"\nb \"x#{nil}\"\n</m>\n", r#"[["m","",{"a":"","b":"x"}]]"#),
    ("#{nil} from ENV", "<m>\na \"#{ENV['NOPE_X']}\"\n</m>\n", r#"[["m","",{"a":""}]]"#),
    ("use_nil / use_default", "<m>\na \"#{ENV['NOPE_X'] || use_nil}\"\nb \"#{ENV['NOPE_X'] || use_default}\"\n</m>\n", r#"[["m","",{"a":null,"b":":default"}]]"#),
    ("comment after quoted", "<m>\na \"x\" # c\n</m>\n", r#"[["m","",{"a":"x"}]]"#),
    ("comment touching quoted", "<m>\na \"x\"# c\n</m>\n", r#"[["m","",{"a":"x"}]]"#),
    ("no value", "<m>\na\nb 1\n</m>\n", r#"[["m","",{"a":"","b":"1"}]]"#),
    ("no value, trailing space", "<m>\na \nb 1\n</m>\n", r#"[["m","",{"a":"","b":"1"}]]"#),
    ("empty quotes", "<m>\na \"\"\n</m>\n", r#"[["m","",{"a":""}]]"#),
    ("match without pattern", "<match>\n</match>\n", r#"[["match","",{}]]"#),
    ("quoted pattern", "<match \"a b\">\n</match>\n", r#"[["match","a b",{}]]"#),
    ("spaces around", "<match  a.** >\n</match >\n", r#"[["match","a.**",{}]]"#),
    ("comment after tags", "<match a> # c\n</match> # d\n", r#"[["match","a",{}]]"#),
    ("# in tag", "<match a#b>\n</match>\n", r#"[["match","a#b",{}]]"#),
    ("JSON over lines with comments", "<m>\na [1, # one\n 2,\n 3]\nb {\"x\":\n {\"y\":\"#z\"}} # c\n</m>\n", r##"[["m","",{"a":"[1,2,3]","b":"{\"x\":{\"y\":\"#z\"}}"}]]"##),
    ("double-quoted over lines", "<m>\na \"x\n  y\"\n</m>\n", r#"[["m","",{"a":"x\n  y"}]]"#),
    ("double-quoted, backslash newline", "<m>\na \"x\\\n  y\"\n</m>\n", r#"[["m","",{"a":"x  y"}]]"#),
    ("unquoted backslash newline", "<m>\na x\\\nb 1\n</m>\n", r#"[["m","",{"a":"x\\","b":"1"}]]"#),
    ("escapes double", "<m>\na \"\\n\\t\\\\\\\"\\.\\$\\/\\0\"\n</m>\n", r#"[["m","",{"a":"\n\t\\\".$/\u0000"}]]"#),
    ("escapes single", "<m>\na '\\n\\'\\\\'\n</m>\n", r#"[["m","",{"a":"\\n'\\"}]]"#),
    ("escapes bare", "<m>\na \\n\\\\\n</m>\n", r#"[["m","",{"a":"\\n\\\\"}]]"#),
    ("quotes inside bare", "<m>\na x\"y\"z\n</m>\n", r#"[["m","",{"a":"x\"y\"z"}]]"#),
    ("escaped nested quotes", "<m>\na \"${record[\\\"x\\\"]}\"\n</m>\n", r#"[["m","",{"a":"${record[\"x\"]}"}]]"#),
    ("CRLF", "<m>\r\na b\r\nc\r\nd \"x\" # y\r\n</m>\r\n", r#"[["m","",{"a":"b","c":"","d":"x"}]]"#),
    ("BOM then comment", "\u{feff}# hi\n<m>\na b\n</m>\n", r#"[["m","",{"a":"b"}]]"#),
    ("tabs", "<m>\n\ta\t\tb c\t\n</m>\n", r#"[["m","",{"a":"b c"}]]"#),
    ("NBSP indent", "<m>\n\u{a0}a b\n</m>\n", r#"[["m","",{" a":"b"}]]"#),
    ("trailing spaces", "<m>\na b   \n</m>\n", r#"[["m","",{"a":"b"}]]"#),
    ("upper-case section", "<Source>\n</Source>\n", r#"[["Source","",{}]]"#),
    ("twice the same", "<m>\na 1\na 2\n</m>\n", r#"[["m","",{"a":"2"}]]"#),
    ("name = value", "<m>\na = 5s\n</m>\n", r#"[["m","",{"a":"= 5s"}]]"#),
    ("quoted name", "<m>\n\"a b\" 1\n</m>\n", r#"[["m","",{"a b":"1"}]]"#),
    ("root parameter", "a 1\n", r#"[["ROOT","",{"a":"1"}]]"#),
    ("@unknown in record", "<record>\n@timestamp 1\n</record>\n", r#"[["record","",{"@timestamp":"1"}]]"#),
    ("include without @ nested", "<m>\ninclude x.conf\n</m>\n", r#"[["m","",{"include":"x.conf"}]]"#),
    ("no newline at EOF", "<m>\na b\n</m>", r#"[["m","",{"a":"b"}]]"#),
    ("regex with #", "<m>\na /a #b/\n</m>\n", r#"[["m","",{"a":"/a"}]]"#),
    ("regex with > in tag", "<m>\na /(?<x>.*)/\n</m>\n", r#"[["m","",{"a":"/(?<x>.*)/"}]]"#),
    ("empty file", "", r#"[["ROOT","",{}]]"#),
    ("lone #", "<m>\na b #\n</m>\n", r#"[["m","",{"a":"b"}]]"#),
    ("value is #hash", "<m>\na #foo\n</m>\n", r##"[["m","",{"a":"#foo"}]]"##),
    ("url with #", "<m>\na http://x/y#z\n</m>\n", r#"[["m","",{"a":"http://x/y#z"}]]"#),
];

/// `(oddity, text, message, the place that Fluentd names)`. For the BOM, Fluentd loses its count and names none.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("text after closing quote", "<m>\na \"x\"y\n</m>\n", "expected end of line", "line 2,5"),
    ("space after <", "< match a>\n</match>\n", "unmatched end tag", "line 2,9"),
    ("text after start tag", "<match a> b 1\n</match>\n", "expected end of line after tag", "line 1,9"),
    ("one-line section", "<m></m>\n", "expected end of line after tag", "line 1,3"),
    ("text after JSON", "<m>\na [1] x\n</m>\n", "expected end of line", "line 2,5"),
    ("JSON that is not JSON", "<m>\na {foo}\n</m>\n", "got incomplete JSON hash configuration", "line 3,5"),
    ("glob in brackets", "<m>\na [abc]*.log\n</m>\n", "got incomplete JSON array configuration", "line 3,5"),
    ("single-quoted over lines", "<m>\na 'x\n  y'\n</m>\n", "unexpected end of file in a single quoted string", "line 2,4"),
    ("bad escape double", "<m>\na \"\\d+\"\n</m>\n", "unexpected back-slash escape character 'd'", "line 2,5"),
    ("nested quotes", "<m>\na \"${record[\"x\"]}\"\n</m>\n", "expected end of line", "line 2,13"),
    ("BOM", "\u{feff}<m>\na b\n</m>\n", "unmatched end tag", "line 3,5"),
    ("dash in section name", "<my-sec>\n</my-sec>\n", "expected character in tag name", "line 2,4"),
    ("mismatched end", "<a>\n</b>\n", "unmatched end tag", "line 2,5"),
    ("missing end", "<a>\nx 1\n", "expected end tag '</a>' but got end of file", "line 2,4"),
    ("stray end", "</a>\n", "unmatched end tag", "line 1,5"),
    ("@unknown at root", "@foo 1\n", "'@' is the system reserved prefix. Don't use '@' prefix parameter in the configuration: @foo", "line 1,5"),
    ("@unknown in source", "<source>\n@foo 1\n</source>\n", "'@' is the system reserved prefix. Don't use '@' prefix parameter in the configuration: @foo", "line 2,5"),
    ("html comment", "<!-- x -->\n", "expected end tag '</>' but got end of file", "line 1,11"),
    ("value starting with quote", "<m>\na 'it''s'\n</m>\n", "expected end of line", "line 2,6"),
];

#[test]
fn every_oddity_that_fluentd_accepts_gives_its_tree() {
    for (oddity, text, expected) in ACCEPTED {
        let (document, diagnostics) = parse(text);
        assert!(!diagnostics.has_errors(), "{oddity}: {}", diagnostics.render(false));
        let expected: Json = serde_json::from_str(expected).unwrap();
        assert_eq!(tree(&document), expected, "{oddity}");
    }
}

#[test]
fn every_oddity_that_fluentd_refuses_is_refused_with_its_message() {
    for (oddity, text, message, place) in REFUSED {
        let (_, diagnostics) = parse(text);
        let error = diagnostics.errors().next().unwrap_or_else(|| panic!("{oddity}: no error"));
        assert_eq!(error.message(), *message, "{oddity}");
        assert_eq!(error.class(), "Fluent::ConfigParseError");
        let wanted = format!("{message} at t {place}\n");
        assert!(error.fluentd_message().starts_with(&wanted), "{oddity}: {}", error.fluentd_message());
        assert!(error.span().is_some(), "{oddity}");
    }
}

/// `(text, value of k)`; the forms of values.
#[rustfmt::skip]
const VALUES: &[(&str, &str)] = &[
    ("k v # c", "v"),
    ("k foo#bar", "foo#bar"),
    ("k \"v\" # c", "v"),
    ("k 'it\\'s'", "it's"),
    ("k \"a\\/b\"", "a/b"),
    ("k #{ENV['HOME']}", "#{ENV['HOME']}"),
    ("k '#{1}'", "#{1}"),
    ("k {\"a\":\"#{1+1}\"}", "{\"a\":\"#{1+1}\"}"),
    ("k [1,2] # c", "[1,2]"),
    ("k \"a\n\n\nb\"", "a\n\n\nb"),
    ("k \"a\r\nb\"", "a\r\nb"),
    ("k \"a\\\r\nb\"", "ab"),
    ("k \"\nb\"", "\nb"),
    ("k \"#{1+1}\nb\"", "2\nb"),
    ("k \"#1\"", "#1"),
    ("k 100%", "100%"),
    ("k C:\\new\\tab", "C:\\new\\tab"),
    ("k x\\#y", "x\\#y"),
    ("k pre-\"#{ENV['ONE']}\"", "pre-\"#{ENV['ONE']}\""),
    ("k /^(?<a>.*)$/ # c", "/^(?<a>.*)$/"),
    ("k     ", ""),
    ("k", ""),
];

#[test]
fn values_have_four_forms() {
    for (text, expected) in VALUES {
        let (document, diagnostics) = parse(text);
        assert!(!diagnostics.has_errors(), "{text}: {}", diagnostics.render(false));
        assert_eq!(document.root.text("k"), Some(*expected), "{text}");
    }
}

#[test]
fn arguments_end_at_the_first_angle() {
    let arg = |text: &str| {
        let (document, diagnostics) = parse(text);
        assert!(!diagnostics.has_errors(), "{text}: {}", diagnostics.render(false));
        document.root.elements[0].arg.clone()
    };
    assert_eq!(arg("<match \"/a>b/\">\n</match>"), "/a>b/");
    assert_eq!(arg("<match '/a>b/'>\n</match>"), "/a>b/");
    assert_eq!(arg("<match a b  >\n</match>"), "a b");
    assert_eq!(arg("<match a\n  >\n</match>"), "a");
    assert_eq!(arg("<match a # c\n  >\n</match>"), "a");
    assert_eq!(arg("<match a # b>\n</match>"), "a # b");
    assert_eq!(arg("<match # c\n a>\n</match>"), "a");
    assert_eq!(arg("<match \"#{use_nil}\">\n</match>"), "");
    let (_, diagnostics) = parse("<match /a>b/>\n</match>\n");
    assert_eq!(diagnostics.errors().next().unwrap().message(), "expected end of line after tag");
    let (_, diagnostics) = parse("<match a\nb>\n</match>\n");
    assert_eq!(diagnostics.errors().next().unwrap().message(), "expected '>'");
}

#[test]
fn all_problems_of_a_file_are_reported() {
    let (document, diagnostics) = parse(
        "<source>\n  path \"a\\qb\\wc\"\n  port [1\n  a 'x\n  b \"y\" z\n  @typ forward\n</sorce>\n<match **>\n  \
         <buffer>\n    c 1\n</match>\n<filter>\n  d \"#{oops}\"\n",
    );
    let messages: Vec<&str> = diagnostics.errors().map(Diagnostic::message).collect();
    assert_eq!(
        messages,
        [
            "unexpected back-slash escape character 'q'",
            "unexpected back-slash escape character 'w'",
            "got incomplete JSON array configuration",
            "unexpected end of file in a single quoted string",
            "expected end of line",
            "'@' is the system reserved prefix. Don't use '@' prefix parameter in the configuration: @typ",
            "unmatched end tag",
            "unmatched end tag",
            "cannot evaluate embedded code \"#{oops}\": undefined local variable or method `oops'",
            "expected end tag '</filter>' but got end of file",
        ]
    );
    let text = diagnostics.render(false);
    assert!(text.contains("did you mean @type?"), "{text}");
    assert!(text.contains("did you mean </source>?"), "{text}");
    assert!(text.contains("t:10:1") || text.contains("t:11:1"), "{text}");
    let names: Vec<&str> = document.root.elements.iter().map(|element| element.name.as_str()).collect();
    assert_eq!(names, ["source", "match", "filter"]);
    assert_eq!(document.root.elements[1].elements[0].text("c"), Some("1"));
}

#[test]
fn a_text_that_never_ends_costs_only_its_line() {
    let (document, diagnostics) = parse("<m>\na \"x\nb 1\n</m>\n");
    assert_eq!(diagnostics.error_count(), 1, "{}", diagnostics.render(false));
    assert_eq!(document.root.elements[0].text("b"), Some("1"));
}

#[test]
fn spans_point_at_names_values_and_arguments() {
    let (document, _) = parse("<match a.** >\n  @type  \"x\" # c\n  k\n</match>\n");
    let element = &document.root.elements[0];
    assert_eq!(element.span.to_string(), "t:1:1");
    assert_eq!(element.arg_span.as_ref().map(Span::text), Some("a.**"));
    let kind = element.attr("@type").unwrap();
    assert_eq!((kind.name_span.to_string(), kind.value_span.to_string()), ("t:2:3".into(), "t:2:10".into()));
    assert_eq!(kind.value_span.text(), "\"x\"");
    assert_eq!(element.attr("k").unwrap().place().text(), "k");
}

#[test]
fn odd_names_are_warned_about() {
    let warnings = |text: &str| -> Vec<String> {
        let (_, diagnostics) = parse(text);
        diagnostics.warnings().map(|warning| warning.message().to_owned()).collect()
    };
    assert_eq!(warnings("include nothing*.conf\n"), ["'include' is deprecated. Use '@include' instead"]);
    assert_eq!(
        warnings("<record>\n@x 1\n</record>\n"),
        [
            "'@' is the system reserved prefix. It works in the nested configuration for now but it will be rejected: @x"
        ]
    );
    assert_eq!(warnings("k a#{x}b\n"), ["embedded code is only evaluated in double quotes"]);
    assert!(warnings("\u{feff}# hi\n")[0].starts_with("the file begins with a byte order mark"));
    assert_eq!(warnings("k ${\"a#{x}\"}\n"), [""; 0]);
}

#[test]
fn hostile_texts_end() {
    for text in [
        "<a>\n".repeat(100_000),
        "<a ".to_owned() + &" #".repeat(100_000),
        "<a ".to_owned() + &" ".repeat(200_000),
        "k ".to_owned() + &"[".repeat(100_000),
        "k \"".to_owned() + &"#{".repeat(100_000),
        "k \"\\q\n".repeat(100_000),
        "</a>\n".repeat(100_000),
        "k \"#{".repeat(50_000),
    ] {
        let (_, diagnostics) = parse(&text);
        assert!(diagnostics.has_errors());
        assert!(diagnostics.error_count() < 300);
    }
}
