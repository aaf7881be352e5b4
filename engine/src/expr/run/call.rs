//! Calls of methods and of blocks.

use super::vm::{Unwind, Vm};
use super::{Eval, Limits};
use crate::expr::methods::Row;
use crate::expr::syntax::ast::{self, Params};
use crate::expr::value::{Array, ClassId, Enumerator, Proc, ProcCode, Value, receiver_text};
use smallvec::SmallVec;

/// The arguments of a call.
#[derive(Clone, Copy)]
pub(crate) struct Args<'v, 'p, 'a> {
    pub(crate) list: &'v [Value<'a>],
    pub(crate) block: Option<Block<'v, 'p, 'a>>,
}

/// What a method yields to.
#[derive(Clone, Copy)]
pub(crate) enum Block<'v, 'p, 'a> {
    /// `{ |x| ... }`, with the tag that `break` looks for.
    Code(&'p ast::Block, u32),
    /// `&:name`
    Method(&'static Row),
    /// `&value`
    Proc(&'a Proc),
    /// A method of ours that yields to another.
    Native(&'v NativeBlock<'v, 'p, 'a>),
}

/// See [`Block::Native`].
pub(crate) type NativeBlock<'v, 'p, 'a> = dyn Fn(&mut Vm<'p, 'a>, &[Value<'a>]) -> Eval<'a> + 'v;

impl<'v, 'p, 'a> Args<'v, 'p, 'a> {
    /// Arguments without a block.
    pub(crate) fn of(list: &'v [Value<'a>]) -> Self {
        Self { list, block: None }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        self.list.get(index).copied()
    }

    /// An argument that may be left out, or be nil.
    pub(crate) fn given(&self, index: usize) -> Option<Value<'a>> {
        self.get(index).filter(|value| !value.is_nil())
    }

    /// The value of the symbol `name` in a hash behind the other arguments.
    pub(crate) fn option(&self, name: &str) -> Option<Value<'a>> {
        match self.list.last() {
            Some(Value::Hash(hash)) => hash.get_symbol(name.as_bytes()),
            _ => None,
        }
    }
}

impl<'p, 'a> Vm<'p, 'a> {
    /// Calls a method.
    pub(crate) fn call(
        &mut self,
        receiver: Value<'a>,
        row: &'static Row,
        args: Args<'_, 'p, 'a>,
    ) -> Eval<'a> {
        let Some(method) = row.find(receiver.kind()) else {
            return match receiver {
                // Fluent::EventTime#method_missing: what it does not know itself, its seconds do.
                Value::Ext(0, [a, b, c, d, ..]) => {
                    let seconds = u32::from_be_bytes([*a, *b, *c, *d]);
                    self.call(Value::Int(i64::from(seconds)), row, args)
                }
                _ => Err(self.no_method(receiver, row.name)),
            };
        };
        let given = args.list.len();
        if given < usize::from(method.min) || given > usize::from(method.max) {
            return Err(self.arity_error(given, usize::from(method.min), usize::from(method.max)));
        }
        self.step(1)?;
        self.deeper(|vm| (method.call)(vm, receiver, args))
    }

    pub(crate) fn no_method(&mut self, receiver: Value<'a>, name: &str) -> Unwind<'a> {
        let shown = receiver_text(self, receiver);
        self.raise(ClassId::NoMethodError, format!("undefined method `{name}' for {shown}"))
    }

    pub(crate) fn arity_error(&self, given: usize, min: usize, max: usize) -> Unwind<'a> {
        let expected = match max {
            _ if max == usize::from(u8::MAX) => format!("{min}+"),
            _ if min == max => min.to_string(),
            _ => format!("{min}..{max}"),
        };
        self.argument_error(format!("wrong number of arguments (given {given}, expected {expected})"))
    }

    /// Runs `work` one level deeper.
    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Eval<'a, T>) -> Eval<'a, T> {
        if self.limits.depth >= Limits::DEPTH_MAX {
            return Err(self.raise(ClassId::SystemStackError, "stack level too deep"));
        }
        self.limits.depth += 1;
        let result = work(self);
        self.limits.depth -= 1;
        result
    }

    /// Yields one value.
    #[inline]
    pub(crate) fn yield_one(&mut self, block: Block<'_, 'p, 'a>, value: Value<'a>) -> Eval<'a> {
        self.yield_to(block, &[value])
    }

    /// Yields values to a block and answers what it answers.
    pub(crate) fn yield_to(&mut self, block: Block<'_, 'p, 'a>, values: &[Value<'a>]) -> Eval<'a> {
        self.step(1)?;
        match block {
            Block::Code(code, tag) => self.run_block(code, tag, values),
            Block::Method(row) => self.call_first(row, values),
            Block::Proc(proc) => match proc.code {
                // A lambda of one parameter takes what is yielded as it is; others take arrays apart.
                ProcCode::Block { .. } if proc.lambda && values.len() == 1 => {
                    self.call_lambda_block(proc, values[0])
                }
                _ => self.call_proc(proc, values),
            },
            Block::Native(native) => self.deeper(|vm| native(vm, values)),
        }
    }

    fn call_first(&mut self, row: &'static Row, values: &[Value<'a>]) -> Eval<'a> {
        match values.split_first() {
            Some((receiver, rest)) => self.call(*receiver, row, Args::of(rest)),
            None => Err(self.argument_error("no receiver given")),
        }
    }

    fn call_lambda_block(&mut self, proc: &'a Proc, value: Value<'a>) -> Eval<'a> {
        let ProcCode::Block { block, .. } = proc.code else { return self.call_proc(proc, &[value]) };
        let destructures = self.program.block(block).is_some_and(|code| code.params.destructures());
        match value {
            Value::Array(list) if destructures => self.call_proc(proc, &list.to_vec()),
            _ => self.call_proc(proc, &[value]),
        }
    }

    fn run_block(&mut self, code: &'p ast::Block, tag: u32, values: &[Value<'a>]) -> Eval<'a> {
        for slot in code.slots.0..code.slots.1 {
            self.locals[usize::from(slot)].set(Value::Nil);
        }
        let outer = std::mem::replace(&mut self.tag, tag);
        let result = self.deeper(|vm| {
            vm.bind(&code.params, values)?;
            vm.eval(&code.body)
        });
        self.tag = outer;
        match result {
            Err(Unwind::Next(value)) => Ok(value),
            other => other,
        }
    }

    /// Calls a proc or lambda.
    pub(crate) fn call_proc(&mut self, proc: &'a Proc, values: &[Value<'a>]) -> Eval<'a> {
        let (program, block) = match proc.code {
            ProcCode::Method(row) => return self.call_first(row, values),
            ProcCode::Block { program, block } => (program, block),
        };
        let code = match self.program.block(block) {
            Some(code) if program == self.program.id() => code,
            _ => return Err(self.type_error("this proc belongs to another expression")),
        };
        if proc.lambda {
            self.check_lambda_arity(&code.params, values.len())?;
        }
        // A lambda may call itself: what its variables hold now is put back afterwards.
        let range = usize::from(code.slots.0)..usize::from(code.slots.1);
        let saved: SmallVec<[Value<'a>; 8]> =
            self.locals[range.clone()].iter().map(|slot| slot.get()).collect();
        let tag = self.fresh_tag();
        let result = self.run_block(code, tag, values);
        for (slot, value) in self.locals[range].iter().zip(saved) {
            slot.set(value);
        }
        match result {
            Err(Unwind::Return(value)) if proc.lambda => Ok(value),
            Err(Unwind::Break(value, broken)) if broken == tag => Ok(value),
            other => other,
        }
    }

    fn check_lambda_arity(&mut self, params: &Params, given: usize) -> Eval<'a, ()> {
        let least = params.required.len() + params.post.len();
        let most = if params.rest.is_some() { usize::from(u8::MAX) } else { least + params.optional.len() };
        if given < least || given > most {
            return Err(self.arity_error(given, least, most));
        }
        Ok(())
    }

    /// A number that no other call's `break` looks for.
    pub(crate) fn fresh_tag(&mut self) -> u32 {
        self.next_tag = self.next_tag.wrapping_add(1);
        self.next_tag
    }

    /// What a method that needs a block answers without one.
    pub(crate) fn enumerator(&mut self, receiver: Value<'a>, name: &str, args: Args<'_, 'p, 'a>) -> Eval<'a> {
        let Some(method) = crate::expr::methods::row(name) else {
            return Err(self.no_method(receiver, name));
        };
        let args: &'a [Value<'a>] = self.arena().alloc_slice_copy(args.list);
        Ok(Value::Enumerator(self.arena().alloc(Enumerator { receiver, method, args })))
    }

    /// Gives values to the parameters of a block.
    fn bind(&mut self, params: &'p Params, values: &[Value<'a>]) -> Eval<'a, ()> {
        if let ([ast::Pattern::Slot(slot)], [value]) = (&*params.required, values)
            && !params.destructures()
        {
            self.locals[usize::from(*slot)].set(*value);
            return Ok(());
        }
        if let ([Value::Array(list)], true) = (values, params.destructures()) {
            return self.bind_list(params, &list.to_vec());
        }
        self.bind_list(params, values)
    }

    fn bind_list(&mut self, params: &'p Params, values: &[Value<'a>]) -> Eval<'a, ()> {
        let (required, post) = (params.required.len(), params.post.len());
        let mut rest = values;
        for pattern in &params.required {
            self.assign(pattern, take(&mut rest))?;
        }
        let spare = values.len().saturating_sub(required + post);
        for (at, (slot, default)) in params.optional.iter().enumerate() {
            let value = if at < spare { take(&mut rest) } else { self.eval(default)? };
            self.locals[usize::from(*slot)].set(value);
        }
        if let Some(slot) = params.rest {
            let count = rest.len().saturating_sub(post);
            let (more, behind) = rest.split_at(count);
            rest = behind;
            if let Some(slot) = slot {
                let list = Value::Array(self.arena().alloc(Array::of(self.arena(), more)));
                self.locals[usize::from(slot)].set(list);
            }
        }
        for pattern in &params.post {
            self.assign(pattern, take(&mut rest))?;
        }
        Ok(())
    }
}

fn take<'a>(values: &mut &[Value<'a>]) -> Value<'a> {
    match values.split_first() {
        Some((first, rest)) => {
            *values = rest;
            *first
        }
        None => Value::Nil,
    }
}
