//! RFC 5424: `<165>1 2003-10-11T22:14:15.003Z host app pid msgid [id k="v"] message`.

use super::header::{any_priority, priority, time, word, words};
use crate::text::{Fields, ParseSettings, chomp};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::EventTime;
use logweir_engine::plugin::{ParseFailure, ParseOutput};
use logweir_engine::regexp::{Regexp, RegexpFlags, Spans};
use logweir_engine::time::TimeParser;
use memchr::memmem;

/// What follows the time.
pub(crate) const EXPRESSION: &str = r"(?<host>[!-~]{1,255}) (?<ident>[!-~]{1,48}) (?<pid>[!-~]{1,128}) (?<msgid>[!-~]{1,32}) (?<extradata>(?:\-|(?:\[.*?(?<!\\)\])+))(?: (?<message>.+))?\z";
/// Its groups, numbered from 1.
const GROUPS: [&[u8]; 6] = [b"host", b"ident", b"pid", b"msgid", b"extradata", b"message"];
/// The longest texts that the first four of them match.
const LENGTHS_MAX: [usize; 4] = [255, 48, 128, 32];
/// For times without decimals.
const WITHOUT_SUBSECONDS: &str = "%Y-%m-%dT%H:%M:%S%z";

pub(super) struct Rfc5424 {
    time_parser: TimeParser,
    without_subseconds: TimeParser,
    time_words: usize,
    with_priority: bool,
    expression: Regexp,
}

impl Rfc5424 {
    pub(super) fn new(
        params: &Params,
        settings: &ParseSettings,
        format: &str,
        with_priority: bool,
    ) -> Result<Self, Diagnostic> {
        let flags = RegexpFlags { multi_line: true, ..RegexpFlags::default() };
        let expression = Regexp::new(EXPRESSION, flags).map_err(|e| params.error_here(e.to_string()))?;
        Ok(Self {
            time_parser: settings.time_parser(params, format)?,
            without_subseconds: settings.time_parser(params, WITHOUT_SUBSECONDS)?,
            time_words: words(format),
            with_priority,
            expression: settings.regexp(params, expression)?,
        })
    }

    pub(super) fn parse_by_regexp(
        &self,
        settings: &ParseSettings,
        text: &[u8],
        out: &mut ParseOutput,
    ) -> Result<(), ParseFailure> {
        let mut fields = settings.begin(out, 2 + GROUPS.len());
        let mut at = 0;
        if self.with_priority {
            let (pri, behind) = priority(text).ok_or(ParseFailure::Unmatched)?;
            fields.plain_integer(b"pri", pri);
            at = version(text, behind).ok_or(ParseFailure::Unmatched)?;
        }
        let (time, at) = time(text, at, self.time_words).ok_or(ParseFailure::Unmatched)?;
        fields.set_time(self.parse_time(&time)?);
        if settings.keep_time_key {
            fields.plain(b"time", &time);
        }
        match parts(&text[at..]) {
            Some(parts) => self.write(parts, fields),
            None => self.search(settings, text, at, fields),
        }
    }

    fn write(&self, parts: [Option<&[u8]>; 6], mut fields: Fields<'_, '_>) -> Result<(), ParseFailure> {
        for (name, part) in GROUPS.iter().zip(parts) {
            if let Some(part) = part {
                fields.plain(name, if *name == b"message" { chomp(part) } else { part });
            }
        }
        fields.finish();
        Ok(())
    }

    /// What [`parts`] does not take: the expression may still match from a later place.
    fn search(
        &self,
        settings: &ParseSettings,
        text: &[u8],
        at: usize,
        fields: Fields<'_, '_>,
    ) -> Result<(), ParseFailure> {
        let mut spans = Spans::new();
        if !settings.search(&self.expression, text, at, &mut spans) {
            return Err(ParseFailure::Unmatched);
        }
        self.write([1, 2, 3, 4, 5, 6].map(|group| spans.get(group).map(|span| &text[span])), fields)
    }

    pub(super) fn parse_by_string(
        &self,
        settings: &ParseSettings,
        text: &[u8],
        out: &mut ParseOutput,
    ) -> Result<(), ParseFailure> {
        let unmatched = || ParseFailure::Unmatched;
        let (mut pri, mut at) = (None, 0);
        if self.with_priority {
            let (number, behind) = any_priority(text).ok_or_else(unmatched)?;
            pri = Some(number);
            // The version.
            at = word(text, behind).ok_or_else(unmatched)?.1;
        }
        let (time, mut at) = time(text, at, self.time_words).ok_or_else(unmatched)?;
        let mut fields = settings.begin(out, 2 + GROUPS.len());
        for name in &GROUPS[..4] {
            let (value, behind) = word(text, at).ok_or_else(unmatched)?;
            fields.plain(name, value);
            at = behind;
        }
        if let Some(pri) = pri {
            fields.plain_integer(b"pri", pri);
        }
        let rest = &text[at..];
        let length = match (rest.first(), memmem::find(rest, b"] ")) {
            (Some(b'-'), _) => 1,
            (_, Some(end)) => end + 1,
            (_, None) => rest.len(),
        };
        let extradata: Vec<u8> = rest[..length].iter().copied().filter(|byte| *byte != b'\\').collect();
        fields.plain(b"extradata", &extradata);
        if let Some(message) = rest.get(length + 1..) {
            fields.plain(b"message", chomp(message));
        }
        fields.set_time(self.parse_time(&time)?);
        if settings.keep_time_key {
            fields.plain(b"time", &time);
        }
        fields.finish();
        Ok(())
    }

    fn parse_time(&self, text: &[u8]) -> Result<EventTime, ParseFailure> {
        let time = self.time_parser.parse_text(text).or_else(|_| self.without_subseconds.parse_text(text));
        time.map_err(ParseFailure::Invalid)
    }
}

/// One to three digits and a blank: where the text goes on.
fn version(text: &[u8], at: usize) -> Option<usize> {
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let has_blank = text.get(at + digits).is_some_and(|byte| crate::text::is_blank(*byte));
    ((1..=3).contains(&digits) && has_blank).then_some(at + digits + 1)
}

/// What the expression matches if it matches from the start of the text, without backtracking; none if it does not. Where
/// the structured data ends is the first unescaped `]` behind which the text ends or a blank and a message follow.
fn parts(text: &[u8]) -> Option<[Option<&[u8]>; 6]> {
    let mut parts = [None; 6];
    let mut at = 0;
    for (part, length_max) in parts.iter_mut().zip(LENGTHS_MAX) {
        let (value, behind) = word(text, at)?;
        let is_printable = value.iter().all(u8::is_ascii_graphic);
        if value.is_empty() || value.len() > length_max || !is_printable {
            return None;
        }
        *part = Some(value);
        at = behind;
    }
    let rest = &text[at..];
    let ends_at = |end: usize| match &rest[end..] {
        [] => Some((end, None)),
        [b' ', message @ ..] if !message.is_empty() => Some((end, Some(message))),
        _ => None,
    };
    let (end, message) = match rest.first()? {
        b'-' => ends_at(1)?,
        b'[' => memchr::memchr_iter(b']', rest)
            .filter(|&bracket| rest[bracket - 1] != b'\\')
            .find_map(|bracket| ends_at(bracket + 1))?,
        _ => return None,
    };
    // The expression's dot takes characters only; other bytes are left to it.
    std::str::from_utf8(rest).ok()?;
    parts[4] = Some(&rest[..end]);
    parts[5] = message;
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way and the expression must agree wherever the short way answers.
    #[test]
    fn parts_are_what_the_expression_matches() {
        let flags = RegexpFlags { multi_line: true, ..RegexpFlags::default() };
        let expression = Regexp::new(EXPRESSION, flags).unwrap();
        let tails = [
            "-",
            "- x",
            "- ",
            "-x",
            "[a]",
            "[a] m",
            "[a][b] m",
            r#"[a x="]"] m"#,
            r#"[a x="\]"] m"#,
            r#"[a x="] "] m"#,
            "[a",
            "[a]x",
            "[a]x] m",
            "[a]b]",
            "[] ",
            "[]",
            r"[\]",
            r"[\] m",
            r"[a\][b] m]",
            "[a] m]\n",
            "[a]\n",
            "- m\nn",
            "",
            "[a][b]c] d] e",
            "[a] [b]",
            "[]] x",
            "] x",
            "[é] é",
        ];
        for tail in tails {
            let text = format!("h a p m {tail}");
            let captures = expression.captures(text.as_bytes());
            let matched = captures.map(|c| [1, 2, 3, 4, 5, 6].map(|group| c.get(group)));
            assert_eq!(parts(text.as_bytes()), matched, "{tail:?}");
        }
    }
}
