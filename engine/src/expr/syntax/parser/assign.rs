//! Assignments: `a = x`, `a[k] = x`, `a.b = x`, `a ||= x`, `a += x`, `a, (b, *c) = x`.

use super::scope::Name;
use super::{Parse, Parser};
use crate::expr::syntax::ast::{
    Call, Constant, Given, Node, NodeKind, Pattern, Slot, Target, Update, UpdateOperator,
};
use crate::expr::syntax::token::{Keyword, Op, Span, Tok};

impl<'s> Parser<'s> {
    /// Goes on behind a left-hand side, if an assignment follows.
    pub(super) fn assignment(&mut self, left: Node) -> Parse<Node> {
        let token = self.peek()?;
        let Tok::Op(op) = token.kind else { return Ok(left) };
        if op == Op::Assign {
            self.next()?;
            let target = self.target(left)?;
            let value = self.assigned_value()?;
            return self.assign(target, value);
        }
        let Some(operator) = update_operator(op) else { return Ok(left) };
        self.next()?;
        let operator = match operator {
            "||" => UpdateOperator::Or,
            "&&" => UpdateOperator::And,
            name => UpdateOperator::Method(self.operator_row(name, token.span)?),
        };
        let (target, start) = self.update_target(left)?;
        let value = self.assigned_value()?;
        let span = start.to(value.span);
        self.node(NodeKind::Update(Box::new(Update { target, operator, value })), span)
    }

    /// An expression where a statement begins, where `a, b = ...` may stand.
    pub(super) fn statement_expression(&mut self) -> Parse<Node> {
        let start = self.peek()?.span;
        let pattern = if self.begins_multiple_assignment()? {
            self.pattern_list(Op::Assign)?
        } else {
            let first = self.expression()?;
            if !self.at(Op::Comma)? || !is_assignable(&first) {
                return Ok(first);
            }
            self.target_list(first)?
        };
        self.expect(Op::Assign, "=")?;
        let value = self.assigned_list()?;
        let span = start.to(value.span);
        self.node(NodeKind::SetMany(Box::new(pattern), Box::new(value)), span)
    }

    /// The targets behind the first of `a[0], b.c, *d = ...`.
    fn target_list(&mut self, first: Node) -> Parse<Pattern> {
        let mut before = vec![self.target(first)?.0];
        let (mut rest, mut after) = (None, Vec::new());
        while self.accept(Op::Comma)? {
            if self.at(Op::Assign)? {
                break;
            }
            if rest.is_none() && self.accept(Op::Star)? {
                let node = self.postfix()?;
                rest = Some(Box::new(self.target(node)?.0));
                continue;
            }
            let node = self.postfix()?;
            let target = self.target(node)?.0;
            if rest.is_none() { before.push(target) } else { after.push(target) }
        }
        Ok(Pattern::Group(before.into(), rest, after.into()))
    }

    /// `x`, `x, y` or `*x` behind the `=` of several targets.
    fn assigned_list(&mut self) -> Parse<Node> {
        let first = self.element()?;
        if !self.at(Op::Comma)? && !matches!(first.kind, NodeKind::Splat(_)) {
            return Ok(first);
        }
        let mut list = vec![first];
        while self.accept(Op::Comma)? {
            list.push(self.element()?);
        }
        let span = list[0].span.to(list[list.len() - 1].span);
        self.node(NodeKind::Array(list.into()), span)
    }

    /// Looks ahead for `name ,` ... `=` without taking anything: only plain names, `*name` and parentheses count.
    fn begins_multiple_assignment(&mut self) -> Parse<bool> {
        let token = self.peek()?;
        if !matches!(token.kind, Tok::Ident(_) | Tok::Op(Op::Star | Op::ParenOpen)) {
            return Ok(false);
        }
        let rest = &self.lexer.source()[token.span.start as usize..];
        let mut commas = 0;
        let mut depth = 0;
        let mut star = false;
        let mut begins = true;
        for (at, c) in rest.char_indices() {
            // A star belongs to a target only where one begins.
            match c {
                ',' => commas += 1,
                '*' if begins => star = true,
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                '=' => {
                    let behind = rest[at + 1..].chars().next();
                    return Ok(depth == 0
                        && (commas > 0 || star)
                        && !matches!(behind, Some('=' | '~' | '>')));
                }
                c if c == '_' || c.is_alphanumeric() || c == ' ' => {}
                _ => return Ok(false),
            }
            begins = matches!(c, ',' | '(') || begins && c == ' ';
        }
        Ok(false)
    }

    /// `a, (b, c), *d`, up to (and without) `end`.
    pub(super) fn pattern_list(&mut self, end: Op) -> Parse<Pattern> {
        let mut before = Vec::new();
        let mut rest = None;
        let mut after = Vec::new();
        while !self.at(end)? {
            let token = self.peek()?;
            if token.kind == Tok::Op(Op::Star) {
                if rest.is_some() {
                    return Err(self.error(token.span, "there may be only one `*` here"));
                }
                self.next()?;
                let named = matches!(self.peek()?.kind, Tok::Ident(_));
                rest = Some(Box::new(if named { self.pattern(false)? } else { Pattern::Nothing }));
            } else if rest.is_none() {
                before.push(self.pattern(false)?);
            } else {
                after.push(self.pattern(false)?);
            }
            if !self.accept(Op::Comma)? {
                break;
            }
        }
        Ok(Pattern::Group(before.into(), rest, after.into()))
    }

    /// One variable, or a group in parentheses. `fresh` names belong to a block and hide those outside.
    pub(super) fn pattern(&mut self, fresh: bool) -> Parse<Pattern> {
        let token = self.next()?;
        match token.kind {
            Tok::Ident(name) if fresh => Ok(Pattern::Slot(self.declare(name, token.span)?)),
            Tok::Ident(name) => Ok(Pattern::Slot(self.variable(name, token.span)?)),
            Tok::Op(Op::ParenOpen) => {
                let inner =
                    if fresh { self.block_pattern_group()? } else { self.pattern_list(Op::ParenClose)? };
                self.expect(Op::ParenClose, ")")?;
                Ok(inner)
            }
            _ => Err(self.unexpected(token)),
        }
    }

    /// The slot of a variable that is about to be set.
    pub(super) fn variable(&mut self, name: &str, span: Span) -> Parse<Slot> {
        match self.scope.find(name) {
            Some(Name::Local(slot) | Name::Given(_, slot)) => Ok(slot),
            Some(Name::OutOfReach) => Err(self.out_of_reach(name, span)),
            None => self.declare(name, span),
        }
    }

    pub(super) fn declare(&mut self, name: &str, span: Span) -> Parse<Slot> {
        if name.ends_with(['?', '!']) {
            return Err(self.error(span, format!("`{name}` cannot be a variable")));
        }
        match self.scope.declare(name) {
            Some(slot) => Ok(slot),
            None => Err(self.error(span, "there are too many variables")),
        }
    }

    pub(super) fn out_of_reach(&self, name: &str, span: Span) -> Box<crate::expr::SyntaxError> {
        self.error(span, format!("a lambda that uses `{name}` of the block around it is not supported"))
    }

    /// What follows `=`: an expression, a list of them, or another assignment; `x = y rescue z` keeps z for y.
    fn assigned_value(&mut self) -> Parse<Node> {
        self.skip_newlines()?;
        if self.at(Op::Star)? {
            return self.assigned_list();
        }
        let value = self.nested(Self::expression)?;
        if !self.accept_keyword(Keyword::Rescue)? {
            return Ok(value);
        }
        let other = self.nested(Self::expression)?;
        self.rescue_modifier(value, other)
    }

    /// A left-hand side as something that takes a value.
    fn target(&mut self, left: Node) -> Parse<(Pattern, Span)> {
        let start = left.span;
        let pattern = match left.kind {
            NodeKind::Local(slot) | NodeKind::Given(_, slot) => Pattern::Slot(slot),
            NodeKind::Undefined(name) => {
                self.undefined.pop();
                Pattern::Slot(self.declare(&name, start)?)
            }
            NodeKind::RecordPath(path) => return self.target(path.fallback),
            NodeKind::Call(call) => Pattern::Call(Box::new(self.writer(*call, start)?)),
            _ => return Err(self.error(start, "a value cannot be assigned to this")),
        };
        Ok((pattern, start))
    }

    /// The call that writes what `call` reads.
    fn writer(&mut self, call: Call, span: Span) -> Parse<Call> {
        let assignable = call.receiver.is_some() && call.block.is_none();
        if matches!(call.receiver, Some(Node { kind: NodeKind::Constant(Constant::Env), .. })) {
            return Err(self.error(span, "expressions cannot change environment variables"));
        }
        let name = match call.method.name {
            "[]" => "[]=".to_owned(),
            name if assignable && name.ends_with('=') => name.to_owned(),
            name if assignable && call.args.is_empty() => format!("{name}="),
            _ => return Err(self.error(span, "a value cannot be assigned to this")),
        };
        let method = self.method_row(&name, span)?;
        Ok(Call { method, ..call })
    }

    fn assign(&mut self, (pattern, start): (Pattern, Span), value: Node) -> Parse<Node> {
        let span = start.to(value.span);
        match pattern {
            Pattern::Slot(slot) => self.node(NodeKind::SetLocal(slot, Box::new(value)), span),
            Pattern::Call(call) => self.node(NodeKind::SetBy(call, Box::new(value)), span),
            Pattern::Group(..) | Pattern::Nothing => {
                Err(self.error(span, "a value cannot be assigned to this"))
            }
        }
    }

    fn update_target(&mut self, left: Node) -> Parse<(Target, Span)> {
        let start = left.span;
        let target = match left.kind {
            NodeKind::Local(slot) => Target::Local(slot, None),
            NodeKind::Given(given, slot) => Target::Local(slot, Some::<Given>(given)),
            NodeKind::Undefined(name) => {
                self.undefined.pop();
                Target::Local(self.declare(&name, start)?, None)
            }
            NodeKind::RecordPath(path) => return self.update_target(path.fallback),
            NodeKind::Call(call) => {
                let (reader, safe) = (call.method, call.safe);
                let Call { receiver, args, method, .. } = self.writer(*call, start)?;
                match receiver {
                    Some(receiver) => Target::Method { receiver, args, reader, writer: method, safe },
                    None => return Err(self.error(start, "a value cannot be assigned to this")),
                }
            }
            _ => return Err(self.error(start, "a value cannot be assigned to this")),
        };
        Ok((target, start))
    }
}

/// Whether a value can be assigned to what was read.
fn is_assignable(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Local(_) | NodeKind::Given(..) | NodeKind::Undefined(_) | NodeKind::RecordPath(_) => true,
        NodeKind::Call(call) => call.receiver.is_some() && call.block.is_none(),
        _ => false,
    }
}

/// The method behind an operator assignment.
pub(super) fn update_operator(op: Op) -> Option<&'static str> {
    Some(match op {
        Op::OrAssign => "||",
        Op::AndAssign => "&&",
        Op::PlusAssign => "+",
        Op::MinusAssign => "-",
        Op::StarAssign => "*",
        Op::PowerAssign => "**",
        Op::SlashAssign => "/",
        Op::PercentAssign => "%",
        Op::AmpAssign => "&",
        Op::PipeAssign => "|",
        Op::CaretAssign => "^",
        Op::ShiftLeftAssign => "<<",
        Op::ShiftRightAssign => ">>",
        _ => return None,
    })
}
