//! The engines.

use super::captures::Spans;
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

/// The steps that fit into a time.
pub(super) fn steps_within(limit: Duration) -> usize {
    (limit.as_secs_f64() * STEPS_PER_SECOND) as usize
}

/// A compiled pattern.
pub(super) enum Program {
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
        if node.needs_backtracking() {
            return Ok(Self::Backtracking(Box::new(backtracking(node, steps_max)?)));
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
        Ok(Self::Linear { meta, exact: exact.map(Box::new) })
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Linear { .. } => Engine::Linear,
            Self::Backtracking(_) => Engine::Backtracking,
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
        match self.engine_for(text) {
            Run::Linear(meta) => Ok(meta.is_match(text)),
            Run::Backtracking(fancy) => fancy.is_match(text).map_err(|_| BacktrackLimit),
        }
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
        match self {
            Self::Linear { exact: Some(exact), .. } if text.ends_with('\n') => Run::Backtracking(exact),
            Self::Linear { meta, .. } => Run::Linear(meta),
            Self::Backtracking(fancy) => Run::Backtracking(fancy),
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
        .build()
        .map_err(|e| RegexpError::message(e.to_string()))
}

fn reason(error: &meta::BuildError) -> String {
    match error.size_limit() {
        Some(limit) => format!("the pattern needs more than {limit} bytes when compiled"),
        None => error.to_string(),
    }
}
