//! What stands behind a value: `.name(args) { block }`, `&.name`, `[index]`, `::NAME`.

use super::scope::Name;
use super::{Parse, Parser};
use crate::expr::methods::{self, ClassId, Row};
use crate::expr::syntax::ast::{
    Block, BlockArg, BlockId, Call, Given, HashPart, Node, NodeKind, Params, PathKey, Pattern, RecordPath,
};
use crate::expr::syntax::lexer::Place;
use crate::expr::syntax::token::{Keyword, Op, Span, Tok};

/// The arguments of a call as they are read.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) list: Vec<Node>,
    pub(super) block: Option<BlockArg>,
    pub(super) end: Option<Span>,
}

impl Arguments {
    pub(super) fn has_splat(&self) -> bool {
        self.list.iter().any(|node| matches!(node.kind, NodeKind::Splat(_)))
    }
}

impl<'s> Parser<'s> {
    pub(super) fn postfix(&mut self) -> Parse<Node> {
        let node = self.primary()?;
        self.postfix_of(node)
    }

    /// Everything that follows `node` without an operator between.
    pub(super) fn postfix_of(&mut self, mut node: Node) -> Parse<Node> {
        loop {
            let token = self.peek()?;
            node = match token.kind {
                Tok::Op(Op::Dot) => self.method_call(node, false)?,
                Tok::Op(Op::SafeDot) => self.method_call(node, true)?,
                Tok::Op(Op::BracketOpen) => self.index(node)?,
                Tok::Op(Op::Scope) if !token.spaced => self.scope_member(node)?,
                _ => return Ok(node),
            };
        }
    }

    fn method_call(&mut self, receiver: Node, safe: bool) -> Parse<Node> {
        self.next()?;
        let token = self.next()?;
        let (Tok::Ident(name) | Tok::Const(name)) = token.kind else { return Err(self.unexpected(token)) };
        self.named_call(receiver, safe, name, token.span)
    }

    /// A call whose name was just read.
    fn named_call(&mut self, receiver: Node, safe: bool, name: &str, name_span: Span) -> Parse<Node> {
        if let Some(class) = class_of(&receiver) {
            self.check_class_method(class, name, receiver.span.to(name_span), name_span)?;
        }
        let args = self.call_arguments(true)?;
        let (name, args) = self.sent_name(name, args, name_span)?;
        let stored = name == "new" && class_of(&receiver) == Some(ClassId::Hash);
        let mut args = args;
        if args.block.is_none() {
            args.block = self.block(stored)?;
        }
        // A writer is only a writer before `=`; the reader of the same name need not exist.
        let method = self.method_row_for(&name, &receiver, name_span)?;
        let span = receiver.span.to(args.end.unwrap_or(name_span));
        let splat = args.has_splat();
        let Arguments { list, block, .. } = args;
        let call = Call { receiver: Some(receiver), method, args: list.into(), safe, block, splat };
        let node = self.node(NodeKind::Call(Box::new(call)), span)?;
        self.record_path(node)
    }

    /// `send(:name, ...)` with a literal name is the call of that method.
    fn sent_name(&mut self, name: &str, mut args: Arguments, span: Span) -> Parse<(String, Arguments)> {
        if !matches!(name, "send" | "public_send" | "__send__") {
            return Ok((name.to_owned(), args));
        }
        let named = match args.list.first().map(|node| &node.kind) {
            Some(NodeKind::Symbol(text)) => Some(text.to_string()),
            Some(NodeKind::Str(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        };
        match named {
            Some(text) => {
                args.list.remove(0);
                Ok((text, args))
            }
            None => Err(self.error(span, format!("`{name}` is supported only with a literal method name"))),
        }
    }

    fn index(&mut self, receiver: Node) -> Parse<Node> {
        let open = self.next()?.span;
        let (list, block) = self.argument_list(Op::BracketClose)?;
        if let Some(BlockArg::Value(_) | BlockArg::Method(_)) = block {
            return Err(self.error(open, "a block cannot be passed to `[]`"));
        }
        let end = self.expect(Op::BracketClose, "]")?;
        let span = receiver.span.to(end);
        if let Some(class) = class_of(&receiver) {
            self.check_class_method(class, "[]", span, receiver.span)?;
        }
        let args = Arguments { list, block: None, end: Some(end) };
        let splat = args.has_splat();
        let method = self.operator_row("[]", span)?;
        let call = Call {
            receiver: Some(receiver),
            method,
            args: args.list.into(),
            safe: false,
            block: None,
            splat,
        };
        let node = self.node(NodeKind::Call(Box::new(call)), span)?;
        self.record_path(node)
    }

    /// `A::B` or `A::method`.
    fn scope_member(&mut self, left: Node) -> Parse<Node> {
        self.next()?;
        self.place(Place::Name);
        let token = self.next()?;
        match token.kind {
            Tok::Const(name) if !self.lexer.rest().starts_with('(') => match class_of(&left) {
                Some(class) => self.constant_in(class, name, left.span.to(token.span), token.span),
                None => Err(self.error(token.span, "constants of a value are not supported")),
            },
            Tok::Ident(name) | Tok::Const(name) => self.named_call(left, false, name, token.span),
            _ => Err(self.unexpected(token)),
        }
    }

    /// Arguments in parentheses, or without them if they follow on the line (`command`).
    pub(super) fn call_arguments(&mut self, command: bool) -> Parse<Arguments> {
        let token = self.peek()?;
        if token.kind == Tok::Op(Op::ParenOpen) && !token.spaced {
            self.next()?;
            let outer_do = std::mem::replace(&mut self.no_do, false);
            let (list, block) = self.argument_list(Op::ParenClose)?;
            self.no_do = outer_do;
            let end = self.expect(Op::ParenClose, ")")?;
            return Ok(Arguments { list, block, end: Some(end) });
        }
        if command && token.spaced && self.begins_command_argument()? {
            let (list, block) = self.nested(|parser| parser.command_arguments())?;
            let end = list.last().map(|node| node.span);
            return Ok(Arguments { list, block, end });
        }
        Ok(Arguments::default())
    }

    /// Whether the token behind a method name and a blank begins an argument.
    fn begins_command_argument(&mut self) -> Parse<bool> {
        let token = self.peek()?;
        let touches = self.lexer.rest().chars().next().is_some_and(|c| !c.is_whitespace());
        Ok(match token.kind {
            Tok::Ident(_) | Tok::Const(_) | Tok::Int(_) | Tok::Float(_) | Tok::String(_) | Tok::Char(_) => {
                true
            }
            Tok::Symbol(_) | Tok::SymbolString(_) | Tok::Regexp(_) | Tok::Words(_) | Tok::Symbols(_) => true,
            Tok::Gvar(_) | Tok::Ivar(_) => true,
            Tok::Keyword(keyword) => matches!(
                keyword,
                Keyword::Nil
                    | Keyword::True
                    | Keyword::False
                    | Keyword::Self_
                    | Keyword::Not
                    | Keyword::Defined
            ),
            Tok::Op(Op::Lambda | Op::Not) => true,
            Tok::Op(
                Op::BracketOpen | Op::ParenOpen | Op::Star | Op::Power | Op::Amp | Op::Minus | Op::Scope,
            ) => touches,
            _ => false,
        })
    }

    fn command_arguments(&mut self) -> Parse<(Vec<Node>, Option<BlockArg>)> {
        let outer_do = std::mem::replace(&mut self.no_do, true);
        let mut list = Vec::new();
        let mut pairs = Vec::new();
        let mut block = None;
        loop {
            if self.argument(&mut list, &mut pairs, &mut block)? {
                break;
            }
            if !self.accept(Op::Comma)? {
                break;
            }
            self.skip_newlines()?;
        }
        self.no_do = outer_do;
        self.close_pairs(&mut list, pairs)?;
        Ok((list, block))
    }

    /// Arguments up to (and without) `end`.
    pub(super) fn argument_list(&mut self, end: Op) -> Parse<(Vec<Node>, Option<BlockArg>)> {
        self.nested(|parser| {
            let mut list = Vec::new();
            let mut pairs = Vec::new();
            let mut block = None;
            loop {
                parser.skip_newlines()?;
                if parser.at(end)? {
                    break;
                }
                let last = parser.argument(&mut list, &mut pairs, &mut block)?;
                parser.skip_newlines()?;
                if last || !parser.accept(Op::Comma)? {
                    break;
                }
            }
            parser.close_pairs(&mut list, pairs)?;
            Ok((list, block))
        })
    }

    /// One argument; answers whether it must be the last.
    fn argument(
        &mut self,
        list: &mut Vec<Node>,
        pairs: &mut Vec<HashPart>,
        block: &mut Option<BlockArg>,
    ) -> Parse<bool> {
        let token = self.peek()?;
        if token.kind == Tok::Op(Op::Amp) {
            self.next()?;
            *block = Some(self.block_argument()?);
            return Ok(true);
        }
        if let Some(part) = self.hash_part()? {
            pairs.push(part);
            return Ok(false);
        }
        let node = self.element()?;
        if self.at(Op::Arrow)? {
            self.next()?;
            self.skip_newlines()?;
            let value = self.expression()?;
            pairs.push(HashPart::Pair(node, value));
            return Ok(false);
        }
        list.push(node);
        Ok(false)
    }

    /// `key: value` pairs behind the other arguments are one hash.
    fn close_pairs(&mut self, list: &mut Vec<Node>, pairs: Vec<HashPart>) -> Parse<()> {
        if let Some(first) = pairs.first() {
            let span = match first {
                HashPart::Pair(key, _) | HashPart::Splat(key) => key.span,
            };
            list.push(self.node(NodeKind::Hash(pairs.into()), span)?);
        }
        Ok(())
    }

    /// An expression or `*expression`.
    pub(super) fn element(&mut self) -> Parse<Node> {
        let token = self.peek()?;
        if token.kind != Tok::Op(Op::Star) {
            return self.nested(Self::expression);
        }
        self.next()?;
        let inner = self.nested(Self::ternary)?;
        let span = token.span.to(inner.span);
        self.node(NodeKind::Splat(Box::new(inner)), span)
    }

    /// What follows `&` in an argument list.
    fn block_argument(&mut self) -> Parse<BlockArg> {
        let token = self.peek()?;
        if let Tok::Symbol(name) = token.kind {
            self.next()?;
            return Ok(BlockArg::Method(self.method_row(name, token.span)?));
        }
        Ok(BlockArg::Value(self.nested(Self::ternary)?))
    }

    /// `{ |x| ... }` or `do |x| ... end`, if one follows. `kept` blocks are called after the call is over.
    pub(super) fn block(&mut self, kept: bool) -> Parse<Option<BlockArg>> {
        let token = self.peek()?;
        let close = match token.kind {
            Tok::Op(Op::BraceOpen) => None,
            Tok::Keyword(Keyword::Do) if !self.no_do => Some(Keyword::End),
            _ => return Ok(None),
        };
        self.next()?;
        let id = self.block_body(token.span, close, kept, false, None)?;
        Ok(Some(BlockArg::Code(id)))
    }

    /// The parameters and statements of a block whose opening was read. Lambdas have read their parameters before.
    pub(super) fn block_body(
        &mut self,
        open: Span,
        close: Option<Keyword>,
        kept: bool,
        lambda: bool,
        params: Option<Params>,
    ) -> Parse<BlockId> {
        let outer_do = std::mem::replace(&mut self.no_do, false);
        if params.is_none() {
            self.scope.enter(kept);
        }
        let params = match params {
            Some(params) => params,
            None => self.block_params()?,
        };
        let numbered = self.numbered_params(&params, open)?;
        let id = self.blocks.len() as BlockId;
        self.blocks.push(None);
        self.loops += 1;
        let body = if close.is_some() { self.body_with_rescue()? } else { self.statements()? };
        match close {
            Some(keyword) => self.expect_keyword(keyword)?,
            None => self.expect(Op::BraceClose, "}")?,
        };
        self.loops -= 1;
        let slots = self.scope.leave();
        self.no_do = outer_do;
        self.blocks[id as usize] = Some(Block { params: numbered.unwrap_or(params), body, slots, lambda });
        Ok(id)
    }

    /// `|a, (b, c), d = 1, *e; f|`
    fn block_params(&mut self) -> Parse<Params> {
        // `||` is an empty list.
        if self.accept(Op::OrOr)? || !self.accept(Op::Pipe)? {
            return Ok(Params::default());
        }
        let params = self.params(Op::Pipe)?;
        self.expect(Op::Pipe, "|")?;
        Ok(params)
    }

    /// Parameters up to (and without) `end`.
    pub(super) fn params(&mut self, end: Op) -> Parse<Params> {
        let (mut required, mut optional, mut post) = (Vec::new(), Vec::new(), Vec::new());
        let mut params = Params::default();
        loop {
            let token = self.peek()?;
            match token.kind {
                Tok::Op(op) if op == end => break,
                Tok::Newline => {
                    // `; x`: variables of the block.
                    self.next()?;
                    while let Tok::Ident(name) = self.peek()?.kind {
                        let span = self.next()?.span;
                        self.declare(name, span)?;
                        self.accept(Op::Comma)?;
                    }
                    break;
                }
                Tok::Op(Op::Star) => {
                    self.next()?;
                    let slot = match self.peek()?.kind {
                        Tok::Ident(name) => {
                            let span = self.next()?.span;
                            Some(self.declare(name, span)?)
                        }
                        _ => None,
                    };
                    params.rest = Some(slot);
                }
                Tok::Op(Op::Power | Op::Amp) => {
                    return Err(self.error(token.span, "this kind of block parameter is not supported"));
                }
                _ => {
                    let pattern = self.pattern(true)?;
                    if self.at(Op::Colon)? {
                        return Err(self.error(token.span, "keyword parameters of blocks are not supported"));
                    }
                    match pattern {
                        Pattern::Slot(slot) if self.at(Op::Assign)? => {
                            self.next()?;
                            // `|a = 1|`: a bar would read as an operator.
                            let value = self.binary(6)?;
                            optional.push((slot, value));
                        }
                        pattern if params.rest.is_some() || !optional.is_empty() => post.push(pattern),
                        pattern => required.push(pattern),
                    }
                }
            }
            if self.peek()?.kind == Tok::Newline {
                continue;
            }
            if !self.accept(Op::Comma)? {
                break;
            }
            params.trailing_comma = self.at(end)?;
        }
        params.trailing_comma &= required.len() == 1 && optional.is_empty() && params.rest.is_none();
        (params.required, params.optional, params.post) = (required.into(), optional.into(), post.into());
        Ok(params)
    }

    /// `(a, b)` inside block parameters.
    pub(super) fn block_pattern_group(&mut self) -> Parse<Pattern> {
        let (mut before, mut rest, mut after) = (Vec::new(), None, Vec::new());
        while !self.at(Op::ParenClose)? {
            if self.accept(Op::Star)? {
                let named = matches!(self.peek()?.kind, Tok::Ident(_));
                rest = Some(Box::new(if named { self.pattern(true)? } else { Pattern::Nothing }));
            } else if rest.is_none() {
                before.push(self.pattern(true)?);
            } else {
                after.push(self.pattern(true)?);
            }
            if !self.accept(Op::Comma)? {
                break;
            }
        }
        Ok(Pattern::Group(before.into(), rest, after.into()))
    }

    /// `_1`, `_2`: parameters without a list, if the block uses them.
    fn numbered_params(&mut self, params: &Params, open: Span) -> Parse<Option<Params>> {
        let explicit =
            params.required.len() + params.optional.len() + params.post.len() > 0 || params.rest.is_some();
        if explicit {
            return Ok(None);
        }
        let rest = &self.lexer.source()[open.end as usize..];
        let Some(most) = (1..=9).rev().find(|n| contains_word(rest, &format!("_{n}"))) else {
            return Ok(None);
        };
        let mut list = Vec::new();
        for n in 1..=most {
            list.push(Pattern::Slot(self.declare(&format!("_{n}"), open)?));
        }
        Ok(Some(Params { required: list.into(), ..Params::default() }))
    }

    /// Turns `record["a"]["b"]`, `record.dig("a", 0)` into a path that needs no objects.
    fn record_path(&mut self, node: Node) -> Parse<Node> {
        let NodeKind::Call(call) = &node.kind else { return Ok(node) };
        if call.splat || call.block.is_some() || call.args.is_empty() {
            return Ok(node);
        }
        if !(call.method.name == "dig" || call.method.name == "[]" && call.args.len() == 1) {
            return Ok(node);
        }
        let before: &[PathKey] = match call.receiver.as_ref().map(|receiver| &receiver.kind) {
            Some(NodeKind::Given(Given::Record, _)) => &[],
            Some(NodeKind::RecordPath(path)) => &path.keys,
            _ => return Ok(node),
        };
        let mut keys: Vec<PathKey> = Vec::new();
        for key in before {
            keys.push(match key {
                PathKey::Name(name) => PathKey::Name(name.clone()),
                PathKey::Index(index) => PathKey::Index(*index),
            });
        }
        for arg in &call.args {
            keys.push(match &arg.kind {
                NodeKind::Str(text) => PathKey::Name(text.clone()),
                NodeKind::Int(index) if !keys.is_empty() => PathKey::Index(*index),
                _ => return Ok(node),
            });
        }
        let span = node.span;
        self.node(NodeKind::RecordPath(Box::new(RecordPath { keys: keys.into(), fallback: node })), span)
    }

    /// The row of `name`, or why there is none.
    pub(super) fn method_row(&mut self, name: &str, span: Span) -> Parse<&'static Row> {
        match methods::row(name) {
            Some(row) => {
                self.note_effects(row);
                Ok(row)
            }
            None => Err(self.unknown_method(name, span)),
        }
    }

    /// The same where the receiver may be an undefined name, whose error comes first whatever is called on it.
    fn method_row_for(&mut self, name: &str, receiver: &Node, span: Span) -> Parse<&'static Row> {
        match methods::row(name) {
            None if matches!(receiver.kind, NodeKind::Undefined(_)) => {
                Ok(methods::row("itself").ok_or_else(|| self.unknown_method(name, span))?)
            }
            // `x.default = 1`: the reader of a writer is never called.
            None if self.at(Op::Assign)? && methods::row(&format!("{name}=")).is_some() => {
                self.method_row(&format!("{name}="), span)
            }
            _ => self.method_row(name, span),
        }
    }

    pub(super) fn note_effects(&mut self, row: &Row) {
        self.mutates |= row.mutates;
        self.impure |= row.impure;
    }

    /// A name behind which nothing but an operator can follow.
    pub(super) fn local(&mut self, name: &str, span: Span) -> Parse<Option<Node>> {
        let kind = match self.scope.find(name) {
            Some(Name::Local(slot)) => NodeKind::Local(slot),
            Some(Name::Given(given, slot)) => NodeKind::Given(given, slot),
            Some(Name::OutOfReach) => return Err(self.out_of_reach(name, span)),
            None => return Ok(None),
        };
        Ok(Some(self.node(kind, span)?))
    }
}

/// The class that a node names.
pub(super) fn class_of(node: &Node) -> Option<ClassId> {
    match node.kind {
        NodeKind::Class(class) => Some(class),
        _ => None,
    }
}

/// Whether `text` has `word` with no letter, digit or underscore around it.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let part = |c: char| c == '_' || c.is_alphanumeric();
        !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part)
    })
}
