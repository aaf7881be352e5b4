//! `logweir check --migrate FILE`: what of a Fluentd configuration runs here as it is, what differently, and what does not, with
//! what to use instead. Exit status 0: everything as it is; 3: all of it, some differently; 1: some does not run.

mod differences;
mod report;

use crate::cli::Options;
use crate::configuration::{config_path, read};
use crate::plan::Plan;
use crate::settings;
use logweir_engine::config::{Diagnostics, Document, check_directives};
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::prometheus::MetricRegistry;
use logweir_engine::telemetry::{self, Level};
use report::Report;
use std::process::ExitCode;

/// Exit status of a configuration that runs, some of it differently.
const DIFFERENTLY: u8 = 3;

pub(crate) fn migrate(options: &Options, registry: &Registry) -> ExitCode {
    let path = config_path(options);
    let (document, mut problems) = read(&path, options);
    if problems.has_errors() {
        problems.extend(check_directives(&document.root, options.strict_config_value, registry));
    } else {
        problems.extend(build(&document, options, registry));
    }
    let report = Report::new(&document, &problems);
    print!("{report}");
    match (report.failures(), report.differences()) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(DIFFERENTLY),
        _ => ExitCode::FAILURE,
    }
}

/// What a start would say, short of starting.
fn build(document: &Document, options: &Options, registry: &Registry) -> Diagnostics {
    let (system, mut problems) = settings::system(document, options);
    // Plugins log while they are built; the report is no log.
    let mut log = settings::log_settings(&system, options);
    (log.level, log.path) = (Level::Fatal, None);
    if telemetry::configure(log).is_err() || problems.has_errors() {
        return problems;
    }
    let (_, found) = Plan::build(&document.root, system, registry, &MetricRegistry::default());
    problems.extend(found);
    problems
}
