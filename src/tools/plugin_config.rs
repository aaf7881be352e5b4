//! `fluent-plugin-config-format`, and `logweir doc` with its options: the parameters of a plugin as Markdown, text or JSON.
//!
//! The forms are Fluentd's. The class names in them are those that the plugin has in Fluentd, which tools that read them look for;
//! what is described is Logweir's plugin.

mod table;

use super::Stop;
use lexopt::prelude::*;
use logweir_engine::plugin::Registry;
use std::ffi::OsString;
use std::process::ExitCode;
use table::Table;

pub(super) const USAGE: &str = "\
Usage: fluent-plugin-config-format [options] <type> <name>

    type: input, output, filter, buffer, parser, formatter
    name: the plugin, such as tail

Options:
    -f, --format FORMAT              markdown, txt or json (default: markdown)
    -c, --compact                    compact Markdown, or JSON on one line
    -t, --table                      parameters as a Markdown table
        --verbose                    the class that each part comes from (txt)
    -I PATH, -r NAME, -p DIR         accepted; Logweir's plugins are built in
        --version, --help
";

/// The forms of a description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shape {
    #[default]
    Markdown,
    Text,
    Json,
}

/// How a plugin is described.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The form.
    pub shape: Shape,
    /// `-c`
    pub compact: bool,
    /// `-t`
    pub table: bool,
    /// `--verbose`
    pub verbose: bool,
}

pub(super) fn run(args: Vec<OsString>, registry: &Registry) -> Result<ExitCode, Stop> {
    let (mut form, mut words) = (Form::default(), Vec::new());
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('f') | Long("format") => {
                let word = parser.value()?.string()?;
                form.shape =
                    Shape::parse(&word).ok_or_else(|| Stop::Usage(format!("Unsupported format: {word}")))?;
            }
            Short('c') | Long("compact") => form.compact = true,
            Short('t') | Long("table") => form.table = true,
            Long("verbose") => form.verbose = true,
            Short('I' | 'r' | 'p') | Long("plugin") => drop(parser.value()?),
            Short('h') | Long("help") => return Err(Stop::Help),
            Short('v') | Long("version") => return Err(Stop::Version),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let [kind, name] = words.as_slice() else {
        return Err(Stop::Usage("Must specify plugin type and name".to_owned()));
    };
    print!("{}", describe(kind, name, form, registry).map_err(Stop::Usage)?);
    Ok(ExitCode::SUCCESS)
}

impl Shape {
    /// By its name in `--format`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "markdown" => Self::Markdown,
            "txt" => Self::Text,
            "json" => Self::Json,
            _ => return None,
        })
    }
}

/// The description of a plugin; `kind` is `input`, `output`, `filter`, `buffer`, `parser` or `formatter`. The error is for the
/// user.
pub(crate) fn describe(kind: &str, name: &str, form: Form, registry: &Registry) -> Result<String, String> {
    let tables = Table::of(kind, name, registry)?;
    Ok(match form.shape {
        Shape::Markdown => markdown(&tables, form),
        Shape::Text if form.verbose => {
            tables.iter().map(|table| format!("{}\n{}", table.class, table.text(0))).collect()
        }
        Shape::Text => tables.iter().map(|table| table.text(0)).collect(),
        Shape::Json => {
            let all: serde_json::Map<_, _> =
                tables.iter().map(|table| (table.class.clone(), table.json())).collect();
            let all = serde_json::Value::Object(all);
            if form.compact { format!("{all}\n") } else { format!("{all:#}\n") }
        }
    })
}

fn markdown(tables: &[Table], form: Form) -> String {
    let mut out = String::new();
    let Some((own, bases)) = tables.split_last() else { return out };
    for base in bases {
        let word = base.class.rsplit("::").next().unwrap_or_default();
        out.push_str(&format!(
            "* See also: [{word} Plugin Overview](https://docs.fluentd.org/v/1.0/{}#overview)\n\n",
            word.to_lowercase()
        ));
    }
    out.push_str(&format!("## {}\n\n", own.class));
    out.push_str(&own.markdown(form, 0));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(kind: &str, name: &str, form: Form) -> String {
        describe(kind, name, form, &logweir_plugins::registry()).unwrap()
    }

    #[test]
    fn markdown_has_fluentds_headings() {
        let text = described("filter", "grep", Form::default());
        assert!(text.starts_with("## Fluent::Plugin::GrepFilter\n\n"), "{text}");
        assert!(text.contains("### \\<regexp\\> section (optional) (multiple)\n"), "{text}");
        assert!(text.contains("#### key (string) (required)\n\n"), "{text}");
        let output = described("output", "file", Form::default());
        assert!(
            output.starts_with("* See also: [Output Plugin Overview](https://docs.fluentd.org/"),
            "{output}"
        );
        assert!(output.contains("### path (string) (required)\n"), "{output}");
        let table = described("input", "forward", Form { table: true, ..Form::default() });
        assert!(table.contains("|parameter|type|description|default|\n|---|---|---|---|\n"), "{table}");
        assert!(table.contains("|port|integer (optional)|"), "{table}");
        let compact = described("input", "forward", Form { compact: true, ..Form::default() });
        assert!(compact.contains("* **port** (integer) (optional): "), "{compact}");
    }

    #[test]
    fn text_has_defaults_as_ruby_shows_them() {
        let text = described("input", "tail", Form { shape: Shape::Text, ..Form::default() });
        for line in
            ["path: string: (nil)", "rotate_wait: time: (5", "read_from_head: bool: (false)", "<parse>: "]
        {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} in {text}");
        }
        let buffer = described("buffer", "file", Form { shape: Shape::Text, ..Form::default() });
        assert!(buffer.contains("overflow_action: enum: (:throw_exception)"), "{buffer}");
    }

    #[test]
    fn json_is_an_object_for_each_class() {
        let json = Form { shape: Shape::Json, ..Form::default() };
        let value: serde_json::Value = serde_json::from_str(&described("output", "forward", json)).unwrap();
        let own = &value["Fluent::Plugin::ForwardOutput"];
        assert_eq!(own["require_ack_response"]["type"], "bool");
        assert_eq!(own["server"]["section"], true);
        assert!(value["Fluent::Plugin::Output"]["buffer"]["flush_interval"].is_object());
        let compact = described("output", "forward", Form { compact: true, ..json });
        assert_eq!(compact.lines().count(), 1);
    }

    #[test]
    fn what_there_is_not_is_named() {
        let registry = logweir_plugins::registry();
        for (kind, name, says) in [
            ("input", "tial", "Unknown input plugin 'tial'"),
            ("storage", "local", "there are no plugins of the type storage"),
            ("buffer", "redis", "Unknown buffer plugin 'redis'"),
        ] {
            let error = describe(kind, name, Form::default(), &registry).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
