//! The engines.

use super::captures::Spans;
use super::direct::{Direct, Outcome};
use super::error::{BacktrackLimit, RegexpError};
use super::node::Node;
use super::text::Readable;
use super::{Engine, lower, print};
use regex_automata::{Input, meta};
use std::str;
use std::time::Duration;

/// Steps that one search may take back unless told otherwise.
pub(super) const STEPS_MAX: usize = 1_000_000;
/// Steps that a second has, roughly; it depends on the pattern.
const STEPS_PER_SECOND: f64 = 20_000_000.0;
/// Bytes of one compiled pattern (as `regex` limits it).
const PROGRAM_BYTES_MAX: usize = 10 << 20;
/// Bytes of the automaton that is built while searching, a thread.
const LAZY_BYTES_MAX: usize = 2 << 20;
/// What a pattern for the backtracking engine may become: it writes out what a group calls, 19 deep, so that two calls of a group
/// in itself would be half a million groups.
const INSTRUCTIONS_MAX: usize = 200_000;

/// The steps that fit into a time.
pub(super) fn steps_within(limit: Duration) -> usize {
    (limit.as_secs_f64() * STEPS_PER_SECOND) as usize
}

/// A compiled pattern.
pub(super) struct Program {
    engine: Automaton,
    /// Asked first, if it can run the pattern.
    direct: Option<Box<Direct>>,
}

enum Automaton {
    Linear {
        meta: meta::Regex,
        /// For texts that end with a line end, if a `^` could be asked for at their end: the automata would say
        /// yes there, Onigmo says no.
        exact: Option<Box<fancy_regex::Regex>>,
    },
    Backtracking(Box<fancy_regex::Regex>),
}

impl Program {
    pub(super) fn compile(node: &Node, groups: usize, steps_max: usize) -> Result<Self, RegexpError> {
        let direct = Direct::compile(node).map(Box::new);
        if node.needs_backtracking() {
            let engine = Automaton::Backtracking(Box::new(backtracking(node, steps_max)?));
            return Ok(Self { engine, direct });
        }
        let config =
            meta::Config::new().nfa_size_limit(Some(PROGRAM_BYTES_MAX)).hybrid_cache_capacity(LAZY_BYTES_MAX);
        let meta = meta::Builder::new()
            .configure(config)
            .build_from_hir(&lower::lower(node))
            .map_err(|e| RegexpError::message(reason(&e)))?;
        // A group that is repeated no times is not there.
        debug_assert!(meta.captures_len() <= groups + 1);
        let exact = node.line_start_may_be_last().then(|| backtracking(node, steps_max)).transpose()?;
        Ok(Self { engine: Automaton::Linear { meta, exact: exact.map(Box::new) }, direct })
    }

    pub(super) fn engine(&self) -> Engine {
        match self.engine {
            Automaton::Linear { .. } => Engine::Linear,
            Automaton::Backtracking(_) => Engine::Backtracking,
        }
    }

    pub(super) fn is_match(&self, text: &[u8]) -> Result<bool, BacktrackLimit> {
        let copy;
        let text = match str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => {
                copy = Readable::new(text);
                &copy.text
            }
        };
        let from = match self.direct_for_is_match().map(|direct| direct.search(text, 0, &mut [])) {
            Some(Outcome::Found) => return Ok(true),
            Some(Outcome::Nothing) => return Ok(false),
            Some(Outcome::GaveUp(from)) => from,
            None => 0,
        };
        match self.engine_for(text) {
            Run::Linear(meta) => Ok(meta.is_match(Input::new(text).range(from..))),
            Run::Backtracking(fancy) => {
                fancy.find_from_pos(text, from).map(|found| found.is_some()).map_err(|_| BacktrackLimit)
            }
        }
    }

    /// Without groups, the automata find a match that may begin anywhere faster.
    fn direct_for_is_match(&self) -> Option<&Direct> {
        let direct = self.direct.as_deref()?;
        (direct.is_anchored() || self.engine() == Engine::Backtracking).then_some(direct)
    }

    pub(super) fn search(&self, text: &[u8], from: usize, spans: &mut Spans) -> Result<bool, BacktrackLimit> {
        match str::from_utf8(text) {
            Ok(text) => self.search_text(text, from, spans),
            Err(_) => {
                let copy = Readable::new(text);
                let found = self.search_text(&copy.text, copy.to_copy(from), spans)?;
                spans.translate(|at| copy.to_given(at));
                Ok(found)
            }
        }
    }

    fn search_text(&self, text: &str, from: usize, spans: &mut Spans) -> Result<bool, BacktrackLimit> {
        if !text.is_char_boundary(from) {
            return Ok(false);
        }
        match self.direct.as_ref().map(|direct| direct.search(text, from, &mut spans.slots)) {
            Some(Outcome::Found) => Ok(true),
            Some(Outcome::Nothing) => Ok(false),
            Some(Outcome::GaveUp(from)) => self.search_automaton(text, from, spans),
            None => self.search_automaton(text, from, spans),
        }
    }

    /// What can be matched directly, if the pattern can be.
    pub(super) fn direct(&self) -> Option<&Direct> {
        self.direct.as_deref()
    }

    /// The search without the direct matcher.
    pub(super) fn search_automaton(
        &self,
        text: &str,
        from: usize,
        spans: &mut Spans,
    ) -> Result<bool, BacktrackLimit> {
        match self.engine_for(text) {
            Run::Linear(meta) => {
                let input = Input::new(text).range(from..);
                Ok(meta.search_slots(&input, &mut spans.slots).is_some())
            }
            Run::Backtracking(fancy) => {
                let found = fancy.captures_from_pos(text, from).map_err(|_| BacktrackLimit)?;
                let Some(captures) = found else { return Ok(false) };
                for (index, group) in captures.iter().enumerate() {
                    spans.set(index, group.map(|group| group.range()));
                }
                Ok(true)
            }
        }
    }

    fn engine_for(&self, text: &str) -> Run<'_> {
        match &self.engine {
            Automaton::Linear { exact: Some(exact), .. } if text.ends_with('\n') => Run::Backtracking(exact),
            Automaton::Linear { meta, .. } => Run::Linear(meta),
            Automaton::Backtracking(fancy) => Run::Backtracking(fancy),
        }
    }
}

enum Run<'p> {
    Linear(&'p meta::Regex),
    Backtracking(&'p fancy_regex::Regex),
}

fn backtracking(node: &Node, steps_max: usize) -> Result<fancy_regex::Regex, RegexpError> {
    fancy_regex::RegexBuilder::new(&print::print(node))
        .backtrack_limit(steps_max)
        .delegate_size_limit(PROGRAM_BYTES_MAX)
        .delegate_dfa_size_limit(LAZY_BYTES_MAX)
        .max_prog_size(INSTRUCTIONS_MAX)
        .build()
        .map_err(|error| match error {
            fancy_regex::Error::CompileError(error)
                if matches!(*error, fancy_regex::CompileError::PatternTooComplex) =>
            {
                RegexpError::message(
                    "a group calls itself from several places, which makes the pattern too large",
                )
            }
            error => RegexpError::message(error.to_string()),
        })
}

fn reason(error: &meta::BuildError) -> String {
    match error.size_limit() {
        Some(limit) => format!("the pattern needs more than {limit} bytes when compiled"),
        None => error.to_string(),
    }
}
