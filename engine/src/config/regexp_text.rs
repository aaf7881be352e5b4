//! A regular expression as a parameter holds it: source and flags.

use std::fmt;

/// `/source/flags`, or a source alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexpText {
    /// The pattern, in Ruby's dialect.
    pub source: String,
    /// Flag `i`.
    pub ignore_case: bool,
    /// Flag `m`: the dot matches newlines.
    pub multi_line: bool,
}

impl RegexpText {
    /// As Fluentd's regexp_value reads it: without a leading slash the text itself is the pattern; with one, what
    /// follows the last slash is flags, of which `i` and `m` count. The error is Fluentd's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Ok(Self { source: text.to_owned(), ignore_case: false, multi_line: false });
        }
        let last = text.rfind('/').unwrap_or(0);
        let flags = &text[last + 1..];
        // Fluentd compares positions in characters: at most two may follow the last slash.
        if flags.chars().count() > 2 {
            return Err(format!("invalid regexp: missing right slash: {text}"));
        }
        Ok(Self {
            source: text.get(1..last).unwrap_or_default().to_owned(),
            ignore_case: flags.contains('i'),
            multi_line: flags.contains('m'),
        })
    }
}

/// `/source/im`
impl fmt::Display for RegexpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ignore_case = if self.ignore_case { "i" } else { "" };
        let multi_line = if self.multi_line { "m" } else { "" };
        write!(f, "/{}/{ignore_case}{multi_line}", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        RegexpText::parse(text).map_or_else(|error| error, |regexp| regexp.to_string())
    }

    #[test]
    fn slashes_are_optional_and_flags_are_two_at_most() {
        assert_eq!(parse("a+b"), "/a+b/");
        assert_eq!(parse("/a/"), "/a/");
        assert_eq!(parse("/a/im"), "/a/im");
        assert_eq!(parse("/a/x"), "/a/", "other flags are ignored");
        assert_eq!(parse("/a/b/i"), "/a/b/i");
        assert_eq!(parse("/a"), "//", "the only slash is the last one");
        assert_eq!(parse("/"), "//");
        assert_eq!(parse("/abc"), "invalid regexp: missing right slash: /abc");
        assert_eq!(parse("/a/imx"), "invalid regexp: missing right slash: /a/imx");
    }
}
