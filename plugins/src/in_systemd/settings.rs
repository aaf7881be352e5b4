//! The checked parameters of in_systemd.

use super::storage::{STORAGE, StorageSettings};
use crate::systemd_entry::{ENTRY_PARAMS, Mutator};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_warn;
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec, Status};
use logweir_engine::telemetry::PluginLog;
use serde_json::Value;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub(super) static PARAMS: &[Param] = &[
    Param::new("path", ParamKind::String, "The folder of the journal").default("/var/log/journal"),
    Param::new("filters", ParamKind::Array, "The old name of matches")
        .default("[]")
        .status(Status::Deprecated("filters has been renamed as matches")),
    Param::new(
        "matches",
        ParamKind::Array,
        "Which entries: [{\"_SYSTEMD_UNIT\": \"a.service\", \"PRIORITY\": [3, 4]}, ...]; all fields of one of the objects must \
         be as it says, of a list one",
    ),
    Param::new(
        "read_from_head",
        ParamKind::Bool,
        "Without a saved position, begin with the first entry instead of the last",
    )
    .default("false"),
    Param::new("tag", ParamKind::String, "Tag of the events").required(),
    Param::new("strip_underscores", ParamKind::Bool, "As fields_strip_underscores of <entry>")
        .default("false")
        .status(Status::Deprecated("use fields_strip_underscores in <entry>")),
];

pub(super) static SECTIONS: &[SectionSpec] = &[
    STORAGE,
    SectionSpec {
        params: &ENTRY_PARAMS,
        ..SectionSpec::new("entry", "Other names for the fields of entries")
    },
];

/// How this input behaves.
pub(super) struct Settings {
    pub(super) path: String,
    /// Alternatives, each with `FIELD=value`s.
    pub(super) matches: Vec<Vec<String>>,
    pub(super) read_from_head: bool,
    pub(super) tag: Tag,
    pub(super) storage: StorageSettings,
    /// Tells sources apart that read the same journal.
    pub(super) source: u32,
}

impl Settings {
    pub(super) fn new(
        params: &Params,
        context: &mut BuildContext<'_>,
    ) -> Result<(Self, Mutator), Diagnostic> {
        let mutator = match params.section("entry") {
            Some(section) => Mutator::new(section, &context.log)?.in_any_case(),
            None => Mutator::default(),
        };
        let mutator =
            if params.bool("strip_underscores") { mutator.stripping_underscores() } else { mutator };
        let name = if params.is_set("matches") { "matches" } else { "filters" };
        let matches = matches(params, name)?;
        let storage = StorageSettings::new(params, context)?;
        let path = params.string("path");
        let tag = params.string("tag");
        let place = storage.path.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let source = crc32fast::hash(format!("{path}\0{matches:?}\0{tag}\0{place}").as_bytes());
        let read_from_head = params.bool("read_from_head");
        Ok((Self { path, matches, read_from_head, tag: Tag::new(&tag), storage, source }, mutator))
    }

    /// Says that there are files which libsystemd will pass over without a word.
    pub(super) fn warn_of_unreadable_files(&self, log: &PluginLog) {
        if let Some(file) = unreadable(Path::new(&self.path)) {
            log_warn!(
                log,
                "a file of the journal may not be read, so its entries are missing: add this user to the group \
                 systemd-journal",
                path = file
            );
        }
    }
}

fn matches(params: &Params, name: &str) -> Result<Vec<Vec<String>>, Diagnostic> {
    let mut alternatives = Vec::new();
    for condition in params.array_values(name).unwrap_or_default() {
        let Value::Object(fields) = condition else {
            let message = format!(
                "'{name}' must be an array of objects, such as [{{\"_SYSTEMD_UNIT\": \"a.service\"}}]"
            );
            return Err(params.error(name, message));
        };
        let mut texts = Vec::new();
        for (field, value) in fields {
            let field = field.to_uppercase();
            if !is_field(&field) {
                let message = format!(
                    "'{name}': {field:?} is no name of a journal field (letters, digits, underscores)"
                );
                return Err(params.error(name, message));
            }
            match value {
                Value::Array(values) => {
                    texts.extend(values.iter().map(|value| format!("{field}={}", text(value))));
                }
                // Ruby's Array(nil) is empty.
                Value::Null => {}
                value => texts.push(format!("{field}={}", text(value))),
            }
        }
        alternatives.push(texts);
    }
    Ok(alternatives)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What libsystemd takes for one.
fn is_field(name: &str) -> bool {
    let is_known = |c: u8| c == b'_' || c.is_ascii_uppercase() || c.is_ascii_digit();
    (1..=64).contains(&name.len()) && name.bytes().all(is_known)
}

/// The first journal file in `folder`, or in the folder of a machine in it, that may not be read.
fn unreadable(folder: &Path) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).ok()?.flatten() {
        if entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    for folder in folders {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Some(folder),
            Err(_) => continue,
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_journal = path.extension().is_some_and(|end| end == "journal");
            let may_not =
                || File::open(&path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
            if is_journal && may_not() {
                return Some(path);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::PLUGIN;
    use super::*;
    use crate::testing::{build_error, with_params};

    fn settings(text: &str) -> Settings {
        with_params(&PLUGIN, &format!("tag t\n{text}"), Settings::new)
            .unwrap_or_else(|error| panic!("{error}"))
            .0
    }

    #[test]
    fn matches_are_alternatives_of_fields() {
        let text = r#"matches [{"_systemd_unit":"a.service","_PID":28097},{"PRIORITY":[4,"6"],"X":null}]"#;
        assert_eq!(
            settings(text).matches,
            [vec!["_SYSTEMD_UNIT=a.service", "_PID=28097"], vec!["PRIORITY=4", "PRIORITY=6"]]
        );
        assert_eq!(settings(r#"filters [{"A":"b"}]"#).matches, [["A=b"]]);
        assert_eq!(settings("filters [{\"A\":\"b\"}]\nmatches []").matches, [[""; 0]; 0]);
        let default = settings("");
        assert!(default.matches.is_empty() && !default.read_from_head && default.path == "/var/log/journal");
    }

    #[test]
    fn sources_of_one_journal_are_told_apart() {
        let sources = ["", "path /x", "matches [{\"A\":\"b\"}]", "<storage>\npath /x.json\n</storage>"];
        let sources: std::collections::HashSet<u32> =
            sources.iter().map(|text| settings(text).source).collect();
        assert_eq!(sources.len(), 4);
        assert_eq!(settings("").source, settings("read_from_head true").source);
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("", "'tag' parameter is required"),
            ("tag t\nmatches [\"a\"]", "'matches' must be an array of objects"),
            ("tag t\nfilters [{\"a b\":1}]", "'filters': \"A B\" is no name of a journal field"),
            ("tag t\n<entry>\nfield_map {\"a\":1}\n</entry>", "`field_map` values must be strings"),
        ] {
            let error = build_error(&PLUGIN, text).unwrap_or_default();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn files_that_may_not_be_read_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let machine = folder.path().join("machine");
        fs::create_dir(&machine).unwrap();
        fs::write(machine.join("system.journal"), "").unwrap();
        assert_eq!(unreadable(folder.path()), None);
        assert_eq!(unreadable(Path::new("/nonexistent")), None);
    }
}
