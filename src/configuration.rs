//! The configuration on disk: read, checked, built, and read again on a reload.

use crate::cli::{FLUENTD_VERSION, Options};
use crate::plan::Plan;
use crate::settings;
use logweir_engine::config::{
    Diagnostic, Diagnostics, Document, Evaluate, FluentdVersion, ParseOptions, Program, System,
    check_directives, parse_file,
};
use logweir_engine::expr::{ConfigurationExpressions, Host};
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::prometheus::MetricRegistry;
use logweir_engine::telemetry::{self, PluginLog, Shown};
use logweir_engine::{log_error, log_info, log_warn};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Fluentd's default path.
pub(crate) const DEFAULT_CONFIG_PATH: &str = "/etc/fluent/fluent.conf";
/// The default of `config_include_dir` from Fluentd 1.19 on.
const INCLUDE_DIR: &str = "/etc/fluent/conf.d";

/// Where the configuration is, how to read it, and what of it runs.
pub(crate) struct Configuration {
    options: Options,
    registry: Registry,
    running: Document,
    /// The metrics of what runs: the next configuration counts on.
    metrics: Arc<MetricRegistry>,
    candidate: Option<(Document, Arc<MetricRegistry>)>,
    /// SIGWINCH has ended with_source_only: a reload does not begin it again.
    has_left_source_only: bool,
}

/// A configuration that is ready to start.
pub(crate) struct Loaded {
    /// Its plugins.
    pub(crate) plan: Plan,
}

impl Configuration {
    /// Reads and builds the configuration that the command line names. Problems are logged; `None` if they forbid a
    /// start.
    pub(crate) fn load(mut options: Options, registry: Registry) -> Option<(Self, Loaded)> {
        let path = config_path(&options);
        let log = PluginLog::program();
        if options.inline_config.as_deref() == Some("-") {
            log_warn!(
                log,
                "the value \"-\" for `inline_config` is deprecated; it is read from standard input"
            );
            match std::io::read_to_string(std::io::stdin()) {
                Ok(text) => options.inline_config = Some(text),
                Err(error) => {
                    log_error!(log, "cannot read the inline config", error = error.to_string());
                    return None;
                }
            }
        }
        let (document, mut problems) = read(&path, &options);
        if problems.has_errors() {
            problems.extend(check_directives(&document.root, options.strict_config_value, &registry));
            report(&problems, &path);
            return None;
        }
        let system = system_of(&document, &options, &path)?;
        if let Err(error) = telemetry::configure(settings::log_settings(&system, &options)) {
            log_error!(log, "cannot open the log file", error = error.to_string());
            return None;
        }
        log_info!(log, "parsing config file is succeeded", path = path);
        for (option, reason) in &options.ignored {
            log_warn!(log, format!("{option} is ignored: {reason}"));
        }
        if let Err(problem) = check_surroundings(&system, &options) {
            log_error!(
                log,
                "config error",
                file = path,
                error_class = Shown(problem.class()),
                error = problem.message()
            );
            return None;
        }
        let loaded = build(&document, system, &registry, &path, problems, &MetricRegistry::default())?;
        let metrics = Arc::clone(&loaded.plan.metrics);
        let (running, has_left_source_only) = (document, false);
        Some((Self { options, registry, running, metrics, candidate: None, has_left_source_only }, loaded))
    }

    /// Prints the configuration as Fluentd does at its start, secrets masked.
    pub(crate) fn log_dump(&self) {
        log_info!(PluginLog::program(), format!("using configuration file: {}", self.dump()));
    }

    /// The configuration that runs, as Fluentd prints it, secrets masked.
    pub(crate) fn dump(&self) -> String {
        self.running.root.dump(&self.registry)
    }

    /// Reads and builds the files again. Problems are logged; `None` leaves what runs as it is.
    pub(crate) fn reload(&mut self) -> Option<Loaded> {
        let path = config_path(&self.options);
        let loaded = self.try_reload(&path);
        if loaded.is_none() {
            log_error!(
                PluginLog::program(),
                "failed to reload config: the running configuration stays",
                file = path
            );
        }
        loaded
    }

    fn try_reload(&mut self, path: &Path) -> Option<Loaded> {
        let (document, problems) = read(path, &self.options);
        if problems.has_errors() {
            report(&problems, path);
            return None;
        }
        let system = self.system_of(&document, path)?;
        let loaded = build(&document, system, &self.registry, path, problems, &self.metrics)?;
        self.candidate = Some((document, Arc::clone(&loaded.plan.metrics)));
        Some(loaded)
    }

    /// Outputs run from now on, whatever with_source_only says.
    pub(crate) fn leave_source_only(&mut self) {
        self.has_left_source_only = true;
    }

    fn system_of(&self, document: &Document, path: &Path) -> Option<System> {
        let mut system = system_of(document, &self.options, path)?;
        system.with_source_only &= !self.has_left_source_only;
        Some(system)
    }

    /// What was reloaded last runs now.
    pub(crate) fn accept(&mut self) {
        if let Some((document, metrics)) = self.candidate.take() {
            (self.running, self.metrics) = (document, metrics);
        }
    }

    /// Builds what ran before once more.
    pub(crate) fn previous(&mut self) -> Option<Loaded> {
        self.candidate = None;
        let path = config_path(&self.options);
        let system = self.system_of(&self.running, &path)?;
        let loaded = build(&self.running, system, &self.registry, &path, Diagnostics::new(), &self.metrics)?;
        self.metrics = Arc::clone(&loaded.plan.metrics);
        Some(loaded)
    }
}

/// Parses the file that the options name, and what `-i` appends.
pub(crate) fn read(path: &Path, options: &Options) -> (Document, Diagnostics) {
    let evaluate = ConfigurationExpressions::new(Host::process(Some(0)));
    let how = settings::parse_options(options);
    let (document, problems) = parse(path, &how, &evaluate);
    let (system, _) = settings::system(&document, options);
    // How JSON is read and which files are read depends on what is read.
    match system.follows >= FluentdVersion::V1_19 {
        true => parse(path, &with_include_dir(how, INCLUDE_DIR), &evaluate.and_in_json(true)),
        false => (document, problems),
    }
}

/// Has `dir` read, if it is there, where nobody names another folder.
fn with_include_dir(mut how: ParseOptions, dir: impl Into<PathBuf>) -> ParseOptions {
    let dir = Some(dir.into()).filter(|dir| dir.is_dir());
    how.include_dir_default = how.include_dir_default.or(dir);
    how
}

fn parse(path: &Path, how: &ParseOptions, evaluate: &dyn Evaluate) -> (Document, Diagnostics) {
    let mut problems = Diagnostics::new();
    let document = parse_file(path, how, evaluate, &mut problems);
    (document, problems)
}

/// The path of the configuration: `-c`, `$FLUENT_CONF`, Fluentd's default.
pub(crate) fn config_path(options: &Options) -> PathBuf {
    let from_env = || std::env::var_os("FLUENT_CONF").map(PathBuf::from);
    options.config_path.clone().or_else(from_env).unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG_PATH))
}

/// The process-wide settings of a document; problems with them are logged and forbid a start.
fn system_of(document: &Document, options: &Options, path: &Path) -> Option<System> {
    let (mut system, problems) = settings::system(document, options);
    system.program = Program {
        version: FLUENTD_VERSION,
        config_path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        pid_file: options.daemonize.clone(),
        log_path: options.log_path.clone().or_else(|| system.log.path.clone()),
    };
    report(&problems, path);
    (!problems.has_errors()).then_some(system)
}

/// What Fluentd's supervisor looks at before any plugin is configured.
fn check_surroundings(system: &System, options: &Options) -> Result<(), Diagnostic> {
    if options.no_supervisor && system.workers != 1 {
        return Err(Diagnostic::error(format!(
            "invalid number of workers (must be 1 or unspecified) with --no-supervisor: {}",
            system.workers
        )));
    }
    match &system.root_dir {
        Some(root) if root.exists() && !root.is_dir() => {
            let message = format!("non directory entry exists:{}", root.display());
            Err(Diagnostic::error(message).class_name("Fluent::InvalidRootDirectory"))
        }
        _ => Ok(()),
    }
}

fn build(
    document: &Document,
    system: System,
    registry: &Registry,
    path: &Path,
    mut problems: Diagnostics,
    metrics: &MetricRegistry,
) -> Option<Loaded> {
    let (plan, found) = Plan::build(&document.root, system, registry, metrics);
    problems.extend(found);
    report(&problems, path);
    Some(Loaded { plan: plan.filter(|_| !problems.has_errors())? })
}

/// Each problem as one log line in Fluentd's words, followed by its place in the file.
fn report(problems: &Diagnostics, path: &Path) {
    let log = PluginLog::program();
    for problem in problems.iter() {
        if problem.is_error() {
            log_error!(
                log,
                "config error",
                file = path,
                error_class = Shown(problem.class()),
                error = problem.fluentd_message()
            );
        } else {
            log_warn!(log, problem.fluentd_message());
        }
        if let Some(excerpt) = excerpt(problem) {
            telemetry::print_raw(excerpt.as_bytes());
        }
    }
}

fn excerpt(problem: &Diagnostic) -> Option<String> {
    problem.span().map(|_| format!("{}\n", problem.render(false)))
}

/// Fluentd's line for a dry run and for a start.
pub(crate) fn starting_message(dry_run: bool) -> String {
    if dry_run {
        format!("starting fluentd-{FLUENTD_VERSION} as dry run mode")
    } else {
        format!("starting fluentd-{FLUENTD_VERSION}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_include_dir_is_read_if_it_is_there_and_no_other_is_named() {
        let dir = std::env::temp_dir();
        let read = |named: Option<&str>, dir: &Path| {
            let how =
                ParseOptions { include_dir_default: named.map(PathBuf::from), ..ParseOptions::default() };
            with_include_dir(how, dir).include_dir_default
        };
        assert_eq!(read(None, &dir), Some(dir.clone()));
        assert_eq!(read(None, &dir.join("no such folder of logweir")), None);
        assert_eq!(read(Some("/named"), &dir), Some("/named".into()));
        assert_eq!(read(Some(""), &dir), Some("".into()));
    }
}
