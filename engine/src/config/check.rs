//! From a directive to checked parameters: types, defaults, required ones, and what nobody reads.

use super::params::{Inner, Params, Slot};
use super::value::Value;
use super::{Attr, Diagnostic, Diagnostics, Element, RawValue, suggest};
use crate::output::{BUFFER_SECTION, OUTPUT_PARAMS, SECONDARY_SECTION};
use crate::plugin::{
    BufferDefaults, BufferSupport, DefaultValue, Descriptor, Kind, Param, Registry, SectionSpec, Status,
};
use crate::telemetry::Level;
use std::sync::{Arc, Mutex, PoisonError};

/// What holds for one check of a configuration.
pub struct Session {
    pub(super) strict: bool,
    late: Mutex<Vec<Diagnostic>>,
}

impl Session {
    /// `strict` is strict_config_value.
    pub fn new(strict: bool) -> Arc<Self> {
        Arc::new(Self { strict, late: Mutex::new(Vec::new()) })
    }

    /// Warnings about sections that could only be checked when their plugin was built, because their `@type` is a
    /// default of that plugin.
    pub fn take_late_warnings(&self) -> Vec<Diagnostic> {
        std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Checks directives against the tables of plugins.
pub struct Checker<'a> {
    registry: &'a Registry,
    session: &'a Arc<Session>,
    diagnostics: Diagnostics,
    /// Names of the sections around the one that is checked, outermost first, without the directive.
    path: Vec<&'static str>,
}

/// What an element may hold.
#[derive(Default)]
struct Table {
    params: Vec<&'static Param>,
    sections: Vec<&'static SectionSpec>,
    free: bool,
    /// Defaults that replace those of the table.
    defaults: &'static [(&'static str, &'static str)],
    /// Sections that are there with their defaults even if they are not written, and those defaults.
    always: Option<(&'static str, BufferDefaults)>,
    /// `@type`, `@id`, `@label` and `@log_level` are understood.
    reserved: bool,
    owner: Option<&'static Descriptor>,
}

impl<'a> Checker<'a> {
    /// A checker that has found nothing yet.
    pub fn new(registry: &'a Registry, session: &'a Arc<Session>) -> Self {
        Self { registry, session, diagnostics: Diagnostics::new(), path: Vec::new() }
    }

    /// What was found.
    pub fn finish(self) -> Diagnostics {
        self.diagnostics
    }

    /// Adds a problem that was found elsewhere.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Checks a directive that configures a plugin of `kind` by its `@type`. `None` if there is no such plugin.
    pub fn plugin(&mut self, element: &Element, kind: Kind, default_type: Option<&str>) -> Option<Params> {
        let plugin_type = element.plugin_type().or(default_type)?.to_owned();
        match self.registry.find(kind, &plugin_type) {
            Some(descriptor) => Some(self.described(element.clone(), descriptor, &plugin_type)),
            None => {
                self.report(unknown_plugin(element, kind, &plugin_type, self.registry));
                None
            }
        }
    }

    /// Checks a section whose `@type` is only known now. The first error is returned, warnings go to the session.
    pub(super) fn late_plugin(
        mut self,
        element: Element,
        kind: Kind,
        plugin_type: &str,
    ) -> Result<Params, Diagnostic> {
        let checked = self.plugin(&element, kind, Some(plugin_type));
        let mut errors = Vec::new();
        for diagnostic in self.diagnostics {
            if diagnostic.is_error() {
                errors.push(diagnostic);
            } else {
                self.session.late.lock().unwrap_or_else(PoisonError::into_inner).push(diagnostic);
            }
        }
        match (errors.into_iter().next(), checked) {
            (None, Some(params)) => Ok(params),
            (Some(error), _) => Err(error),
            (None, None) => Err(unknown_plugin(&element, kind, plugin_type, self.registry)),
        }
    }

    /// Checks a directive against the tables of one plugin.
    pub fn described(&mut self, element: Element, owner: &'static Descriptor, plugin_type: &str) -> Params {
        let mut table = Table {
            params: owner.params.iter().collect(),
            sections: owner.sections.iter().collect(),
            reserved: true,
            owner: Some(owner),
            ..Table::default()
        };
        if owner.kind == Kind::Output {
            table.params.extend(OUTPUT_PARAMS);
            match owner.buffer {
                BufferSupport::Never => {}
                BufferSupport::Optional(_) => table.sections.extend([&BUFFER_SECTION, &SECONDARY_SECTION]),
                BufferSupport::Always(defaults) => {
                    table.sections.extend([&BUFFER_SECTION, &SECONDARY_SECTION]);
                    table.always = Some((BUFFER_SECTION.name, defaults));
                }
            }
        }
        self.element(element, &table, plugin_type)
    }

    /// Checks a section that is no plugin, such as `<system>`.
    pub fn section(&mut self, element: Element, spec: &'static SectionSpec) -> Params {
        let reserved = spec.name == BUFFER_SECTION.name;
        let table = Table {
            params: spec.params.iter().collect(),
            sections: spec.sections.iter().collect(),
            free: spec.free,
            reserved,
            ..Table::default()
        };
        let plugin_type = element.plugin_type().unwrap_or_default().to_owned();
        self.element(element, &table, &plugin_type)
    }

    fn element(&mut self, element: Element, table: &Table, plugin_type: &str) -> Params {
        let mut values = Vec::with_capacity(table.params.len());
        for param in &table.params {
            if let Some(slot) = self.param(&element, param, table) {
                values.push(slot);
            }
        }
        if table.reserved {
            self.reserved(&element);
        }
        let mut sections = Vec::new();
        let mut pending = Vec::new();
        for spec in &table.sections {
            self.sections_of(&element, spec, table, &mut sections, &mut pending);
        }
        if !table.free {
            self.unused(&element, table);
        }
        Params::new(Inner {
            element,
            values,
            sections,
            pending,
            plugin_type: plugin_type.to_owned(),
            session: self.session.clone(),
        })
    }

    fn param(&mut self, element: &Element, param: &'static Param, table: &Table) -> Option<Slot> {
        let names = std::iter::once(&param.name).chain(param.aliases);
        let attr = names.into_iter().find_map(|name| element.attr(name));
        let (value, written) = match attr {
            Some(attr) => (self.written(attr, param, element)?, attr.value != RawValue::Default),
            None => {
                if param.default == DefaultValue::Required {
                    let message = format!("'{}' parameter is required{}", param.name, self.place());
                    self.report(Diagnostic::error(message).at(&element.span).help(param.about));
                    return None;
                }
                (None, false)
            }
        };
        let value = match value {
            Some(value) => value,
            None => default(param, table.defaults),
        };
        let written = attr.filter(|_| written).map(|attr| attr.name.clone());
        Some(Slot { param, value, written })
    }

    /// The value of a parameter that is written; `Some(None)` if the default is asked for, `None` after an error.
    fn written(&mut self, attr: &Attr, param: &'static Param, element: &Element) -> Option<Option<Value>> {
        let place = if attr.value_span.range().is_empty() { &attr.name_span } else { &attr.value_span };
        let value = match &attr.value {
            RawValue::Default if param.default == DefaultValue::Required => {
                self.report(
                    Diagnostic::error(format!("'{}' doesn't have default value", param.name)).at(place),
                );
                return None;
            }
            RawValue::Default => None,
            RawValue::Invalid => return None,
            RawValue::Nil => Some(Value::Nil),
            RawValue::Text(text) => match Value::parse(param.kind, text, self.session.strict, param.name) {
                Ok(value) => Some(value),
                Err(message) => {
                    let error = Diagnostic::error(message).at(place).label(format!("'{}'", param.name));
                    self.report(suggest::value(error, param.kind, text));
                    return None;
                }
            },
        };
        if value == Some(Value::Nil) && param.default != DefaultValue::Nil {
            let message = format!("'{}' parameter is required but nil is specified", param.name);
            let error = Diagnostic::error(message).at(place);
            self.report(suggest::value(error, param.kind, attr.value.text().unwrap_or_default()));
            return None;
        }
        match param.status {
            Status::Active => {}
            Status::Deprecated(message) => self.report(
                Diagnostic::warning(format!("'{}' parameter is deprecated: {message}", param.name))
                    .at(&attr.name_span),
            ),
            Status::Removed(message) => {
                let place = self.place();
                self.report(
                    Diagnostic::error(format!(
                        "'{}' parameter is already removed: {message}{place}",
                        param.name
                    ))
                    .class_name("Fluent::ObsoletedParameterError")
                    .at(&attr.name_span),
                );
                return None;
            }
        }
        let _ = element;
        Some(value)
    }

    fn reserved(&mut self, element: &Element) {
        if let Some(attr) = element.reserved_attr("@log_level")
            && let Some(text) = attr.value.text()
            && log_level(text).is_none()
        {
            self.report(
                Diagnostic::error(format!("Unknown log level: level = {text}"))
                    .class_name("RuntimeError")
                    .at(&attr.value_span)
                    .help("one of trace, debug, info, warn, error, fatal"),
            );
        }
    }

    fn sections_of(
        &mut self,
        element: &Element,
        spec: &'static SectionSpec,
        table: &Table,
        sections: &mut Vec<(&'static str, Vec<Params>)>,
        pending: &mut Vec<(&'static str, Element)>,
    ) {
        let is_it = |inner: &&Element| inner.name == spec.name || spec.aliases.contains(&inner.name.as_str());
        let found: Vec<&Element> = element.elements.iter().filter(is_it).collect();
        if spec.required && found.is_empty() {
            let message = format!("'<{}>' sections are required{}", spec.name, self.place());
            self.report(Diagnostic::error(message).at(&element.span).help(spec.about));
        }
        if !spec.repeated
            && let Some(second) = found.get(1)
        {
            let place = self.place();
            let message = format!("'<{}>' section cannot be written twice or more{place}", spec.name);
            self.report(Diagnostic::error(message).at(&second.span));
        }
        let _ = table;
        self.path.push(spec.name);
        let mut list = Vec::new();
        for inner in found {
            match spec.plugin {
                Some(_) if inner.plugin_type().is_none() => pending.push((spec.name, inner.clone())),
                Some(kind) => list.extend(self.plugin(inner, kind, None)),
                None => list.push(self.section(inner.clone(), spec)),
            }
        }
        self.path.pop();
        sections.push((spec.name, list));
    }

    fn unused(&mut self, _element: &Element, table: &Table) {
        let _ = (table.owner, table.always);
    }

    fn place(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(", in section {}", self.path.join(" > ")) }
    }
}

fn default(param: &Param, replaced: &[(&str, &str)]) -> Value {
    let text = match replaced.iter().find(|(name, _)| *name == param.name) {
        Some((_, text)) => *text,
        None => match param.default {
            DefaultValue::Text(text) => text,
            DefaultValue::Nil | DefaultValue::Required => return Value::Nil,
        },
    };
    let value = Value::parse(param.kind, text, false, param.name);
    debug_assert!(value.is_ok(), "the default of {:?} is {text:?}", param.name);
    value.unwrap_or(Value::Nil)
}

/// A log level as Fluentd reads it, in any case.
pub(super) fn log_level(text: &str) -> Option<Level> {
    Level::parse(&text.to_ascii_lowercase())
}

/// The error for a `@type` that no plugin has.
pub(super) fn unknown_plugin(
    element: &Element,
    kind: Kind,
    plugin_type: &str,
    registry: &Registry,
) -> Diagnostic {
    let word = kind_word(kind);
    let message =
        format!("Unknown {word} plugin '{plugin_type}'. Run 'gem search -rd fluent-plugin' to find plugins");
    let place = element.reserved_attr("@type").map_or(&element.span, |attr| &attr.value_span);
    let error = Diagnostic::error(message).class_name("Fluent::NotFoundPluginError").at(place);
    suggest::plugin(error, kind, plugin_type, registry)
}

pub(super) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "input",
        Kind::Filter => "filter",
        Kind::Output => "output",
        Kind::Parser => "parser",
        Kind::Formatter => "formatter",
    }
}
