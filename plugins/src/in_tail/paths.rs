//! Which files there are to tail: patterns with dates, exclusions, and what cannot be read.

use super::glob::glob;
use super::identity::Inode;
use logweir_engine::event::EventTime;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::time::{TimeFormat, Zone};
use logweir_engine::{log_debug, log_warn};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Which characters make a path a pattern (glob_policy of Fluentd 1.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GlobPolicy {
    /// Only `*`.
    BackwardCompatible,
    /// `*`, `?` and `[]`.
    Extended,
    /// All of them, and `{}`.
    Always,
}

impl GlobPolicy {
    fn is_pattern(self, path: &str) -> bool {
        match self {
            Self::BackwardCompatible => path.contains('*'),
            Self::Extended => path.contains(['*', '?']) || has_pair(path, '[', ']'),
            Self::Always => path.contains(['*', '?']) || has_pair(path, '[', ']') || has_pair(path, '{', '}'),
        }
    }
}

fn has_pair(path: &str, open: char, close: char) -> bool {
    path.find(open).is_some_and(|at| path[at..].contains(close))
}

/// Patterns of one source.
pub(super) struct Paths {
    patterns: Vec<DatedPath>,
    exclude: Vec<DatedPath>,
    policy: GlobPolicy,
    limit_recently_modified: Option<Duration>,
    /// Unreadable files are named once rather than at each refresh.
    name_unreadable_once: bool,
    unreadable: HashSet<PathBuf>,
    log: PluginLog,
}

/// A path with strftime directives.
pub(super) struct DatedPath {
    text: String,
    format: Option<(TimeFormat, Zone)>,
}

impl DatedPath {
    /// Without a `%` no date is needed.
    pub(super) fn new(text: &str, zone: Zone) -> Self {
        let format = text.contains('%').then(|| (TimeFormat::new(text), zone));
        Self { text: text.to_owned(), format }
    }

    fn today(&self) -> String {
        match &self.format {
            Some((format, zone)) => format.format_to_string(EventTime::now(), zone),
            None => self.text.clone(),
        }
    }
}

impl Paths {
    pub(super) fn new(
        patterns: Vec<DatedPath>,
        exclude: Vec<DatedPath>,
        policy: GlobPolicy,
        limit_recently_modified: Option<Duration>,
        name_unreadable_once: bool,
        log: PluginLog,
    ) -> Self {
        let unreadable = HashSet::new();
        Self { patterns, exclude, policy, limit_recently_modified, name_unreadable_once, unreadable, log }
    }

    /// The files that are there now, by path.
    pub(super) fn expand(&mut self) -> BTreeMap<PathBuf, Inode> {
        let excluded: HashSet<PathBuf> =
            self.exclude.iter().flat_map(|path| self.matching(&path.today())).collect();
        let mut targets = BTreeMap::new();
        let patterns: Vec<String> = self.patterns.iter().map(DatedPath::today).collect();
        for pattern in patterns {
            let is_pattern = self.policy.is_pattern(&pattern);
            for path in self.matching(&pattern) {
                if excluded.contains(&path) {
                    continue;
                }
                if let Some(inode) = self.target(&path, is_pattern) {
                    targets.insert(path, inode);
                }
            }
        }
        targets
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        if self.policy.is_pattern(pattern) { glob(pattern) } else { vec![PathBuf::from(pattern)] }
    }

    fn target(&mut self, path: &Path, found_by_pattern: bool) -> Option<Inode> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => {
                self.cannot_stat(path, &error, found_by_pattern);
                return None;
            }
        };
        // Neither folders nor FIFOs and sockets, on which an open would wait.
        if !meta.is_file() {
            if !found_by_pattern {
                self.warn_unreadable(path, "it is not a regular file");
            }
            return None;
        }
        if found_by_pattern && !is_readable(path) {
            self.warn_unreadable(path, "it cannot be opened for reading");
            return None;
        }
        if let (true, Some(limit), Ok(modified)) =
            (found_by_pattern, self.limit_recently_modified, meta.modified())
            && SystemTime::now().duration_since(modified).is_ok_and(|age| age > limit)
        {
            return None;
        }
        self.unreadable.remove(path);
        Some(Inode::of(&meta))
    }

    fn cannot_stat(&mut self, path: &Path, error: &std::io::Error, found_by_pattern: bool) {
        if !found_by_pattern && error.kind() == ErrorKind::NotFound {
            return;
        }
        match dangling(path) {
            Some(target) if found_by_pattern => {
                let reason = format!("it is a link to {}, which is not there", target.display());
                self.warn_unreadable(path, &reason);
            }
            _ => log_debug!(
                self.log,
                format!("{} is missing after refresh file list", path.display()),
                error = error.to_string()
            ),
        }
    }

    fn warn_unreadable(&mut self, path: &Path, reason: &str) {
        let is_new = self.unreadable.insert(path.to_owned());
        if is_new || !self.name_unreadable_once {
            let message =
                format!("{} unreadable. It is excluded and would be examined next time.", path.display());
            log_warn!(self.log, message, reason = reason);
        }
    }
}

fn is_readable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// Where a link leads that leads nowhere.
fn dangling(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok()
}
