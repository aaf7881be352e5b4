//! Parameters as a Markdown table.

use logweir_engine::plugin::{DefaultValue, Origin, Param, ParamKind, SectionDefault, SectionSpec, Status};
use std::fmt::Write;

/// The parameters of a table; `replaced` are the defaults that the owner of a section changes.
pub(super) fn params(out: &mut String, params: &[&Param], replaced: &[SectionDefault]) {
    if params.is_empty() {
        return;
    }
    out.push_str("| parameter | type | default | what it does |\n|---|---|---|---|\n");
    for param in params {
        let names: Vec<String> =
            std::iter::once(&param.name).chain(param.aliases).map(|name| format!("`{name}`")).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            names.join(", "),
            kind(param.kind),
            default(param, replaced),
            what(param)
        );
    }
    out.push('\n');
}

/// A text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

/// Code in a cell of a table.
fn code(text: &str) -> String {
    match text {
        "" => "empty".to_owned(),
        text => format!("`{}`", text.replace('|', "\\|")),
    }
}

fn kind(kind: ParamKind) -> String {
    match kind {
        ParamKind::Enum(words) => words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", "),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn default(param: &Param, replaced: &[SectionDefault]) -> String {
    let here = replaced.iter().find(|default| default.name == param.name);
    match (here.map(|default| default.value), param.default) {
        (Some(Some(text)), _) | (None, DefaultValue::Text(text)) => code(text),
        (None, DefaultValue::Required) => "**required**".to_owned(),
        (Some(None), _) | (None, DefaultValue::Nil) => String::new(),
    }
}

fn what(param: &Param) -> String {
    let mut what = cell(param.about);
    let mut add = |text: String| {
        what.push_str(". ");
        what.push_str(&text);
    };
    match param.status {
        Status::Active => {}
        Status::Deprecated(why) => add(format!("*Deprecated:* {}", cell(why))),
        Status::WithoutEffect(why) => add(format!("*Accepted, without effect:* {}", cell(why))),
        Status::Removed(why) => add(format!("*Removed, refused:* {}", cell(why))),
    }
    match param.origin {
        Origin::Original => {}
        Origin::Since(version) => add(format!("*Fluentd {version}*")),
        Origin::Logweir => add("*Logweir's own*".to_owned()),
    }
    if param.secret {
        add("Masked in what is shown".to_owned());
    }
    what
}

/// How often a section may be there, and with what in it.
pub(super) fn section_words(section: &SectionSpec) -> String {
    let mut words = vec![section.about.to_owned()];
    match (section.required, section.repeated) {
        (true, true) => words.push("At least one is required".to_owned()),
        (true, false) => words.push("Required".to_owned()),
        (false, true) => words.push("May be there several times".to_owned()),
        (false, false) => {}
    }
    if section.free {
        words.push("Takes any names".to_owned());
    }
    if !section.aliases.is_empty() {
        let names: Vec<String> = section.aliases.iter().map(|name| format!("`<{name}>`")).collect();
        words.push(format!("Also written {}", names.join(", ")));
    }
    words.join(". ") + "."
}
