//! `@type exec`: runs a command for each chunk, with the path of a file that holds the chunk's text as its last argument.

use crate::child::{END_WAIT_MAX, Group, WORKER_VARIABLE, shell};
use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_warn;
use logweir_engine::msgpack::Time;
use logweir_engine::net::error_class;
use logweir_engine::output::blocking;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Compat, Descriptor,
    EventFormat, FormatError, INJECT, Kind, OutputPlugin, Param, ParamKind, SectionDefault, SectionSpec,
    WriteError, WriteFuture,
};
use logweir_engine::telemetry::{PluginLog, Shown};
use rustix::process::Signal;
use std::io::{self, Write};
use std::process::Stdio;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::process::Child;
use tokio::time::timeout;

/// `@type exec` in a `<match>`.
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new(
            "command",
            ParamKind::String,
            "The command, for /bin/sh; the path of a file with the chunk's text is put behind it",
        )
        .required(),
        Param::new(
            "command_timeout",
            ParamKind::Time,
            "Seconds after which the command is ended, and run again as the buffer's retry parameters say",
        )
        .default("270"),
    ],
    sections: &[
        SectionSpec::FORMAT.default_type("tsv"),
        SectionSpec {
            defaults: &[
                SectionDefault::new("time_type", Some("string")),
                SectionDefault::new("localtime", Some("false")),
            ],
            ..INJECT
        },
    ],
    compat: &[Compat::Inject, Compat::Formatter, Compat::Buffer],
    buffer: BufferSupport::Always(BufferDefaults::STANDARD),
    ..Descriptor::new(Kind::Output, "exec", "Runs a command for each chunk", Build::Output(build))
};

struct Exec {
    command: String,
    timeout: Duration,
    format: Lines,
    log: PluginLog,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    Ok(OutputPlugin::Buffered(Box::new(Exec {
        command: params.string("command"),
        timeout: params.time("command_timeout").unwrap_or_default(),
        format: Lines {
            is_binary: params.section("format").is_some_and(|format| format.plugin_type() == "msgpack"),
            event: EventFormat::from_params(params, "tsv", context)?,
        },
        log: context.log.clone(),
    })))
}

/// Text, with one newline behind each event whatever the formatter does.
struct Lines {
    is_binary: bool,
    event: EventFormat,
}

impl ChunkFormatter for Lines {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.event.format(tag, time, record, out)?;
        if !self.is_binary && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        Ok(())
    }
}

impl BufferedOutput for Exec {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.format)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(async move {
            let failed = |what: &str, error: &io::Error| {
                WriteError::retry(error_class(error), format!("{what}: {error}"))
            };
            let file = blocking(|| text_of(chunk))
                .map_err(|e| failed("cannot write the chunk to a temporary file", &e))?;
            let command = format!("{} {}", self.command, quoted(&file.path().to_string_lossy()));
            let child = shell(&command)
                .env(WORKER_VARIABLE, self.log.worker().to_string())
                .stdin(Stdio::null())
                .spawn()
                .map_err(|error| failed("cannot run the command", &error))?;
            self.wait(child, &command).await
        })
    }
}

impl Exec {
    async fn wait(&self, mut child: Child, command: &str) -> Result<(), WriteError> {
        let running = Running(Group::of(&child));
        let ended = timeout(self.timeout, child.wait()).await;
        let status = match ended {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => {
                return Err(WriteError::retry(
                    error_class(&error),
                    format!("cannot wait for the command: {error}"),
                ));
            }
            Err(_) => {
                running.0.signal(Signal::TERM);
                let _ = timeout(END_WAIT_MAX, child.wait()).await;
                let seconds = self.timeout.as_secs_f64();
                return Err(WriteError::retry(
                    "Timeout::Error",
                    format!("command did not end within {seconds} seconds"),
                ));
            }
        };
        running.ended();
        if status.success() {
            return Ok(());
        }
        log_warn!(
            self.log,
            "command exits with error code",
            prog = command,
            status = Shown(status.to_string())
        );
        Err(WriteError::retry("RuntimeError", format!("command exits with error code: {status}")))
    }
}

/// A command that is killed, with all that it started, when nobody waits for it any more.
struct Running(Group);

impl Running {
    /// Its process is gone; what it left in the background may go on.
    fn ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

/// The chunk's text in a file, which goes when it is dropped. A chunk file of ours is more than its text, so that it cannot
/// be given away as Fluentd does it.
fn text_of(chunk: &Chunk) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("logweir-out-exec-").tempfile()?;
    let mut reader = chunk.reader()?.inflating();
    while reader.advance()?.is_some() {
        file.write_all(reader.bytes())?;
    }
    file.flush()?;
    Ok(file)
}

/// For the shell, if $TMPDIR has characters that mean something to it.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use logweir_engine::buffer::Metadata;
    use logweir_engine::plugin::Driver;
    use std::time::Instant;

    const JSON: &str = "<format>\n@type json\n</format>";

    fn output(text: &str) -> Box<dyn BufferedOutput> {
        crate::testing::with_params(&PLUGIN, text, |params, context| match build(params, context)? {
            OutputPlugin::Buffered(output) => Ok(output),
            OutputPlugin::Direct(_) => Err(Diagnostic::error("not buffered")),
        })
        .unwrap()
    }

    fn chunk(text: &'static [u8]) -> Chunk {
        Chunk::in_memory(Metadata::default(), Bytes::from_static(text), 1).into_formatted()
    }

    #[tokio::test]
    async fn the_command_gets_the_text_in_a_file_that_is_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let got = dir.path().join("got");
        let command = format!("command sh -c 'cat $0; echo $0' > {} ", got.display());
        // The path is behind the redirection, which sh allows.
        output(&format!("{command}\n{JSON}")).write(&chunk(b"a\tb\n")).await.unwrap();
        let text = std::fs::read_to_string(&got).unwrap();
        let path = text.strip_prefix("a\tb\n").unwrap().trim_end();
        assert!(path.contains("logweir-out-exec-") && !std::path::Path::new(path).exists(), "{path}");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_run_again() {
        let error = output(&format!("command false\n{JSON}")).write(&chunk(b"a\n")).await.unwrap_err();
        assert!(
            matches!(&error, WriteError::Retry { message, .. } if message.contains("exit status: 1")),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let text =
            format!("command sh -c 'sleep 600 & echo $! > {}; wait' #\ncommand_timeout 1", pid.display());
        let begin = Instant::now();
        let error = output(&format!("{text}\n{JSON}")).write(&chunk(b"a\n")).await.unwrap_err();
        assert!(error.to_string().contains("did not end within 1 seconds"), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(100));
        let pid = std::fs::read_to_string(pid).unwrap();
        let gone = || !std::path::Path::new("/proc").join(pid.trim()).join("fd/0").exists();
        for _ in 0..500 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the child goes on");
    }

    #[test]
    fn records_are_lines_with_the_time_injected_as_text() {
        let output = output(
            "command true\n<format>\n@type tsv\nkeys t,a\n</format>\n<inject>\ntime_key t\ntime_format %Y\n</inject>",
        );
        let mut out = Vec::new();
        let formatter = output.formatter().unwrap();
        formatter.format(&Tag::new("x"), Time::Int(0), b"\x81\xa1a\x01", &mut out).unwrap();
        assert_eq!(out, b"1970\t1\n");
    }

    #[test]
    fn there_is_no_output_without_a_command() {
        let error = Driver::new(crate::PLUGINS).output("<match **>\n@type exec\n</match>").err().unwrap();
        assert!(error.to_string().contains("'command' parameter is required"), "{error}");
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(quoted("/tmp/a-1.b"), "/tmp/a-1.b");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
