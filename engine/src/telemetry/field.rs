//! Values in log lines: `key=value` as Ruby's `inspect` would show them, JSON in the JSON format.

use std::fmt::{self, Display, Write};

/// Something that a log line can carry.
pub trait Field {
    /// Writes it as Ruby's `inspect` does: strings in quotes, nil for nothing.
    fn text(&self, out: &mut String);

    /// As JSON.
    fn json(&self) -> serde_json::Value;
}

/// A value that is shown by its `Display`, without quotes (a list, a dump).
pub struct Shown<T>(pub T);

impl<T: Display> Field for Shown<T> {
    fn text(&self, out: &mut String) {
        let _ = write!(out, "{}", self.0);
    }

    fn json(&self) -> serde_json::Value {
        self.0.to_string().into()
    }
}

impl Field for str {
    fn text(&self, out: &mut String) {
        out.push_str(&inspect(self));
    }

    fn json(&self) -> serde_json::Value {
        self.into()
    }
}

impl Field for String {
    fn text(&self, out: &mut String) {
        self.as_str().text(out);
    }

    fn json(&self) -> serde_json::Value {
        self.as_str().json()
    }
}

impl Field for fmt::Arguments<'_> {
    fn text(&self, out: &mut String) {
        self.to_string().text(out);
    }

    fn json(&self) -> serde_json::Value {
        self.to_string().json()
    }
}

impl Field for std::sync::Arc<str> {
    fn text(&self, out: &mut String) {
        (**self).text(out);
    }

    fn json(&self) -> serde_json::Value {
        (**self).json()
    }
}

impl Field for crate::event::Tag {
    fn text(&self, out: &mut String) {
        self.as_str().text(out);
    }

    fn json(&self) -> serde_json::Value {
        self.as_str().json()
    }
}

impl Field for std::path::Path {
    fn text(&self, out: &mut String) {
        self.display().to_string().text(out);
    }

    fn json(&self) -> serde_json::Value {
        self.display().to_string().into()
    }
}

impl Field for std::path::PathBuf {
    fn text(&self, out: &mut String) {
        self.as_path().text(out);
    }

    fn json(&self) -> serde_json::Value {
        self.as_path().json()
    }
}

impl<T: Field + ?Sized> Field for &T {
    fn text(&self, out: &mut String) {
        (**self).text(out);
    }

    fn json(&self) -> serde_json::Value {
        (**self).json()
    }
}

impl<T: Field> Field for Option<T> {
    fn text(&self, out: &mut String) {
        match self {
            Some(value) => value.text(out),
            None => out.push_str("nil"),
        }
    }

    fn json(&self) -> serde_json::Value {
        self.as_ref().map_or(serde_json::Value::Null, Field::json)
    }
}

macro_rules! plain {
    ($($kind:ty),*) => {$(
        impl Field for $kind {
            fn text(&self, out: &mut String) {
                let _ = write!(out, "{self}");
            }

            fn json(&self) -> serde_json::Value {
                (*self).into()
            }
        }
    )*};
}

plain!(bool, u8, u16, u32, u64, usize, i32, i64, f64);

/// A string as Ruby's `String#inspect` shows it.
pub fn inspect(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{8}' => out.push_str("\\b"),
            '\u{7}' => out.push_str("\\a"),
            '\u{1b}' => out.push_str("\\e"),
            '#' if matches!(chars.peek(), Some('{' | '$' | '@')) => out.push_str("\\#"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_shown_as_ruby_inspects_them() {
        assert_eq!(inspect("a\"b\\\n\t#{x}#y\u{1}é"), "\"a\\\"b\\\\\\n\\t\\#{x}#y\\x01é\"");
    }

    #[test]
    fn nothing_is_nil() {
        let mut out = String::new();
        Option::<&str>::None.text(&mut out);
        assert_eq!(out, "nil");
    }
}
