//! A compiled expression, and what is kept for it between evaluations.

use super::syntax::ast::{Block, BlockId, Given, Node, RegexpOptions, Slot};
use super::syntax::{Parsed, SyntaxError};
use super::value::compile_regexp;
use crate::regexp::Regexp;
use crate::time::TimeFormat;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A compiled expression.
pub(crate) struct Program {
    id: u64,
    parsed: Parsed,
    /// What `self` is called in error messages.
    self_text: &'static str,
    no_regexp: Regexp,
    made_regexps: RwLock<Vec<(String, RegexpOptions, Regexp)>>,
    time_formats: RwLock<Vec<KeptFormat>>,
}

/// A time format and its compiled form.
type KeptFormat = (Box<[u8]>, Arc<TimeFormat>);

/// Regular expressions and time formats that were made from values are kept while they are few: a pattern made of a
/// field's content is another one each time.
const KEPT_MAX: usize = 16;

impl Program {
    pub(crate) fn new(parsed: Parsed, self_text: &'static str) -> Result<Self, Box<SyntaxError>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let no_regexp = compile_regexp("(?!)", RegexpOptions::default())
            .map_err(|error| Box::new(SyntaxError::new("", 0..0, error.to_string())))?;
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            parsed,
            self_text,
            no_regexp,
            made_regexps: RwLock::default(),
            time_formats: RwLock::default(),
        })
    }

    /// A number that no other program has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn body(&self) -> &Node {
        &self.parsed.body
    }

    pub(crate) fn slots(&self) -> u16 {
        self.parsed.slots
    }

    pub(crate) fn block(&self, id: BlockId) -> Option<&Block> {
        self.parsed.blocks.get(id as usize)
    }

    /// The number of a block of this program.
    pub(crate) fn block_id(&self, block: &Block) -> Option<BlockId> {
        self.parsed.blocks.iter().position(|known| std::ptr::eq(known, block)).map(|at| at as BlockId)
    }

    pub(crate) fn regexps(&self) -> &[Regexp] {
        &self.parsed.regexps
    }

    /// A regular expression that matches nothing.
    pub(crate) fn no_regexp(&self) -> &Regexp {
        &self.no_regexp
    }

    pub(crate) fn self_text(&self) -> &'static str {
        self.self_text
    }

    /// Whether it names one of these values.
    pub(crate) fn names(&self, given: Given) -> bool {
        self.parsed.given.contains(&given)
    }

    pub(crate) fn mutates(&self) -> bool {
        self.parsed.mutates
    }

    pub(crate) fn impure(&self) -> bool {
        self.parsed.impure
    }

    /// The instance variables that it sets, and their places.
    pub(crate) fn instance_variables(&self) -> &[(String, Slot)] {
        &self.parsed.instance_variables
    }

    /// Names that nobody defines.
    pub(crate) fn undefined(&self) -> impl Iterator<Item = &str> + '_ {
        self.parsed.undefined.iter().map(|(name, _)| name.as_str())
    }

    /// A regular expression that was made before.
    pub(crate) fn cached_regexp(&self, source: &str, options: RegexpOptions) -> Option<Regexp> {
        let kept = self.made_regexps.read().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(known, flags, _)| known == source && *flags == options)
            .map(|(.., regexp)| regexp.clone())
    }

    /// Keeps a regular expression in place of the oldest.
    pub(crate) fn cache_regexp(&self, source: &str, options: RegexpOptions, regexp: &Regexp) {
        let mut kept = self.made_regexps.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((source.to_owned(), options, regexp.clone()));
    }

    /// The compiled form of a time format.
    pub(crate) fn time_format(&self, format: &[u8]) -> Arc<TimeFormat> {
        let kept = self.time_formats.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, compiled)) = kept.iter().find(|(known, _)| **known == *format) {
            return Arc::clone(compiled);
        }
        drop(kept);
        let compiled = Arc::new(TimeFormat::new(&String::from_utf8_lossy(format)));
        let mut kept = self.time_formats.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((format.into(), Arc::clone(&compiled)));
        compiled
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("id", &self.id).finish_non_exhaustive()
    }
}
