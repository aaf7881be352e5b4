//! From the command line to what the engine wants: how to read a configuration, process-wide settings, the log.

use crate::cli::Options;
use logweir_engine::config::{Diagnostics, Document, Format, Overrides, ParseOptions, RotateAge, System};
use logweir_engine::telemetry::{Level, LogSettings, Rotation};
use std::path::PathBuf;

/// How to read the configuration.
pub(crate) fn parse_options(options: &Options) -> ParseOptions {
    let format = match options.config_file_type.as_deref() {
        Some("yaml" | "yml") => Format::Yaml,
        Some("v1") => Format::Fluentd,
        _ => Format::Guess,
    };
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    ParseOptions {
        format,
        inline: options.inline_config.clone(),
        include_dir: variable("LOGWEIR_CONFIG_INCLUDE_DIR"),
        include_dir_default: variable("FLUENT_CONF_INCLUDE_DIR"),
    }
}

/// Process-wide settings: defaults, then `<system>`, then the environment (`LOGWEIR_*`), then the command line.
pub(crate) fn system(document: &Document, options: &Options) -> (System, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let read = |name: &str| std::env::var(name).ok();
    let system = System::layered(document, &read, &overrides(options), &mut diagnostics);
    (system, diagnostics)
}

/// What the command line says about settings.
fn overrides(options: &Options) -> Overrides {
    let switches = [
        ("without_source", options.without_source, "--without-source"),
        ("with_source_only", options.with_source_only, "--with-source-only"),
        ("strict_config_value", options.strict_config_value, "--strict-config-value"),
        ("suppress_config_dump", options.suppress_config_dump, "--suppress-config-dump"),
        ("log_event_verbose", options.log_event_verbose, "--log-event-verbose"),
        ("enable_size_metrics", options.enable_size_metrics, "--enable-size-metrics"),
    ];
    let mut overrides = Overrides::new();
    for (name, _, option) in switches.into_iter().filter(|(_, is_set, _)| *is_set) {
        overrides = overrides.with(name, "true", option);
    }
    if let Some(workers) = options.workers {
        overrides = overrides.with("workers", workers.to_string(), "--workers");
    }
    if let Some(seconds) = options.emit_error_log_interval {
        overrides =
            overrides.with("emit_error_log_interval", seconds.to_string(), "--emit-error-log-interval");
    }
    if let Some(enabled) = options.enable_input_metrics {
        overrides = overrides.with("enable_input_metrics", enabled.to_string(), "--enable-input-metrics");
    }
    match level(options.verbosity) {
        Some(level) => overrides.with("log_level", level.as_str(), "-v or -q"),
        None => overrides,
    }
}

/// Where and how Logweir logs.
pub(crate) fn log_settings(system: &System, options: &Options) -> LogSettings {
    let age = options.log_rotate_age.clone().or_else(|| {
        system.log.rotate_age.map(|age| match age {
            RotateAge::Daily => "daily".to_owned(),
            RotateAge::Weekly => "weekly".to_owned(),
            RotateAge::Monthly => "monthly".to_owned(),
            RotateAge::Files(count) => count.to_string(),
        })
    });
    let size = options.log_rotate_size.or(system.log.rotate_size);
    LogSettings {
        level: system.log_level,
        format: system.log.format,
        time_format: system.log.time_format.clone(),
        path: options
            .log_path
            .clone()
            .or_else(|| system.log.path.clone())
            .filter(|path| path.as_os_str() != "-"),
        rotation: Rotation::from_settings(age.as_deref(), size),
        ignore_repeated_interval: system.ignore_repeated_log_interval,
        ignore_same_interval: system.ignore_same_log_interval,
        worker_prefix: true,
    }
}

/// `-v` and `-q` count from `info`, and win over `<system>`.
fn level(verbosity: i32) -> Option<Level> {
    Some(match verbosity {
        0 => return None,
        ..=-2 => Level::Error,
        -1 => Level::Warn,
        1 => Level::Debug,
        2.. => Level::Trace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::config::{Evaluated, parse_text};

    #[test]
    fn verbosity_counts_from_info() {
        assert_eq!(level(1), Some(Level::Debug));
        assert_eq!(level(0), None);
        assert_eq!(level(-3), Some(Level::Error));
        assert_eq!(level(5), Some(Level::Trace));
    }

    #[test]
    fn options_win_over_the_section() {
        let text = "<system>\nlog_level error\nworkers 2\nsuppress_config_dump false\n</system>\n";
        let document = parse_text("t", text, &|_: &str| Ok(Evaluated::Nil), &mut Diagnostics::new());
        let options = Options { verbosity: 1, suppress_config_dump: true, ..Options::default() };
        let (system, problems) = system(&document, &options);
        assert!(problems.is_empty());
        assert_eq!((system.log_level, system.workers, system.suppress_config_dump), (Level::Debug, 2, true));
        assert_eq!(system.origins.get("log_level").map(String::as_str), Some("-v or -q"));
    }
}
