//! From the command line to what the engine wants: how to read a configuration, process-wide settings, the log.

use crate::cli::Options;
use logweir_engine::config::{Diagnostic, Document, Format, ParseOptions, RotateAge, System};
use logweir_engine::telemetry::{Level, LogSettings, Rotation};

/// How to read the configuration.
pub fn parse_options(options: &Options) -> ParseOptions {
    let format = match options.config_file_type.as_deref() {
        Some("yaml" | "yml") => Format::Yaml,
        Some("v1") => Format::Fluentd,
        _ => Format::Guess,
    };
    ParseOptions { format, inline: options.inline_config.clone() }
}

/// Process-wide settings: defaults, then `<system>`, then the environment, then the command line.
pub fn system(document: &Document, options: &Options) -> Result<System, Diagnostic> {
    let mut system = System::load(document)?;
    if let Some(workers) = options.workers {
        system.workers = workers;
    }
    if let Some(seconds) = options.emit_error_log_interval {
        system.emit_error_log_interval = Some(std::time::Duration::from_secs(seconds));
    }
    if let Some(enabled) = options.enable_input_metrics {
        system.enable_input_metrics = enabled;
    }
    system.without_source |= options.without_source;
    system.strict_config_value |= options.strict_config_value;
    system.suppress_config_dump |= options.suppress_config_dump;
    system.log_event_verbose |= options.log_event_verbose;
    system.enable_size_metrics |= options.enable_size_metrics;
    system.log_level = level(system.log_level, options.verbosity);
    Ok(system)
}

/// Where and how Logweir logs.
pub fn log_settings(system: &System, options: &Options) -> LogSettings {
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
        path: options.log_path.clone().or_else(|| system.log.path.clone()).filter(|path| path.as_os_str() != "-"),
        rotation: Rotation::from_settings(age.as_deref(), size),
        ignore_repeated_interval: system.ignore_repeated_log_interval,
        ignore_same_interval: system.ignore_same_log_interval,
        worker_prefix: true,
    }
}

/// `-v` and `-q` count from `info`, and win over `<system>`.
fn level(configured: Level, verbosity: i32) -> Level {
    match verbosity {
        0 => configured,
        ..=-2 => Level::Error,
        -1 => Level::Warn,
        1 => Level::Debug,
        2.. => Level::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_counts_from_info() {
        assert_eq!(level(Level::Error, 1), Level::Debug);
        assert_eq!(level(Level::Error, 0), Level::Error);
        assert_eq!(level(Level::Info, -3), Level::Error);
        assert_eq!(level(Level::Info, 5), Level::Trace);
    }
}
