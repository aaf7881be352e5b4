//! Values: bare, quoted, and with embedded expressions (Fluentd's config/literal_parser.rb).
//!
//! | first character | form | rules |
//! |---|---|---|
//! | `"` | double quoted | may go over lines; escapes; `#{...}` is evaluated |
//! | `'` | single quoted | one line; only `\'` and `\\` |
//! | `[` `{` | JSON | see [`super::json_literal`] |
//! | other | bare | to the end of the line, or to a `#` after a blank; nothing is an escape |
//!
//! A scanner that finds a mistake reports it, moves the cursor to where parsing can go on, and answers
//! [`RawValue::Invalid`].

use super::cursor::Cursor;
use super::embedded::code_end;
use super::{Diagnostics, Evaluate, Evaluated, RawValue};

/// Scans literals.
pub(super) struct Literals<'a> {
    pub(super) evaluate: &'a dyn Evaluate,
    pub(super) diagnostics: &'a mut Diagnostics,
}

/// What ends a bare text, apart from the end of the line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// A comment, or the end of the line.
    Value,
    /// A blank.
    Name,
    /// The `>` of a tag, with the blanks and comments before it.
    Tag,
}

impl Literals<'_> {
    /// A parameter's value. `None` if there is nothing.
    pub(super) fn value(&mut self, cursor: &mut Cursor) -> Option<RawValue> {
        if cursor.rest().starts_with(['[', '{']) {
            return Some(super::json_literal::scan(cursor, self.evaluate, self.diagnostics));
        }
        self.string(cursor, Boundary::Value)
    }

    /// A quoted or bare text. `None` if there is nothing.
    pub(super) fn string(&mut self, cursor: &mut Cursor, boundary: Boundary) -> Option<RawValue> {
        match cursor.peek() {
            Some('"') => Some(self.double_quoted(cursor)),
            Some('\'') => Some(self.single_quoted(cursor)),
            _ => bare(cursor, boundary).map(RawValue::Text),
        }
    }

    /// Fluentd refuses a line end that follows an escape, an expression, another line end or a CR; here each line end
    /// is kept as it is.
    fn double_quoted(&mut self, cursor: &mut Cursor) -> RawValue {
        let start = cursor.at();
        cursor.eat("\"");
        let mut text = String::new();
        let mut outcome = None;
        let mut failed = false;
        loop {
            let at = cursor.at();
            match cursor.next() {
                Some('"') => break,
                Some('\\') => match cursor.next() {
                    Some('\n') => {}
                    Some('\r') => {
                        cursor.eat("\n");
                    }
                    Some(c) => match escape(c) {
                        Some(c) => text.push(c),
                        None => {
                            self.bad_escape(cursor, c, at);
                            failed = true;
                        }
                    },
                    None => {}
                },
                Some('#') if cursor.eat("{") => match self.embedded(cursor, at) {
                    Some(Evaluated::Text(value)) => text.push_str(&value),
                    Some(Evaluated::Nil) => {}
                    Some(Evaluated::UseNil) => outcome = Some(RawValue::Nil),
                    Some(Evaluated::UseDefault) if outcome.is_none() => outcome = Some(RawValue::Default),
                    Some(Evaluated::UseDefault) => {}
                    None if cursor.is_end() => return unclosed(cursor, start),
                    None => failed = true,
                },
                Some(c) => text.push(c),
                None => {
                    let error = cursor
                        .error("unexpected end of file in a double quoted string", start..start + 1)
                        .label("this quote is never closed");
                    self.diagnostics.push(error);
                    return unclosed(cursor, start);
                }
            }
        }
        if failed { RawValue::Invalid } else { outcome.unwrap_or(RawValue::Text(text)) }
    }

    fn single_quoted(&mut self, cursor: &mut Cursor) -> RawValue {
        let start = cursor.at();
        cursor.eat("'");
        let mut text = String::new();
        loop {
            if cursor.eat("'") {
                return RawValue::Text(text);
            } else if cursor.eat("\\'") {
                text.push('\'');
            } else if cursor.eat("\\\\") {
                text.push('\\');
            } else {
                match cursor.peek() {
                    Some(c) if c != '\n' => {
                        text.push(c);
                        cursor.next();
                    }
                    _ => {
                        let error = cursor
                            .error("unexpected end of file in a single quoted string", start..start + 1)
                            .label("this quote is not closed on its line")
                            .help("only double quoted text may go over several lines");
                        self.diagnostics.push(error);
                        return RawValue::Invalid;
                    }
                }
            }
        }
    }

    /// The value of an embedded expression whose `#{` the cursor is behind; it ends behind the `}`. `None` after an
    /// error; the cursor is at the end of the text if the expression never ends.
    fn embedded(&mut self, cursor: &mut Cursor, start: usize) -> Option<Evaluated> {
        let from = cursor.at();
        let Some(end) = code_end(cursor.text(), from) else {
            cursor.move_to(cursor.text().len());
            let error = cursor
                .error("expected end of embedded code but $end", start..start + 2)
                .label("this expression has no closing brace");
            self.diagnostics.push(error);
            return None;
        };
        let code = cursor.text()[from..end].to_owned();
        cursor.move_to(end + 1);
        match self.evaluate.evaluate(&code) {
            Ok(value) => Some(value),
            Err(reason) => {
                let message = format!("cannot evaluate embedded code \"#{{{}}}\": {reason}", code.trim());
                self.diagnostics.push(cursor.error(message, start..end + 1));
                None
            }
        }
    }

    fn bad_escape(&mut self, cursor: &Cursor, c: char, at: usize) {
        let message = format!("unexpected back-slash escape character '{c}'");
        let help = format!("write \\\\{c} for a backslash, or put the text in single quotes or none");
        self.diagnostics.push(cursor.error(message, at..cursor.at()).help(help));
    }
}

/// A text that never ends has swallowed the rest of the file: goes on behind the line on which it began.
fn unclosed(cursor: &mut Cursor, start: usize) -> RawValue {
    cursor.move_to(start);
    cursor.skip_line();
    RawValue::Invalid
}

/// What `\c` stands for in double quotes; `None` if it is no escape.
fn escape(c: char) -> Option<char> {
    Some(match c {
        'r' => '\r',
        'n' => '\n',
        't' => '\t',
        'f' => '\x0c',
        'b' => '\x08',
        '0' => '\0',
        c if c.is_ascii_alphanumeric() => return None,
        c => c,
    })
}

/// Text without quotes up to its boundary. `None` if there is nothing.
fn bare(cursor: &mut Cursor, boundary: Boundary) -> Option<String> {
    let start = cursor.at();
    match boundary {
        Boundary::Name => {
            let text = cursor.rest();
            let length = text.find([' ', '\t', '\r', '\n']).unwrap_or(text.len());
            cursor.move_to(start + length);
        }
        Boundary::Value => cursor.move_to(bare_end(cursor, |cursor, at| {
            matches!(cursor.text().as_bytes().get(at), None | Some(b'#' | b'\r' | b'\n'))
        })),
        Boundary::Tag => {
            // A comment before the `>` runs to the end of the line, so what follows it is the same for all of them.
            let mut after_line = None;
            cursor.move_to(bare_end(cursor, move |cursor, at| {
                let bytes = cursor.text().as_bytes();
                match bytes.get(at) {
                    Some(b'>') => true,
                    Some(b'#' | b'\r' | b'\n') => *after_line.get_or_insert_with(|| {
                        let line_end = at + cursor.text()[at..].find('\n').unwrap_or(bytes.len() - at);
                        bytes.get(cursor.spacing_end(line_end)) == Some(&b'>')
                    }),
                    _ => false,
                }
            }));
        }
    }
    let text = &cursor.text()[start..cursor.at()];
    (!text.is_empty()).then(|| text.to_owned())
}

/// The end of a bare text on this line. `is_boundary` is asked at each place where a text may end, behind its blanks:
/// at a blank, a `>` and a line end; a `#` without a blank before it never ends a text.
fn bare_end(cursor: &Cursor, mut is_boundary: impl FnMut(&Cursor, usize) -> bool) -> usize {
    let bytes = cursor.text().as_bytes();
    let mut at = cursor.at();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' => break,
            b' ' | b'\t' | b'\r' | b'>' => {
                let run = bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                if is_boundary(cursor, at + run) {
                    break;
                }
                at += run.max(1);
            }
            _ => at += 1,
        }
    }
    at
}
