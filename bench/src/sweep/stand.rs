//! The program with a configuration, in a directory of its own.

use crate::config::{Places, fill};
use crate::load::Load;
use crate::process::{Program, Usage};
use crate::report::Figures;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a step may take.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(900);

pub(super) const FORWARD: &str = "<source>\n  @type forward\n  port @PORT@\n  bind 127.0.0.1\n</source>\n";
pub(super) const TRANSFORM: &str = "<filter servio.**>\n  @type record_transformer\n  <record>\n    hostname \
     \"#{Socket.gethostname}\"\n    environment production\n  </record>\n</filter>\n";
pub(super) const NULL: &str = "<match servio.**>\n  @type null\n</match>\n";

/// A running program.
pub(super) struct Stand {
    pub(super) port: u16,
    pub(super) program: Program,
    // Behind the program, which must end before its directory goes.
    dir: TempDir,
}

/// A directory and a port for the program.
pub(super) struct Place {
    dir: TempDir,
    port: u16,
}

impl Place {
    pub(super) fn new() -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("logweir-bench-").tempdir().map_err(|e| e.to_string())?;
        Ok(Self { dir, port: logweir_testing::free_port() })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts `command` with a configuration, whose port (if it has one) answers then. Another port is for what it may send
    /// to: nobody listens there.
    pub(super) fn start(self, command: &[String], template: &str) -> Result<Stand, String> {
        let config = self.dir().join("bench.conf");
        let places = Places {
            port: self.port,
            out_port: logweir_testing::free_port(),
            dir: self.dir(),
            configs: self.dir(),
        };
        fs::write(&config, fill(template, &places)).map_err(|e| e.to_string())?;
        let listens = template.contains("@PORT@").then_some(self.port);
        let program = Program::start(command, &config, self.dir(), listens)?;
        Ok(Stand { port: self.port, program, dir: self.dir })
    }
}

impl Stand {
    /// Starts it in a fresh place.
    pub(super) fn start(command: &[String], template: &str) -> Result<Self, String> {
        Place::new()?.start(command, template)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends the program and leaves its directory for another start.
    pub(super) fn stop(self) -> Place {
        drop(self.program);
        Place { dir: self.dir, port: self.port }
    }

    /// Sends a load and waits until the program is through with it. The connections are there before the clock starts.
    pub(super) fn send(&mut self, load: &Load) -> Result<Figures, String> {
        let sockets = load.connect(self.port)?;
        self.program.wait_until_quiet(STEP_TIMEOUT)?;
        let before = self.program.usage();
        let begin = Instant::now();
        load.send_over(&sockets)?;
        let seconds = begin.elapsed().as_secs_f64();
        self.program.wait_until_quiet(STEP_TIMEOUT)?;
        Ok(figures(load.records, load.bytes, seconds, before, self.program.usage()))
    }
}

pub(super) fn figures(records: usize, bytes: usize, seconds: f64, before: Usage, after: Usage) -> Figures {
    Figures {
        records,
        bytes,
        seconds,
        cpu: after.cpu - before.cpu,
        memory: after.memory,
        written: after.written - before.written,
        ..Figures::default()
    }
}
