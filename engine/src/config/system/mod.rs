//! Process-wide settings: `<system>`, and what the environment and the command line say over it.

mod layers;
mod table;

pub use layers::Overrides;

use super::value::bool;
use super::{Checker, Diagnostic, Diagnostics, Document, Element, Params, Session};
use crate::plugin::Registry;
use crate::telemetry::{Level, LogFormat};
use layers::Layers;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use table::SECTIONS_WITHOUT_EFFECT;
pub use table::SYSTEM;

/// Process-wide settings. Each comes from the first of these that has it: the command line, the environment
/// (`LOGWEIR_NAME`, `LOGWEIR_LOG_NAME` for those of `<log>`), `<system>`, Fluentd's default.
#[derive(Clone, Debug)]
pub struct System {
    /// Worker processes that the configuration is written for; for a plugin in `<worker N-M>`, those of that section.
    pub workers: u32,
    /// All worker processes that the configuration is written for, for a plugin in `<worker N-M>` too.
    pub all_workers: u32,
    /// The worker that a plugin takes itself for: the first of its `<worker N-M>`, 0 outside of one.
    pub worker_id: u32,
    /// Base of `worker0/<@id>/...` for buffers, storage and backup.
    pub root_dir: Option<PathBuf>,
    /// Least level that is logged.
    pub log_level: Level,
    /// For how long a message that repeats the one before is dropped.
    pub ignore_repeated_log_interval: Option<Duration>,
    /// For how long a message that was printed before is dropped.
    pub ignore_same_log_interval: Option<Duration>,
    /// For how long emit errors are logged once.
    pub emit_error_log_interval: Option<Duration>,
    /// Whether the configuration is not logged at start.
    pub suppress_config_dump: bool,
    /// Whether log events carry more fields.
    pub log_event_verbose: bool,
    /// Whether `<source>` directives are ignored.
    pub without_source: bool,
    /// `host:port` of the RPC server.
    pub rpc_endpoint: Option<String>,
    /// Whether the RPC server answers with the configuration.
    pub enable_get_dump: bool,
    /// Name of the process in the process list.
    pub process_name: Option<String>,
    /// Whether ill-formed values are errors rather than guesses.
    pub strict_config_value: bool,
    /// Whether times and timestamps of MessagePack's own extension are understood.
    pub enable_msgpack_time_support: bool,
    /// Whether only inputs are started, until SIGWINCH; what they take waits in a buffer.
    pub with_source_only: bool,
    /// What `<source_only_buffer>` sets, in configuration spelling.
    pub source_only_buffer: Vec<(String, String)>,
    /// Whether inputs count what they emit.
    pub enable_input_metrics: bool,
    /// Whether the sizes of events are counted.
    pub enable_size_metrics: bool,
    /// The version of Fluentd that is followed where two differ.
    pub follows: FluentdVersion,
    /// Mode of files that are created.
    pub file_permission: Option<u32>,
    /// Mode of folders that are created.
    pub dir_permission: Option<u32>,
    /// `<log>`
    pub log: LogSection,
    /// `labels` of `<metrics>`.
    pub metrics_labels: Vec<(String, String)>,
    /// How the program was called, for monitoring.
    pub program: Program,
    /// Where each setting comes from: `default`, `FILE:LINE:COLUMN`, an environment variable or an option. Settings
    /// that nothing sets are not in it.
    pub origins: BTreeMap<String, String>,
}

/// How the program was called.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The Fluentd version whose behaviour is kept.
    pub version: &'static str,
    /// The configuration file.
    pub config_path: PathBuf,
    /// The file with the process id, if the program went to the background.
    pub pid_file: Option<PathBuf>,
    /// The log file, if there is one.
    pub log_path: Option<PathBuf>,
}

/// `<log>` of `<system>`
#[derive(Clone, Debug)]
pub struct LogSection {
    /// Log file; standard output if there is none.
    pub path: Option<PathBuf>,
    /// Text or JSON.
    pub format: LogFormat,
    /// strftime format of the time of a line.
    pub time_format: String,
    /// When the log file is rotated, or how many are kept.
    pub rotate_age: Option<RotateAge>,
    /// Bytes at which the log file is rotated.
    pub rotate_size: Option<u64>,
}

/// A version of Fluentd that can be followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum FluentdVersion {
    #[default]
    V1_16,
    V1_19,
}

/// When a log file is rotated, or how many old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateAge {
    /// Each day.
    Daily,
    /// Each week.
    Weekly,
    /// Each month.
    Monthly,
    /// By size, with this many files kept.
    Files(u64),
}

impl System {
    /// The settings of a configuration, without a command line. The first problem is returned.
    pub fn load(document: &Document) -> Result<Self, Diagnostic> {
        let mut diagnostics = Diagnostics::new();
        let read = |name: &str| std::env::var(name).ok();
        let system = Self::layered(document, &read, &Overrides::new(), &mut diagnostics);
        match diagnostics.errors().next() {
            Some(error) => Err(error.clone()),
            None => Ok(system),
        }
    }

    /// The settings of a configuration. `read` looks up an environment variable; problems go to `diagnostics`.
    pub fn layered(
        document: &Document,
        read: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut sections = document.root.sections("system");
        let section = sections.next();
        if let Some(second) = sections.next() {
            let message = "<system> is duplicated. <system> should be only one";
            diagnostics.push(Diagnostic::error(message).at(&second.span));
        }
        let params = section.map(|element| checked(element, read, overrides, diagnostics));
        let layers = Layers::new(params.as_ref(), read, overrides, diagnostics);
        let mut system = Self::from_layers(&layers, diagnostics);
        if let Some(metrics) = params.as_ref().and_then(|params| params.section("metrics")) {
            system.metrics_labels = metrics_labels(metrics, diagnostics);
        }
        if let Some(buffer) = params.as_ref().and_then(|params| params.section("source_only_buffer")) {
            let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
            system.source_only_buffer = buffer.attrs().map(owned).collect();
        }
        system
    }

    /// The settings as a plugin sees them that stands in a `<worker>` of these workers.
    #[must_use]
    pub fn in_workers(&self, workers: RangeInclusive<u32>) -> Self {
        let count = workers.end().saturating_sub(*workers.start()).saturating_add(1);
        Self { workers: count, worker_id: *workers.start(), ..self.clone() }
    }

    fn from_layers(layers: &Layers, diagnostics: &mut Diagnostics) -> Self {
        let origins = layers.origins();
        let mut refuse = |name: &str, message: String| {
            let origin = origins.get(name).map(String::as_str).unwrap_or_default();
            diagnostics.push(Diagnostic::error(message).note(format!("'{name}' comes from {origin}")));
        };
        let workers = layers.int("workers").unwrap_or(1);
        if workers < 1 {
            refuse("workers", format!("invalid number of workers (must be > 0):{workers}"));
        }
        let rotate_age = layers.text("log.rotate_age").and_then(|text| {
            let age = RotateAge::parse(&text);
            if age.is_none() {
                refuse("log.rotate_age", format!("invalid value for Integer(): {text:?}"));
            }
            age
        });
        let log_level = layers.text("log_level").and_then(|text| Level::parse(&text));
        let is_json = layers.text("log.format").as_deref() == Some("json");
        let time_format = layers.text("log.time_format");
        let follows = match layers.text("fluentd_compat").as_deref() {
            Some("1.19") => FluentdVersion::V1_19,
            _ => FluentdVersion::V1_16,
        };
        Self {
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            all_workers: u32::try_from(workers).unwrap_or(u32::MAX),
            worker_id: 0,
            root_dir: layers.text("root_dir").map(PathBuf::from),
            log_level: log_level.unwrap_or(Level::Info),
            ignore_repeated_log_interval: layers.time("ignore_repeated_log_interval"),
            ignore_same_log_interval: layers.time("ignore_same_log_interval"),
            emit_error_log_interval: layers.time("emit_error_log_interval"),
            suppress_config_dump: layers.bool("suppress_config_dump"),
            log_event_verbose: layers.bool("log_event_verbose"),
            without_source: layers.bool("without_source"),
            rpc_endpoint: layers.text("rpc_endpoint"),
            enable_get_dump: layers.bool("enable_get_dump"),
            process_name: layers.text("process_name"),
            strict_config_value: layers.bool("strict_config_value"),
            enable_msgpack_time_support: layers.bool("enable_msgpack_time_support"),
            with_source_only: layers.bool("with_source_only"),
            source_only_buffer: Vec::new(),
            enable_input_metrics: layers
                .opt_bool("enable_input_metrics")
                .unwrap_or(follows >= FluentdVersion::V1_19),
            enable_size_metrics: layers.bool("enable_size_metrics"),
            follows,
            file_permission: layers.text("file_permission").map(|text| mode(&text)),
            dir_permission: layers.text("dir_permission").map(|text| mode(&text)),
            log: LogSection {
                path: layers.text("log.path").map(PathBuf::from),
                format: if is_json { LogFormat::Json } else { LogFormat::Text },
                time_format: time_format.unwrap_or_else(|| LogSection::default().time_format),
                rotate_age,
                rotate_size: layers.int("log.rotate_size").and_then(|size| u64::try_from(size).ok()),
            },
            metrics_labels: Vec::new(),
            program: Program::default(),
            origins,
        }
    }
}

/// `<system>` checked against its table; problems go to `diagnostics`.
fn checked(
    element: &Element,
    read: &dyn Fn(&str) -> Option<String>,
    overrides: &Overrides,
    diagnostics: &mut Diagnostics,
) -> Params {
    let is_strict = |text: &str| bool(text) == Some(true);
    let strict = element.text("strict_config_value").is_some_and(is_strict)
        || read("LOGWEIR_STRICT_CONFIG_VALUE").is_some_and(|text| is_strict(&text))
        || overrides.text("strict_config_value").is_some_and(is_strict);
    let (registry, session) = (Registry::new(&[]), Session::new(strict));
    let mut checker = Checker::new(&registry, &session);
    let params = checker.section(element, &SYSTEM);
    diagnostics.extend(checker.finish());
    for inner in &element.elements {
        if let Some((name, why)) = SECTIONS_WITHOUT_EFFECT.iter().find(|(known, _)| *known == inner.name) {
            let warning = Diagnostic::warning(format!("<{name}> has no effect in Logweir: {why}"));
            diagnostics.push(warning.at(&inner.span));
        }
    }
    params
}

/// Has a `<system>` learn which settings its attributes are.
pub(super) fn declare(element: &mut Element, checker: &mut Checker<'_>) {
    checker.section_in(element, &SYSTEM);
}

fn metrics_labels(metrics: &Params, diagnostics: &mut Diagnostics) -> Vec<(String, String)> {
    if metrics.str("@type") != Some("local") {
        let message = format!("Unknown metrics plugin '{}'", metrics.string("@type"));
        let error = metrics.error("@type", message).class_name("Fluent::NotFoundPluginError");
        diagnostics.push(error.help("Logweir keeps its metrics itself: @type local"));
    }
    let labels = metrics.hash("labels").unwrap_or_default();
    labels.into_iter().map(|(name, value)| (name, super::params::json_text(&value))).collect()
}

/// A mode as Ruby's `to_i(8)` reads it.
fn mode(text: &str) -> u32 {
    let text = text.trim().trim_start_matches("0o");
    text.chars().map_while(|c| c.to_digit(8)).fold(0, |mode: u32, digit| mode.saturating_mul(8) | digit)
        & 0o7777
}

impl RotateAge {
    /// `daily`, `weekly`, `monthly`, or how many files are kept.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "daily" => Self::Daily,
            "weekly" => Self::Weekly,
            "monthly" => Self::Monthly,
            other => Self::Files(u64::try_from(super::number::strict_i(other)?).ok()?),
        })
    }
}

impl Default for System {
    fn default() -> Self {
        Self {
            workers: 1,
            all_workers: 1,
            worker_id: 0,
            root_dir: None,
            log_level: Level::Info,
            ignore_repeated_log_interval: None,
            ignore_same_log_interval: None,
            emit_error_log_interval: None,
            suppress_config_dump: false,
            log_event_verbose: false,
            without_source: false,
            rpc_endpoint: None,
            enable_get_dump: false,
            process_name: None,
            strict_config_value: false,
            enable_msgpack_time_support: false,
            with_source_only: false,
            source_only_buffer: Vec::new(),
            enable_input_metrics: false,
            enable_size_metrics: false,
            follows: FluentdVersion::V1_16,
            file_permission: None,
            dir_permission: None,
            log: LogSection::default(),
            metrics_labels: Vec::new(),
            program: Program::default(),
            origins: BTreeMap::new(),
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            path: None,
            format: LogFormat::Text,
            time_format: "%Y-%m-%d %H:%M:%S %z".to_owned(),
            rotate_age: None,
            rotate_size: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Evaluated, parse_text};

    fn load(text: &str, environment: &[(&str, &str)], overrides: &Overrides) -> (System, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let evaluate = |_: &str| Ok(Evaluated::Nil);
        let document = parse_text("fluent.conf", text, &evaluate, &mut diagnostics);
        let read = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        let system = System::layered(&document, &read, overrides, &mut diagnostics);
        (system, diagnostics)
    }

    fn messages(text: &str) -> Vec<String> {
        let (_, diagnostics) = load(text, &[], &Overrides::new());
        diagnostics.iter().map(|diagnostic| diagnostic.message().to_owned()).collect()
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let (system, diagnostics) = load("", &[], &Overrides::new());
        assert!(diagnostics.is_empty());
        let defaults = System { origins: system.origins.clone(), ..System::default() };
        assert_eq!(format!("{system:?}"), format!("{defaults:?}"));
        assert_eq!(system.origins.get("log_level").map(String::as_str), Some("default"));
        assert_eq!(system.origins.get("root_dir"), None);
    }

    #[test]
    fn the_section_sets_every_kind_of_setting() {
        let (system, diagnostics) = load(
            "<system>\n  workers 2\n  root_dir /x\n  log_level debug\n  suppress_config_dump\n  \
             emit_error_log_interval 1m\n  file_permission 0640\n  dir_permission 0o750\n  <log>\n    format json\n    \
             rotate_age 5\n    rotate_size 1m\n    time_format %s\n  </log>\n  <metrics>\n    labels a:b\n  \
             </metrics>\n</system>\n",
            &[],
            &Overrides::new(),
        );
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
        assert_eq!((system.workers, system.log_level, system.suppress_config_dump), (2, Level::Debug, true));
        assert_eq!(system.root_dir, Some(PathBuf::from("/x")));
        assert_eq!(system.emit_error_log_interval, Some(Duration::from_secs(60)));
        assert_eq!((system.file_permission, system.dir_permission), (Some(0o640), Some(0o750)));
        assert_eq!((system.log.format, system.log.rotate_size), (LogFormat::Json, Some(1 << 20)));
        assert_eq!(
            (system.log.rotate_age, system.log.time_format.as_str()),
            (Some(RotateAge::Files(5)), "%s")
        );
        assert_eq!(system.metrics_labels, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(system.origins.get("workers").map(String::as_str), Some("fluent.conf:2:3"));
        assert_eq!(system.origins.get("log.format").map(String::as_str), Some("fluent.conf:10:5"));
    }

    #[test]
    fn the_command_line_is_over_the_environment_is_over_the_section() {
        let text = "<system>\nlog_level error\nworkers 2\n<log>\nformat json\n</log>\n</system>\n";
        let environment = [("LOGWEIR_LOG_LEVEL", "warn"), ("LOGWEIR_LOG_FORMAT", "text")];
        let (system, _) = load(text, &environment, &Overrides::new());
        assert_eq!((system.log_level, system.workers, system.log.format), (Level::Warn, 2, LogFormat::Text));
        assert_eq!(system.origins.get("log_level").map(String::as_str), Some("LOGWEIR_LOG_LEVEL"));
        let overrides = Overrides::new().with("log_level", "info", "-q").with("log_level", "debug", "-v");
        let (system, _) = load(text, &environment, &overrides);
        assert_eq!(system.log_level, Level::Debug);
        assert_eq!(system.origins.get("log_level").map(String::as_str), Some("-v"));
    }

    #[test]
    fn a_later_fluentd_has_other_defaults() {
        let follows = |text: &str| {
            let (system, diagnostics) = load(text, &[], &Overrides::new());
            assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
            (system.follows, system.enable_input_metrics)
        };
        assert_eq!(follows(""), (FluentdVersion::V1_16, false));
        assert_eq!(follows("<system>\nfluentd_compat 1.19\n</system>"), (FluentdVersion::V1_19, true));
        let both = "<system>\nfluentd_compat 1.19\nenable_input_metrics false\n</system>";
        assert_eq!(follows(both), (FluentdVersion::V1_19, false));
    }

    /// What is declared is asked for; what is asked for is used, which `tests/whole/tables.rs` looks at.
    #[test]
    fn every_setting_is_asked_for() {
        let (_, diagnostics) = load("", &[], &Overrides::new());
        assert!(diagnostics.is_empty());
        let layers = Layers::new(None, &|_| None, &Overrides::new(), &mut Diagnostics::new());
        System::from_layers(&layers, &mut Diagnostics::new());
        // The files of config_include_dir are read before there are settings.
        assert_eq!(layers.never_asked(), ["config_include_dir"]);
    }

    #[test]
    fn mistakes_are_reported_wherever_they_are() {
        assert_eq!(
            messages("<system>\n</system>\n<system>\n</system>\n"),
            ["<system> is duplicated. <system> should be only one"]
        );
        assert_eq!(messages("<system>\nworkers 0\n</system>"), ["invalid number of workers (must be > 0):0"]);
        assert_eq!(
            messages("<system>\nlog_level loud\n</system>"),
            ["valid options are trace,debug,info,warn,error,fatal but got loud"]
        );
        assert_eq!(
            messages("<system>\n<log>\nrotate_age often\n</log>\n</system>"),
            ["invalid value for Integer(): \"often\""]
        );
        assert_eq!(
            messages("<system>\nstrict_config_value true\nworkers 2x\n</system>"),
            ["workers: invalid value for Integer(): \"2x\""]
        );
        let strict = Overrides::new().with("strict_config_value", "true", "--strict-config-value");
        let (_, diagnostics) = load("<system>\nworkers 2x\n</system>", &[], &strict);
        assert!(diagnostics.has_errors());
        assert!(messages("<system>\nworker 2\n</system>")[0].starts_with("parameter 'worker' in <system>"));
        assert_eq!(
            messages("<system>\nenable_jit true\n</system>"),
            ["'enable_jit' has no effect in Logweir: there is no Ruby to compile"]
        );
        let (_, diagnostics) = load("", &[("LOGWEIR_WITHOUT_SOURCE", "maybe")], &Overrides::new());
        assert!(diagnostics.errors().next().unwrap().message().starts_with("LOGWEIR_WITHOUT_SOURCE: "));
        let (_, diagnostics) = load("", &[], &Overrides::new().with("nope", "1", "--nope"));
        assert_eq!(diagnostics.errors().next().unwrap().message(), "--nope: there is no setting 'nope'");
    }
}
