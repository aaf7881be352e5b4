//! File name patterns as Ruby's `Dir.glob` has them: `*`, `?`, `[a-z]`, `[^a]`, `{a,b}`, `**/`, and `\` before a
//! character that is meant as it is. A leading dot must be written.

use std::path::{Path, PathBuf};

/// The files and folders that match, sorted. A pattern without wildcards matches what is there.
pub(super) fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in alternatives(pattern) {
        let start = if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() };
        let mut parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        parts.dedup_by(|part, before| *part == "**" && *before == "**");
        walk(&start, &parts, 0, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// The patterns that `{a,b}` stands for.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(pattern) = todo.pop() {
        match braces(&pattern) {
            Some((open, commas, close)) if done.len() + todo.len() + commas.len() < ALTERNATIVES_MAX => {
                let mut from = open + 1;
                for end in commas.into_iter().chain([close]) {
                    todo.push(format!(
                        "{}{}{}",
                        &pattern[..open],
                        &pattern[from..end],
                        &pattern[close + 1..]
                    ));
                    from = end + 1;
                }
            }
            _ => done.push(pattern),
        }
    }
    done
}

/// The first outermost pair of braces, and the commas that stand directly in it.
fn braces(pattern: &str) -> Option<(usize, Vec<usize>, usize)> {
    let bytes = pattern.as_bytes();
    let mut open = None;
    let mut depth = 0;
    let mut commas = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'{' => {
                open.get_or_insert(at);
                depth += 1;
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return open.map(|open| (open, commas, at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn walk(folder: &Path, parts: &[&str], depth: usize, found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        if folder.symlink_metadata().is_ok() {
            found.push(folder.to_owned());
        }
        return;
    };
    if depth > DEPTH_MAX || found.len() >= FOUND_MAX {
        return;
    }
    if *part == "**" && !rest.is_empty() {
        walk(folder, rest, depth + 1, found);
        for name in names(folder) {
            let inner = folder.join(&name);
            let is_folder = inner.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            if is_folder && !name.starts_with('.') {
                walk(&inner, parts, depth + 1, found);
            }
        }
        return;
    }
    if !part.contains(['*', '?', '[', '\\']) {
        return walk(&folder.join(part), rest, depth + 1, found);
    }
    for name in names(folder) {
        if (!name.starts_with('.') || part.starts_with('.')) && matches(part, &name) {
            walk(&folder.join(&name), rest, depth + 1, found);
        }
    }
}

/// The names in a folder that are UTF-8; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Whether a name matches one part of a pattern. Goes back only to the last `*`, so that time is bounded by the
/// product of the lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    loop {
        if n == name.len() {
            return pattern[p..].iter().all(|c| *c == '*');
        }
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern, p, name[n]),
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == name[n]).then_some(p + 2),
            Some(c) => (*c == name[n]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                n += 1;
            }
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                p = after;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
}

/// Where the class `[...]` at `at` ends if `c` is in it. A class without end matches nothing.
fn class(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let mut at = at + 1;
    let is_negated = matches!(pattern.get(at), Some('!' | '^'));
    at += usize::from(is_negated);
    let first = at;
    let mut found = false;
    loop {
        match pattern.get(at)? {
            ']' if at > first => return (found != is_negated).then_some(at + 1),
            low => {
                let is_range =
                    pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|c| *c != ']');
                let high = if is_range { pattern[at + 2] } else { *low };
                found |= (*low..=high).contains(&c);
                at += if is_range { 3 } else { 1 };
            }
        }
    }
}

/// Patterns that braces may stand for, at most.
const ALTERNATIVES_MAX: usize = 1000;
/// Folders in folders, at most.
const DEPTH_MAX: usize = 64;
/// Files that one pattern finds, at most.
const FOUND_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_wildcards() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("?.conf", "ä.conf", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[!a]", "b", true),
            ("[]a]", "]", true),
            ("[a", "a", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("**", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn braces_stand_for_alternatives() {
        let mut all = alternatives("a{b,c{d,e},}f");
        all.sort();
        assert_eq!(all, ["abf", "acdf", "acef", "af"]);
        assert_eq!(alternatives("{a"), ["{a"]);
        assert!(alternatives(&"{a,b}".repeat(50)).len() <= ALTERNATIVES_MAX);
    }

    #[test]
    fn files_are_found_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        std::fs::create_dir_all(folder.path().join("x/y")).unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "x/c.conf", "x/y/d.conf", "e.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let prefix = format!("{root}/");
            let paths = expand(&format!("{root}/{pattern}"));
            paths.iter().map(|path| path.display().to_string().replace(&prefix, "")).collect()
        };
        assert_eq!(found("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(found("**/*.conf"), ["a.conf", "b.conf", "x/c.conf", "x/y/d.conf"]);
        assert_eq!(found("{e.txt,b.conf}"), ["b.conf", "e.txt"]);
        assert_eq!(found("*/c.conf"), ["x/c.conf"]);
        assert_eq!(found("gone.conf"), [""; 0]);
        assert_eq!(found("x/../a.conf"), ["x/../a.conf"]);
    }
}
