//! `logweir buffer cat`: the records in chunks.

use super::source::{Found, find};
use super::{Outcome, Stop, keys};
use crate::cli::{BufferSource, ChunkForm};
use logweir_engine::buffer::inspect::{ChunkFile, Look};
use logweir_engine::buffer::{Body, ChunkId};
use logweir_engine::io::RealFs;
use logweir_engine::json::{GenerateError, JsonStyle, from_msgpack, write_json_string};
use logweir_engine::msgpack::{Entries, Entry, Time};
use logweir_engine::plugin::Registry;
use logweir_engine::time::{TimeFormatter, TimeSettings};
use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

pub(super) fn cat(
    source: &BufferSource,
    form: ChunkForm,
    registry: &Registry,
    out: &mut impl Write,
) -> Result<Outcome, Stop> {
    let mut outcome = Outcome::Good;
    let (ids, paths): (Vec<_>, Vec<_>) = source.paths.iter().cloned().partition(|path| id(path).is_some());
    let ids: Vec<ChunkId> = ids.iter().filter_map(|path| id(path)).collect();
    let found = find(&BufferSource { paths, config: source.config.clone() }, registry, &mut outcome)?;
    let mut missing: HashSet<ChunkId> = ids.iter().copied().collect();
    let mut printer = Printer::new(form, out);
    for found in &found {
        for chunk in chunks(found)? {
            if ids.is_empty() || ids.contains(&chunk.id()) {
                missing.remove(&chunk.id());
                outcome.worsen(printer.chunk(&chunk)?);
            }
        }
    }
    for id in ids.iter().filter(|id| missing.contains(id)) {
        let places: Vec<String> = found.iter().map(|found| found.place.shown()).collect();
        eprintln!("error: there is no chunk {id} in {}", places.join(", "));
        outcome.worsen(Outcome::Failed);
    }
    Ok(outcome)
}

/// The id of a chunk, unless there is a file of that name.
fn id(path: &Path) -> Option<ChunkId> {
    path.to_str().and_then(ChunkId::from_hex).filter(|_| !path.exists())
}

fn chunks(found: &Found) -> Result<Vec<ChunkFile>, Stop> {
    found
        .place
        .chunks(&RealFs)
        .map_err(|error| Stop::Because(format!("cannot read {}: {error}", found.place.shown())))
}

/// Prints chunks.
struct Printer<'a, W> {
    form: ChunkForm,
    out: &'a mut W,
    time: TimeFormatter,
    line: Vec<u8>,
    outcome: Outcome,
}

impl<'a, W: Write> Printer<'a, W> {
    fn new(form: ChunkForm, out: &'a mut W) -> Self {
        let time = TimeFormatter::new(&TimeSettings { local: true, ..TimeSettings::default() });
        Self { form, out, time, line: Vec::new(), outcome: Outcome::Good }
    }

    /// All records of a chunk; what is damaged goes to standard error.
    fn chunk(&mut self, chunk: &ChunkFile) -> Result<Outcome, Stop> {
        self.outcome = Outcome::Good;
        let mut broken_output = None;
        let result = chunk.read(&RealFs, |look, _, body| {
            self.body(look, &body).inspect_err(|error| {
                broken_output = Some(io::Error::from(error.kind()));
            })
        });
        match result {
            Ok(None) => {} // delivered meanwhile
            Ok(Some(look)) => {
                for damage in &look.damage {
                    eprintln!("{}: {damage}", look.path.display());
                    self.outcome.worsen(Outcome::Damaged);
                }
            }
            Err(error) => {
                if let Some(broken) = broken_output {
                    return Err(Stop::Output(broken));
                }
                eprintln!("error: cannot read {}: {error}", chunk.path().display());
                self.outcome.worsen(Outcome::Failed);
            }
        }
        Ok(self.outcome)
    }

    /// Errors are those of the output.
    fn body(&mut self, look: &Look, body: &Body) -> io::Result<()> {
        let bytes = match body.inflated() {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{}: a body cannot be inflated: {error}", look.path.display());
                self.outcome.worsen(Outcome::Damaged);
                return Ok(());
            }
        };
        match self.form {
            ChunkForm::MessagePack if look.formatted => {
                eprintln!("error: {} holds text of its output's format, no entries", look.path.display());
                self.outcome.worsen(Outcome::Failed);
                Ok(())
            }
            ChunkForm::MessagePack => self.out.write_all(&bytes),
            ChunkForm::Lines if look.formatted => self.out.write_all(&bytes),
            ChunkForm::Json if look.formatted => self.text(look, &bytes),
            form => {
                for entry in Entries::new(&bytes) {
                    self.line.clear();
                    let written = match form {
                        ChunkForm::Json => object(look, &entry, &mut self.line),
                        _ => line(&self.time, look, &entry, &mut self.line),
                    };
                    match written {
                        Ok(()) => self.out.write_all(&self.line)?,
                        Err(error) => {
                            eprintln!(
                                "{}: a record has no JSON text: {error} (--msgpack has it)",
                                look.path.display()
                            );
                            self.outcome.worsen(Outcome::Damaged);
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Lines of formatted text as `{"tag": ..., "text": ...}`.
    fn text(&mut self, look: &Look, text: &[u8]) -> io::Result<()> {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.line.clear();
            self.line.extend_from_slice(b"{\"tag\":");
            tag_json(look, &mut self.line);
            self.line.extend_from_slice(b",\"text\":");
            let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
            write_json_string(line.as_bytes(), &mut self.line, JsonStyle::Yajl);
            self.line.extend_from_slice(b"}\n");
            self.out.write_all(&self.line)?;
        }
        Ok(())
    }
}

/// `time TAB tag TAB record`. A chunk whose keys do not have the tag does not know it.
fn line(
    time: &TimeFormatter,
    look: &Look,
    entry: &Entry<'_>,
    out: &mut Vec<u8>,
) -> Result<(), GenerateError> {
    time.format(entry.time, out);
    out.push(b'\t');
    out.extend_from_slice(look.metadata.tag.as_ref().map(|tag| tag.as_str()).unwrap_or_default().as_bytes());
    out.push(b'\t');
    // Where Fluentd's out_file refuses a number, there is still something to show.
    from_msgpack(entry.record, out, JsonStyle::Yajl)
        .or_else(|_| from_msgpack(entry.record, out, JsonStyle::Oj))?;
    out.push(b'\n');
    Ok(())
}

/// `{"time": ..., "tag": ..., "record": ...}`, and the `metadata` of entries that have some.
fn object(look: &Look, entry: &Entry<'_>, out: &mut Vec<u8>) -> Result<(), GenerateError> {
    let time = match entry.time {
        Time::Float(_) => entry.time.to_event_time().map_or(Time::None, Time::Event),
        time => time,
    };
    out.extend_from_slice(format!("{{\"time\":{},\"tag\":", keys::utc_time(time)).as_bytes());
    tag_json(look, out);
    if let Some(metadata) = entry.metadata {
        out.extend_from_slice(b",\"metadata\":");
        json(metadata, out)?;
    }
    out.extend_from_slice(b",\"record\":");
    json(entry.record, out)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

fn tag_json(look: &Look, out: &mut Vec<u8>) {
    match &look.metadata.tag {
        Some(tag) => write_json_string(tag.as_str().as_bytes(), out, JsonStyle::Yajl),
        None => out.extend_from_slice(b"null"),
    }
}

/// A value as JSON that any reader takes: what is no UTF-8 becomes U+FFFD.
fn json(raw: &[u8], out: &mut Vec<u8>) -> Result<(), GenerateError> {
    let mut text = Vec::with_capacity(raw.len() * 2);
    from_msgpack(raw, &mut text, JsonStyle::Yajl)?;
    out.extend_from_slice(String::from_utf8_lossy(&text).as_bytes());
    Ok(())
}
