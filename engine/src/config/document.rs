//! A configuration as it was read: directives with their places.

use super::include::{Files, read};
use super::parser::Parser;
use super::{Diagnostic, Diagnostics, Element, Evaluate, Evaluated, Overrides, Source, Span, System};
use crate::plugin::Registry;
use std::path::{Path, PathBuf};
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
    /// The folder of `config_include_dir`, whatever `<system>` says; nothing for none.
    pub include_dir: Option<PathBuf>,
    /// The same where `<system>` does not name one.
    pub include_dir_default: Option<PathBuf>,
}

/// Reads a configuration file, what it includes and the files of its `config_include_dir`. All problems go to `diagnostics`; the document holds what could
/// be read, and is only fit for use if there are no errors.
pub fn parse_file(
    path: &Path,
    options: &ParseOptions,
    evaluate: &dyn Evaluate,
    diagnostics: &mut Diagnostics,
) -> Document {
    let mut document = parse_one(path, options, evaluate, diagnostics);
    super::include_dir::append(&mut document, options, evaluate, diagnostics);
    document
}

/// Reads one file and what it includes.
pub(super) fn parse_one(
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

/// The body of a fuzz target: reads `text` in both languages, without includes, and shows what came out. Never panics,
/// always ends.
pub fn fuzz(text: &str) {
    let evaluate = |code: &str| match code.len() % 4 {
        0 => Ok(Evaluated::Text(code.to_owned())),
        1 => Ok(Evaluated::UseNil),
        2 => Ok(Evaluated::UseDefault),
        _ => Err("no".to_owned()),
    };
    let source = Source::new("fuzz", text);
    let folder = Path::new(".");
    for is_yaml in [false, true] {
        let mut diagnostics = Diagnostics::new();
        let document = if is_yaml {
            super::yaml::parse(&source, folder, Files::closed(), &evaluate, &mut diagnostics)
        } else {
            parse_source(&source, folder, Files::closed(), &evaluate, &mut diagnostics)
        };
        let system = System::layered(&document, &|_| None, &Overrides::new(), &mut diagnostics);
        std::hint::black_box((system, document.root.to_json(), document.root.dump(&Registry::new(&[]))));
        for diagnostic in diagnostics.iter().take(20) {
            std::hint::black_box((diagnostic.render(true), diagnostic.fluentd_message()));
        }
    }
}

impl Document {
    /// A configuration without directives.
    pub(super) fn empty(source: &Arc<Source>) -> Self {
        let root = Element::new("ROOT", "", Span::new(source, 0, 0));
        Self { root, sources: vec![source.clone()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words that configurations are made of, so that random texts get somewhere.
    const WORDS: &[&str] = &[
        "<a>",
        "</a>",
        "<match **>",
        "</match>",
        "<system>",
        "</system>",
        "\n",
        "\n",
        " ",
        "\t",
        "\r\n",
        "#",
        "\"",
        "'",
        "\\",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "#{",
        "ENV['X']",
        "@type",
        "@include",
        "include",
        "*",
        "k",
        "v",
        "/x/i",
        "1m",
        "é",
        "\u{feff}",
        "config:",
        "- ",
        "source:",
        "  ",
        "!include",
        "!fluent/s",
        "!fluent/json",
        "&a",
        "*a",
        "<<: ",
        "|",
        "log_level",
        "$type: ",
        "~",
        "// c",
        "/* c */",
        "\0",
        "%",
        "{{ x }}",
    ];

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(words in prop::collection::vec(0..WORDS.len(), 0..60)) {
            let text: String = words.into_iter().map(|index| WORDS[index]).collect();
            fuzz(&text);
        }

        #[test]
        fn any_characters_are_read_to_their_end(text in "\\PC{0,200}") {
            fuzz(&text);
        }
    }

    fn parse_in(files: &[(&str, &str)]) -> (Document, Diagnostics) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let evaluate = |code: &str| match code {
            "dir" => Ok(Evaluated::Text(folder.path().display().to_string())),
            other => Err(format!("undefined `{other}'")),
        };
        let mut diagnostics = Diagnostics::new();
        let path = folder.path().join(files[0].0);
        let document = parse_file(&path, &ParseOptions::default(), &evaluate, &mut diagnostics);
        (document, diagnostics)
    }

    fn names(document: &Document) -> Vec<&str> {
        document.root.elements.iter().map(|element| element.name.as_str()).collect()
    }

    #[test]
    fn files_are_included_where_they_are_named() {
        let (document, diagnostics) = parse_in(&[
            (
                "main.conf",
                "@include \"#{dir}/conf.d/*.conf\"\n<z>\n  @include sub/attrs\n</z>\n@include gone.conf\n\
                @include nothing.d/*.conf\nk 1",
            ),
            ("conf.d/b.conf", "<b>\n</b>\n"),
            ("conf.d/a.conf", "<a>\n</a>\n@include ../more%2econf"),
            ("more.conf", "<more>\n</more>\n"),
            ("sub/attrs", "x 1\n<inner>\n</inner>"),
        ]);
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
        assert_eq!(names(&document), ["a", "more", "b", "z"]);
        assert_eq!(document.root.elements[3].text("x"), Some("1"));
        assert_eq!(document.root.elements[3].elements[0].name, "inner");
        assert_eq!(document.root.text("k"), Some("1"));
        assert_eq!(document.sources.len(), 5);
        let span = &document.root.elements[0].span;
        assert!(span.source().name.ends_with("conf.d/a.conf"), "{span}");
    }

    #[test]
    fn what_cannot_be_included_is_an_error_there() {
        let messages = |files: &[(&str, &str)]| -> Vec<String> {
            let (_, diagnostics) = parse_in(files);
            diagnostics.errors().map(|error| error.message().to_owned()).collect()
        };
        assert_eq!(
            messages(&[("a.conf", "@include http://example.com/x.conf\n")]),
            ["include error http://example.com/x.conf - http is not supported"]
        );
        let found = messages(&[("a.conf", "@include d\n"), ("d/x", "")]);
        assert!(found[0].starts_with("include error d - Is a directory"), "{found:?}");
        assert_eq!(
            messages(&[("a.conf", "@include *.conf\n")]),
            ["include error *.conf - the file includes itself"]
        );
        assert_eq!(
            messages(&[("a.conf", "<m>\n@include b\n</m>\n"), ("b", "</m>\n")]),
            ["unmatched end tag"]
        );
        assert_eq!(
            messages(&[("a.conf", "@include b\n"), ("b", "<x>\n")]),
            ["expected end tag '</x>' but got end of file"]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let mut diagnostics = Diagnostics::new();
        let evaluate = |_: &str| Ok(Evaluated::Nil);
        parse_file(Path::new("/nowhere/gone.conf"), &ParseOptions::default(), &evaluate, &mut diagnostics);
        let message = diagnostics.errors().next().unwrap().message().to_owned();
        assert_eq!(
            message,
            "cannot read the configuration file: No such file or directory - /nowhere/gone.conf"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latin1.conf");
        std::fs::write(&path, b"a 1\n# \xe9\n").unwrap();
        let mut diagnostics = Diagnostics::new();
        parse_file(&path, &ParseOptions::default(), &evaluate, &mut diagnostics);
        let message = diagnostics.errors().next().unwrap().message().to_owned();
        assert!(
            message.contains("invalid byte sequence in UTF-8") && message.ends_with("line 2"),
            "{message}"
        );
    }

    #[test]
    fn inline_text_is_behind_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conf");
        std::fs::write(&path, "<a>\n</a>").unwrap();
        let options = ParseOptions { inline: Some("<b>\\n</b>".to_owned()), ..ParseOptions::default() };
        let mut diagnostics = Diagnostics::new();
        let document = parse_file(&path, &options, &|_: &str| Ok(Evaluated::Nil), &mut diagnostics);
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
        assert_eq!(names(&document), ["a", "b"]);
    }
}
