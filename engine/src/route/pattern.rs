//! Tag patterns of `<match>` and `<filter>` (spec config-syntax 6.1).
//!
//! A pattern is translated to a regular expression as Fluentd translates it, quirks included: an unclosed brace is
//! closed at the end, a trailing dot is dropped, `/a|b/` is `\Aa|b\Z`.
//!
//! | pattern | expression |
//! |---|---|
//! | `**.` | `(?:.*\.\|\A)` |
//! | `.**` | `(?![^.]).*` |
//! | `**` | `.*` |
//! | `*` | `[^.]*` |
//! | `{p,q}` | `(?:p\|q)` |
//! | anything else | itself, escaped |

use fancy_regex::Regex;

/// Patterns of one directive, separated by white space. A tag matches if any of them does.
#[derive(Debug)]
pub struct TagPatterns(Vec<Pattern>);

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `/` at the beginning but not at the end.
    #[error("invalid match - regex")]
    UnclosedRegex,
    /// A regular expression that does not compile.
    #[error("invalid match pattern {pattern:?}: {reason}")]
    Regex {
        /// The pattern.
        pattern: String,
        /// What the regex engine says.
        reason: String,
    },
}

#[derive(Debug)]
enum Pattern {
    All,
    Exact(String),
    Regex(Box<Regex>),
}

impl TagPatterns {
    /// Compiles the argument of a directive. No argument means `**`.
    pub fn parse(argument: &str) -> Result<Self, PatternError> {
        let patterns: Result<Vec<Pattern>, PatternError> =
            argument.split_whitespace().map(Pattern::parse).collect();
        let patterns = patterns?;
        Ok(Self(if patterns.is_empty() { vec![Pattern::All] } else { patterns }))
    }

    /// Whether `tag` matches one of the patterns.
    pub fn matches(&self, tag: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(tag))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "**" {
            return Ok(Self::All);
        }
        let source = match text.strip_prefix('/') {
            // The alternatives are not grouped, as in Fluentd.
            Some(rest) => {
                format!("\\A{}(?:\\n?\\z)", rest.strip_suffix('/').ok_or(PatternError::UnclosedRegex)?)
            }
            None if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
                && !text.ends_with('.') =>
            {
                return Ok(Self::Exact(text.to_owned()));
            }
            None => format!("\\A{}(?:\\n?\\z)", translate(text)),
        };
        match Regex::new(&source) {
            Ok(regex) => Ok(Self::Regex(Box::new(regex))),
            Err(error) => Err(PatternError::Regex { pattern: text.to_owned(), reason: error.to_string() }),
        }
    }

    fn matches(&self, tag: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(text) => tag.strip_suffix('\n').unwrap_or(tag) == text || tag == text,
            // An expression that backtracks past the engine's limit does not match.
            Self::Regex(regex) => regex.is_match(tag).unwrap_or(false),
        }
    }
}

fn translate(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut alternatives: Vec<Vec<String>> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut escaped = false;
    let mut dot = false;
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if escaped {
            push_literal(&mut out, c);
            escaped = false;
            i += 1;
            continue;
        }
        if c == '*' && chars.get(i + 1) == Some(&'*') {
            if dot {
                out.push_str("(?![^.])");
                dot = false;
            }
            if chars.get(i + 2) == Some(&'.') {
                out.push_str("(?:.*\\.|\\A)");
                i += 3;
            } else {
                out.push_str(".*");
                i += 2;
            }
            continue;
        }
        if dot {
            out.push_str("\\.");
            dot = false;
        }
        match c {
            '\\' => escaped = true,
            '.' => dot = true,
            '*' => out.push_str("[^.]*"),
            '{' => {
                alternatives.push(Vec::new());
                open.push(std::mem::take(&mut out));
            }
            '}' if !open.is_empty() => close_brace(&mut alternatives, &mut open, &mut out),
            ',' if !open.is_empty() => {
                if let Some(group) = alternatives.last_mut() {
                    group.push(std::mem::take(&mut out));
                }
            }
            c => push_literal(&mut out, c),
        }
        i += 1;
    }
    while !open.is_empty() {
        close_brace(&mut alternatives, &mut open, &mut out);
    }
    out
}

fn close_brace(alternatives: &mut Vec<Vec<String>>, open: &mut Vec<String>, out: &mut String) {
    let (Some(mut group), Some(before)) = (alternatives.pop(), open.pop()) else { return };
    group.push(std::mem::take(out));
    *out = format!("{before}(?:{})", group.join("|"));
}

fn push_literal(out: &mut String, c: char) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, tag: &str) -> bool {
        TagPatterns::parse(pattern).unwrap().matches(tag)
    }

    /// Every row of spec config-syntax 6.1: pattern, tags that match, tags that do not.
    const TABLE: &[(&str, &[&str], &[&str])] = &[
        ("a", &["a", "a\n"], &["a.b", "A"]),
        ("A", &[], &["a"]),
        ("a.*", &["a.b", "a."], &["a", "a.b.c"]),
        ("a.**", &["a", "a.b", "a.b.c"], &["ab"]),
        ("a**", &["a", "ab", "abc.d"], &[]),
        ("a*", &["a", "abc"], &["abc.d"]),
        ("*", &["x"], &["x.y"]),
        ("*.*", &["x.y"], &["x"]),
        ("**", &["", "a", "a.b"], &[]),
        ("**.c", &["c", "a.b.c"], &["xc"]),
        ("a.**.c", &["a.c", "a.b.c", "a.b.d.c"], &["ac"]),
        ("**.**", &["a"], &[]),
        ("a.**b", &["a.xb", "a.x.b"], &["ab"]),
        ("{a,b}.c", &["a.c", "b.c"], &["c.c"]),
        ("a.{b,c.**}", &["a.b", "a.c", "a.c.d"], &["a.b.c"]),
        ("a.{*,b.c}", &["a.x", "a.b.c"], &["a.x.c"]),
        ("{a.{b,c},d}", &["a.b", "a.c", "d"], &["a", "a.d"]),
        ("a.{b,}", &["a.", "a.b"], &[]),
        ("{a,b", &["a", "b"], &[]),
        ("a,b", &["a,b"], &["a"]),
        ("a.b.", &["a.b"], &["a.b."]),
        ("/a.+/", &["abc"], &["a"]),
        ("/a\\.(?!b$).*/", &["a.c"], &["a.b"]),
        ("/a|b/", &["ab", "axx", "xb"], &["xbx"]),
        ("kubernetes.**", &["kubernetes", "kubernetes.a.b"], &[]),
        (
            "k.var.log.containers.**_kube-system_**.log",
            &["k.var.log.containers.x_kube-system_y.log"],
            &["k.var.log.containers.x_default_y.log"],
        ),
        ("k.var.log.containers.fluentd**.log", &["k.var.log.containers.fluentd-abc_x.log"], &[]),
        ("a b.*", &["a", "b.x"], &["c", "b"]),
        ("a.b, c", &["a.b,", "c"], &["a.b"]),
        ("", &["anything"], &[]),
        ("a\\*b", &["a*b"], &["axb"]),
        ("app.+(x)", &["app.+(x)"], &["app.x"]),
    ];

    #[test]
    fn every_row_of_the_table() {
        for (pattern, yes, no) in TABLE {
            for tag in *yes {
                assert!(matches(pattern, tag), "{pattern} should match {tag:?}");
            }
            for tag in *no {
                assert!(!matches(pattern, tag), "{pattern} should not match {tag:?}");
            }
        }
    }

    #[test]
    fn a_slash_at_one_end_only_is_refused() {
        assert_eq!(TagPatterns::parse("/a").unwrap_err(), PatternError::UnclosedRegex);
    }

    #[test]
    fn a_broken_regex_is_refused_with_its_text() {
        assert!(TagPatterns::parse("/a(/").unwrap_err().to_string().contains("/a(/"));
    }
}
