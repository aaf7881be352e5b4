//! Every option of `fluentd --help` (1.16.5, and what 1.19 added), and every setting of `<system>`: done, or said why not.

use super::{Command, Options, parse};
use crate::settings;
use logweir_engine::config::{Diagnostics, Format};
use logweir_engine::config::{Evaluated, ParseOptions, System, parse_text};
use logweir_engine::telemetry::{Level, Rotation};
use std::ffi::OsString;
use std::time::Duration;

/// What becomes of an option.
enum Becomes {
    /// A run whose options are as they should be.
    Option(fn(&Options) -> bool),
    /// A run whose settings are as they should be.
    Setting(fn(&System) -> bool),
    /// A run that warns of an option without effect.
    Ignored(&'static str),
    /// Another command.
    Command(fn(&Command) -> bool),
    /// An error that says this.
    Refused(&'static str),
}
use Becomes::{Command as Does, Ignored, Option as Opt, Refused, Setting};

#[rustfmt::skip] // a table
const OPTIONS: &[(&str, Becomes)] = &[
    ("-s", Does(|c| *c == Command::Setup("/etc/fluent".into()))),
    ("-s dir", Does(|c| *c == Command::Setup("dir".into()))),
    ("--setup dir", Does(|c| *c == Command::Setup("dir".into()))),
    ("--setup=dir", Does(|c| *c == Command::Setup("dir".into()))),
    ("-c a.conf", Opt(|o| o.config_path == Some("a.conf".into()))),
    ("--config a.conf", Opt(|o| o.config_path == Some("a.conf".into()))),
    ("--dry-run", Does(|c| matches!(c, Command::Check(_)))),
    ("--show-plugin-config=input:tail", Does(|c| matches!(c, Command::ShowPlugin { name, .. } if name == "input:tail"))),
    ("-p dir", Ignored("-p")),
    ("--plugin dir", Ignored("--plugin")),
    ("-I lib", Ignored("-I")),
    ("-r name", Ignored("-r")),
    ("-d pid", Opt(|o| o.daemonize == Some("pid".into()))),
    ("--daemon pid", Opt(|o| o.daemonize == Some("pid".into()))),
    ("--under-supervisor", Ignored("--under-supervisor")),
    ("--no-supervisor", Opt(|o| o.no_supervisor)),
    ("--workers 3", Setting(|s| s.workers == 3)),
    ("--user u", Opt(|o| o.user.as_deref() == Some("u"))),
    ("--group g", Opt(|o| o.group.as_deref() == Some("g"))),
    ("--umask 027", Opt(|o| o.umask.as_deref() == Some("027"))),
    ("-o log", Opt(|o| log(o).0.as_deref() == Some("log"))),
    ("--log log", Opt(|o| log(o).0.as_deref() == Some("log"))),
    ("--log-rotate-age 7", Opt(|o| log(o).1 == Some(Rotation::Size { bytes: 1_048_576, keep: 7 }))),
    ("--log-rotate-age daily", Opt(|o| matches!(log(o).1, Some(Rotation::Period(_))))),
    ("--log-rotate-age often", Refused("daily, weekly, monthly or a number")),
    ("--log-rotate-size 100", Opt(|o| log(o).1 == Some(Rotation::Size { bytes: 100, keep: 5 }))),
    ("--log-event-verbose", Setting(|s| s.log_event_verbose)),
    ("-i text", Opt(|o| settings::parse_options(o).inline.as_deref() == Some("text"))),
    ("--inline-config text", Opt(|o| o.inline_config.as_deref() == Some("text"))),
    ("--emit-error-log-interval 5", Setting(|s| s.emit_error_log_interval == Some(Duration::from_secs(5)))),
    ("--suppress-repeated-stacktrace", Ignored("--suppress-repeated-stacktrace")),
    ("--suppress-repeated-stacktrace false", Ignored("--suppress-repeated-stacktrace")),
    ("--suppress-repeated-stacktrace=true", Ignored("--suppress-repeated-stacktrace")),
    ("--suppress-repeated-stacktrace maybe", Refused("invalid argument")),
    ("--without-source", Setting(|s| s.without_source)),
    ("--with-source-only", Setting(|s| s.with_source_only)),
    ("--config-file-type yaml", Opt(|o| format(o) == Format::Yaml)),
    ("--config-file-type yml", Opt(|o| format(o) == Format::Yaml)),
    ("--config-file-type guess", Opt(|o| format(o) == Format::Guess)),
    ("--config-file-type toml", Refused("yaml/yml or guess")),
    ("--use-v1-config", Opt(|o| format(o) == Format::Fluentd)),
    ("--use-v0-config", Refused("v0 configuration format is not supported")),
    ("--strict-config-value", Setting(|s| s.strict_config_value)),
    ("--enable-input-metrics", Setting(|s| s.enable_input_metrics)),
    ("--disable-input-metrics", Setting(|s| !s.enable_input_metrics)),
    ("--enable-size-metrics", Setting(|s| s.enable_size_metrics)),
    ("-v", Setting(|s| s.log_level == Level::Debug)),
    ("-vv", Setting(|s| s.log_level == Level::Trace)),
    ("--verbose", Setting(|s| s.log_level == Level::Debug)),
    ("-q", Setting(|s| s.log_level == Level::Warn)),
    ("-qq", Setting(|s| s.log_level == Level::Error)),
    ("--quiet", Setting(|s| s.log_level == Level::Warn)),
    ("--suppress-config-dump", Setting(|s| s.suppress_config_dump)),
    ("-g Gemfile", Ignored("-g")),
    ("--gemfile Gemfile", Ignored("--gemfile")),
    ("-G dir", Ignored("-G")),
    ("--gem-path dir", Ignored("--gem-path")),
    ("--conf-encoding utf-8", Opt(|_| true)),
    ("--conf-encoding shift_jis", Refused("only UTF-8 configurations are read")),
    ("--disable-shared-socket", Ignored("--disable-shared-socket")),
    ("-x name", Refused("Windows")),
    ("--signame name", Refused("Windows")),
    ("--reg-winsvc i", Refused("Windows")),
    ("--reg-winsvc-auto-start", Refused("Windows")),
    ("--no-reg-winsvc-auto-start", Refused("Windows")),
    ("--reg-winsvc-delay-start", Refused("Windows")),
    ("--reg-winsvc-fluentdopt o", Refused("Windows")),
    ("--winsvc-name n", Refused("Windows")),
    ("--winsvc-display-name n", Refused("Windows")),
    ("--winsvc-desc d", Refused("Windows")),
    ("-h", Does(|c| *c == Command::Help)),
    ("--help", Does(|c| *c == Command::Help)),
    ("--version", Does(|c| *c == Command::Version)),
];

/// `(what <system> holds, a word of the warning; none if it has an effect)`
#[rustfmt::skip] // a table
const SYSTEM: &[(&str, &str)] = &[
    ("workers 2", ""), ("restart_worker_interval 1", "no worker processes"), ("root_dir /d", ""), ("log_level warn", ""),
    ("suppress_repeated_stacktrace true", "no stack traces"), ("ignore_repeated_log_interval 1", ""),
    ("ignore_same_log_interval 1", ""), ("emit_error_log_interval 1", ""), ("suppress_config_dump true", ""),
    ("log_event_verbose true", ""), ("without_source true", ""), ("with_source_only true", ""),
    ("rpc_endpoint 127.0.0.1:1", ""), ("enable_get_dump true", ""), ("process_name p", ""), ("strict_config_value true", ""),
    ("enable_msgpack_time_support true", ""), ("disable_shared_socket true", "one process"),
    ("enable_input_metrics true", ""), ("enable_size_metrics true", ""), ("enable_jit true", "no Ruby to compile"),
    ("file_permission 0640", ""), ("dir_permission 0750", ""), ("config_include_dir \"\"", ""),
    ("<log>\npath l\nformat json\ntime_format %s\nrotate_age 3\nrotate_size 1m\n</log>", ""),
    ("<log>\nforced_stacktrace_level warn\n</log>", "no stack traces"),
    ("<counter_server>\nscope s\nbackup_path b\n</counter_server>", "no plugin of Logweir counts"),
    ("<counter_client>\nhost h\n</counter_client>", "no plugin of Logweir counts"),
    ("<metrics>\n@type local\nlabels a:b\n</metrics>", ""),
    ("<source_only_buffer>\nflush_thread_count 2\noverflow_action block\npath p\nflush_interval 1\nchunk_limit_size 1m\n\
      total_limit_size 1g\ncompress gzip\n</source_only_buffer>", ""),
];

#[test]
fn every_option_of_fluentd_is_done_or_said_why_not() {
    for (line, becomes) in OPTIONS {
        let parsed = parse(line.split(' ').map(OsString::from));
        match (becomes, parsed) {
            (Refused(why), Err(error)) => assert!(error.0.contains(why), "{line}: {error}"),
            (Does(is_right), Ok(command)) => assert!(is_right(&command), "{line}: {command:?}"),
            (Opt(is_right), Ok(Command::Run(options))) => assert!(is_right(&options), "{line}: {options:?}"),
            (Setting(is_right), Ok(Command::Run(options))) => {
                let (system, problems) = settings::system(&document(""), &options);
                assert!(problems.is_empty() && is_right(&system), "{line}: {system:?}");
            }
            (Ignored(name), Ok(Command::Run(options))) => {
                assert!(
                    matches!(options.ignored.as_slice(), [(option, _)] if option == name),
                    "{line}: {options:?}"
                );
            }
            (_, other) => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn every_setting_of_system_has_an_effect_or_a_warning() {
    for (inside, warns) in SYSTEM {
        let (_, problems) =
            settings::system(&document(&format!("<system>\n{inside}\n</system>\n")), &Options::default());
        let found: Vec<_> = problems.iter().map(|problem| problem.message().to_owned()).collect();
        match *warns {
            "" => assert!(found.is_empty(), "{inside}: {found:?}"),
            word => assert!(found.len() == 1 && found[0].contains(word), "{inside}: {found:?}"),
        }
    }
}

fn document(text: &str) -> logweir_engine::config::Document {
    parse_text("t", text, &|_: &str| Ok(Evaluated::Nil), &mut Diagnostics::new())
}

/// Path and rotation of the log.
fn log(options: &Options) -> (Option<String>, Option<Rotation>) {
    let (system, _) = settings::system(&document(""), options);
    let log = settings::log_settings(&system, options);
    (log.path.map(|path| path.display().to_string()), log.rotation)
}

fn format(options: &Options) -> Format {
    let ParseOptions { format, .. } = settings::parse_options(options);
    format
}
