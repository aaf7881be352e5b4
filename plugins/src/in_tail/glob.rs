//! File name patterns as Ruby's `Dir.glob` reads them: `*`, `?`, `[abc]`, `[^a-c]`, `{p,q}`, `**/`, `\x`. A wildcard matches no
//! leading dot, `**/` does not enter hidden folders or links to folders. Results are sorted.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Folders below one `**` are entered to this depth.
const DEPTH_MAX: usize = 64;
/// Alternatives that braces may make of one pattern.
const ALTERNATIVES_MAX: usize = 1000;

/// Paths that exist and match.
pub(super) fn glob(pattern: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in braces(pattern) {
        let (start, rest) = match pattern.strip_prefix('/') {
            Some(rest) => (PathBuf::from("/"), rest),
            None => (PathBuf::new(), pattern.as_str()),
        };
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        walk(start, &parts, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Whether a file name (no slashes) matches a part of a pattern.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    matches_rest(pattern, name)
}

fn walk(dir: PathBuf, parts: &[&str], found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        if dir.symlink_metadata().is_ok() {
            found.push(dir);
        }
        return;
    };
    if *part == "**" {
        walk(dir.clone(), rest, found);
        descend(&dir, rest, found, DEPTH_MAX);
    } else if part.contains(['*', '?', '[', '\\']) {
        for name in names(&dir) {
            if matches(part.as_bytes(), name.as_bytes()) {
                let path = dir.join(&name);
                if rest.is_empty() || path.is_dir() {
                    walk(path, rest, found);
                }
            }
        }
    } else {
        walk(dir.join(part), rest, found);
    }
}

/// `rest` in all folders below `dir`.
fn descend(dir: &Path, rest: &[&str], found: &mut Vec<PathBuf>, depth: usize) {
    if depth == 0 {
        return;
    }
    for name in names(dir) {
        let path = dir.join(&name);
        let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if is_folder && !name.as_bytes().starts_with(b".") {
            walk(path.clone(), rest, found);
            descend(&path, rest, found, depth - 1);
        }
    }
}

fn names(dir: &Path) -> Vec<OsString> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    // A folder that cannot be read matches nothing, as in Ruby.
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.flatten().map(|entry| OsString::from_vec(entry.file_name().into_vec())).collect()
}

/// The patterns that a pattern with braces stands for.
fn braces(pattern: &str) -> Vec<String> {
    let Some((open, close)) = outer_braces(pattern) else { return vec![pattern.to_owned()] };
    let (before, inner, after) = (&pattern[..open], &pattern[open + 1..close], &pattern[close + 1..]);
    let mut out = Vec::new();
    for choice in alternatives(inner) {
        for expanded in braces(&format!("{before}{choice}{after}")) {
            if out.len() < ALTERNATIVES_MAX {
                out.push(expanded);
            }
        }
    }
    out
}

fn outer_braces(pattern: &str) -> Option<(usize, usize)> {
    let (mut open, mut depth, mut escaped) = (None, 0, false);
    for (at, byte) in pattern.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => {
                open = open.or(Some(at));
                depth += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Some((open?, at));
                }
            }
            _ => {}
        }
    }
    None
}

fn alternatives(inner: &str) -> Vec<&str> {
    let (mut out, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                out.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&inner[start..]);
    out
}

/// Iterative: a star remembers where to go on if what follows fails.
fn matches_rest(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(b'?') => Some(p + 1),
            Some(b'[') => set(&pattern[p..], name[n]).map(|used| p + used),
            Some(b'\\') if pattern.get(p + 1) == Some(&name[n]) => Some(p + 2),
            Some(byte) if *byte == name[n] && *byte != b'\\' => Some(p + 1),
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => (p, n) = (next, n + 1),
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Bytes of the set at the start of `pattern` if it has `byte`.
fn set(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some(b'^' | b'!'));
    let mut at = if negated { 2 } else { 1 };
    let first = at;
    let mut has = false;
    loop {
        let low = match pattern.get(at)? {
            b']' if at > first => break,
            b'\\' => {
                at += 1;
                *pattern.get(at)?
            }
            other => *other,
        };
        at += 1;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|high| *high != b']') {
            let high = *pattern.get(at + 1)?;
            has |= (low..=high).contains(&byte);
            at += 2;
        } else {
            has |= low == byte;
        }
    }
    (has != negated).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_ruby() {
        for (pattern, yes, no) in [
            ("*.log", &["a.log", "a.b.log"][..], &[".log", ".a.log", "a.txt"][..]),
            ("a?c", &["abc"], &["ac", "abbc"]),
            ("[a-c]x", &["ax", "cx"], &["dx"]),
            ("[^a-c]x", &["dx"], &["ax"]),
            ("[]]x", &["]x"], &["x"]),
            (".*", &[".a"], &["a"]),
            ("a\\*b", &["a*b"], &["axb"]),
            ("*a*b*", &["ab", "xaybz", "aab"], &["ba"]),
        ] {
            yes.iter()
                .for_each(|name| assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}"));
            no.iter()
                .for_each(|name| assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}"));
        }
    }

    #[test]
    fn braces_may_be_nested() {
        assert_eq!(braces("a{b,c{d,e}}f"), ["abf", "acdf", "acef"]);
        assert_eq!(braces("a{b"), ["a{b"]);
    }

    #[test]
    fn stars_of_two_kinds() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "d/b.log", "d/e/c.log", ".hidden/x.log", "d/y.txt"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let paths = glob(&format!("{}/{pattern}", dir.path().display()));
            paths.iter().map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("**/*.log"), ["a.log", "d/b.log", "d/e/c.log"]);
        assert_eq!(found("*/*.{log,txt}"), ["d/b.log", "d/y.txt"]);
        assert_eq!(found("nothing/*"), Vec::<String>::new());
    }
}
