//! Onigmo's syntax with the options that Ruby gives it.

use super::captures::GroupName;
use super::class;
use super::error::RegexpError;
use super::escape::Member;
use super::node::{Assert, Greed, Node};
use super::{RegexpFlags, class::set};

/// How deep groups may lie in groups.
const DEPTH_MAX: usize = 200;

/// A parsed pattern.
pub(super) struct Parsed {
    pub(super) node: Node,
    /// How many groups capture.
    pub(super) groups: usize,
    pub(super) names: Vec<GroupName>,
}

/// Parses `source`. Errors are Ruby's, with the pattern behind them.
pub(super) fn parse(source: &str, flags: RegexpFlags) -> Result<Parsed, RegexpError> {
    let parse_as = |named: bool| {
        let mut parser = Parser::new(source, flags, named);
        parser.whole().map(|node| (node, parser))
    };
    let mut result = parse_as(false);
    // With a named group anywhere, plain groups do not capture: known only once one has been seen.
    let saw_name = match &result {
        Ok((_, parser)) => !parser.names.is_empty(),
        Err(_) => has_named_group(source),
    };
    if saw_name {
        result = parse_as(true);
    }
    let (node, parser) = result.map_err(|e| e.of(source, flags))?;
    Ok(Parsed { node, groups: parser.groups, names: parser.names })
}

/// Whether something in a pattern that does not parse looks like a named group.
fn has_named_group(source: &str) -> bool {
    let is_name = |rest: &str| !rest.starts_with(['=', '!']);
    source.contains("(?'")
        || source.match_indices("(?<").any(|(at, open)| is_name(&source[at + open.len()..]))
}

/// The options at some place of a pattern.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) dot_all: bool,
    pub(super) extended: bool,
    /// `(?a)`: POSIX brackets and `\b` are ASCII.
    pub(super) ascii: bool,
    /// `(?u)`: shorthands are Unicode.
    pub(super) unicode: bool,
}

/// A cursor over a pattern.
pub(super) struct Parser<'p> {
    source: &'p str,
    at: usize,
    pub(super) flags: Flags,
    pub(super) named: bool,
    pub(super) groups: usize,
    pub(super) names: Vec<GroupName>,
    /// Inside of `\u{..}` with several characters.
    pub(super) pending_unicode: bool,
    depth: usize,
    references: Vec<usize>,
    calls: Vec<(Box<str>, usize)>,
}

impl<'p> Parser<'p> {
    fn new(source: &'p str, flags: RegexpFlags, named: bool) -> Self {
        let flags = Flags {
            ignore_case: flags.ignore_case,
            dot_all: flags.multi_line,
            extended: flags.extended,
            ascii: false,
            unicode: false,
        };
        Self {
            source,
            at: 0,
            flags,
            named,
            groups: 0,
            names: Vec::new(),
            pending_unicode: false,
            depth: 0,
            references: Vec::new(),
            calls: Vec::new(),
        }
    }

    fn whole(&mut self) -> Result<Node, RegexpError> {
        let mut node = self.alternatives()?;
        if self.peek().is_some() {
            return Err(self.error("unmatched close parenthesis"));
        }
        if self.references.iter().any(|&group| group > self.groups) {
            return Err(self.error("invalid backref number/name"));
        }
        if !self.calls.is_empty() {
            let calls = std::mem::take(&mut self.calls);
            let targets =
                calls.iter().map(|(name, _)| self.call_target(name)).collect::<Result<Vec<_>, _>>()?;
            resolve_calls(&mut node, &targets);
        }
        Ok(node)
    }

    /// `a|b|c`, up to a closing parenthesis or the end.
    pub(super) fn alternatives(&mut self) -> Result<Node, RegexpError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("too deep nest level"));
        }
        let mut alternatives = vec![self.sequence()?];
        while self.eat("|") {
            alternatives.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match alternatives.pop() {
            Some(only) if alternatives.is_empty() => only,
            Some(last) => {
                alternatives.push(last);
                Node::Alternate(alternatives)
            }
            None => Node::Empty,
        })
    }

    fn sequence(&mut self) -> Result<Node, RegexpError> {
        let mut nodes = Vec::new();
        while let Some(char) = self.peek() {
            if !self.pending_unicode {
                if matches!(char, '|' | ')') {
                    break;
                }
                if self.skip_ignored()? {
                    continue;
                }
            }
            let atom = self.atom()?;
            nodes.push(self.quantified(atom)?);
        }
        Ok(match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            Some(last) => {
                nodes.push(last);
                Node::Concat(nodes)
            }
            None => Node::Empty,
        })
    }

    /// Comments, and blanks in extended patterns. Whether something was skipped.
    fn skip_ignored(&mut self) -> Result<bool, RegexpError> {
        if self.eat("(?#") {
            loop {
                match self.next() {
                    Some('\\') => drop(self.next()),
                    Some(')') => return Ok(true),
                    Some(_) => {}
                    None => return Err(self.error("end pattern in group")),
                }
            }
        }
        if !self.flags.extended {
            return Ok(false);
        }
        match self.peek() {
            Some(' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') => {
                self.next();
                Ok(true)
            }
            Some('#') => {
                while self.next().is_some_and(|c| c != '\n') {}
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn atom(&mut self) -> Result<Node, RegexpError> {
        if self.pending_unicode {
            let member = self.pending_unicode()?;
            return Ok(self.member(member));
        }
        match self.next() {
            None => Ok(Node::Empty),
            Some('.') => Ok(Node::Set(if self.flags.dot_all {
                set(&[('\0', char::MAX)])
            } else {
                set(&[('\0', '\x09'), ('\x0b', char::MAX)])
            })),
            Some('^') => Ok(Node::Assert(Assert::LineStart)),
            Some('$') => Ok(Node::Assert(Assert::LineEnd)),
            Some('[') => Ok(Node::Set(self.bracket(0)?)),
            Some('(') => self.group(),
            Some('\\') => self.escape(),
            Some('*' | '+' | '?') => Err(self.error("target of repeat operator is not specified")),
            Some('{') => {
                self.back_to(self.at - 1);
                if self.interval()?.is_some() {
                    return Err(self.error("target of repeat operator is not specified"));
                }
                self.next();
                Ok(self.member(Member::Char('{')))
            }
            Some(char) => Ok(self.member(Member::Char(char))),
        }
    }

    fn member(&self, member: Member) -> Node {
        match member {
            Member::Char(char) => Node::Literal { char, fold: self.flags.ignore_case },
            Member::Set(set) => Node::Set(set),
        }
    }

    fn escape(&mut self) -> Result<Node, RegexpError> {
        let Some(escape) = self.next() else { return Err(self.error("too short escape sequence")) };
        let ascii = self.flags.ascii;
        Ok(match escape {
            'A' => Node::Assert(Assert::TextStart),
            'z' => Node::Assert(Assert::TextEnd),
            'Z' => Node::Assert(Assert::LastLineEnd),
            'b' => Node::Assert(Assert::Word { ascii }),
            'B' => Node::Assert(Assert::NotWord { ascii }),
            'G' => Node::Assert(Assert::SearchStart),
            'K' => Node::Assert(Assert::Keep),
            'R' => line_break(),
            'X' => character_with_marks(),
            'k' => {
                let Some(name) = self.name_in_brackets() else {
                    return Err(self.error("invalid backref number/name"));
                };
                self.backref(name)?
            }
            'g' => {
                let Some(name) = self.name_in_brackets() else {
                    return Err(self.error("invalid group name <>"));
                };
                self.calls.push((name.into(), self.groups));
                Node::Call(self.calls.len() - 1)
            }
            '1'..='9' => self.numbered(escape)?,
            _ => {
                let member = self.character_escape(escape)?;
                self.member(member)
            }
        })
    }

    /// `\1`: a group if there are as many or it has one digit, else an octal escape.
    fn numbered(&mut self, first: char) -> Result<Node, RegexpError> {
        let mark = self.place();
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit as usize);
            self.next();
        }
        if number > 9 && number > self.groups {
            self.back_to(mark);
            let member = self.character_escape(first)?;
            return Ok(self.member(member));
        }
        if self.named {
            return Err(self.error("numbered backref/call is not allowed. (use name)"));
        }
        self.references.push(number);
        Ok(Node::Backref { groups: vec![number], fold: self.flags.ignore_case })
    }

    pub(super) fn backref(&mut self, name: &str) -> Result<Node, RegexpError> {
        let fold = self.flags.ignore_case;
        if let Ok(number) = name.parse::<i64>() {
            if self.named {
                return Err(self.error("numbered backref/call is not allowed. (use name)"));
            }
            let group = if number < 0 { self.groups as i64 + 1 + number } else { number };
            let Some(group) = usize::try_from(group).ok().filter(|&group| group > 0) else {
                return Err(self.error("invalid backref number/name"));
            };
            self.references.push(group);
            return Ok(Node::Backref { groups: vec![group], fold });
        }
        match self.names.iter().find(|group| group.name() == name) {
            Some(group) => Ok(Node::Backref { groups: group.groups.to_vec(), fold }),
            None => Err(self.error(format!("undefined name <{name}> reference"))),
        }
    }

    fn call_target(&self, name: &str) -> Result<usize, RegexpError> {
        if let Ok(number) = name.parse::<usize>() {
            return match number <= self.groups && !self.named {
                true => Ok(number),
                false => Err(self.error("undefined group option")),
            };
        }
        match self.names.iter().find(|group| group.name() == name) {
            Some(group) if group.groups.len() == 1 => Ok(group.groups[0]),
            Some(_) => Err(self.error(format!("multiplex definition name <{name}> call"))),
            None => Err(self.error(format!("undefined name <{name}> call"))),
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// The text up to `end`, which is read, too.
    pub(super) fn until(&mut self, end: &str) -> Option<&'p str> {
        let rest = &self.source[self.at..];
        let length = rest.find(end)?;
        self.at += length + end.len();
        Some(&rest[..length])
    }

    pub(super) fn rest(&self) -> &'p str {
        &self.source[self.at..]
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    pub(super) fn error(&self, message: impl Into<String>) -> RegexpError {
        RegexpError::message(message)
    }
}

/// `\R`
fn line_break() -> Node {
    let literal = |char| Node::Literal { char, fold: false };
    let one = set(&[('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')]);
    let pair = Node::Concat(vec![literal('\r'), literal('\n')]);
    Node::Atomic(Box::new(Node::Alternate(vec![pair, Node::Set(one)])))
}

/// `\X`
fn character_with_marks() -> Node {
    let marks = class::property("M").unwrap_or_else(|| set(&[]));
    let many = |min| Node::Repeat {
        node: Box::new(Node::Set(marks.clone())),
        min,
        max: None,
        kind: Greed::Possessive,
    };
    let mut base = marks.clone();
    base.negate();
    let joined = Node::Concat(vec![Node::Set(base), many(0)]);
    Node::Atomic(Box::new(Node::Alternate(vec![line_break(), joined, many(1)])))
}

/// Calls are parsed as numbers of the list of calls, since a group may be defined behind its call.
fn resolve_calls(node: &mut Node, targets: &[usize]) {
    match node {
        Node::Call(call) => *call = targets.get(*call).copied().unwrap_or(0),
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter_mut().for_each(|node| resolve_calls(node, targets));
        }
        Node::Capture { node, .. }
        | Node::Repeat { node, .. }
        | Node::Look { node, .. }
        | Node::Atomic(node) => resolve_calls(node, targets),
        Node::Condition { yes, no, .. } => {
            resolve_calls(yes, targets);
            resolve_calls(no, targets);
        }
        _ => {}
    }
}
