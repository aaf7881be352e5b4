//! The golden files, recorded from Ruby 3.1 by `golden/record.rb`.

use super::support::answer;

/// Checks each expression of a golden file; the first line of a message is what counts where Ruby adds more.
fn check(golden: &str) {
    let mut lines = golden.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    let mut failures = Vec::new();
    let mut count = 0;
    while let Some(code) = lines.next() {
        let expected = lines.next().expect("an answer for each expression");
        let actual = answer(code);
        let actual = actual.lines().next().unwrap_or_default();
        count += 1;
        if actual != expected {
            failures.push(format!("{code}\n  ruby: {expected}\n  ours: {actual}"));
        }
    }
    assert!(failures.is_empty(), "{} of {count} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn strings() {
    check(include_str!("golden/strings.golden"));
}

#[test]
fn numbers() {
    check(include_str!("golden/numbers.golden"));
}

#[test]
fn lists() {
    check(include_str!("golden/lists.golden"));
}

#[test]
fn hashes() {
    check(include_str!("golden/hashes.golden"));
}

#[test]
fn control() {
    check(include_str!("golden/control.golden"));
}

#[test]
fn times() {
    check(include_str!("golden/times.golden"));
}

#[test]
fn shapes() {
    check(include_str!("golden/shapes.golden"));
}

#[test]
fn library() {
    check(include_str!("golden/library.golden"));
}
