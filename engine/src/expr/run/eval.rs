//! Evaluates the nodes of an expression.

use super::Eval;
use super::call::{Args, Block};
use super::vm::{Found, Unwind, Vm};
use crate::expr::methods::Operator;
use crate::expr::syntax::ast::{
    self, BlockArg, Call, Constant, Given, HashPart, MatchPart, Node, NodeKind, Slot,
};
use crate::expr::value::{
    ClassId, Hash, Proc, ProcCode, Range, RegexpHandle, Str, Value, compile_regexp, equal, to_s,
};
use num_bigint::BigInt;
use smallvec::SmallVec;
use std::rc::Rc;

/// Arguments are nearly always fewer than this.
pub(super) type ArgList<'a> = SmallVec<[Value<'a>; 4]>;

impl<'p, 'a> Vm<'p, 'a> {
    /// The value of the whole expression.
    pub(crate) fn run(&mut self) -> Eval<'a> {
        let program = self.program;
        match self.eval(program.body()) {
            Err(Unwind::Return(value) | Unwind::Next(value) | Unwind::Break(value, _)) => Ok(value),
            other => other,
        }
    }

    /// The value of a node.
    pub(crate) fn eval(&mut self, node: &'p Node) -> Eval<'a> {
        self.step(1)?;
        match &node.kind {
            NodeKind::Nil | NodeKind::Unset => Ok(Value::Nil),
            NodeKind::True => Ok(Value::Bool(true)),
            NodeKind::False => Ok(Value::Bool(false)),
            NodeKind::SelfObject => Ok(Value::Main),
            NodeKind::Int(value) => Ok(Value::Int(*value)),
            NodeKind::Float(value) => Ok(Value::Float(*value)),
            NodeKind::Str(text) => self.new_string(text),
            NodeKind::Symbol(name) => Ok(Value::Symbol(self.copy(name.as_bytes())?)),
            NodeKind::Regexp(index) => Ok(Value::Regexp(*index)),
            NodeKind::Class(class) => Ok(Value::Class(*class)),
            NodeKind::Local(slot) => Ok(self.local(*slot)),
            NodeKind::Given(given, slot) => Ok(self.given(*given, *slot)),
            NodeKind::RecordPath(path) => match self.inputs.find(&path.keys, self.arena()) {
                Found::Value(value) => Ok(value),
                Found::Unknown => self.deeper(|vm| vm.eval(&path.fallback)),
            },
            NodeKind::Call(call) => self.deeper(|vm| vm.eval_call(call)),
            _ => self.deeper(|vm| vm.eval_compound(node)),
        }
    }

    /// The nodes that are not among the most frequent; apart, to keep the frames of the recursion small.
    #[inline(never)]
    fn eval_compound(&mut self, node: &'p Node) -> Eval<'a> {
        match &node.kind {
            NodeKind::And(left, right) => {
                let left = self.eval(left)?;
                if left.truthy() { self.eval(right) } else { Ok(left) }
            }
            NodeKind::Or(left, right) => {
                let left = self.eval(left)?;
                if left.truthy() { Ok(left) } else { self.eval(right) }
            }
            NodeKind::Not(inner) => Ok(Value::Bool(!self.eval(inner)?.truthy())),
            NodeKind::If { condition, then, otherwise } => {
                let chosen = if self.eval(condition)?.truthy() { then } else { otherwise };
                self.eval(chosen)
            }
            NodeKind::Sequence(list) => {
                let mut last = Value::Nil;
                for node in list {
                    last = self.eval(node)?;
                }
                Ok(last)
            }
            NodeKind::Interpolated(pieces) => {
                let text = self.interpolate(pieces)?;
                Ok(self.string(text))
            }
            NodeKind::SetLocal(slot, value) => {
                let value = self.eval(value)?;
                self.set_local(*slot, value);
                Ok(value)
            }
            NodeKind::Array(items) => {
                let items = self.eval_list(items)?;
                self.array(&items)
            }
            NodeKind::Hash(parts) => self.eval_hash(parts),
            NodeKind::LastMatch(part) => Ok(self.last_match_part(*part)),
            NodeKind::Update(update) => self.update(update),
            NodeKind::SetBy(call, value) => self.set_by(call, value),
            NodeKind::SetMany(pattern, value) => {
                let value = self.eval(value)?;
                self.assign(pattern, value)?;
                Ok(value)
            }
            NodeKind::Case { subject, whens, otherwise } => {
                self.eval_case(subject.as_deref(), whens, otherwise)
            }
            NodeKind::While { condition, body, negated, body_first } => {
                self.eval_while(condition, body, *negated, *body_first)
            }
            NodeKind::Begin(begin) => self.eval_begin(begin),
            NodeKind::MatchNames(regexp, text, names) => self.match_names(regexp, text, names),
            NodeKind::Break(value) => {
                let value = self.eval(value)?;
                Err(Unwind::Break(value, self.tag))
            }
            NodeKind::Next(value) => Err(Unwind::Next(self.eval(value)?)),
            NodeKind::Return(value) => Err(Unwind::Return(self.eval(value)?)),
            NodeKind::Use(sentinel) => Err(Unwind::Use(*sentinel)),
            _ => self.eval_rare(node),
        }
    }

    #[inline(never)]
    fn eval_rare(&mut self, node: &'p Node) -> Eval<'a> {
        match &node.kind {
            NodeKind::BigInt(digits) => match digits.parse::<BigInt>() {
                Ok(value) => Ok(Value::big(self.arena(), &value)),
                Err(_) => Ok(Value::Nil),
            },
            NodeKind::Constant(constant) => self.constant(*constant),
            NodeKind::InterpolatedSymbol(pieces) => Ok(Value::Symbol(self.interpolate(pieces)?)),
            NodeKind::InterpolatedRegexp(pieces, options) => {
                let source = self.interpolate_regexp(pieces)?;
                self.make_regexp(&source, *options)
            }
            NodeKind::Range { low, high, exclusive } => {
                let low = self.eval_optional(low.as_deref())?;
                let high = self.eval_optional(high.as_deref())?;
                self.range(low, high, *exclusive)
            }
            NodeKind::Undefined(name) => Err(self.raise(
                ClassId::NameError,
                format!("undefined local variable or method `{name}' for {}", self.program.self_text()),
            )),
            NodeKind::Lambda(block) => {
                let lambda = self.program.block(*block).is_some_and(|code| code.lambda);
                let code = ProcCode::Block { program: self.program.id(), block: *block };
                Ok(Value::Proc(self.arena().alloc(Proc { code, lambda })))
            }
            NodeKind::Defined(known, inner) => self.eval_defined(*known, inner),
            // A splat outside of a list is the list itself.
            NodeKind::Splat(inner) => {
                let value = self.eval(inner)?;
                let items = crate::expr::methods::to_list(self, value)?;
                self.array(&items)
            }
            _ => Ok(Value::Nil),
        }
    }

    fn eval_optional(&mut self, node: Option<&'p Node>) -> Eval<'a> {
        node.map_or(Ok(Value::Nil), |node| self.eval(node))
    }

    pub(crate) fn range(&mut self, low: Value<'a>, high: Value<'a>, exclusive: bool) -> Eval<'a> {
        let open = low.is_nil() || high.is_nil();
        if !open && crate::expr::value::compare(low, high).is_none() {
            return Err(self.argument_error("bad value for range"));
        }
        Ok(Value::Range(self.arena().alloc(Range { low, high, exclusive })))
    }

    #[inline]
    pub(crate) fn local(&self, slot: Slot) -> Value<'a> {
        match self.locals.get(usize::from(slot)).map(|slot| slot.get()) {
            Some(Value::Unset) | None => Value::Nil,
            Some(value) => value,
        }
    }

    pub(super) fn set_local(&mut self, slot: Slot, value: Value<'a>) {
        if let Some(place) = self.locals.get(usize::from(slot)) {
            place.set(value);
        }
    }

    /// A name that the caller gives a value; asked for when it is first read.
    pub(super) fn given(&mut self, given: Given, slot: Slot) -> Value<'a> {
        let Some(place) = self.locals.get(usize::from(slot)) else { return Value::Nil };
        if matches!(place.get(), Value::Unset) {
            place.set(self.inputs.given(given, self.arena()));
        }
        place.get()
    }

    fn constant(&mut self, constant: Constant) -> Eval<'a> {
        Ok(match constant {
            Constant::Float(value) => Value::Float(value),
            Constant::Int(value) => Value::Int(value),
            Constant::Text(text) => self.string(text.as_bytes()),
            Constant::Env => Value::Env,
        })
    }

    fn last_match_part(&mut self, part: MatchPart) -> Value<'a> {
        let Some(found) = self.last_match else { return Value::Nil };
        let text = match part {
            MatchPart::Data => return Value::Match(found),
            MatchPart::Before => Some(found.before()),
            MatchPart::After => Some(found.after()),
            MatchPart::LastGroup => (1..found.spans.len()).rev().find_map(|group| found.group(group)),
            MatchPart::Group(group) => found.group(group),
        };
        text.map_or(Value::Nil, |text| self.string(text))
    }

    /// The text of pieces put together.
    fn interpolate(&mut self, pieces: &'p [Node]) -> Eval<'a, &'a [u8]> {
        // One value alone is its own text: no copy.
        if let [piece] = pieces {
            let value = self.eval(piece)?;
            return to_s(self, value);
        }
        let mut parts: SmallVec<[&'a [u8]; 8]> = SmallVec::new();
        let mut length = 0;
        for piece in pieces {
            let value = self.eval(piece)?;
            let text = to_s(self, value)?;
            length += text.len();
            parts.push(text);
        }
        self.charge(length)?;
        let out: &'a mut [u8] = self.arena().alloc_slice_fill_copy(length, 0);
        let mut at = 0;
        for part in parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Ok(out)
    }

    /// The source of a regular expression: regular expressions are put in with their options.
    fn interpolate_regexp(&mut self, pieces: &'p [Node]) -> Eval<'a, String> {
        let mut source = Vec::new();
        for piece in pieces {
            let value = match &piece.kind {
                NodeKind::Interpolated(inner) if inner.len() == 1 => self.eval(&inner[0])?,
                _ => self.eval(piece)?,
            };
            source.extend_from_slice(to_s(self, value)?);
            self.check_size(source.len())?;
        }
        Ok(String::from_utf8_lossy(&source).into_owned())
    }

    /// A regular expression that is made while the expression runs.
    pub(crate) fn make_regexp(&mut self, source: &str, options: ast::RegexpOptions) -> Eval<'a> {
        /// Compiling costs time and memory in proportion to the pattern.
        const STEPS_OF_A_COMPILATION: usize = 1000;
        self.step(STEPS_OF_A_COMPILATION + source.len())?;
        if let Some(regexp) = self.program.cached_regexp(source, options) {
            return Ok(self.add_regexp(Rc::new(regexp)));
        }
        match compile_regexp(source, options) {
            Ok(regexp) => {
                self.program.cache_regexp(source, options, &regexp);
                Ok(self.add_regexp(Rc::new(regexp)))
            }
            Err(error) => Err(self.raise(ClassId::RegexpError, error.to_string())),
        }
    }

    fn eval_hash(&mut self, parts: &'p [HashPart]) -> Eval<'a> {
        let hash: &'a Hash<'a> = self.arena().alloc(Hash::with_capacity(self.arena(), parts.len()));
        for part in parts {
            match part {
                HashPart::Pair(key, value) => {
                    let key = self.eval(key)?;
                    let value = self.eval(value)?;
                    hash.set(self.arena(), key, value);
                }
                HashPart::Splat(other) => match self.eval(other)? {
                    Value::Hash(other) => {
                        for (key, value) in other.to_vec() {
                            hash.set(self.arena(), key, value);
                        }
                    }
                    Value::Nil => {}
                    other => {
                        let kind = crate::expr::value::kind_text(other);
                        return Err(self.type_error(format!("no implicit conversion of {kind} into Hash")));
                    }
                },
            }
        }
        Ok(Value::Hash(hash))
    }

    /// The values of a list in which splats are taken apart.
    pub(super) fn eval_list(&mut self, nodes: &'p [Node]) -> Eval<'a, ArgList<'a>> {
        let mut list = ArgList::new();
        for node in nodes {
            match &node.kind {
                NodeKind::Splat(inner) => {
                    let value = self.eval(inner)?;
                    list.extend(crate::expr::methods::to_list(self, value)?);
                }
                _ => list.push(self.eval(node)?),
            }
        }
        Ok(list)
    }

    fn eval_call(&mut self, call: &'p Call) -> Eval<'a> {
        let Some(receiver) = &call.receiver else { return self.eval_function(call) };
        let receiver = self.eval(receiver)?;
        if call.safe && receiver.is_nil() {
            return Ok(Value::Nil);
        }
        if let Some(result) = self.fast_call(call, receiver)? {
            return Ok(result);
        }
        let args = self.eval_list(&call.args)?;
        self.with_block(call, |vm, block| vm.call(receiver, call.method, Args { list: &args, block }))
    }

    /// The commonest operators on simple values, without a look into the tables.
    #[inline]
    fn fast_call(&mut self, call: &'p Call, receiver: Value<'a>) -> Eval<'a, Option<Value<'a>>> {
        match (call.method.operator, receiver, &*call.args) {
            // A constant key needs no object.
            (Operator::Index, Value::Hash(hash), [Node { kind: NodeKind::Str(key), .. }]) => {
                Ok(hash.get_text(key))
            }
            (Operator::Equal, Value::Str(_) | Value::Nil | Value::Int(_) | Value::Bool(_), [arg]) => {
                let right = self.eval(arg)?;
                Ok(Some(Value::Bool(equal(receiver, right))))
            }
            _ => Ok(None),
        }
    }

    fn eval_function(&mut self, call: &'p Call) -> Eval<'a> {
        let args = self.eval_list(&call.args)?;
        self.with_block(call, |vm, block| {
            let Some(method) = call.method.function() else {
                return Err(vm.no_method(Value::Main, call.method.name));
            };
            let given = args.len();
            if given < usize::from(method.min) || given > usize::from(method.max) {
                return Err(vm.arity_error(given, usize::from(method.min), usize::from(method.max)));
            }
            (method.call)(vm, Value::Main, Args { list: &args, block })
        })
    }

    /// Makes the block of a call and catches its `break`.
    fn with_block(
        &mut self,
        call: &'p Call,
        run: impl FnOnce(&mut Self, Option<Block<'_, 'p, 'a>>) -> Eval<'a>,
    ) -> Eval<'a> {
        match &call.block {
            None => run(self, None),
            Some(BlockArg::Method(row)) => run(self, Some(Block::Method(row))),
            Some(BlockArg::Code(id)) => {
                let program = self.program;
                let Some(code) = program.block(*id) else { return run(self, None) };
                let tag = self.fresh_tag();
                match run(self, Some(Block::Code(code, tag))) {
                    Err(Unwind::Break(value, broken)) if broken == tag => Ok(value),
                    other => other,
                }
            }
            Some(BlockArg::Value(node)) => match self.eval(node)? {
                Value::Proc(proc) => run(self, Some(Block::Proc(proc))),
                Value::Nil => run(self, None),
                Value::Symbol(name) => match crate::expr::methods::row_of(name) {
                    Some(row) => run(self, Some(Block::Method(row))),
                    None => Err(self.argument_error("this method is not supported as a block")),
                },
                other => {
                    let class = other.class().name();
                    Err(self.type_error(format!("wrong argument type {class} (expected Proc)")))
                }
            },
        }
    }

    fn match_names(&mut self, regexp: &'p Node, text: &'p Node, names: &'p [(Box<str>, Slot)]) -> Eval<'a> {
        let regexp = self.eval(regexp)?;
        let text = self.eval(text)?;
        let Some(id) = regexp.regexp_id() else { return Ok(Value::Nil) };
        let found = match text {
            Value::Str(text) => self.search(id, text.bytes(), text.binary.get(), 0)?,
            Value::Symbol(name) => self.search(id, name, false, 0)?,
            Value::Nil => {
                self.last_match = None;
                None
            }
            other => {
                let kind = crate::expr::value::kind_text(other);
                return Err(self.type_error(format!("no implicit conversion of {kind} into String")));
            }
        };
        let regexp: RegexpHandle<'p> = self.regexp(id);
        for (name, slot) in names {
            let group = found.and_then(|found| found.named(&regexp, name.as_bytes()).flatten());
            let value = group.map_or(Value::Nil, |group| self.string(group));
            self.set_local(*slot, value);
        }
        Ok(crate::expr::methods::match_position(found))
    }

    fn eval_defined(&mut self, known: Option<&'static str>, inner: &'p Node) -> Eval<'a> {
        if let Some(text) = known {
            return Ok(self.string(text.as_bytes()));
        }
        let text = match &inner.kind {
            NodeKind::Undefined(_) | NodeKind::Unset => return Ok(Value::Nil),
            NodeKind::Call(_) | NodeKind::RecordPath(_) => "method",
            NodeKind::Class(_) | NodeKind::Constant(_) => "constant",
            NodeKind::LastMatch(_) => "global-variable",
            _ => "expression",
        };
        // Ruby evaluates what it must to find out, and takes an exception for a no.
        match self.eval(inner) {
            Err(Unwind::Raise(_)) => Ok(Value::Nil),
            Err(other) => Err(other),
            Ok(Value::Nil) if matches!(inner.kind, NodeKind::LastMatch(_)) => Ok(Value::Nil),
            Ok(_) => Ok(Value::Str(self.arena().alloc(Str::new(text.as_bytes())))),
        }
    }
}
