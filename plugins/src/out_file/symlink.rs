//! `symlink_path`: a link to the buffer file that is being filled, for `tail -f`.

use logweir_engine::buffer::Chunk;
use logweir_engine::log_warn;
use logweir_engine::output::{Destination, Template};
use logweir_engine::telemetry::PluginLog;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A link that follows the chunk of the newest time slice.
pub(super) struct Symlink {
    template: Template,
    relative: bool,
    log: PluginLog,
    /// The newest slice so far.
    latest: Mutex<i64>,
}

impl Symlink {
    pub(super) fn new(template: Template, relative: bool, log: &PluginLog) -> Self {
        Self { template, relative, log: log.clone(), latest: Mutex::new(0) }
    }

    /// Points the link to `chunk` if that is of the newest slice. Chunks without a slice or a file are not linked to.
    pub(super) fn follow(&self, chunk: &Chunk, destination: &Destination) {
        let (Some(timekey), Some(file)) = (chunk.metadata().timekey, chunk.path()) else { return };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if timekey < *latest {
            return;
        }
        *latest = timekey;
        let linked = self.template.expand(chunk).map_err(io::Error::other).and_then(|link| {
            let link = PathBuf::from(link);
            destination.create_parent(&link)?;
            let target = if self.relative { relative(&file, &link)? } else { file };
            replace(&target, &link)
        });
        if let Err(error) = linked {
            // The link is a convenience: the events are safe in the buffer.
            log_warn!(
                self.log,
                "cannot make symlink_path",
                path = self.template.text(),
                error = error.to_string()
            );
        }
    }
}

/// Makes `link` point to `target`, in one step if there is a link already.
fn replace(target: &Path, link: &Path) -> io::Result<()> {
    let mut name = link.file_name().map(|name| name.to_owned()).unwrap_or_default();
    name.push(".new");
    let fresh = link.with_file_name(name);
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // left behind by a crash, or nothing
    }
    std::os::unix::fs::symlink(target, &fresh)?;
    std::fs::rename(&fresh, link)
}

/// The way from the folder of `link` to `target`.
fn relative(target: &Path, link: &Path) -> io::Result<PathBuf> {
    let (target, link) = (std::path::absolute(target)?, std::path::absolute(link)?);
    let from: Vec<Component<'_>> = link.parent().unwrap_or(Path::new("/")).components().collect();
    let to: Vec<Component<'_>> = target.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir);
    Ok(up.chain(to[shared..].iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_ways() {
        for (target, link, expected) in [
            ("/a/b/c", "/a/b/link", "c"),
            ("/a/b/c", "/a/link", "b/c"),
            ("/a/b/c", "/x/y/link", "../../a/b/c"),
            ("/c", "/a/link", "../c"),
        ] {
            assert_eq!(relative(Path::new(target), Path::new(link)).unwrap(), Path::new(expected));
        }
    }

    #[test]
    fn a_link_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("current");
        for target in ["/one", "/two"] {
            replace(Path::new(target), &link).unwrap();
            assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(target));
        }
    }
}
