//! A configuration as it was read: directives with their places.

use super::include::{Files, read};
use super::parser::Parser;
use super::{Diagnostic, Diagnostics, Element, Evaluate, Source, Span};
use std::path::Path;
use std::sync::Arc;

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The element `ROOT`, in which the directives are.
    pub root: Element,
    /// The main file and all that were included, in the order in which they were read.
    pub sources: Vec<Arc<Source>>,
}

/// The language of a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// YAML if the name ends in `.yaml` or `.yml`, else Fluentd's own language.
    #[default]
    Guess,
    /// Fluentd's own language, v1.
    Fluentd,
    /// YAML.
    Yaml,
}

/// How to read a configuration.
#[derive(Clone, Debug, Default)]
pub struct ParseOptions {
    /// The language of the main file; included files have that of the file that includes them.
    pub format: Format,
    /// Text that is added behind the main file (`--inline-config`), in which `\n` stands for a line end. Not for
    /// YAML, as in Fluentd.
    pub inline: Option<String>,
}

/// Reads a configuration file and what it includes. All problems go to `diagnostics`; the document holds what could
/// be read, and is only fit for use if there are no errors.
pub fn parse_file(
    path: &Path,
    options: &ParseOptions,
    evaluate: &dyn Evaluate,
    diagnostics: &mut Diagnostics,
) -> Document {
    let name = path.display().to_string();
    let text = match read(path) {
        Ok(text) => text,
        Err(reason) => {
            let source = Source::new(name, "");
            diagnostics.push(
                Diagnostic::error(format!("cannot read the configuration file: {reason}"))
                    .help("name another one with -c FILE"),
            );
            return Document::empty(&source);
        }
    };
    let is_yaml = match options.format {
        Format::Yaml => true,
        Format::Fluentd => false,
        Format::Guess => path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut files = Files::default();
    if files.enter(path).is_err() {
        return Document::empty(&Source::new(name, text));
    }
    if is_yaml {
        let source = Source::new(name, text);
        return super::yaml::parse(&source, folder, files, evaluate, diagnostics);
    }
    let text = match &options.inline {
        Some(inline) => format!("{text}\n{}", inline.replace("\\n", "\n")),
        None => text,
    };
    parse_source(&Source::new(name, text), folder, files, evaluate, diagnostics)
}

/// Reads a configuration from text in Fluentd's own language. `name` is what messages call it; includes are relative
/// to the current folder.
pub fn parse_text(
    name: &str,
    text: &str,
    evaluate: &dyn Evaluate,
    diagnostics: &mut Diagnostics,
) -> Document {
    parse_source(&Source::new(name, text), Path::new("."), Files::default(), evaluate, diagnostics)
}

fn parse_source(
    source: &Arc<Source>,
    folder: &Path,
    mut files: Files,
    evaluate: &dyn Evaluate,
    diagnostics: &mut Diagnostics,
) -> Document {
    files.add(source);
    let mut parser = Parser::new(source, evaluate, diagnostics, &mut files);
    parser.file(source.clone(), folder);
    let root = parser.finish();
    Document { root: root.unwrap_or_else(|| Document::empty(source).root), sources: files.into_sources() }
}

impl Document {
    /// A configuration without directives.
    pub(super) fn empty(source: &Arc<Source>) -> Self {
        let root = Element::new("ROOT", "", Span::new(source, 0, 0));
        Self { root, sources: vec![source.clone()] }
    }
}
