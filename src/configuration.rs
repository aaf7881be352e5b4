//! The configuration on disk: read, checked, built, and read again on a reload.

use crate::cli::{FLUENTD_VERSION, Options};
use crate::plan::Plan;
use crate::settings;
use logweir_engine::config::{
    Diagnostic, Diagnostics, Document, Evaluate, FluentdVersion, Program, System, check_directives,
    parse_file,
};
use logweir_engine::expr::{ConfigurationExpressions, Host};
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::{self, PluginLog, Shown};
use logweir_engine::{log_error, log_info, log_warn};
use std::path::{Path, PathBuf};

/// Fluentd's default path.
pub(crate) const DEFAULT_CONFIG_PATH: &str = "/etc/fluent/fluent.conf";

/// Where the configuration is, how to read it, and what of it runs.
pub(crate) struct Configuration {
    options: Options,
    registry: Registry,
    running: Document,
    candidate: Option<Document>,
}

/// A configuration that is ready to start.
pub(crate) struct Loaded {
    /// Its plugins.
    pub(crate) plan: Plan,
}

impl Configuration {
    /// Reads and builds the configuration that the command line names. Problems are logged; `None` if they forbid a
    /// start.
    pub(crate) fn load(options: Options, registry: Registry) -> Option<(Self, Loaded)> {
        let path = config_path(&options);
        let log = PluginLog::program();
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
        let loaded = build(&document, system, &registry, &path, problems)?;
        Some((Self { options, registry, running: document, candidate: None }, loaded))
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
        let system = system_of(&document, &self.options, path)?;
        let loaded = build(&document, system, &self.registry, path, problems)?;
        self.candidate = Some(document);
        Some(loaded)
    }

    /// What was reloaded last runs now.
    pub(crate) fn accept(&mut self) {
        if let Some(document) = self.candidate.take() {
            self.running = document;
        }
    }

    /// Builds what ran before once more.
    pub(crate) fn previous(&mut self) -> Option<Loaded> {
        self.candidate = None;
        let path = config_path(&self.options);
        let system = system_of(&self.running, &self.options, &path)?;
        build(&self.running, system, &self.registry, &path, Diagnostics::new())
    }
}

/// Parses the file that the options name, and what `-i` appends.
pub(crate) fn read(path: &Path, options: &Options) -> (Document, Diagnostics) {
    let evaluate = ConfigurationExpressions::new(Host::process(Some(0)));
    let (document, problems) = parse(path, options, &evaluate);
    let (system, _) = settings::system(&document, options);
    // How JSON is read depends on what is read.
    match system.follows >= FluentdVersion::V1_19 {
        true => parse(path, options, &evaluate.and_in_json(true)),
        false => (document, problems),
    }
}

fn parse(path: &Path, options: &Options, evaluate: &dyn Evaluate) -> (Document, Diagnostics) {
    let mut problems = Diagnostics::new();
    let document = parse_file(path, &settings::parse_options(options), evaluate, &mut problems);
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

fn build(
    document: &Document,
    system: System,
    registry: &Registry,
    path: &Path,
    mut problems: Diagnostics,
) -> Option<Loaded> {
    let (plan, found) = Plan::build(&document.root, system, registry);
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
