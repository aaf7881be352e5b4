//! The small commands that come with Fluentd, each under its own name (a link `fluent-cat` to this program is fluent-cat) and as a
//! command of `logweir` (`logweir cat`, or `logweir fluent-cat`).

mod binlog_reader;
mod cat;
mod ctl;
mod plugin_config;

use crate::cli::FLUENTD_VERSION;
use logweir_engine::plugin::Registry;
use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use plugin_config::describe;
pub use plugin_config::{Form, Shape};

/// One of them.
pub(crate) struct Tool {
    /// Its name in Fluentd, and as a command of `logweir` with and without `fluent-`.
    name: &'static str,
    run: fn(Vec<OsString>, &Registry) -> Result<ExitCode, Stop>,
    /// What `--help` prints.
    usage: &'static str,
}

/// Why a tool does nothing more.
enum Stop {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// The command line is wrong: said behind the usage, as Fluentd's tools do.
    Usage(String),
    /// What it was asked for cannot be done.
    Failed(String),
}

impl From<lexopt::Error> for Stop {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// All of them.
pub(crate) const TOOLS: &[Tool] = &[
    Tool { name: "fluent-cat", run: cat::run, usage: cat::USAGE },
    Tool { name: "fluent-ctl", run: ctl::run, usage: ctl::USAGE },
    Tool { name: "fluent-binlog-reader", run: binlog_reader::run, usage: binlog_reader::USAGE },
    Tool { name: "fluent-plugin-config-format", run: plugin_config::run, usage: plugin_config::USAGE },
];

impl Tool {
    /// The tool that the program is called as, or that its first argument names; with the arguments that are left.
    pub(crate) fn called(program: &str, args: &[OsString]) -> Option<(&'static Self, Vec<OsString>)> {
        if let Some(tool) = TOOLS.iter().find(|tool| tool.name == program) {
            return Some((tool, args.to_vec()));
        }
        let word = args.first()?.to_str()?;
        let is_named = |tool: &&Self| tool.name == word || tool.name.strip_prefix("fluent-") == Some(word);
        Some((TOOLS.iter().find(is_named)?, args[1..].to_vec()))
    }

    /// Its name in Fluentd.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What its `--help` prints.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> &'static str {
        self.usage
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: Vec<OsString>, registry: &Registry) -> ExitCode {
        match (self.run)(args, registry) {
            Ok(code) => code,
            Err(Stop::Help) => {
                print!("{}", self.usage);
                ExitCode::SUCCESS
            }
            Err(Stop::Version) => {
                println!("{} {FLUENTD_VERSION} (logweir {})", self.name, env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
            Err(Stop::Usage(message)) => {
                print!("{}", self.usage);
                println!("error: {message}");
                ExitCode::FAILURE
            }
            Err(Stop::Failed(message)) => {
                eprintln!("error: {message}");
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_called_by_its_name_or_as_a_command() {
        let called = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let (program, args) = words.split_first().unwrap();
            let (tool, rest) = Tool::called(program.to_str().unwrap(), args)?;
            Some((tool.name, rest.len()))
        };
        assert_eq!(called("fluent-cat app.tag"), Some(("fluent-cat", 1)));
        assert_eq!(called("logweir fluent-cat app.tag"), Some(("fluent-cat", 1)));
        assert_eq!(called("logweir binlog-reader head x"), Some(("fluent-binlog-reader", 2)));
        assert_eq!(called("fluent-ctl"), Some(("fluent-ctl", 0)));
        assert_eq!(called("logweir -c x"), None);
        assert_eq!(called("logweir buffer cat"), None);
    }
}
