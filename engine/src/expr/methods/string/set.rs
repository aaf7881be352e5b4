//! The character sets of `tr`, `delete`, `count`, `squeeze`: `a-z`, `^0-9`, `\-`.

use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Str, chars};

/// The characters that all of some specifications name.
pub(super) struct CharSet {
    sets: Vec<Spec>,
}

/// One specification.
struct Spec {
    negated: bool,
    ranges: Vec<(u32, u32)>,
}

impl CharSet {
    /// From all arguments of a call.
    pub(super) fn all<'a>(vm: &mut Vm<'_, 'a>, args: Args<'_, '_, 'a>) -> Eval<'a, Self> {
        let mut sets = Vec::new();
        for arg in args.list {
            let text = vm.text(*arg)?;
            sets.push(Spec::parse(vm, text)?);
        }
        Ok(Self { sets })
    }

    pub(super) fn contains(&self, c: &[u8]) -> bool {
        let code = code(c);
        self.sets
            .iter()
            .all(|set| set.ranges.iter().any(|(low, high)| (*low..=*high).contains(&code)) != set.negated)
    }
}

impl Spec {
    fn parse<'a>(vm: &Vm<'_, 'a>, text: &[u8]) -> Eval<'a, Self> {
        let negated = text.len() > 1 && text[0] == b'^';
        let mut list = chars(if negated { &text[1..] } else { text }, false).peekable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        while let Some(c) = list.next() {
            let low = match c {
                b"\\" => list.next().map_or(u32::from(b'\\'), code),
                c => code(c),
            };
            let mut ahead = list.clone();
            if ahead.next() == Some(b"-")
                && let Some(high) = ahead.next()
            {
                let high =
                    if high == b"\\" { ahead.next().map_or(u32::from(b'\\'), code) } else { code(high) };
                if high < low {
                    let shown = |code: u32| char::from_u32(code).unwrap_or('?');
                    let message =
                        format!("invalid range \"{}-{}\" in string transliteration", shown(low), shown(high));
                    return Err(vm.argument_error(message));
                }
                ranges.push((low, high));
                list = ahead;
                continue;
            }
            ranges.push((low, low));
        }
        Ok(Self { negated, ranges })
    }

    /// The character at a position of the specification.
    fn nth(&self, mut at: u32) -> Option<u32> {
        for (low, high) in &self.ranges {
            let size = high - low + 1;
            if at < size {
                return Some(low + at);
            }
            at -= size;
        }
        None
    }

    fn position(&self, code: u32) -> Option<u32> {
        let mut before = 0;
        let mut found = None;
        // Of a character that is named twice the last place counts.
        for (low, high) in &self.ranges {
            if (*low..=*high).contains(&code) {
                found = Some(before + code - low);
            }
            before += high - low + 1;
        }
        found
    }

    fn last(&self) -> Option<u32> {
        self.ranges.last().map(|(_, high)| *high)
    }
}

/// A number for a character; bytes that are no UTF-8 lie beyond all characters.
fn code(c: &[u8]) -> u32 {
    match std::str::from_utf8(c).ok().and_then(|text| text.chars().next()) {
        Some(c) => c as u32,
        None => 0x11_0000 + u32::from(c.first().copied().unwrap_or(0)),
    }
}

/// `text.tr(from, to)`; `squeeze` keeps one of a run that became the same character.
pub(super) fn translate<'a>(
    vm: &mut Vm<'_, 'a>,
    text: &Str<'a>,
    args: Args<'_, '_, 'a>,
    squeeze: bool,
) -> Eval<'a, Vec<u8>> {
    let (from, to) = (vm.text(args.at(0))?, vm.text(args.at(1))?);
    let (from, to) = (Spec::parse(vm, from)?, Spec::parse(vm, to)?);
    vm.step(text.len())?;
    let mut out = Vec::with_capacity(text.len());
    let mut last = None;
    for c in chars(text.bytes(), text.binary.get()) {
        let position = from.position(code(c));
        let hit = position.is_some() != from.negated;
        if !hit {
            out.extend_from_slice(c);
            last = None;
            continue;
        }
        // Beyond the end of the second set its last character is used; without one, the character goes.
        let new = position.filter(|_| !from.negated).and_then(|at| to.nth(at)).or_else(|| to.last());
        if squeeze && new == last {
            continue;
        }
        last = new;
        if let Some(c) = new.and_then(char::from_u32) {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(out)
}
