//! What the fuzz targets and the property tests ask of a pattern and a text.

mod plain;

use super::direct::Outcome;
use super::parse::{Parsed, parse};
use super::{Engine, Regexp, RegexpFlags, Spans};
use std::ops::Range;

/// The limit on steps of all kinds here: runaway patterns are soon given up.
const STEPS_MAX: usize = 20_000;
/// How many places a text is searched from.
const PLACES_MAX: usize = 8;

/// Compiles `pattern` and runs it on `text`, checking that all ranges lie inside the text and inside the match, or (behind
/// look-around and `\K`) at least inside the text.
pub fn fuzz(pattern: &str, text: &[u8], flags: RegexpFlags) {
    let Ok(regexp) = Regexp::new(pattern, flags) else { return };
    let mut from = 0;
    for _ in 0..16 {
        let Some(captures) = regexp.captures_at(text, from) else { return };
        for index in 0..captures.len() {
            if let Some(span) = captures.span(index) {
                assert!(span.start <= span.end && span.end <= text.len(), "group {index} lies at {span:?}");
            }
        }
        let end = captures.span(0).map_or(from, |span| span.end);
        from = if end > from { end } else { from + 1 };
        if from > text.len() || std::str::from_utf8(text).is_ok_and(|text| !text.is_char_boundary(from)) {
            return;
        }
    }
}

/// Compiles `pattern` and compares, place by place of the texts, what the direct matcher answers, alone and when it gives up at any
/// moment, with what other engines answer. How many texts there were to compare.
pub fn fuzz_direct(pattern: &str, texts: &[&str], flags: RegexpFlags) -> usize {
    let Ok(parsed) = parse(pattern, flags) else { return 0 };
    let Ok(regexp) = Regexp::compile(pattern, flags, STEPS_MAX) else { return 0 };
    if regexp.inner.program.direct().is_none() {
        return 0;
    }
    let pair = Pair { regexp, parsed };
    texts.iter().filter(|text| pair.compare_all(text)).count()
}

/// What the groups of a match took; none without a match.
type Found = Option<Vec<Option<Range<usize>>>>;

struct Pair {
    regexp: Regexp,
    parsed: Parsed,
}

impl Pair {
    /// What other engines answer; none if they need too long.
    fn expected(&self, text: &str, from: usize) -> Option<Found> {
        let plain = plain::search(&self.parsed.node, self.parsed.groups, text, from);
        if self.regexp.engine() == Engine::Backtracking {
            return plain;
        }
        let mut spans = self.spans();
        let found = self.regexp.inner.program.search_automaton(text, from, &mut spans).ok()?;
        let linear = groups(found, &spans);
        if let Some(plain) = plain {
            assert_eq!(linear, plain, "{} on {text:?} from {from}, by the automata", self.regexp);
        }
        Some(linear)
    }

    /// Whether there was something to compare.
    fn compare_all(&self, text: &str) -> bool {
        let mut is_compared = false;
        for from in text.char_indices().map(|(at, _)| at).take(PLACES_MAX).chain([text.len()]) {
            if let Some(expected) = self.expected(text, from) {
                is_compared = true;
                self.compare(text, from, &expected);
            }
        }
        is_compared
    }

    fn compare(&self, text: &str, from: usize, expected: &Found) {
        let regexp = &self.regexp;
        for steps in [STEPS_MAX, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
            let Some(given) = self.given(text, from, steps) else { continue };
            assert_eq!(given, *expected, "{regexp} on {text:?} from {from}, given up after {steps} steps");
        }
        // Where the backtracking engine goes on, it may know no answer.
        let mut spans = Spans::new();
        if let Ok(found) = regexp.search(text.as_bytes(), from, &mut spans) {
            assert_eq!(groups(found, &spans), *expected, "{regexp} on {text:?} from {from}");
        }
        if from == 0 {
            assert_eq!(regexp.is_match(text.as_bytes()), expected.is_some(), "{regexp} on {text:?}");
        }
    }

    /// What the direct matcher answers with so many steps, and other engines where it gives up.
    fn given(&self, text: &str, from: usize, steps: usize) -> Option<Found> {
        let mut spans = self.spans();
        match self.regexp.inner.program.direct()?.search_within(text, from, &mut spans.slots, steps) {
            Outcome::Found => Some(groups(true, &spans)),
            Outcome::Nothing => Some(None),
            Outcome::GaveUp(from) => {
                assert!(
                    spans.slots.iter().all(Option::is_none),
                    "{} on {text:?}: places are left",
                    self.regexp
                );
                self.expected(text, from)
            }
        }
    }

    fn spans(&self) -> Spans {
        let mut spans = Spans::new();
        spans.reset(self.regexp.groups());
        spans
    }
}

fn groups(found: bool, spans: &Spans) -> Found {
    found.then(|| (0..spans.slots.len() / 2).map(|index| spans.get(index)).collect())
}
