//! `@include`: which files, and reading them.

use super::parser::Parser;
use super::{Diagnostic, Source, Span, glob};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that were read, and limits on them.
#[derive(Debug, Default)]
pub(super) struct Files {
    sources: Vec<Arc<Source>>,
    /// The files that are being read, from the main file to the innermost included one.
    nesting: Vec<PathBuf>,
    bytes: usize,
    is_closed: bool,
}

impl Files {
    /// Without access to the disk: nothing can be included.
    pub(super) fn closed() -> Self {
        Self { is_closed: true, ..Self::default() }
    }

    /// Keeps a file.
    pub(super) fn add(&mut self, source: &Arc<Source>) {
        self.bytes += source.text.len();
        self.sources.push(source.clone());
    }

    /// All files, in the order in which they were read.
    pub(super) fn into_sources(self) -> Vec<Arc<Source>> {
        self.sources
    }

    /// From here on files are included by `path`. The error says why they cannot be.
    pub(super) fn enter(&mut self, path: &Path) -> Result<(), String> {
        if self.is_closed {
            return Err("files cannot be included here".to_owned());
        }
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.nesting.contains(&path) {
            return Err("the file includes itself".to_owned());
        }
        if self.nesting.len() >= NESTING_MAX {
            return Err(format!("more than {NESTING_MAX} files include one another"));
        }
        if self.sources.len() >= FILES_MAX || self.bytes >= BYTES_MAX {
            return Err(format!("the configuration has more than {FILES_MAX} files or {BYTES_MAX} bytes"));
        }
        self.nesting.push(path);
        Ok(())
    }

    /// The files that a pattern finds, sorted.
    pub(super) fn expand(&self, pattern: &str) -> Vec<PathBuf> {
        if self.is_closed { vec![PathBuf::from(pattern)] } else { glob::expand(pattern) }
    }

    /// The file that was entered last is at its end.
    pub(super) fn leave(&mut self) {
        self.nesting.pop();
    }
}

/// Reads a file as UTF-8. The error is Fluentd's text, or near it.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("{} - {shown}", reason(&error));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(format!("Is a directory - {shown}"));
    }
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > BYTES_MAX {
        return Err(format!("larger than {BYTES_MAX} bytes - {shown}"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("invalid byte sequence in UTF-8 - {shown} line {line}")
    })
}

/// Parses the files that `@include uri` names into the element that is open.
pub(super) fn include(parser: &mut Parser<'_>, uri: &str, span: &Span, folder: &Path) {
    let pattern = match pattern(uri, folder) {
        Ok(pattern) => pattern,
        Err(scheme) => {
            let message = format!("include error {uri} - {scheme} is not supported");
            let error = Diagnostic::error(message).class_name("Fluent::ConfigParseError").at(span);
            return parser.report(error.help("fetch the file before the start, and include its path"));
        }
    };
    for path in parser.files.expand(&pattern) {
        let failed = |reason: String| {
            let message = format!("include error {uri} - {reason}");
            Diagnostic::error(message).class_name("Fluent::ConfigParseError").at(span)
        };
        if let Err(reason) = parser.files.enter(&path) {
            return parser.report(failed(reason));
        }
        match read(&path) {
            Ok(text) => {
                let source = Source::new(path.display().to_string(), text);
                parser.files.add(&source);
                parser.file(source, path.parent().unwrap_or(Path::new(".")));
            }
            Err(reason) => parser.report(failed(reason)),
        }
        parser.files.leave();
    }
}

/// The path or glob that `uri` stands for; the error is the scheme of what is no file.
pub(super) fn pattern(uri: &str, folder: &Path) -> Result<String, String> {
    let path = match uri.split_once("://") {
        Some(("file", rest)) => rest.strip_prefix("localhost").unwrap_or(rest),
        Some((scheme, _))
            if !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            return Err(scheme.to_owned());
        }
        _ => uri,
    };
    let path = percent_decoded(path);
    if path.starts_with('/') {
        return Ok(path);
    }
    Ok(format!("{}/{path}", folder.display()))
}

/// `%41` becomes `A`; what is no escape, or would not be UTF-8, stays.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// What Ruby says for an error of the system.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "Is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// Files that include one another, at most.
const NESTING_MAX: usize = 30;
/// Files of one configuration, at most.
const FILES_MAX: usize = 10_000;
/// Bytes of one configuration, at most.
const BYTES_MAX: usize = 64 << 20;
