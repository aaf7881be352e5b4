//! The state of one evaluation.

use super::limits::{Exceeded, Limits};
use super::{Eval, Host};
use crate::expr::methods::inspect_text;
use crate::expr::program::Program;
use crate::expr::syntax::ast::{Block, Given, PathKey, Sentinel};
use crate::expr::value::{Array, ClassId, Exception, Match, ProcCode, RegexpHandle, Str, Value};
use crate::regexp::{Regexp, Spans};
use crate::time::TimeFormat;
use bumpalo::Bump;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// Why an evaluation stops before its end.
#[derive(Debug)]
pub(crate) enum Unwind<'a> {
    /// An exception.
    Raise(&'a Exception<'a>),
    /// `break` out of the call with this tag.
    Break(Value<'a>, u32),
    /// `next`: the end of a block.
    Next(Value<'a>),
    /// `return`: the end of a lambda or of the whole expression.
    Return(Value<'a>),
    /// `use_nil`, `use_default`
    Use(Sentinel),
    /// A limit; not to be rescued.
    Exceeded(Exceeded),
}

/// What a caller gives to an expression.
pub(crate) trait Inputs<'a> {
    /// The value of a name.
    fn given(&self, given: Given, arena: &'a Bump) -> Value<'a>;

    /// Follows a path of constants into the record without making objects of what it passes.
    fn find(&self, path: &[PathKey], arena: &'a Bump) -> Found<'a>;
}

/// What [`Inputs::find`] found.
pub(crate) enum Found<'a> {
    Value(Value<'a>),
    /// The record has to be looked into as an object.
    Unknown,
}

/// One evaluation of one expression.
pub(crate) struct Vm<'p, 'a> {
    pub(super) program: &'p Program,
    pub(super) inputs: &'p dyn Inputs<'a>,
    pub(super) host: &'p Host,
    arena: &'a Bump,
    pub(super) locals: &'a [Cell<Value<'a>>],
    pub(super) last_match: Option<&'a Match<'a>>,
    pub(super) limits: Limits,
    /// The call whose block is running, for `break`.
    pub(super) tag: u32,
    pub(super) next_tag: u32,
    made_regexps: Vec<Rc<Regexp>>,
    spans: Spans,
    /// Set when an object was changed.
    changed: &'p Cell<bool>,
}

impl<'p, 'a> Vm<'p, 'a> {
    pub(crate) fn new(
        program: &'p Program,
        inputs: &'p dyn Inputs<'a>,
        host: &'p Host,
        changed: &'p Cell<bool>,
        arena: &'a Bump,
    ) -> Self {
        let slots = usize::from(program.slots());
        let locals = arena.alloc_slice_fill_with(slots, |_| Cell::new(Value::Unset));
        Self {
            program,
            inputs,
            host,
            arena,
            locals,
            last_match: None,
            limits: Limits::new(),
            tag: 0,
            next_tag: 1,
            made_regexps: Vec::new(),
            spans: Spans::new(),
            changed,
        }
    }

    pub(crate) fn arena(&self) -> &'a Bump {
        self.arena
    }

    pub(crate) fn host(&self) -> &'p Host {
        self.host
    }

    /// Notes that an object is about to be changed.
    pub(crate) fn touch(&self) {
        self.changed.set(true);
    }

    /// Counts `count` steps.
    #[inline]
    pub(crate) fn step(&mut self, count: usize) -> Eval<'a, ()> {
        match self.limits.steps.checked_sub(count as u64) {
            Some(left) => {
                self.limits.steps = left;
                Ok(())
            }
            None => Err(Unwind::Exceeded(Exceeded::Steps)),
        }
    }

    /// Counts `bytes` of memory.
    #[inline]
    pub(crate) fn charge(&mut self, bytes: usize) -> Eval<'a, ()> {
        match self.limits.bytes.checked_sub(bytes) {
            Some(left) => {
                self.limits.bytes = left;
                Ok(())
            }
            None => Err(Unwind::Exceeded(Exceeded::Bytes)),
        }
    }

    /// Refuses a text of `bytes` that is still being made.
    pub(crate) fn check_size(&self, bytes: usize) -> Eval<'a, ()> {
        if bytes > self.limits.bytes { Err(Unwind::Exceeded(Exceeded::Bytes)) } else { Ok(()) }
    }

    /// Copies bytes into the arena.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Eval<'a, &'a [u8]> {
        self.charge(bytes.len())?;
        Ok(self.arena.alloc_slice_copy(bytes))
    }

    /// A new string of bytes that live in the arena or the record.
    #[inline]
    pub(crate) fn string(&self, bytes: &'a [u8]) -> Value<'a> {
        Value::Str(self.arena.alloc(Str::new(bytes)))
    }

    /// A new string of these bytes, copied.
    pub(crate) fn new_string(&mut self, bytes: &[u8]) -> Eval<'a> {
        let bytes = self.copy(bytes)?;
        Ok(self.string(bytes))
    }

    /// A string like `like` (binary or not) of bytes that live in the arena or the record.
    pub(crate) fn string_like(&self, like: &Str<'a>, bytes: &'a [u8]) -> Value<'a> {
        let string = Str::new(bytes);
        string.binary.set(like.binary.get());
        Value::Str(self.arena.alloc(string))
    }

    /// A new array.
    pub(crate) fn array(&mut self, items: &[Value<'a>]) -> Eval<'a> {
        self.charge(std::mem::size_of_val(items))?;
        Ok(Value::Array(self.arena.alloc(Array::of(self.arena, items))))
    }

    /// An exception.
    pub(crate) fn raise(&self, class: ClassId, message: impl AsRef<str>) -> Unwind<'a> {
        let message = self.arena.alloc_str(message.as_ref()).as_bytes();
        Unwind::Raise(self.arena.alloc(Exception { class, message }))
    }

    pub(crate) fn argument_error(&self, message: impl AsRef<str>) -> Unwind<'a> {
        self.raise(ClassId::ArgumentError, message)
    }

    pub(crate) fn type_error(&self, message: impl AsRef<str>) -> Unwind<'a> {
        self.raise(ClassId::TypeError, message)
    }

    pub(crate) fn key_error(&mut self, key: Value<'a>) -> Unwind<'a> {
        let shown = inspect_text(self, key);
        self.raise(ClassId::KeyError, format!("key not found: {shown}"))
    }

    /// A regular expression of the program or of this evaluation.
    pub(crate) fn regexp(&self, id: u32) -> RegexpHandle<'p> {
        let literals = self.program.regexps();
        match literals.get(id as usize) {
            Some(regexp) => RegexpHandle::Literal(regexp),
            None => match self.made_regexps.get(id as usize - literals.len()) {
                Some(regexp) => RegexpHandle::Made(Rc::clone(regexp)),
                None => RegexpHandle::Literal(self.program.no_regexp()),
            },
        }
    }

    /// Keeps a regular expression that was made.
    pub(crate) fn add_regexp(&mut self, regexp: Rc<Regexp>) -> Value<'a> {
        self.made_regexps.push(regexp);
        Value::Regexp((self.program.regexps().len() + self.made_regexps.len() - 1) as u32)
    }

    /// The first match at `from` or later; sets `$~`.
    pub(crate) fn search(
        &mut self,
        id: u32,
        text: &'a [u8],
        binary: bool,
        from: usize,
    ) -> Eval<'a, Option<&'a Match<'a>>> {
        let found = self.find_match(id, text, binary, from)?;
        self.last_match = found;
        Ok(found)
    }

    /// The first match at `from` or later; leaves `$~` as it is.
    pub(crate) fn find_match(
        &mut self,
        id: u32,
        text: &'a [u8],
        binary: bool,
        from: usize,
    ) -> Eval<'a, Option<&'a Match<'a>>> {
        self.step(1 + (text.len().saturating_sub(from)) / 64)?;
        if from == 0 && !binary && !crate::expr::value::is_utf8(text) {
            return Err(self.argument_error("invalid byte sequence in UTF-8"));
        }
        let regexp = self.regexp(id);
        let mut spans = std::mem::take(&mut self.spans);
        let result = regexp.search(text, from, &mut spans);
        let found = match result {
            Ok(true) => {
                let groups = regexp.groups() + 1;
                let list = self.arena.alloc_slice_fill_with(groups, |group| {
                    spans.get(group).map(|span| (span.start, span.end))
                });
                let found: &'a Match<'a> = self.arena.alloc(Match { text, spans: list, regexp: id });
                Some(found)
            }
            Ok(false) => None,
            Err(limit) => return Err(self.raise(ClassId::RegexpError, limit.to_string())),
        };
        self.spans = spans;
        Ok(found)
    }

    /// What a block is when it is kept as an object.
    pub(crate) fn block_id(&self, block: &Block) -> Option<ProcCode> {
        Some(ProcCode::Block { program: self.program.id(), block: self.program.block_id(block)? })
    }

    /// The compiled form of a time format.
    pub(crate) fn time_format(&self, format: &[u8]) -> Arc<TimeFormat> {
        self.program.time_format(format)
    }

    pub(crate) fn last_match(&self) -> Option<&'a Match<'a>> {
        self.last_match
    }

    pub(crate) fn set_last_match(&mut self, found: Option<&'a Match<'a>>) {
        self.last_match = found;
    }
}
