//! Which buffers a command means.

use super::{Outcome, Stop};
use crate::cli::{BufferSource, Options};
use crate::configuration::{config_path, read};
use crate::{plan, settings};
use logweir_engine::buffer::inspect::Place;
use logweir_engine::io::RealFs;
use logweir_engine::plugin::{FileBuffer, Registry};
use logweir_engine::telemetry::{self, Level, LogSettings};
use std::path::Path;

/// A buffer that was meant.
pub(super) struct Found {
    /// Where it is.
    pub(super) place: Place,
    /// Whose it is, if a configuration says so.
    pub(super) owner: Option<Owner>,
}

/// The output that a buffer belongs to.
pub(super) struct Owner {
    /// Its `@id`, if it has one.
    pub(super) id: Option<String>,
    /// Its `@type`.
    pub(super) type_name: String,
}

/// The buffers at the paths of `source`; without any, those of the configuration that `run` would read.
pub(super) fn find(
    source: &BufferSource,
    registry: &Registry,
    outcome: &mut Outcome,
) -> Result<Vec<Found>, Stop> {
    if source.paths.is_empty() {
        let found = configured(source, registry, outcome)?;
        if found.is_empty() && *outcome == Outcome::Good {
            let config = config_path(&options(source));
            return Err(Stop::Because(format!("{} names no file buffer", config.display())));
        }
        return Ok(found);
    }
    if source.config.is_some() {
        let known = configured(source, registry, outcome)?;
        return source.paths.iter().map(|path| among(&known, path)).collect();
    }
    let mut found = Vec::new();
    for path in &source.paths {
        let places = Place::at(&RealFs, path)
            .map_err(|error| Stop::Because(format!("cannot read {}: {error}", path.display())))?;
        for place in places {
            if place.guesses_key(&RealFs) {
                eprintln!(
                    "note: the names of {} do not say if their key is the tag or a field; it is taken for the tag \
                     (-c FILE reads a configuration that says so)",
                    place.shown()
                );
            }
            found.push(Found { place, owner: None });
        }
    }
    Ok(found)
}

/// The buffer of the configuration that `path` is, or is in.
fn among(known: &[Found], path: &Path) -> Result<Found, Stop> {
    for found in known {
        if let Some(place) = found.place.within(path) {
            let owner = found.owner.as_ref();
            let owner = owner.map(|owner| Owner { id: owner.id.clone(), type_name: owner.type_name.clone() });
            return Ok(Found { place, owner });
        }
    }
    let names: Vec<String> = known.iter().map(|found| found.place.shown()).collect();
    Err(Stop::Because(format!(
        "{} is no buffer of the configuration; these are: {}",
        path.display(),
        names.join(", ")
    )))
}

/// The file buffers of the configuration. Directives with mistakes are reported and left out.
fn configured(source: &BufferSource, registry: &Registry, outcome: &mut Outcome) -> Result<Vec<Found>, Stop> {
    // Plugins log while they are built, and standard output is for the answer.
    let quiet = LogSettings { level: Level::Fatal, ..LogSettings::default() };
    telemetry::configure(quiet).map_err(|error| Stop::Because(error.to_string()))?;
    let options = options(source);
    let path = config_path(&options);
    let (document, mut problems) = read(&path, &options);
    let (mut system, found) = settings::system(&document, &options);
    system.program.config_path = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    problems.extend(found);
    let (buffers, found) = plan::file_buffers(&document.root, &system, registry);
    problems.extend(found);
    for problem in problems.errors() {
        eprintln!("{}", problem.render(false));
        outcome.worsen(Outcome::Failed);
    }
    if problems.has_errors() {
        eprintln!("error: buffers of directives with mistakes are left out");
    }
    Ok(buffers.into_iter().map(found_of).collect())
}

fn found_of(buffer: FileBuffer) -> Found {
    let id = buffer.id.configured.then(|| buffer.id.text.to_string());
    let owner = Some(Owner { id, type_name: buffer.type_name });
    Found { place: Place::of(buffer.files, buffer.formatted), owner }
}

fn options(source: &BufferSource) -> Options {
    Options { config_path: source.config.clone(), ..Options::default() }
}
