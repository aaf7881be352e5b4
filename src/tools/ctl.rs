//! `fluent-ctl`: signals by name.

use super::Stop;
use lexopt::prelude::*;
use logweir_engine::plugin::Registry;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::process::ExitCode;

pub(super) const USAGE: &str = "
Usage: fluent-ctl COMMAND PID

Commands:
  shutdown   stop (TERM)
  restart    read the configuration again (HUP)
  flush      write out what waits in buffers, and open the log file again (USR1)
  reload     read the configuration again (USR2)
  dump       write down what the process does, into /tmp/sigdump-PID.log (CONT)

        --version, --help
";

const COMMANDS: &[(&str, Signal)] = &[
    ("shutdown", Signal::TERM),
    ("restart", Signal::HUP),
    ("flush", Signal::USR1),
    ("reload", Signal::USR2),
    ("dump", Signal::CONT),
];

pub(super) fn run(args: Vec<OsString>, _registry: &Registry) -> Result<ExitCode, Stop> {
    let (signal, pid) = parse(args)?;
    match kill_process(pid, signal) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Errno::SRCH) => Err(Stop::Failed(format!("there is no process {}", pid.as_raw_nonzero()))),
        Err(Errno::PERM) => {
            Err(Stop::Failed(format!("process {} belongs to another user", pid.as_raw_nonzero())))
        }
        Err(error) => Err(Stop::Failed(format!("cannot signal process {}: {error}", pid.as_raw_nonzero()))),
    }
}

fn parse(args: Vec<OsString>) -> Result<(Signal, Pid), Stop> {
    let mut words = Vec::new();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Err(Stop::Help),
            Short('v') | Long("version") => return Err(Stop::Version),
            Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut words = words.into_iter();
    let Some(command) = words.next() else { return Err(Stop::Usage("Command isn't specified!".to_owned())) };
    let Some((_, signal)) = COMMANDS.iter().find(|(name, _)| *name == command) else {
        return Err(Stop::Usage(format!("Unknown command: {command}")));
    };
    let Some(pid) = words.next() else { return Err(Stop::Usage("PID isn't specified!".to_owned())) };
    // 0 and negative numbers are groups of processes.
    match pid.parse::<i32>().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) {
        Some(pid) => Ok((*signal, pid)),
        None => Err(Stop::Usage(format!("Invalid PID: {pid}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_signals() {
        let parsed = |line: &str| parse(line.split_whitespace().map(OsString::from).collect());
        for (command, signal) in COMMANDS {
            let Ok(found) = parsed(&format!("{command} 42")) else { panic!("{command}") };
            assert_eq!((found.0, found.1.as_raw_nonzero().get()), (*signal, 42));
        }
        for (line, says) in [
            ("", "Command isn't specified!"),
            ("start 1", "Unknown command: start"),
            ("flush", "PID isn't specified!"),
            ("flush 0", "Invalid PID: 0"),
            ("flush x", "Invalid PID: x"),
        ] {
            assert!(matches!(parsed(line), Err(Stop::Usage(message)) if message == says), "{line}");
        }
    }
}
