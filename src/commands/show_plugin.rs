//! `--show-plugin-config=input:tail` and `logweir doc input:tail`: a plugin's parameters from its table.

use crate::tools::{self, Form};
use logweir_engine::plugin::{
    DefaultValue, Descriptor, Kind, Param, ParamKind, Registry, SectionSpec, Status,
};
use std::fmt::Write;
use std::process::ExitCode;

const KINDS: &[(&str, Kind)] = &[
    ("input", Kind::Input),
    ("filter", Kind::Filter),
    ("output", Kind::Output),
    ("parser", Kind::Parser),
    ("formatter", Kind::Formatter),
];

pub(crate) fn show_plugin(name: &str, form: Option<Form>, registry: &Registry) -> ExitCode {
    let (kind, plugin) = name.split_once(':').unwrap_or(("", name));
    let kinds = KINDS.iter().filter(|(word, _)| kind.is_empty() || *word == kind);
    let found: Vec<(&str, &Descriptor)> =
        kinds.filter_map(|(word, kind)| registry.find(*kind, plugin).map(|found| (*word, found))).collect();
    if found.is_empty() {
        eprintln!("there is no plugin {name}; these are built in:");
        for (word, kind) in KINDS {
            let mut names: Vec<&str> = registry.iter().filter(|p| p.kind == *kind).map(|p| p.name).collect();
            names.sort_unstable();
            eprintln!("  {word}: {}", names.join(" "));
        }
        return ExitCode::FAILURE;
    }
    for (word, descriptor) in found {
        match form.map(|form| tools::describe(word, descriptor.name, form, registry)) {
            None => print!("{}", describe(word, descriptor)),
            Some(Ok(text)) => print!("{text}"),
            Some(Err(error)) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn describe(kind: &str, plugin: &Descriptor) -> String {
    let mut out = format!("{kind}:{}\n{}\n", plugin.name, plugin.about);
    params(&mut out, plugin.params, 0);
    sections(&mut out, plugin.sections, 0);
    out
}

fn params(out: &mut String, params: &[Param], depth: usize) {
    let indent = "  ".repeat(depth);
    for param in params {
        let kind = match param.kind {
            ParamKind::Enum(words) => words.join("|"),
            kind => format!("{kind:?}").to_lowercase(),
        };
        let default = match param.default {
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::Nil => "not set".to_owned(),
            DefaultValue::Text(text) => format!("default {text:?}"),
        };
        let status = match param.status {
            Status::Active => String::new(),
            Status::Deprecated(why) => format!(" (deprecated: {why})"),
            Status::WithoutEffect(why) => format!(" (no effect: {why})"),
            Status::Removed(why) => format!(" (removed: {why})"),
        };
        let _ =
            writeln!(out, "{indent}{}: {kind}: {default}\n{indent}    {}{status}", param.name, param.about);
    }
}

fn sections(out: &mut String, list: &[SectionSpec], depth: usize) {
    let indent = "  ".repeat(depth);
    for section in list {
        let _ = writeln!(out, "{indent}<{}>\n{indent}    {}", section.name, section.about);
        params(out, section.params, depth + 1);
        sections(out, section.sections, depth + 1);
    }
}
