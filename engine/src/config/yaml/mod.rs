//! The YAML form of a configuration (Fluentd's config/yaml_parser).
//!
//! | YAML | stands for |
//! |---|---|
//! | `system: {...}` | `<system>` |
//! | `config: [{source: ...}, {match: ...}, ...]` | the directives |
//! | `$type`, `$id`, `$label`, `$log_level` | `@type`, ... |
//! | `$tag` of filter and match, `$name` of label, `$arg` of worker and sections | the argument; a list is joined by commas |
//! | a map; a list of maps; a list of scalars | a section; several; a JSON array |
//! | `!include GLOB` | the lists of those files |
//! | `!fluent/s "..."` | a text with `#{...}` |
//! | `!fluent/json ...` | the value as JSON |

mod build;
mod node;
mod reader;
mod scalar;

use super::include::Files;
use super::{Diagnostics, Document, Evaluate, Source};
use reader::Reader;
use std::path::Path;
use std::sync::Arc;

/// Reads a configuration in YAML. `folder` is what relative includes are relative to.
pub(super) fn parse(
    source: &Arc<Source>,
    folder: &Path,
    mut files: Files,
    evaluate: &dyn Evaluate,
    diagnostics: &mut Diagnostics,
) -> Document {
    files.add(source);
    let mut reader = Reader { evaluate, diagnostics, files: &mut files, nodes: 0 };
    let node = reader.document(source, folder);
    let mut document = Document::empty(source);
    if let Some(node) = node {
        build::root(&node, &mut document.root, diagnostics);
    }
    document.sources = files.into_sources();
    document
}

#[cfg(test)]
mod tests;
