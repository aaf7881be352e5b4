//! Whatever the pattern and the text, the direct matcher answers what other engines answer.

use crate::regexp::{RegexpFlags, fuzz_direct};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;

const ATOMS: &[&str] = &[
    "a",
    "b",
    "é",
    "ab",
    r"\n",
    "\"",
    "[^ ]",
    "[^a]",
    "[ab]",
    ".",
    r"\S",
    r"\w",
    r"\d",
    "[aé]",
    "[^é]",
    "[b-é]",
    "[[:alpha:]]",
    r#"(?:[^"]|\\")"#,
    "(?:a|b)",
    "(?:)",
    "(?m:.)",
    "(?i:ab)",
    "(?i:k)",
    "^",
    "$",
    r"\b",
    r"\B",
    r"\A",
    r"\z",
    r"\Z",
    r"(?a)\b",
    "(?=a)",
    "(?!b)",
    "(?<=a)",
    "(?<![ab])",
    "(?!é)",
    "(?<=[^é])",
];
const GROUPS: &[&str] = &["(", "(?:", "(?>", "(?=", "(?!", "(?<n>"];
const QUANTIFIERS: &[&str] = &[
    "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{2,}", "{,2}?", "{1,3}?", "{2,}?", "*+", "++",
    "?+",
];
const PIECES: &[&str] =
    &["a", "b", "c", "ab", " ", "é", "\n", "漢", "\"", "\\", "K", "\u{212a}", "1", "\u{301}", "\u{10ff81}"];

/// Something that may stand in a sequence, with its quantifier.
fn pattern() -> impl Strategy<Value = String> {
    let quantified = |inner: BoxedStrategy<String>| {
        (inner, prop::sample::select(QUANTIFIERS)).prop_map(|(inner, quantifier)| inner + quantifier)
    };
    let atom = quantified(prop::sample::select(ATOMS).prop_map(String::from).boxed());
    let item = atom.prop_recursive(3, 24, 4, move |item| {
        let sequence = prop::collection::vec(item.clone(), 0..4).prop_map(|items| items.concat());
        let alternatives = prop::collection::vec(sequence, 1..3).prop_map(|sequences| sequences.join("|"));
        let group =
            (prop::sample::select(GROUPS), alternatives).prop_map(|(open, inner)| format!("{open}{inner})"));
        prop_oneof![1 => item, 2 => quantified(group.boxed())]
    });
    let sequence = prop::collection::vec(item, 1..5).prop_map(|items| items.concat());
    (prop::sample::select(&["", "", "^", r"\A"][..]), sequence, prop::sample::select(&["", "", "$"][..]))
        .prop_map(|(start, sequence, end)| format!("{start}{sequence}{end}"))
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn answers_are_those_of_other_engines() {
    let mut runner = TestRunner::new(Config { cases: 6000, failure_persistence: None, ..Config::default() });
    let compared = Cell::new(0);
    let inputs = (pattern(), prop::collection::vec(text(), 4), any::<(bool, bool)>());
    let result = runner.run(&inputs, |(pattern, texts, (ignore_case, multi_line))| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let flags = RegexpFlags { ignore_case, multi_line, extended: false };
        compared.set(compared.get() + fuzz_direct(&pattern, &texts, flags));
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
    assert!(compared.get() > 10_000, "only {} texts were compared", compared.get());
}
