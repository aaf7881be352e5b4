//! `fluent-binlog-reader`: the events in a chunk file, Fluentd's or Logweir's, through a formatter.
//!
//! As in Fluentd the path of the file stands where an event's tag would. Beyond Fluentd it reads compressed chunks, Logweir's
//! own, and chunks that hold the text of a formatter already, whose lines are printed as they are.

use super::Stop;
use lexopt::prelude::*;
use logweir_engine::buffer::inspect::{ChunkFile, Place};
use logweir_engine::event::Tag;
use logweir_engine::io::RealFs;
use logweir_engine::msgpack::{Entries, Entry};
use logweir_engine::plugin::{Build, Driver, Formatter, Kind, Registry};
use std::ffi::OsString;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) const USAGE: &str = "\
Usage: fluent-binlog-reader <command> [<args>]

Commands:
    cat [options] FILE      all events of a chunk file
    head [options] FILE     its first events
    formats                 the formatters that there are

Options of cat and head:
    -f, --format TYPE                formatter (default: out_file)
    -e KEY=VALUE                     a parameter of the formatter
    -n COUNT                         how many events (default of head: 5)
    -p, --plugin DIR                 accepted; Logweir's formatters are built in
        --version, --help
The exit status is 2 if something in the file was damaged; the rest is printed.
";

/// Events that `head` prints.
const HEAD_COUNT: u64 = 5;

struct Options {
    file: PathBuf,
    format: String,
    params: Vec<(String, String)>,
    count: Option<u64>,
}

pub(super) fn run(args: Vec<OsString>, registry: &Registry) -> Result<ExitCode, Stop> {
    let command = args.first().and_then(|word| word.to_str()).unwrap_or_default();
    match command {
        "cat" => print(&parse(&args[1..], None)?, registry),
        "head" => print(&parse(&args[1..], Some(HEAD_COUNT))?, registry),
        "formats" => {
            let formatters = registry.iter().filter(|plugin| plugin.kind == Kind::Formatter);
            let mut names: Vec<&str> = formatters.map(|plugin| plugin.name).collect();
            names.sort_unstable();
            println!("{}", names.join("\n"));
            Ok(ExitCode::SUCCESS)
        }
        "--version" => Err(Stop::Version),
        "--help" | "-h" => Err(Stop::Help),
        "" => Err(Stop::Usage("Required subcommand : cat | head | formats".to_owned())),
        other => Err(Stop::Usage(format!(
            "'{other}' is not supported: Required subcommand : cat | head | formats"
        ))),
    }
}

fn parse(args: &[OsString], mut count: Option<u64>) -> Result<Options, Stop> {
    let (mut file, mut format, mut params) = (None, "out_file".to_owned(), Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('f') | Long("format") => format = parser.value()?.string()?,
            Short('e') => {
                let text = parser.value()?.string()?;
                let Some((key, value)) = text.split_once('=') else {
                    let message = format!("{text} is invalid. valid format is like `key=value`");
                    return Err(Stop::Usage(message));
                };
                params.push((key.to_owned(), value.to_owned()));
            }
            Short('n') => {
                let text = parser.value()?.string()?;
                let number = text.parse::<u64>().ok().filter(|number| *number > 0);
                count = Some(number.ok_or_else(|| Stop::Usage(format!("illegal line count -- {text}")))?);
            }
            Short('p') | Long("plugin") => drop(parser.value()?),
            Short('h') | Long("help") => return Err(Stop::Help),
            Short('v') | Long("version") => return Err(Stop::Version),
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let file = file.ok_or_else(|| Stop::Usage("Path is required".to_owned()))?;
    if !file.exists() {
        return Err(Stop::Usage(format!("{} is not found", file.display())));
    }
    Ok(Options { file, format, params, count })
}

fn formatter(options: &Options, registry: &Registry) -> Result<Arc<dyn Formatter>, Stop> {
    let Some(plugin) = registry.find(Kind::Formatter, &options.format) else {
        let message = format!("Unknown formatter plugin '{}' (`formats` lists them)", options.format);
        return Err(Stop::Usage(message));
    };
    let mut text = format!("<format>\n@type {}\n", options.format);
    for (key, value) in &options.params {
        text.push_str(&format!("{key} '{}'\n", value.replace('\\', "\\\\").replace('\'', "\\'")));
    }
    text.push_str("</format>\n");
    let refused = |problem: logweir_engine::config::Diagnostic| Stop::Usage(problem.message().to_owned());
    // Formatters may be made of others: stdout of json.
    let mut driver = Driver::new(&registry.iter().collect::<Vec<_>>());
    let params = driver.params(Kind::Formatter, &text).map_err(refused)?;
    match plugin.build {
        Build::Formatter(build) => build(&params, &mut driver.context()).map_err(refused),
        _ => Err(Stop::Usage(format!("{} is no formatter", options.format))),
    }
}

fn print(options: &Options, registry: &Registry) -> Result<ExitCode, Stop> {
    let mut printer = Printer {
        formatter: formatter(options, registry)?,
        tag: Tag::new(&options.file.to_string_lossy()),
        left: options.count,
        out: BufWriter::new(io::stdout().lock()),
        text: Vec::new(),
        is_damaged: false,
    };
    let printed = printer.file(&options.file).and_then(|()| printer.out.flush());
    match printed {
        Ok(()) if printer.is_damaged => Ok(ExitCode::from(2)),
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Stop::Failed(format!("cannot read {}: {error}", options.file.display()))),
    }
}

struct Printer<W: Write> {
    formatter: Arc<dyn Formatter>,
    tag: Tag,
    left: Option<u64>,
    out: W,
    text: Vec<u8>,
    is_damaged: bool,
}

impl<W: Write> Printer<W> {
    fn file(&mut self, path: &Path) -> io::Result<()> {
        match Place::at(&RealFs, path) {
            Ok(places) => {
                for place in places {
                    for chunk in place.chunks(&RealFs)? {
                        self.chunk(&chunk)?;
                    }
                }
                Ok(())
            }
            // Neither its name nor its beginning is that of a chunk: any file of entries will do, as in Fluentd.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                let bytes = std::fs::read(path)?;
                let good = self.entries(&bytes)?;
                if good < bytes.len() && self.left != Some(0) {
                    self.damaged(path, &format!("what follows byte {good} is no event"));
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn chunk(&mut self, chunk: &ChunkFile) -> io::Result<()> {
        let mut enough = false;
        let mut bad_bodies = Vec::new();
        let looked = chunk.read(&RealFs, |look, _, body| {
            match body.inflated() {
                Ok(bytes) if look.formatted => self.lines(&bytes)?,
                Ok(bytes) => self.entries(&bytes).map(drop)?,
                Err(error) => bad_bodies.push(format!("a part cannot be inflated: {error}")),
            }
            if self.left == Some(0) {
                enough = true;
                return Err(io::Error::other("enough"));
            }
            Ok(())
        });
        for why in bad_bodies {
            self.damaged(chunk.path(), &why);
        }
        match looked {
            Err(_) if enough => Ok(()),
            Err(error) => Err(error),
            Ok(None) => Ok(()), // empty, or delivered meanwhile
            Ok(Some(look)) => {
                for damage in &look.damage {
                    self.damaged(&look.path, &damage.to_string());
                }
                Ok(())
            }
        }
    }

    fn damaged(&mut self, path: &Path, why: &str) {
        eprintln!("{}: {why}", path.display());
        self.is_damaged = true;
    }

    /// Whether one more may be printed; counts it.
    fn may_print(&mut self) -> bool {
        match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    fn lines(&mut self, text: &[u8]) -> io::Result<()> {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if !self.may_print() {
                break;
            }
            self.out.write_all(line)?;
        }
        Ok(())
    }

    /// Answers where the events end.
    fn entries(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut entries = Entries::new(bytes);
        while self.left != Some(0) {
            let Some(entry) = entries.next() else { break };
            self.may_print();
            self.entry(&entry)?;
        }
        Ok(entries.position())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.text.clear();
        match self.formatter.format(&self.tag, entry.time, entry.record, &mut self.text) {
            Ok(()) => self.out.write_all(&self.text),
            Err(error) => {
                eprintln!("an event cannot be shown: {error}");
                self.is_damaged = true;
                Ok(())
            }
        }
    }
}
