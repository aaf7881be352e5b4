//! `<group>`: how many lines a group of files may give in a period. Groups are found by named captures of the path.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::regexp::Regexp;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The rules, more specific ones first.
#[derive(Clone)]
pub(super) struct GroupRules {
    pattern: Regexp,
    period: Duration,
    rules: Vec<Rule>,
}

#[derive(Clone)]
struct Rule {
    /// Name of a capture and what it must match.
    matches: Vec<(String, Regexp)>,
    /// Lines in a period; -1 for no limit.
    limit: i64,
}

impl GroupRules {
    pub(super) fn read(section: &Params) -> Result<Self, Diagnostic> {
        let Some(pattern) = section.regexp("pattern") else {
            return Err(section.error_here("'pattern' parameter is required"));
        };
        let mut rules = Vec::new();
        for rule in section.sections("rule") {
            let limit = rule.int("limit").unwrap_or(-1);
            if limit < -1 {
                return Err(rule.error("limit", "Metadata Group Limit >= DEFAULT_LIMIT"));
            }
            let mut matches = Vec::new();
            for (name, value) in rule.hash("match").unwrap_or_default() {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let regexp =
                    Regexp::parse_literal(&text).map_err(|error| rule.error("match", error.to_string()))?;
                matches.push((name, regexp));
            }
            rules.push(Rule { matches, limit });
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.matches.len()));
        let period = section.time("rate_period").unwrap_or(Duration::from_secs(5));
        Ok(Self { pattern, period, rules })
    }

    /// The index of the rule for a path; one past the last for the group without a limit.
    fn rule_of(&self, path: &Path) -> usize {
        use std::os::unix::ffi::OsStrExt;
        let Some(captures) = self.pattern.captures(path.as_os_str().as_bytes()) else {
            return self.rules.len();
        };
        let fits = |rule: &Rule| {
            rule.matches
                .iter()
                .all(|(name, regexp)| captures.name(name).is_some_and(|text| regexp.is_match(text)))
        };
        self.rules.iter().position(fits).unwrap_or(self.rules.len())
    }
}

/// Lines counted per file, limits shared by the files of a group.
pub(super) struct Groups {
    rules: GroupRules,
    files: HashMap<PathBuf, Counter>,
    /// Files of each rule.
    sizes: Vec<usize>,
}

struct Counter {
    rule: usize,
    lines: u64,
    since: Option<Instant>,
}

impl Groups {
    pub(super) fn new(rules: GroupRules) -> Self {
        let sizes = vec![0; rules.rules.len() + 1];
        Self { rules, files: HashMap::new(), sizes }
    }

    pub(super) fn add(&mut self, path: &Path) {
        if !self.files.contains_key(path) {
            let rule = self.rules.rule_of(path);
            self.sizes[rule] += 1;
            self.files.insert(path.to_owned(), Counter { rule, lines: 0, since: None });
        }
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if let Some(counter) = self.files.remove(path) {
            self.sizes[counter.rule] -= 1;
        }
    }

    /// How many more lines the file may give now; `None` for no limit.
    pub(super) fn allowance(&mut self, path: &Path, now: Instant) -> Option<u64> {
        let counter = self.files.get_mut(path)?;
        let limit = self.rules.rules.get(counter.rule).map_or(-1, |rule| rule.limit);
        let limit = u64::try_from(limit).ok()?;
        let share = limit / self.sizes[counter.rule].max(1) as u64;
        // Shares that round to nothing would stop the file for ever.
        let share = if limit > 0 { share.max(1) } else { 0 };
        if counter.since.is_some_and(|since| now.duration_since(since) >= self.rules.period) {
            (counter.lines, counter.since) = (0, None);
        }
        Some(share.saturating_sub(counter.lines))
    }

    /// Whether no line of the file is ever wanted (limit 0).
    pub(super) fn is_shut(&self, path: &Path) -> bool {
        let rule = self.files.get(path).and_then(|counter| self.rules.rules.get(counter.rule));
        rule.is_some_and(|rule| rule.limit == 0)
    }

    /// The file gave lines.
    pub(super) fn took(&mut self, path: &Path, lines: u64, now: Instant) {
        if let Some(counter) = self.files.get_mut(path) {
            counter.since.get_or_insert(now);
            counter.lines += lines;
        }
    }
}
