//! `logweir buffer list`: one line a chunk, and totals.

use super::source::{Found, find};
use super::{Outcome, Stop, keys};
use crate::cli::BufferSource;
use logweir_engine::buffer::inspect::{Damage, Look, Writer};
use logweir_engine::buffer::{ChunkState, Compression};
use logweir_engine::io::RealFs;
use logweir_engine::plugin::Registry;
use serde_json::{Map, Value as Json, json};
use std::fmt;
use std::io::{self, ErrorKind, Write};

pub(super) fn list(
    source: &BufferSource,
    json: bool,
    registry: &Registry,
    out: &mut impl Write,
) -> Result<Outcome, Stop> {
    let mut outcome = Outcome::Good;
    let found = find(source, registry, &mut outcome)?;
    let (mut all, mut buffers) = (Total::default(), Vec::new());
    for (at, found) in found.iter().enumerate() {
        let holder = found.place.holder();
        let mut chunks = Vec::new();
        let total = match json {
            true => each(found, &mut outcome, |look| {
                chunks.push(chunk_json(look));
                Ok(())
            })?,
            false => {
                if at > 0 {
                    writeln!(out)?;
                }
                writeln!(out, "{}", title(found, holder.as_deref()))?;
                let total = each(found, &mut outcome, |look| writeln!(out, "{}", line(look)))?;
                writeln!(out, "total: {total}")?;
                total
            }
        };
        all.add(&total);
        if json {
            let owner = found.owner.as_ref();
            buffers.push(json!({
                "files": found.place.shown(),
                "plugin_id": owner.and_then(|owner| owner.id.clone()),
                "type": owner.map(|owner| owner.type_name.clone()),
                "in_use_by": holder,
                "chunks": chunks,
                "total": total.json(),
            }));
        }
    }
    if json {
        writeln!(out, "{:#}", json!({ "buffers": buffers, "total": all.json() }))?;
    } else if found.len() > 1 {
        writeln!(out, "\nall buffers: {all}")?;
    }
    Ok(outcome)
}

/// Shows each chunk of a buffer and adds them up.
fn each(
    found: &Found,
    outcome: &mut Outcome,
    mut show: impl FnMut(&Look) -> io::Result<()>,
) -> Result<Total, Stop> {
    let mut total = Total::default();
    let chunks = match found.place.chunks(&RealFs) {
        Ok(chunks) => chunks,
        // A configuration may name a buffer that was never used.
        Err(error) if error.kind() == ErrorKind::NotFound && found.owner.is_some() => Vec::new(),
        Err(error) => {
            eprintln!("error: cannot read {}: {error}", found.place.shown());
            outcome.worsen(Outcome::Failed);
            return Ok(total);
        }
    };
    for chunk in chunks {
        match chunk.look(&RealFs) {
            Ok(Some(look)) => {
                if !look.damage.is_empty() {
                    outcome.worsen(Outcome::Damaged);
                }
                total.count(&look);
                show(&look)?;
            }
            Ok(None) => {} // delivered meanwhile
            Err(error) => {
                eprintln!("error: cannot read {}: {error}", chunk.path().display());
                outcome.worsen(Outcome::Failed);
            }
        }
    }
    Ok(total)
}

fn title(found: &Found, holder: Option<&str>) -> String {
    let mut title = found.place.shown();
    if let Some(owner) = &found.owner {
        let id = owner.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        title.push_str(&format!("  (output {}{id})", owner.type_name));
    }
    if let Some(holder) = holder {
        title.push_str(&format!("  in use by {holder}"));
    }
    title
}

fn line(look: &Look) -> String {
    let mut line = format!(
        "{}  {}  {:>8} records  {:>10} bytes  created {}  modified {}  {}",
        look.id,
        state(look),
        look.records,
        look.bytes,
        keys::local_time(look.created.secs()),
        keys::local_time(look.modified.secs()),
        keys::text(&look.metadata),
    );
    if !look.damage.is_empty() {
        let damage: Vec<String> = look.damage.iter().map(Damage::to_string).collect();
        line.push_str(&format!("  DAMAGED: {}", damage.join("; ")));
    }
    line
}

fn state(look: &Look) -> &'static str {
    match look.state {
        ChunkState::Staged => "staged",
        ChunkState::Queued => "queued",
    }
}

fn chunk_json(look: &Look) -> Json {
    let compress = match &look.compression[..] {
        [] | [Compression::None] => "text",
        [Compression::Gzip] => "gzip",
        [Compression::Zstd] => "zstd",
        _ => "mixed",
    };
    let damage = look.damage.iter().map(|damage| {
        let range = damage.range();
        json!({
            "from": range.map(|range| range.start),
            "to": range.map(|range| range.end),
            "message": damage.to_string(),
        })
    });
    let mut object = Map::new();
    object.insert("id".to_owned(), look.id.hex().into());
    object.insert("state".to_owned(), state(look).into());
    keys::json(&look.metadata, &mut object);
    object.insert("records".to_owned(), look.records.into());
    object.insert("bytes".to_owned(), look.bytes.into());
    object.insert("created".to_owned(), keys::utc_timestamp(look.created));
    object.insert("modified".to_owned(), keys::utc_timestamp(look.modified));
    let writer = if look.writer == Writer::Logweir { "logweir" } else { "fluentd" };
    object.insert("written_by".to_owned(), writer.into());
    object.insert("content".to_owned(), if look.formatted { "text" } else { "entries" }.into());
    object.insert("compress".to_owned(), compress.into());
    object.insert("path".to_owned(), look.path.to_string_lossy().into());
    object.insert("damage".to_owned(), damage.collect());
    Json::Object(object)
}

/// What several chunks have together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    staged: u64,
    queued: u64,
    records: u64,
    bytes: u64,
    damaged: u64,
}

impl Total {
    /// Adds a chunk.
    pub(super) fn count(&mut self, look: &Look) {
        match look.state {
            ChunkState::Staged => self.staged += 1,
            ChunkState::Queued => self.queued += 1,
        }
        self.records += look.records;
        self.bytes += look.bytes;
        self.damaged += u64::from(!look.damage.is_empty());
    }

    fn add(&mut self, other: &Self) {
        self.staged += other.staged;
        self.queued += other.queued;
        self.records += other.records;
        self.bytes += other.bytes;
        self.damaged += other.damaged;
    }

    fn json(&self) -> Json {
        json!({
            "chunks": self.staged + self.queued,
            "staged": self.staged,
            "queued": self.queued,
            "records": self.records,
            "bytes": self.bytes,
            "damaged": self.damaged,
        })
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { staged, queued, records, bytes, damaged } = self;
        let chunks = staged + queued;
        write!(f, "{chunks} chunks ({staged} staged, {queued} queued), {records} records, {bytes} bytes")?;
        if *damaged > 0 {
            write!(f, ", {damaged} chunks with damage")?;
        }
        Ok(())
    }
}
