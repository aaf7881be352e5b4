//! Time formats for reading.
//!
//! Fluentd reads a time_format with the strptime gem if the format has only directives that the gem knows
//! (`%B %b %d %e %H %h %M %m %N %n %S %Y %y %z`), and else with Ruby's Time.strptime. The two differ: the gem has no
//! numbers filled up with a blank, reads at most nine digits for `%N` and four for `%Y`, takes `Z` and `+9`-less
//! offsets without asking a table, and does not know `24:00`. Both ignore what follows the part that they read.
//!
//! A format is compiled once into a program of [`Op`]s. Dates with a fixed shape (`YYYY-MM-DD?hh:mm:ss`) are read at
//! once when the text has just that shape, and step by step otherwise.

use super::error::TimeError;
use super::fields::{Field, Fields, ParsedTime};
use super::memo::Validity;
use super::reader::Reader;
use crate::event::EventTime;

/// A compiled format.
#[derive(Clone, Debug)]
pub struct TimeParse {
    format: Box<str>,
    /// Whether this is the gem's reading.
    gem: bool,
    ops: Vec<Op>,
}

/// A step of reading.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Any run of white space, also an empty one.
    Blank,
    /// Just this.
    Text(Box<[u8]>),
    /// A number of 1 to `digits` digits. `padded`: a blank may stand for the first digit.
    Number {
        field: Field,
        digits: usize,
        low: u32,
        high: u32,
        padded: bool,
    },
    /// A year with an optional sign.
    Year {
        digits: usize,
    },
    /// `%y`
    ShortYear,
    /// `%C`
    Century {
        digits: usize,
    },
    /// `%G`, `%g`
    IsoYear {
        digits: usize,
    },
    ShortIsoYear,
    /// `%b`, `%B`, `%h`
    Month,
    /// `%a`, `%A`
    DayName,
    /// `%p`, `%P`
    Half,
    /// `%I`, `%l`
    Hour12,
    /// `%N`, `%L` of Ruby; `digits` is none if no number follows directly.
    Fraction {
        digits: Option<usize>,
    },
    /// `%N` of the gem.
    Nanoseconds,
    /// `%s`, `%Q`
    Epoch {
        millis: bool,
    },
    /// `%z` of the gem.
    Offset,
    /// `%z`, `%Z` of Ruby.
    Zone,
    /// `YYYY-MM-DD`, the byte, `hh:mm:ss`; and the steps for texts of another shape.
    DateTime {
        between: u8,
        steps: Vec<Op>,
    },
}

impl TimeParse {
    /// Compiles a format as Fluentd's time_format is read.
    pub fn new(format: &str) -> Self {
        match compile_gem(format.as_bytes()) {
            Some(ops) => Self { format: format.into(), gem: true, ops: fuse(ops) },
            None => Self::ruby(format),
        }
    }

    /// Compiles a format as Ruby's Time.strptime reads it.
    pub fn ruby(format: &str) -> Self {
        let ops = compile_ruby(format.as_bytes());
        Self { format: format.into(), gem: false, ops: fuse(ops) }
    }

    /// Reads a time. What lacks is completed from the present and the local zone.
    pub fn parse(&self, text: &[u8]) -> Result<ParsedTime, TimeError> {
        self.parse_at(text, EventTime::now)
    }

    /// The same with another present, in which `now` is asked only if something lacks.
    pub fn parse_at(&self, text: &[u8], now: fn() -> EventTime) -> Result<ParsedTime, TimeError> {
        let mut fields = Fields::default();
        let mut reader = Reader::new(text);
        if reader.run(&self.ops, &mut fields).is_none() {
            return Err(self.mismatch(text));
        }
        if self.gem {
            return fields.complete(now);
        }
        reader.finish(&mut fields);
        fields.resolve(text, now)
    }

    /// For how long a text means the same time, if texts say no parts of a second, so that one often follows itself.
    pub(super) fn validity(&self) -> Option<Validity> {
        let has = |wanted: &dyn Fn(&Op) -> bool| self.ops.iter().any(wanted);
        if !self.gem || has(&|op| matches!(op, Op::Nanoseconds)) {
            return None;
        }
        if has(&|op| matches!(op, Op::Year { .. } | Op::ShortYear | Op::DateTime { .. })) {
            return Some(Validity::Always);
        }
        // Of a text that begins with the month, only the year is the present one.
        has(&|op| matches!(op, Op::Month | Op::Number { field: Field::Month, .. }))
            .then_some(Validity::ThisMinute)
    }

    /// The format as it was given.
    pub fn format(&self) -> &str {
        &self.format
    }

    fn mismatch(&self, text: &[u8]) -> TimeError {
        if self.gem {
            return TimeError::argument("string doesn't match");
        }
        let text = String::from_utf8_lossy(text);
        TimeError::argument(format!("invalid date or strptime format - `{text}' `{}'", self.format))
    }
}

fn number(field: Field, digits: usize, low: u32, high: u32) -> Op {
    Op::Number { field, digits, low, high, padded: false }
}

/// The gem's reading, or none if it refuses the format.
fn compile_gem(format: &[u8]) -> Option<Vec<Op>> {
    let mut ops = Vec::new();
    let mut at = 0;
    while let Some(&byte) = format.get(at) {
        at += 1;
        if is_blank(byte) {
            ops.push(Op::Blank);
            continue;
        }
        if byte != b'%' {
            text(&mut ops, byte);
            continue;
        }
        ops.push(match format.get(at)? {
            b'B' | b'b' | b'h' => Op::Month,
            b'd' | b'e' => number(Field::Day, 2, 1, 31),
            b'H' => number(Field::Hour, 2, 0, 23),
            b'M' => number(Field::Minute, 2, 0, 59),
            b'm' => number(Field::Month, 2, 1, 12),
            b'N' => Op::Nanoseconds,
            b'n' => Op::Blank,
            b'S' => number(Field::Second, 2, 0, 60),
            b'Y' => Op::Year { digits: 4 },
            b'y' => Op::ShortYear,
            b'z' => Op::Offset,
            _ => return None,
        });
        at += 1;
    }
    Some(ops)
}

/// Ruby's reading. What is no directive is text.
fn compile_ruby(format: &[u8]) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut at = 0;
    while let Some(&byte) = format.get(at) {
        at += 1;
        if is_blank(byte) {
            ops.push(Op::Blank);
        } else if byte != b'%' {
            text(&mut ops, byte);
        } else {
            match ruby_directive(format, at) {
                Some((mut parts, end)) => {
                    ops.append(&mut parts);
                    at = end;
                }
                None => {
                    text(&mut ops, b'%');
                    // What follows is text, even a second percent sign.
                    if let Some(&next) = format.get(at) {
                        text(&mut ops, next);
                        at += 1;
                    }
                }
            }
        }
    }
    ops
}

/// The directive behind the `%` before `at`, and where it ends.
fn ruby_directive(format: &[u8], at: usize) -> Option<(Vec<Op>, usize)> {
    let (letter, end) = match (format.get(at)?, format.get(at + 1)) {
        (b'E', Some(next)) if b"cCxXyY".contains(next) => (*next, at + 2),
        (b'O', Some(next)) if b"deHImMSuUVwWy".contains(next) => (*next, at + 2),
        (b':', _) => {
            let colons = format[at..].iter().take_while(|&&byte| byte == b':').count();
            let is_zone = colons <= 3 && format.get(at + colons) == Some(&b'z');
            (if is_zone { b'z' } else { return None }, at + colons + 1)
        }
        (letter, _) => (*letter, at + 1),
    };
    // A number that is followed by a number must not take its digits.
    let greedy = |digits: usize| if number_follows(format, end) { digits } else { usize::MAX };
    let padded = |field, low, high| Op::Number { field, digits: 2, low, high, padded: true };
    let op = match letter {
        b'A' | b'a' => Op::DayName,
        b'B' | b'b' | b'h' => Op::Month,
        b'C' => Op::Century { digits: greedy(2) },
        b'd' | b'e' => padded(Field::Day, 1, 31),
        b'G' => Op::IsoYear { digits: greedy(4) },
        b'g' => Op::ShortIsoYear,
        b'H' | b'k' => padded(Field::Hour, 0, 24),
        b'I' | b'l' => Op::Hour12,
        b'j' => number(Field::YearDay, 3, 1, 366),
        b'L' => Op::Fraction { digits: number_follows(format, end).then_some(3) },
        b'M' => number(Field::Minute, 2, 0, 59),
        b'm' => number(Field::Month, 2, 1, 12),
        b'N' => Op::Fraction { digits: number_follows(format, end).then_some(9) },
        b'n' | b't' => Op::Blank,
        b'P' | b'p' => Op::Half,
        b'Q' => Op::Epoch { millis: true },
        b'S' => number(Field::Second, 2, 0, 60),
        b's' => Op::Epoch { millis: false },
        b'U' => number(Field::SundayWeek, 2, 0, 53),
        b'u' => number(Field::IsoWeekday, 1, 1, 7),
        b'V' => number(Field::IsoWeek, 2, 1, 53),
        b'W' => number(Field::MondayWeek, 2, 0, 53),
        b'w' => number(Field::Weekday, 1, 0, 6),
        b'Y' => Op::Year { digits: greedy(4) },
        b'y' => Op::ShortYear,
        b'Z' | b'z' => Op::Zone,
        _ => {
            let several = match letter {
                b'c' => "%a %b %e %H:%M:%S %Y",
                b'D' | b'x' => "%m/%d/%y",
                b'F' => "%Y-%m-%d",
                b'R' => "%H:%M",
                b'r' => "%I:%M:%S %p",
                b'T' | b'X' => "%H:%M:%S",
                b'v' => "%e-%b-%Y",
                b'+' => "%a %b %e %H:%M:%S %Z %Y",
                b'%' => return Some((vec![Op::Text(b"%".as_slice().into())], end)),
                _ => return None,
            };
            return Some((compile_ruby(several.as_bytes()), end));
        }
    };
    Some((vec![op], end))
}

/// Whether the format goes on with a digit or a directive that reads digits.
fn number_follows(format: &[u8], at: usize) -> bool {
    match format.get(at) {
        Some(b'%') => {
            let mut at = at + 1;
            if matches!(format.get(at), Some(b'E' | b'O')) {
                at += 1;
            }
            format.get(at).is_some_and(|letter| {
                letter.is_ascii_digit() || b"CDdeFGgHIjkLlMmNQRrSsTUuVvWwXxYy".contains(letter)
            })
        }
        other => other.is_some_and(u8::is_ascii_digit),
    }
}

fn text(ops: &mut Vec<Op>, byte: u8) {
    match ops.last_mut() {
        Some(Op::Text(text)) => *text = [&text[..], &[byte]].concat().into(),
        _ => ops.push(Op::Text([byte].into())),
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Makes one step of a date and a time of day.
fn fuse(mut ops: Vec<Op>) -> Vec<Op> {
    let is_text = |op: &Op, expected: &[u8]| matches!(op, Op::Text(text) if **text == *expected);
    let is_number = |op: &Op, field: Field| matches!(op, Op::Number { field: f, .. } if *f == field);
    let found = ops.windows(11).position(|ops| {
        matches!(ops[0], Op::Year { .. })
            && is_text(&ops[1], b"-")
            && is_number(&ops[2], Field::Month)
            && is_text(&ops[3], b"-")
            && is_number(&ops[4], Field::Day)
            && match &ops[5] {
                Op::Blank => true,
                Op::Text(text) => text.len() == 1 && !text[0].is_ascii_digit(),
                _ => false,
            }
            && is_number(&ops[6], Field::Hour)
            && is_text(&ops[7], b":")
            && is_number(&ops[8], Field::Minute)
            && is_text(&ops[9], b":")
            && is_number(&ops[10], Field::Second)
    });
    if let Some(at) = found {
        let steps: Vec<Op> = ops.drain(at..at + 11).collect();
        let between = match &steps[5] {
            Op::Text(text) => text[0],
            _ => b' ',
        };
        ops.insert(at, Op::DateTime { between, steps });
    }
    ops
}

#[cfg(test)]
mod tests;
