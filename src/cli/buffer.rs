//! `logweir buffer list|cat|export`.

use super::{Command, UsageError};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be done with file buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BufferCommand {
    /// `list`
    List {
        /// Which buffers.
        source: BufferSource,
        /// As JSON.
        json: bool,
    },
    /// `cat`
    Cat {
        /// Which buffers; a path that is the id of a chunk selects that chunk.
        source: BufferSource,
        /// How records are shown.
        form: ChunkForm,
    },
    /// `export`
    Export {
        /// Which buffer.
        source: BufferSource,
        /// Where to, and how.
        options: ExportOptions,
    },
}

/// Where chunks are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BufferSource {
    /// Directories, chunk files, patterns.
    pub paths: Vec<PathBuf>,
    /// `-c`: a configuration whose buffers they are.
    pub config: Option<PathBuf>,
}

/// How `cat` shows records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChunkForm {
    /// `time TAB tag TAB record`, as out_file writes them.
    #[default]
    Lines,
    /// `--json`: one object a line.
    Json,
    /// `--msgpack`: entries as they are.
    MessagePack,
}

/// What `export` writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportOptions {
    /// `--to`
    pub to: PathBuf,
    /// `--format file_single` rather than `file`.
    pub single: bool,
    /// `--compress`: whether the data is gzip; without it, if all of it is.
    pub gzip: Option<bool>,
}

pub(super) fn parse(args: &[OsString]) -> Result<Command, UsageError> {
    let action = args.first().and_then(|word| word.to_str()).unwrap_or_default();
    if matches!(action, "-h" | "--help") {
        return Ok(Command::Help);
    }
    if !matches!(action, "list" | "cat" | "export") {
        return Err(UsageError("buffer needs one of list, cat and export".to_owned()));
    }
    let (mut source, mut form) = (BufferSource::default(), ChunkForm::Lines);
    let (mut to, mut options) = (None, ExportOptions::default());
    let mut parser = lexopt::Parser::from_args(&args[1..]);
    while let Some(arg) = parser.next()? {
        match (arg, action) {
            (Short('h') | Long("help"), _) => return Ok(Command::Help),
            (Short('c') | Long("config"), _) => source.config = Some(parser.value()?.into()),
            (Long("json"), "list" | "cat") => form = ChunkForm::Json,
            (Long("msgpack"), "cat") => form = ChunkForm::MessagePack,
            (Long("to"), "export") => to = Some(PathBuf::from(parser.value()?)),
            (Long("format"), "export") => {
                options.single = one_of(parser.value()?.string()?, "--format", "file", "file_single")?;
            }
            (Long("compress"), "export") => {
                options.gzip = Some(one_of(parser.value()?.string()?, "--compress", "text", "gzip")?);
            }
            (Value(path), _) => source.paths.push(path.into()),
            (other, _) => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Buffer(match action {
        "list" => BufferCommand::List { source, json: form == ChunkForm::Json },
        "cat" => BufferCommand::Cat { source, form },
        _ => {
            let Some(to) = to else {
                return Err(UsageError("buffer export needs --to DIR".to_owned()));
            };
            BufferCommand::Export { source, options: ExportOptions { to, ..options } }
        }
    }))
}

/// Whether the word is the second one.
fn one_of(word: String, option: &str, first: &str, second: &str) -> Result<bool, UsageError> {
    match word {
        word if word == first => Ok(false),
        word if word == second => Ok(true),
        word => Err(UsageError(format!("{option} is {first} or {second}, not {word}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<BufferCommand, UsageError> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse(&args)? {
            Command::Buffer(command) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_action_has_its_options() {
        let source = |paths: &[&str], config: Option<&str>| BufferSource {
            paths: paths.iter().map(PathBuf::from).collect(),
            config: config.map(PathBuf::from),
        };
        assert_eq!(
            parsed("list -c f.conf --json"),
            Ok(BufferCommand::List { source: source(&[], Some("f.conf")), json: true })
        );
        assert_eq!(
            parsed("cat /a /b --msgpack"),
            Ok(BufferCommand::Cat { source: source(&["/a", "/b"], None), form: ChunkForm::MessagePack })
        );
        let options = ExportOptions { to: "/t".into(), single: true, gzip: Some(true) };
        assert_eq!(
            parsed("export /a --to /t --format file_single --compress gzip"),
            Ok(BufferCommand::Export { source: source(&["/a"], None), options })
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (line, says) in [
            ("", "list, cat and export"),
            ("drop /a", "list, cat and export"),
            ("export /a", "--to"),
            ("export /a --to /t --format memory", "file or file_single, not memory"),
            ("export /a --to /t --compress zstd", "text or gzip, not zstd"),
            ("list --msgpack", "--msgpack"),
            ("export --json --to x", "--json"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.0.contains(says), "{line}: {error}");
        }
    }
}
