//! RFC 3164: `<34>Oct 11 22:14:15 host ident[pid]: message`.

use super::header::{any_priority, priority, time, word, words};
use crate::text::{ParseSettings, chomp};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{ParseFailure, ParseOutput};
use logweir_engine::regexp::{Regexp, RegexpFlags, Spans};
use logweir_engine::time::TimeParser;
use std::borrow::Cow;

/// What follows the time.
pub(crate) const EXPRESSION: &str =
    r"(?<host>[^ ]*) (?<ident>[^ :\[]*)(?:\[(?<pid>[0-9]+)\])?(?:[^\:]*\:)? *(?<message>.*)$";
/// Its groups, numbered from 1.
const GROUPS: [&[u8]; 4] = [b"host", b"ident", b"pid", b"message"];
const MESSAGE: usize = 4;
/// The length of `Mmm dd hh:mm:ss`.
const TIME_LENGTH: usize = 15;

pub(super) struct Rfc3164 {
    time_parser: TimeParser,
    time_words: usize,
    /// Whether times are `Mmm dd hh:mm:ss`, with decimals or without.
    has_fixed_time: bool,
    with_priority: bool,
    colonless_ident: bool,
    expression: Regexp,
}

impl Rfc3164 {
    pub(super) fn new(
        params: &Params,
        settings: &ParseSettings,
        format: &str,
        with_priority: bool,
    ) -> Result<Self, Diagnostic> {
        Ok(Self {
            time_parser: settings.time_parser(params, format)?,
            time_words: words(format),
            has_fixed_time: matches!(format, "%b %d %H:%M:%S" | "%b %d %H:%M:%S.%N"),
            with_priority,
            colonless_ident: params.bool("support_colonless_ident"),
            expression: Regexp::new(EXPRESSION, RegexpFlags::default())
                .map_err(|e| params.error_here(e.to_string()))?,
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
            let (number, behind) = priority(text).ok_or(ParseFailure::Unmatched)?;
            fields.plain_integer(b"pri", number);
            at = behind;
        }
        let (time, at) = time(text, at, self.time_words).ok_or(ParseFailure::Unmatched)?;
        fields.set_time(self.time_parser.parse_text(&time).map_err(ParseFailure::Invalid)?);
        if settings.keep_time_key {
            fields.plain(b"time", &time);
        }
        let mut spans = Spans::new();
        if !settings.search(&self.expression, text, at, &mut spans) {
            return Err(ParseFailure::Unmatched);
        }
        for (n, name) in GROUPS.iter().enumerate() {
            let Some(value) = spans.get(n + 1).map(|span| &text[span]) else { continue };
            fields.plain(name, if n + 1 == MESSAGE { chomp(value) } else { value });
        }
        fields.finish();
        Ok(())
    }

    pub(super) fn parse_by_string(
        &self,
        settings: &ParseSettings,
        text: &[u8],
        out: &mut ParseOutput,
    ) -> Result<(), ParseFailure> {
        let (pri, at) = match self.with_priority {
            true => any_priority(text).map(|(pri, at)| (Some(pri), at)).ok_or(ParseFailure::Unmatched)?,
            false => (None, 0),
        };
        let (time, at) = self.time(text, at).ok_or(ParseFailure::Unmatched)?;
        let (host, at) = word(text, at).ok_or(ParseFailure::Unmatched)?;
        let mut fields = settings.begin(out, 2 + GROUPS.len());
        fields.plain(b"host", host);
        if let Some(pri) = pri {
            fields.plain_integer(b"pri", pri);
        }
        let rest = &text[at..];
        let (ident, message) = match word(text, at) {
            Some((word, behind)) if word.ends_with(b":") => (Some(&word[..word.len() - 1]), &text[behind..]),
            Some((word, behind)) if self.colonless_ident => (Some(word), &text[behind..]),
            _ => (None, rest),
        };
        if let Some(ident) = ident {
            let (name, pid) = name_and_pid(ident);
            fields.plain(b"ident", name);
            if let Some(pid) = pid {
                fields.plain(b"pid", pid);
            }
        }
        fields.plain(b"message", chomp(message));
        fields.set_time(self.time_parser.parse_text(&time).map_err(ParseFailure::Invalid)?);
        if settings.keep_time_key {
            fields.plain(b"time", &time);
        }
        fields.finish();
        Ok(())
    }

    fn time<'t>(&self, text: &'t [u8], at: usize) -> Option<(Cow<'t, [u8]>, usize)> {
        if !self.has_fixed_time {
            return time(text, at, self.time_words);
        }
        let end = at + TIME_LENGTH;
        let end = match text.get(end)? {
            b' ' => end,
            b'.' => end + memchr::memchr(b' ', &text[end..])?,
            _ => return None,
        };
        Some((Cow::Borrowed(&text[at..end]), end + 1))
    }
}

/// `name[pid]`
fn name_and_pid(ident: &[u8]) -> (&[u8], Option<&[u8]>) {
    match (ident.strip_suffix(b"]"), memchr::memchr(b'[', ident)) {
        (Some(inside), Some(bracket)) => (&ident[..bracket], Some(&inside[bracket + 1..])),
        _ => (ident, None),
    }
}
