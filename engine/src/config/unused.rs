//! Warnings about what is written and not read by anybody.

use super::check::Table;
use super::element::LEGACY_NAMES;
use super::{Attr, Diagnostic, Element, compat, suggest};
use crate::output::{BUFFER_SECTION, SECONDARY_SECTION};
use crate::plugin::{BufferSupport, Kind, SectionSpec};

/// The warnings for the parameters and sections of `element` that `table` does not know.
pub(super) fn warnings(element: &Element, table: &Table) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if !table.free {
        let unused = element.attrs.iter().filter(|attr| !is_used(attr, element, table));
        found.extend(unused.map(|attr| unused_param(attr, element, table)));
    }
    let unused = element.elements.iter().filter(|inner| !is_known_section(inner, table));
    found.extend(unused.map(|inner| unused_section(inner, element, table)));
    found
}

/// The attributes of `element` that are older spellings of reserved names, with the current ones.
pub(super) fn legacy<'a>(
    element: &'a Element,
    table: &'a Table,
) -> impl Iterator<Item = (&'a Attr, &'static str)> + 'a {
    LEGACY_NAMES
        .iter()
        .filter(|(current, legacy)| !element.has(current) && !declares(table, legacy))
        .filter_map(|(current, legacy)| Some((element.attr(legacy)?, *current)))
}

fn is_used(attr: &Attr, element: &Element, table: &Table) -> bool {
    let name = attr.name.as_str();
    attr.declared.is_some()
        || declares(table, name)
        || table.moved.contains(&name)
        || (table.moved.contains(&"format") && compat::is_multiline_format(name))
        || (table.reserved
            && (["@type", "@id", "@label", "@log_level"].contains(&name)
                || legacy(element, table).any(|(legacy, _)| legacy.name == name)))
}

fn declares(table: &Table, name: &str) -> bool {
    table.params.iter().any(|param| param.name == name || param.aliases.contains(&name))
}

fn is_known_section(inner: &Element, table: &Table) -> bool {
    let name = inner.name.as_str();
    // An output that cannot be buffered refuses these when it is built, with Fluentd's error.
    let is_refused = table
        .owner
        .is_some_and(|owner| owner.kind == Kind::Output && matches!(owner.buffer, BufferSupport::Never))
        && [BUFFER_SECTION.name, SECONDARY_SECTION.name].contains(&name);
    is_refused || table.sections.iter().any(|spec| spec.name == name || spec.aliases.contains(&name))
}

fn unused_param(attr: &Attr, element: &Element, table: &Table) -> Diagnostic {
    let dump = element.to_string();
    let message = format!("parameter '{}' in {} is not used.", attr.name, dump.trim());
    let warning = Diagnostic::warning(message)
        .headline(format!("parameter '{}' in <{}> is not used", attr.name, element.name))
        .at(&attr.name_place());
    let known = table.params.iter().flat_map(|param| std::iter::once(&param.name).chain(param.aliases));
    if let Some(near) = suggest::nearest(&attr.name, known.copied()) {
        return warning.help(format!("did you mean '{near}'?"));
    }
    if let Some(spec) = table.sections.iter().find(|spec| has_param(spec, &attr.name)) {
        return warning.help(format!("it belongs into the section <{}>", spec.name));
    }
    warning
}

fn has_param(spec: &SectionSpec, name: &str) -> bool {
    spec.params.iter().any(|param| param.name == name)
}

fn unused_section(inner: &Element, element: &Element, table: &Table) -> Diagnostic {
    let parent = match element.arg.as_str() {
        "" => element.name.clone(),
        arg => format!("{} {arg}", element.name),
    };
    let mut message = format!("section <{}> is not used in <{parent}>", inner.name);
    if let Some(owner) = table.owner {
        message.push_str(&format!(" of {} plugin", owner.name));
    }
    let warning = Diagnostic::warning(message).at(&inner.span);
    match suggest::nearest(&inner.name, table.sections.iter().map(|spec| spec.name)) {
        Some(near) => warning.help(format!("did you mean <{near}>?")),
        None => warning,
    }
}
