//! Arguments to values. Later options win over earlier ones, as in Fluentd.

use super::{BufferCommand, QueryOptions, StoreOptions};
use crate::tools::{Form, Shape};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run a configuration.
    Run(Box<Options>),
    /// `check FILE`, or `--dry-run`.
    Check(Box<Options>),
    /// `check --migrate FILE`: what of a Fluentd configuration runs here.
    Migrate(Box<Options>),
    /// `buffer list|cat|export`: look at file buffers.
    Buffer(BufferCommand),
    /// `config FILE [--json]`: print the parse tree.
    ShowConfig {
        /// The file.
        file: PathBuf,
        /// As JSON rather than as Fluentd's dump.
        json: bool,
        /// `--show-secrets`: passwords and keys are not masked.
        show_secrets: bool,
    },
    /// `--show-plugin-config=input:tail`, or `doc input:tail`.
    ShowPlugin {
        /// `KIND:PLUGIN`, or a plugin of whatever kind.
        name: String,
        /// One of the forms of fluent-plugin-config-format.
        form: Option<Form>,
    },
    /// `doc --all DIR`: write the reference pages.
    Reference(PathBuf),
    /// `--setup DIR`: install a sample configuration.
    Setup(PathBuf),
    /// `store`: the embedded store, in this process.
    Store(StoreOptions),
    /// `query`: ask the store or a server.
    Query(QueryOptions),
    /// `--version`
    Version,
    /// `--help`
    Help,
}

/// Options of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-c`; without it `$FLUENT_CONF`, then `/etc/fluent/fluent.conf`.
    pub config_path: Option<PathBuf>,
    /// `--config-file-type`: `yaml`, `yml`, `guess`, `v1`.
    pub config_file_type: Option<String>,
    /// `-i`, text appended to the configuration.
    pub inline_config: Option<String>,
    /// `-o`
    pub log_path: Option<PathBuf>,
    /// `--log-rotate-age`
    pub log_rotate_age: Option<String>,
    /// `--log-rotate-size`, bytes.
    pub log_rotate_size: Option<u64>,
    /// `-v` minus `-q`.
    pub verbosity: i32,
    /// `-d PIDFILE`
    pub daemonize: Option<PathBuf>,
    /// `--no-supervisor`
    pub no_supervisor: bool,
    /// `--workers`
    pub workers: Option<u32>,
    /// `--user`
    pub user: Option<String>,
    /// `--group`
    pub group: Option<String>,
    /// `--umask`, octal.
    pub umask: Option<String>,
    /// `--emit-error-log-interval`, seconds.
    pub emit_error_log_interval: Option<u64>,
    /// `--without-source`
    pub without_source: bool,
    /// `--with-source-only`
    pub with_source_only: bool,
    /// `--strict-config-value`
    pub strict_config_value: bool,
    /// `--suppress-config-dump`
    pub suppress_config_dump: bool,
    /// `--log-event-verbose`
    pub log_event_verbose: bool,
    /// `--enable-input-metrics` / `--disable-input-metrics`
    pub enable_input_metrics: Option<bool>,
    /// `--enable-size-metrics`
    pub enable_size_metrics: bool,
    /// Options that are understood but do nothing here, with the reason.
    pub ignored: Vec<(String, &'static str)>,
}

/// What is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

const WINDOWS_ONLY: &str = "is for Windows services: Logweir runs on Linux, where systemd starts it";
const RUBY_ONLY: &str = "Logweir's plugins are built in; Ruby plugins and libraries are not loaded";

/// Parses arguments (without the program's name).
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    match args.first().and_then(|word| word.to_str()) {
        Some("run") => parse_run(&args[1..]),
        Some("check") => parse_check(&args[1..]),
        Some("config") => parse_show_config(&args[1..]),
        Some("query") => super::query::parse(&args[1..]),
        Some("store") => super::store::parse(&args[1..]),
        Some("buffer") => super::buffer::parse(&args[1..]),
        Some("doc") if args.get(1).is_some_and(|word| word == "--all") => match args.get(2) {
            Some(dir) => Ok(Command::Reference(dir.into())),
            None => Err(UsageError("doc --all needs a directory".to_owned())),
        },
        Some("doc") => parse_doc(&args[1..]),
        _ => parse_run(&args),
    }
}

fn parse_run(args: &[OsString]) -> Result<Command, UsageError> {
    let mut options = Options::default();
    let mut dry_run = false;
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('c') | Long("config") => options.config_path = Some(parser.value()?.into()),
            Short('s') | Long("setup") => {
                let dir = optional_word(&mut parser).unwrap_or_else(|| "/etc/fluent".into());
                return Ok(Command::Setup(dir.into()));
            }
            Short('V') | Long("version") => return Ok(Command::Version),
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("show-plugin-config") => {
                return Ok(Command::ShowPlugin { name: parser.value()?.string()?, form: None });
            }
            Long("dry-run") => dry_run = true,
            Short('d') | Long("daemon") => options.daemonize = Some(parser.value()?.into()),
            Long("under-supervisor") => {
                options
                    .ignored
                    .push(("--under-supervisor".into(), "there is one process, without a supervisor"));
            }
            Long("no-supervisor") => options.no_supervisor = true,
            Long("workers") => options.workers = Some(parser.value()?.parse()?),
            Long("user") => options.user = Some(parser.value()?.string()?),
            Long("group") => options.group = Some(parser.value()?.string()?),
            Long("umask") => options.umask = Some(parser.value()?.string()?),
            Short('o') | Long("log") => options.log_path = Some(parser.value()?.into()),
            Long("log-rotate-age") => options.log_rotate_age = Some(rotate_age(parser.value()?.string()?)?),
            Long("log-rotate-size") => options.log_rotate_size = Some(parser.value()?.parse()?),
            Long("log-event-verbose") => options.log_event_verbose = true,
            Short('i') | Long("inline-config") => options.inline_config = Some(parser.value()?.string()?),
            Long("emit-error-log-interval") => {
                options.emit_error_log_interval = Some(parser.value()?.parse()?)
            }
            Long("suppress-repeated-stacktrace") => {
                if let Some(word) = optional_word(&mut parser) {
                    bool_word(&word.string()?)?;
                }
                options
                    .ignored
                    .push(("--suppress-repeated-stacktrace".into(), "Logweir logs no stack traces"));
            }
            Long("without-source") => options.without_source = true,
            Long("with-source-only") => options.with_source_only = true,
            Long("config-file-type") => {
                options.config_file_type = Some(config_file_type(parser.value()?.string()?)?)
            }
            Long("use-v1-config") => options.config_file_type = Some("v1".to_owned()),
            Long("use-v0-config") => {
                let hint = "the v0 configuration format is not supported; the v1 format has been Fluentd's default \
                            since 2015 (see `logweir check`)";
                return Err(UsageError(hint.to_owned()));
            }
            Long("strict-config-value") => options.strict_config_value = true,
            Long("enable-input-metrics") => options.enable_input_metrics = Some(true),
            Long("disable-input-metrics") => options.enable_input_metrics = Some(false),
            Long("enable-size-metrics") => options.enable_size_metrics = true,
            Short('v') | Long("verbose") => options.verbosity += 1,
            Short('q') | Long("quiet") => options.verbosity -= 1,
            Long("suppress-config-dump") => options.suppress_config_dump = true,
            Long("disable-shared-socket") => {
                options
                    .ignored
                    .push(("--disable-shared-socket".into(), "there is one process, with its own sockets"));
            }
            Long("conf-encoding") => conf_encoding(&parser.value()?.string()?)?,
            Short(c @ ('p' | 'I' | 'r' | 'g' | 'G')) => {
                let _ = parser.value()?;
                options.ignored.push((format!("-{c}"), RUBY_ONLY));
            }
            Long(name @ ("plugin" | "gemfile" | "gem-path")) => {
                let name = format!("--{name}");
                let _ = parser.value()?;
                options.ignored.push((name, RUBY_ONLY));
            }
            Short('x') | Long("signame") => return Err(UsageError(format!("--signame {WINDOWS_ONLY}"))),
            Long(name) if name.contains("winsvc") => {
                return Err(UsageError(format!("--{name} {WINDOWS_ONLY}")));
            }
            Value(extra) => return Err(UsageError(format!("unexpected argument {extra:?}"))),
            other => return Err(other.unexpected().into()),
        }
    }
    let options = Box::new(options);
    Ok(if dry_run { Command::Check(options) } else { Command::Run(options) })
}

/// The value of an option that may go without: behind a `=`, or the next argument if that is no option.
fn optional_word(parser: &mut lexopt::Parser) -> Option<OsString> {
    if let Some(value) = parser.optional_value() {
        return Some(value);
    }
    let is_word = |next: &std::ffi::OsStr| !next.as_encoded_bytes().starts_with(b"-");
    parser.try_raw_args()?.next_if(is_word)
}

fn bool_word(word: &str) -> Result<bool, UsageError> {
    match word {
        "true" | "yes" | "+" => Ok(true),
        "false" | "no" | "nil" => Ok(false),
        other => Err(UsageError(format!("invalid argument: --suppress-repeated-stacktrace {other}"))),
    }
}

fn parse_check(args: &[OsString]) -> Result<Command, UsageError> {
    let (mut file, mut rest, mut migrate) = (None, Vec::new(), false);
    for arg in args {
        if arg == "--migrate" {
            migrate = true;
        } else if file.is_none() && !arg.to_string_lossy().starts_with('-') {
            file = Some(PathBuf::from(arg));
        } else {
            rest.push(arg.clone());
        }
    }
    match parse_run(&rest)? {
        Command::Run(mut options) | Command::Check(mut options) => {
            options.config_path = file.or(options.config_path);
            Ok(if migrate { Command::Migrate(options) } else { Command::Check(options) })
        }
        other => Ok(other),
    }
}

fn parse_doc(args: &[OsString]) -> Result<Command, UsageError> {
    let (mut name, mut form) = (None, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('f') | Long("format") => {
                let word = parser.value()?.string()?;
                let shape = Shape::parse(&word)
                    .ok_or_else(|| UsageError(format!("--format is markdown, txt or json, not {word}")))?;
                form.get_or_insert_with(Form::default).shape = shape;
            }
            Short('c') | Long("compact") => form.get_or_insert_with(Form::default).compact = true,
            Short('t') | Long("table") => form.get_or_insert_with(Form::default).table = true,
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(word) if name.is_none() => name = Some(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let name = name.ok_or_else(|| UsageError("doc needs a plugin, such as input:tail".to_owned()))?;
    Ok(Command::ShowPlugin { name, form })
}

fn parse_show_config(args: &[OsString]) -> Result<Command, UsageError> {
    let (mut file, mut json, mut show_secrets) = (None, false, false);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("json") => json = true,
            Long("show-secrets") => show_secrets = true,
            Short('c') | Long("config") => file = Some(PathBuf::from(parser.value()?)),
            Value(value) if file.is_none() => file = Some(value.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    match file {
        Some(file) => Ok(Command::ShowConfig { file, json, show_secrets }),
        None => Err(UsageError("config needs a file".to_owned())),
    }
}

fn rotate_age(text: String) -> Result<String, UsageError> {
    if matches!(text.as_str(), "daily" | "weekly" | "monthly") || text.parse::<u32>().is_ok() {
        return Ok(text);
    }
    Err(UsageError("log-rotate-age should be daily, weekly, monthly or a number".to_owned()))
}

fn config_file_type(text: String) -> Result<String, UsageError> {
    if matches!(text.as_str(), "yaml" | "yml" | "guess") {
        return Ok(text);
    }
    Err(UsageError("--config-file-type accepts yaml/yml or guess".to_owned()))
}

fn conf_encoding(name: &str) -> Result<(), UsageError> {
    if matches!(name.to_ascii_lowercase().as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii" | "ascii-8bit") {
        return Ok(());
    }
    Err(UsageError(format!(
        "--conf-encoding {name}: only UTF-8 configurations are read; convert the file with iconv"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Options {
        match parse(args.iter().map(OsString::from)).unwrap() {
            Command::Run(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fluentds_options_are_understood() {
        let options =
            run(&["-c", "a.conf", "-vv", "-q", "-o", "l", "--workers", "2", "-p", "/plugins", "-r", "x"]);
        assert_eq!(options.config_path, Some("a.conf".into()));
        assert_eq!((options.verbosity, options.workers), (1, Some(2)));
        assert_eq!(options.ignored.len(), 2);
    }

    #[test]
    fn the_last_config_wins() {
        assert_eq!(run(&["-c", "a", "-c", "b"]).config_path, Some("b".into()));
    }

    #[test]
    fn check_takes_a_file_and_options() {
        let command = parse(["check", "x.conf", "--strict-config-value"].map(OsString::from)).unwrap();
        let Command::Check(options) = command else { panic!("{command:?}") };
        assert_eq!(options.config_path, Some("x.conf".into()));
        assert!(options.strict_config_value);
        for args in [["check", "--migrate", "x.conf"], ["check", "x.conf", "--migrate"]] {
            let Command::Migrate(options) = parse(args.map(OsString::from)).unwrap() else {
                panic!("{args:?}")
            };
            assert_eq!(options.config_path, Some("x.conf".into()));
        }
    }

    #[test]
    fn doc_takes_a_plugin_or_a_directory_for_all() {
        let parsed = |args: &[&str]| parse(args.iter().map(OsString::from));
        assert_eq!(parsed(&["doc", "--all", "d"]).unwrap(), Command::Reference("d".into()));
        assert_eq!(
            parsed(&["doc", "input:tail"]).unwrap(),
            Command::ShowPlugin { name: "input:tail".to_owned(), form: None }
        );
        assert!(parsed(&["doc", "--all"]).unwrap_err().0.contains("directory"));
    }

    #[test]
    fn an_unknown_option_is_named() {
        assert!(parse(["--nope"].map(OsString::from)).unwrap_err().0.contains("--nope"));
        assert!(parse(["extra"].map(OsString::from)).unwrap_err().0.contains("extra"));
    }
}
