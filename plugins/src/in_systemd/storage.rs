//! `<storage>`: where the cursor is kept from one run to the next, in the file of Fluentd's `local` storage, a JSON object.
//!
//! | `path` | the file |
//! |---|---|
//! | a file, or nothing yet and a name that ends in `.json` | itself |
//! | a folder, or nothing yet | `worker0/storage.json` in it |
//! | none, with root_dir and an @id | `ROOT/worker0/ID/storage.json` (`storage.ARG.json` for `<storage ARG>`) |
//! | none of these | memory |

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::io::{RealFs, durable_replace};
use logweir_engine::net::error_class;
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec, StartError};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{fault, log_error, log_info, log_warn};
use serde_json::{Map, Value};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the descriptor of the plugin.
pub(super) const STORAGE: SectionSpec = SectionSpec {
    params: &[
        Param::new("@type", ParamKind::Enum(&["local"]), "The kind of storage")
            .aliases(&["type"])
            .default("local"),
        Param::new("path", ParamKind::String, "The file, or its folder"),
        Param::new("mode", ParamKind::String, "Permission bits of the file").default("0644"),
        Param::new("dir_mode", ParamKind::String, "Permission bits of folders that are made").default("0755"),
        Param::new("pretty_print", ParamKind::Bool, "Whether the file is made for eyes").default("false"),
        Param::new(
            "persistent",
            ParamKind::Bool,
            "Write the file whenever something is committed, not at intervals",
        )
        .default("false"),
        Param::new("autosave", ParamKind::Bool, "Write the file at intervals").default("true"),
        Param::new("autosave_interval", ParamKind::Time, "Seconds between them").default("10"),
        Param::new("save_at_shutdown", ParamKind::Bool, "Write the file at the end").default("true"),
    ],
    repeated: true,
    always: true,
    ..SectionSpec::new("storage", "Where the position is kept")
};

/// The usage that the plugin asks for; sections for others are not read.
const USAGE: &str = "positions";

/// When the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saving {
    /// After each commit.
    Always,
    /// At intervals.
    Every(Duration),
    /// Only at the end, or not even then.
    Never,
}

/// What `<storage>` says.
#[derive(Clone, Debug)]
pub(super) struct StorageSettings {
    /// `None`: memory.
    pub(super) path: Option<PathBuf>,
    mode: u32,
    dir_mode: u32,
    pretty: bool,
    pub(super) saving: Saving,
    pub(super) at_shutdown: bool,
}

impl StorageSettings {
    pub(super) fn new(owner: &Params, context: &mut BuildContext<'_>) -> Result<Self, Diagnostic> {
        let sections = owner.sections("storage");
        for section in sections {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let arg = section.arg();
            if !arg.chars().all(is_word) || arg.starts_with(|c: char| !c.is_ascii_alphabetic()) {
                let message = format!("Argument in <storage ARG> uses invalid characters: '{arg}'");
                return Err(section.error_here(message));
            }
        }
        let Some(section) = sections.iter().find(|section| matches!(section.arg(), "" | USAGE)) else {
            return Err(owner.error_here("there is no <storage> for the usage 'positions'"));
        };
        let persistent = section.bool("persistent");
        let autosave = section.bool("autosave");
        let path = match (section.str("path"), &context.system.root_dir) {
            (Some(path), _) => Some(in_path(path)),
            (None, Some(root)) if context.id.configured => {
                let name = match section.arg() {
                    "" => "storage.json".to_owned(),
                    arg => format!("storage.{arg}.json"),
                };
                Some(root.join("worker0").join(&*context.id.text).join(name))
            }
            _ if persistent => {
                let message = "Plugin @id or path for <storage> required when 'persistent' is true";
                return Err(section.error_here(message));
            }
            _ => {
                let message =
                    "both of Plugin @id and path for <storage> are not specified. Using on-memory store.";
                match autosave {
                    true => log_warn!(context.log, message),
                    false => log_info!(context.log, message),
                }
                None
            }
        };
        if let Some(path) = &path {
            let id = context.id.clone();
            context.shared.take_path("storage", path, &id).map_err(|other| {
                let path = path.display();
                section.error("path", format!("'{}' keeps its position in {path} too", other.text))
            })?;
        }
        let interval = section.time("autosave_interval").unwrap_or_default();
        Ok(Self {
            path,
            mode: mode(section, "mode")?,
            dir_mode: mode(section, "dir_mode")?,
            pretty: section.bool("pretty_print"),
            saving: match (persistent, autosave) {
                (true, _) => Saving::Always,
                (false, true) => Saving::Every(interval.max(INTERVAL_MIN)),
                (false, false) => Saving::Never,
            },
            at_shutdown: section.bool("save_at_shutdown"),
        })
    }
}

/// A file that is replaced more often than this costs more than it is worth.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

fn in_path(path: &str) -> PathBuf {
    let as_path = PathBuf::from(path);
    let is_file = match fs::metadata(&as_path) {
        Ok(meta) => !meta.is_dir(),
        Err(_) => path.ends_with(".json"),
    };
    if is_file { as_path } else { as_path.join("worker0").join("storage.json") }
}

fn mode(section: &Params, name: &str) -> Result<u32, Diagnostic> {
    let text = section.string(name);
    u32::from_str_radix(text.trim_start_matches("0o"), 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| section.error(name, format!("{name} must be an octal mode such as 0644: {text}")))
}

/// The store: its other keys are kept as they are.
pub(super) struct Storage {
    settings: StorageSettings,
    values: Map<String, Value>,
    changed: bool,
    failed: bool,
    log: PluginLog,
}

/// The key of the cursor.
const CURSOR: &str = "journal";

impl Storage {
    /// Reads the file, and makes its folder if that is missing.
    pub(super) fn open(settings: StorageSettings, log: PluginLog) -> Result<Self, StartError> {
        let mut values = Map::new();
        if let Some(path) = &settings.path {
            let failed = |what: &str, error: &io::Error| {
                StartError::new(error_class(error), format!("{what} {}: {error}", path.display()))
            };
            match fs::read(path) {
                Ok(bytes) if bytes.is_empty() => {
                    log_warn!(
                        log,
                        format!(
                            "detect empty plugin storage file during startup. Ignored: {}",
                            path.display()
                        )
                    );
                }
                Ok(bytes) => values = read(path, &bytes)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let folder = path.parent().unwrap_or(Path::new("."));
                    fs::DirBuilder::new().recursive(true).mode(settings.dir_mode).create(folder).map_err(
                        |error| failed("cannot make the folder of the plugin storage file", &error),
                    )?;
                }
                Err(error) => return Err(failed("cannot read the plugin storage file", &error)),
            }
        }
        Ok(Self { settings, values, changed: false, failed: false, log })
    }

    pub(super) fn cursor(&self) -> Option<String> {
        self.values.get(CURSOR)?.as_str().map(str::to_owned)
    }

    /// Sets the cursor; it is not written yet.
    pub(super) fn set(&mut self, cursor: String) {
        self.values.insert(CURSOR.to_owned(), Value::String(cursor));
        self.changed = true;
    }

    /// Writes the file, if there is one and if it would change. What goes wrong is logged once, and tried again the next time.
    pub(super) fn save(&mut self) {
        let Some(path) = self.settings.path.as_ref().filter(|_| self.changed) else { return };
        let values = Value::Object(self.values.clone());
        let text = if self.settings.pretty { format!("{values:#}") } else { values.to_string() };
        fault!("cursor-saving");
        match durable_replace(&RealFs, path, text.as_bytes(), self.settings.mode) {
            Ok(()) => {
                fault!("cursor-saved");
                self.changed = false;
                self.failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    log_error!(
                        self.log,
                        "failed to save data for plugin storage to file; it is tried again",
                        path = path,
                        error = error.to_string()
                    );
                }
            }
        }
    }

    pub(super) fn settings(&self) -> &StorageSettings {
        &self.settings
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>, StartError> {
    let advice = "repair it, or remove it to begin as if there were no position";
    let path = path.display();
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(_) => Err(StartError::new(
            "Fluent::ConfigError",
            format!("Invalid contents (not object) in plugin storage file: '{path}': {advice}"),
        )),
        Err(error) => Err(StartError::new(
            "Fluent::ConfigError",
            format!(
                "Unexpected error: failed to read data from plugin storage file: '{path}': {error}: {advice}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::PLUGIN;
    use super::*;
    use crate::testing::with_params;

    fn settings(text: &str) -> Result<StorageSettings, String> {
        with_params(&PLUGIN, &format!("tag t\n{text}"), StorageSettings::new)
    }

    #[test]
    fn where_the_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        fs::write(folder.path().join("pos"), "").unwrap();
        let path =
            |text: &str| settings(&format!("<storage>\npath {text}\n</storage>")).unwrap().path.unwrap();
        assert_eq!(path(&format!("{here}/pos")), folder.path().join("pos"));
        assert_eq!(path(&format!("{here}/new.json")), folder.path().join("new.json"));
        assert_eq!(path(&format!("{here}")), folder.path().join("worker0/storage.json"));
        assert_eq!(path(&format!("{here}/new")), folder.path().join("new/worker0/storage.json"));
        assert_eq!(settings("").unwrap().path, None);
        assert_eq!(
            settings("<storage other>\npath /x.json\n</storage>\n<storage>\n</storage>").unwrap().path,
            None
        );
    }

    #[test]
    fn when_it_is_written() {
        let saving = |text: &str| settings(&format!("<storage>\npath /x.json\n{text}\n</storage>")).unwrap();
        assert_eq!(saving("").saving, Saving::Every(Duration::from_secs(10)));
        assert!(saving("").at_shutdown);
        assert_eq!(saving("autosave_interval 1s").saving, Saving::Every(Duration::from_secs(1)));
        assert_eq!(saving("autosave false\nsave_at_shutdown false").saving, Saving::Never);
        assert!(!saving("save_at_shutdown false").at_shutdown);
        assert_eq!(saving("persistent true").saving, Saving::Always);
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            (
                "<storage>\npersistent true\n</storage>",
                "Plugin @id or path for <storage> required when 'persistent' is true",
            ),
            ("<storage -x>\n</storage>", "Argument in <storage ARG> uses invalid characters: '-x'"),
            ("<storage>\npath /x.json\nmode rw\n</storage>", "mode must be an octal mode such as 0644: rw"),
            ("<storage>\n@type redis\n</storage>", "valid options are local"),
        ] {
            let error = settings(text).err().unwrap();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_set_and_saved_is_read_again_beside_what_others_keep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down.json");
        let settings =
            settings(&format!("<storage>\npath {}\nmode 0600\n</storage>", path.display())).unwrap();
        let open = || Storage::open(settings.clone(), PluginLog::program());
        let mut storage = open().unwrap();
        assert_eq!(storage.cursor(), None);
        storage.save();
        assert!(!path.exists(), "nothing to say");
        fs::write(&path, r#"{"other":[1],"journal":"s=1"}"#).unwrap();
        let mut storage = open().unwrap();
        assert_eq!(storage.cursor().as_deref(), Some("s=1"));
        storage.set("s=2".to_owned());
        storage.save();
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"other":[1],"journal":"s=2"}"#);
        assert_eq!(open().unwrap().cursor().as_deref(), Some("s=2"));
        for (text, message) in [("[]", "Invalid contents (not object)"), ("{", "failed to read data")] {
            fs::write(&path, text).unwrap();
            let error = open().err().unwrap().to_string();
            assert!(error.contains(message), "{error}");
        }
        fs::write(&path, "").unwrap();
        assert_eq!(open().unwrap().cursor(), None);
    }
}
