//! What follows an atom: `*`, `+?`, `{1,2}`.

use super::error::RegexpError;
use super::node::{Greed, Node};
use super::parse::Parser;

/// How many quantifiers may follow one atom.
const QUANTIFIERS_MAX: usize = 20;
/// The largest number of a repetition (Onigmo's).
const REPEAT_MAX: u32 = 100_000;

impl Parser<'_> {
    /// Reads the quantifiers behind an atom.
    pub(super) fn quantified(&mut self, mut node: Node) -> Result<Node, RegexpError> {
        for _ in 0..QUANTIFIERS_MAX {
            if self.pending_unicode {
                return Ok(node);
            }
            let (min, max, interval) = match self.peek() {
                Some('?') => (0, Some(1), false),
                Some('*') => (0, None, false),
                Some('+') => (1, None, false),
                Some('{') => match self.interval()? {
                    Some((min, max)) => (min, max, true),
                    None => return Ok(node),
                },
                _ => return Ok(node),
            };
            if !interval {
                self.next();
            }
            // `{n}?` is an optional {n} and `{n,m}+` a repeated {n,m}.
            let fixed = interval && max == Some(min);
            let kind = match self.peek() {
                Some('?') if !fixed => Greed::Lazy,
                Some('+') if !interval => Greed::Possessive,
                _ => Greed::Greedy,
            };
            if kind != Greed::Greedy {
                self.next();
            }
            node = repeated(node, min, max, kind);
        }
        Err(self.error("too deep nest level"))
    }

    /// `{n}`, `{n,}`, `{,m}`, `{n,m}`; anything else is literal text, and nothing is read.
    pub(super) fn interval(&mut self) -> Result<Option<(u32, Option<u32>)>, RegexpError> {
        let rest = self.rest();
        let Some(end) = rest.find('}') else { return Ok(None) };
        let inside = &rest[1..end];
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(low) || !is_number(high) || (low.is_empty() && high.is_empty()) {
            return Ok(None);
        }
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number) if number <= REPEAT_MAX => Ok(number),
            _ => Err(self.error("too big number for repeat range")),
        };
        let min = if low.is_empty() { 0 } else { number(low)? };
        let max = if high.is_empty() { None } else { Some(number(high)?) };
        if max.is_some_and(|max| max < min) {
            return Err(self.error("upper is smaller than lower in repeat range"));
        }
        self.skip(end + 1);
        Ok(Some((min, max)))
    }
}

/// A place or a look around takes nothing, so once is as good as often; that it may be left out matters for the groups in it.
fn repeated(node: Node, min: u32, max: Option<u32>, kind: Greed) -> Node {
    match node {
        Node::Empty => Node::Empty,
        Node::Assert(_) | Node::Look { .. } if max == Some(0) => Node::Empty,
        Node::Assert(_) | Node::Look { .. } if min > 0 => node,
        Node::Assert(_) | Node::Look { .. } if kind == Greed::Lazy => {
            Node::Alternate(vec![Node::Empty, node])
        }
        Node::Assert(_) | Node::Look { .. } => Node::Alternate(vec![node, Node::Empty]),
        node => Node::Repeat { node: Box::new(node), min, max, kind },
    }
}
