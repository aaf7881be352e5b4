//! `logweir buffer export`: the chunks of one buffer as files of Fluentd's.
//!
//! The source is held while it is read, so that no Logweir delivers what is being exported: the records would arrive
//! twice. For the same reason a buffer that a Logweir has open is refused.

use super::list::Total;
use super::source::{Found, find};
use super::{Outcome, Stop, keys};
use crate::cli::{BufferSource, ExportOptions};
use logweir_engine::buffer::inspect::{ChunkFile, Incomplete, Look, Writer as WrittenBy};
use logweir_engine::buffer::{Body, Compression, ExportFormat, exported_body};
use logweir_engine::io::{LockError, RealFs};
use logweir_engine::plugin::Registry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

pub(super) fn export(
    source: &BufferSource,
    options: &ExportOptions,
    registry: &Registry,
    out: &mut impl Write,
) -> Result<Outcome, Stop> {
    let mut outcome = Outcome::Good;
    let found = find(source, registry, &mut outcome)?;
    if outcome != Outcome::Good {
        let why = "nothing was exported: mend the configuration, or name the PATH without -c";
        return Err(Stop::Because(why.to_owned()));
    }
    let buffer = one(found)?;
    let _held = buffer.place.hold().map_err(|error| Stop::Because(in_use(&buffer, &error)))?;
    let read = |error: io::Error| {
        Stop::Because(format!("cannot read {}: {error}; nothing was exported", buffer.place.shown()))
    };
    let chunks = buffer.place.chunks(&RealFs).map_err(read)?;
    let incomplete = buffer.place.incomplete(&RealFs).map_err(read)?;
    let (mut good, mut looks) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let Some(look) = chunk.look(&RealFs).map_err(read)? else { continue };
        for damage in &look.damage {
            eprintln!("{}: {damage}", look.path.display());
            outcome.worsen(Outcome::Damaged);
        }
        if look.damage.iter().any(|damage| damage.is_fatal()) {
            eprintln!("{}: left out; `logweir buffer cat {0}` shows what can be read", look.path.display());
        } else if look.bytes > 0 {
            good.push(chunk);
            looks.push(look);
        }
    }
    if looks.iter().any(|look| look.writer == WrittenBy::Fluentd) {
        eprintln!(
            "note: some of these chunks are Fluentd's, which takes no lock: make sure that it does not run"
        );
    }
    let gzip = options.gzip.unwrap_or_else(|| are_gzip(&looks));
    let format = if options.single { ExportFormat::FileSingle } else { ExportFormat::File };
    for look in &looks {
        // Before anything is written.
        let unfit = |error| Stop::Because(format!("{}: {error}; nothing was exported", look.path.display()));
        look.exported(format, look.records).map_err(unfit)?;
    }
    let mut writer = Writer { dir: options.to.clone(), format, gzip, written: Vec::new(), made_dir: false };
    writer.prepare().map_err(Stop::Because)?;
    match writer.write(&good, &incomplete) {
        Ok(exported) => {
            report(&buffer, options, &exported, &looks, (format, gzip), out)?;
            Ok(outcome)
        }
        Err(error) => {
            writer.clean_up();
            Err(Stop::Because(format!("{error}; what was written is removed, nothing was exported")))
        }
    }
}

/// Chunks of different outputs must not come into one directory.
fn one(mut found: Vec<Found>) -> Result<Found, Stop> {
    let places: Vec<String> = found.iter().map(|found| found.place.shown()).collect();
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        _ => Err(Stop::Because(format!(
            "export takes one buffer, and these are {}: {}; name the PATH of one",
            places.len(),
            places.join(", ")
        ))),
    }
}

fn in_use(buffer: &Found, error: &LockError) -> String {
    match error {
        LockError::Held { holder, .. } => format!(
            "{} is in use by {holder}, which delivers the chunks that would be exported: they would arrive twice. Stop \
             it first; nothing was exported",
            buffer.place.shown()
        ),
        error => format!("{error}; nothing was exported"),
    }
}

/// Whether everything is gzip, which is what `compress gzip` leaves.
fn are_gzip(looks: &[Look]) -> bool {
    !looks.is_empty() && looks.iter().all(|look| look.compression == [Compression::Gzip])
}

/// Writes the files.
struct Writer {
    dir: PathBuf,
    format: ExportFormat,
    gzip: bool,
    /// What to remove if it does not work out.
    written: Vec<PathBuf>,
    made_dir: bool,
}

/// What was written.
#[derive(Default)]
struct Exported {
    total: Total,
    /// Records of appends that were not whole.
    left_out: u64,
}

impl Writer {
    fn write(&mut self, chunks: &[ChunkFile], incomplete: &Incomplete) -> Result<Exported, String> {
        let mut exported = Exported::default();
        for chunk in chunks {
            self.chunk(chunk, incomplete, &mut exported)?;
        }
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| format!("cannot sync {}: {error}", self.dir.display()))?;
        Ok(exported)
    }

    /// Makes the directory, or finds it empty.
    fn prepare(&mut self) -> Result<(), String> {
        let dir = self.dir.display();
        match fs::read_dir(&self.dir) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(format!("{dir} is not empty; give --to an empty or a new directory")),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.dir).map_err(|error| format!("cannot make {dir}: {error}"))?;
                self.made_dir = true;
                Ok(())
            }
            Err(error) => Err(format!("cannot read {dir}: {error}")),
        }
    }

    fn chunk(
        &mut self,
        chunk: &ChunkFile,
        incomplete: &Incomplete,
        exported: &mut Exported,
    ) -> Result<(), String> {
        // The name depends on what the chunk holds; it gets it when that is known.
        let unfinished = self.dir.join(format!(".{}.new", chunk.id()));
        let wrong = |error: io::Error| format!("cannot write {}: {error}", unfinished.display());
        let mut file = OpenOptions::new().write(true).create_new(true).open(&unfinished).map_err(wrong)?;
        self.written.push(unfinished.clone());
        let (mut bytes_written, mut records) = (0, 0);
        let gzip = self.gzip;
        let look = chunk.read(&RealFs, |look, sequence, body: Body| {
            if incomplete.has(chunk, sequence) {
                exported.left_out += body.records;
                return Ok(());
            }
            let (bytes, count) = exported_body(&body, look.formatted, gzip)?;
            records += count;
            bytes_written += bytes.len() as u64;
            file.write_all(&bytes)
        });
        let copied = |error| format!("cannot copy {}: {error}", chunk.path().display());
        let look = look.map_err(copied)?;
        let Some(mut look) = look.filter(|_| bytes_written > 0) else {
            // All of it was of appends that were not whole. Fluentd takes an empty chunk for a broken one.
            return fs::remove_file(&unfinished).map_err(wrong);
        };
        (look.records, look.bytes, look.damage) = (records, bytes_written, Vec::new());
        let files = look.exported(self.format, records).map_err(|error| error.to_string())?;
        if let Some((name, bytes)) = files.meta {
            self.small_file(&name, &bytes)?;
        }
        // The order in which file_single's chunks are delivered.
        let modified = UNIX_EPOCH + Duration::from_micros(look.modified.0);
        file.set_modified(modified).and_then(|()| file.sync_all()).map_err(wrong)?;
        let path = self.dir.join(files.name);
        fs::rename(&unfinished, &path).map_err(wrong)?;
        self.written.push(path);
        exported.total.count(&look);
        Ok(())
    }

    fn small_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.dir.join(name);
        let wrong = |error: io::Error| format!("cannot write {}: {error}", path.display());
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(wrong)?;
        self.written.push(path.clone());
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(wrong)
    }

    /// Removes what was written, so that nothing takes half of a buffer for the whole.
    fn clean_up(&self) {
        for path in &self.written {
            // Most of the unfinished ones have another name by now.
            let _ = fs::remove_file(path);
        }
        if self.made_dir {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

fn report(
    buffer: &Found,
    options: &ExportOptions,
    exported: &Exported,
    looks: &[Look],
    (format, gzip): (ExportFormat, bool),
    out: &mut impl Write,
) -> io::Result<()> {
    let (to, from) = (options.to.canonicalize().unwrap_or_else(|_| options.to.clone()), buffer.place.shown());
    writeln!(out, "exported {} from {from} to {}", exported.total, to.display())?;
    if exported.left_out > 0 {
        writeln!(
            out,
            "left out: {} records of appends that a crash interrupted; nobody was told that they were stored, and their \
             inputs repeat them",
            exported.left_out
        )?;
    }
    let keys = looks.first().map(|look| keys::names(&look.metadata)).unwrap_or_default();
    let content = match looks.iter().any(|look| look.formatted) {
        true => "text in the format of the output that they come from",
        false => "entries, as of outputs without a format of their own",
    };
    writeln!(
        out,
        "\nWhat to do next:\n\
         1. In Fluentd's configuration, give the output that is to deliver them this buffer. The chunks hold {content}.\n\
         \x20      <buffer{space}{keys}>\n\
         \x20        @type {}\n\
         \x20        path {}",
        format.as_str(),
        to.display(),
        space = if keys.is_empty() { "" } else { " " },
    )?;
    if gzip {
        writeln!(out, "         compress gzip")?;
    }
    writeln!(
        out,
        "       </buffer>\n\
         2. Give the files to the user that Fluentd runs as (chown -R), and start Fluentd.\n\
         3. When it has delivered them, remove {from}: they hold the same records, and a Logweir that is started on them \
         delivers them once more."
    )
}
