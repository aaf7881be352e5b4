//! From a directive to checked parameters: types, defaults, required ones, and what nobody reads (Fluentd's
//! config/section.rb).

use super::params::{Inner, Params, Slot};
use super::value::Value;
use super::{Attr, Diagnostic, Diagnostics, Element, RawValue, compat, odd, suggest, unused};
use crate::output::{BUFFER_SECTION, OUTPUT_PARAMS, SECONDARY_SECTION};
use crate::plugin::{
    BufferDefaults, BufferSupport, DefaultValue, Descriptor, Kind, Param, Registry, SectionDefault,
    SectionSpec, Status,
};
use crate::telemetry::Level;
use std::sync::{Arc, Mutex, PoisonError};

/// What holds for one check of a configuration.
#[derive(Debug)]
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
    /// Parameters that the section has beside those of the plugin that it configures.
    section_params: &'static [Param],
    /// What the section changes in the defaults of the plugin that it configures.
    section_defaults: &'static [SectionDefault],
}

/// What an element may hold.
#[derive(Default)]
pub(super) struct Table {
    pub(super) params: Vec<&'static Param>,
    pub(super) sections: Vec<&'static SectionSpec>,
    /// Any key is read.
    pub(super) free: bool,
    /// `@type`, `@id`, `@label` and `@log_level` are understood.
    pub(super) reserved: bool,
    /// The plugin whose table it is.
    pub(super) owner: Option<&'static Descriptor>,
    /// Flat parameters that were read for the sections that they stand for.
    pub(super) moved: Vec<&'static str>,
    /// What the plugin changes in the defaults of its `<buffer>`.
    buffer: Option<BufferDefaults>,
    /// Whether `<buffer>` is there even if it is not written.
    always_buffered: bool,
    /// What replaces defaults of the table.
    defaults: Vec<SectionDefault>,
}

impl<'a> Checker<'a> {
    /// A checker that has found nothing yet.
    pub fn new(registry: &'a Registry, session: &'a Arc<Session>) -> Self {
        Self {
            registry,
            session,
            diagnostics: Diagnostics::new(),
            path: Vec::new(),
            section_params: &[],
            section_defaults: &[],
        }
    }

    /// What was found.
    pub fn finish(self) -> Diagnostics {
        self.diagnostics
    }

    /// Adds a problem that was found elsewhere.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Checks a directive that configures a plugin of `kind` by its `@type`. `None` if there is none. The element of the
    /// answer knows which parameter each attribute sets, and has the sections that older spellings stand for.
    pub fn plugin(&mut self, element: &Element, kind: Kind, default_type: Option<&str>) -> Option<Params> {
        self.plugin_in(&mut element.clone(), kind, default_type)
    }

    /// As [`Self::plugin`], in place.
    pub(super) fn plugin_in(
        &mut self,
        element: &mut Element,
        kind: Kind,
        default_type: Option<&str>,
    ) -> Option<Params> {
        let is_broken = element.reserved_attr("@type").is_some_and(|attr| attr.value == RawValue::Invalid);
        let Some(plugin_type) = element.plugin_type().or(default_type).map(str::to_owned) else {
            if !is_broken {
                let place = if self.path.is_empty() { "on" } else { "in" };
                let kind = if self.path.is_empty() { "directive" } else { "section" };
                let message = format!("Missing '@type' parameter {place} <{}> {kind}", element.name);
                self.report(Diagnostic::error(message).at(&element.span));
            }
            return None;
        };
        let Some(descriptor) = self.registry.find(kind, &plugin_type) else {
            self.report(unknown_plugin(element, kind, &plugin_type, self.registry));
            return None;
        };
        Some(self.described(element, descriptor, &plugin_type))
    }

    /// Checks a section whose `@type` is only known now. The first error is returned, warnings go to the session.
    pub(super) fn late_plugin(
        mut self,
        mut element: Element,
        kind: Kind,
        plugin_type: &str,
    ) -> Result<Params, Diagnostic> {
        let checked = self.plugin_in(&mut element, kind, Some(plugin_type));
        let mut first_error = None;
        for diagnostic in self.diagnostics {
            if diagnostic.is_error() {
                first_error.get_or_insert(diagnostic);
            } else {
                self.session.late.lock().unwrap_or_else(PoisonError::into_inner).push(diagnostic);
            }
        }
        match (first_error, checked) {
            (None, Some(params)) => Ok(params),
            (Some(error), _) => Err(error),
            (None, None) => Err(unknown_plugin(&element, kind, plugin_type, self.registry)),
        }
    }

    /// Checks a directive against the tables of one plugin. `plugin_type` is the name by which it was found.
    fn described(&mut self, element: &mut Element, owner: &'static Descriptor, plugin_type: &str) -> Params {
        let section_params = std::mem::take(&mut self.section_params);
        let mut table = Table {
            params: owner.params.iter().chain(section_params).collect(),
            sections: owner.sections.iter().collect(),
            reserved: true,
            owner: Some(owner),
            defaults: std::mem::take(&mut self.section_defaults).to_vec(),
            ..Table::default()
        };
        if owner.kind == Kind::Output {
            table.params.extend(OUTPUT_PARAMS);
            let is_secondary = self.path.last() == Some(&SECONDARY_SECTION.name);
            if let BufferSupport::Optional(defaults) | BufferSupport::Always(defaults) = owner.buffer {
                table.sections.extend([&BUFFER_SECTION, &SECONDARY_SECTION]);
                table.buffer = Some(defaults);
                table.always_buffered = matches!(owner.buffer, BufferSupport::Always(_)) && !is_secondary;
            }
        }
        declare(element, "@log_level", &LOG_LEVEL);
        match compat::convert(element, owner) {
            Ok(moved) => table.moved = moved,
            Err(error) => self.report(error),
        }
        self.element(element, &table, plugin_type)
    }

    /// Checks a section that is no plugin, such as `<system>`.
    pub fn section(&mut self, element: &Element, spec: &'static SectionSpec) -> Params {
        self.section_in(&mut element.clone(), spec)
    }

    pub(super) fn section_in(&mut self, element: &mut Element, spec: &'static SectionSpec) -> Params {
        let table = Table {
            params: spec.params.iter().collect(),
            sections: spec.sections.iter().collect(),
            free: spec.free,
            defaults: spec.defaults.to_vec(),
            ..Table::default()
        };
        let plugin_type = element.plugin_type().unwrap_or_default().to_owned();
        self.element(element, &table, &plugin_type)
    }

    /// `<buffer>`, which is a plugin without a table of its own.
    fn buffer(&mut self, element: &mut Element, defaults: BufferDefaults) -> Params {
        let table = Table {
            params: BUFFER_SECTION.params.iter().collect(),
            reserved: true,
            defaults: defaults
                .params
                .iter()
                .map(|(name, text)| SectionDefault::new(name, Some(text)))
                .collect(),
            ..Table::default()
        };
        let default_type = defaults.params.iter().find(|(name, _)| *name == "@type").map(|(_, text)| *text);
        let plugin_type = element.plugin_type().or(default_type).unwrap_or_default().to_owned();
        self.element(element, &table, &plugin_type)
    }

    fn element(&mut self, element: &mut Element, table: &Table, plugin_type: &str) -> Params {
        let mut values = Vec::with_capacity(table.params.len());
        for param in &table.params {
            values.extend(self.param(element, param, &table.defaults));
        }
        if table.reserved {
            self.reserved(element, table);
        }
        if table.free {
            for attr in element.attrs.iter_mut().filter(|attr| attr.declared.is_none()) {
                attr.declared = Some(&FREE);
            }
        }
        let mut sections = Vec::new();
        let mut pending = Vec::new();
        for spec in &table.sections {
            let checked = self.sections(element, spec, table, plugin_type, &mut pending);
            sections.push((spec.name, checked));
        }
        self.diagnostics.extend(unused::warnings(element, table));
        Params::new(Inner {
            element: element.clone(),
            values,
            sections,
            pending,
            plugin_type: plugin_type.to_owned(),
            session: self.session.clone(),
        })
    }

    /// The value of one parameter; `None` after an error.
    fn param(
        &mut self,
        element: &mut Element,
        param: &'static Param,
        defaults: &[SectionDefault],
    ) -> Option<Slot> {
        let mut names = std::iter::once(&param.name).chain(param.aliases);
        for attr in &mut element.attrs {
            // Also a second spelling, which is not read: it holds a secret as well.
            if names.clone().any(|name| attr.name == *name) {
                attr.declared = Some(param);
            }
        }
        let found = names.find(|name| element.has(name));
        let attr = found.and_then(|name| element.attr(name));
        let Some(attr) = attr else {
            if param.default == DefaultValue::Required {
                let message = format!("'{}' parameter is required{}", param.name, self.place());
                self.report(Diagnostic::error(message).at(&element.span).note(param.about));
                return None;
            }
            return Some(Slot::new(param, default(param, defaults, element), None));
        };
        let attr = attr.clone();
        let written = Some(attr.name.clone());
        match attr.value {
            RawValue::Invalid => None,
            RawValue::Default if param.default == DefaultValue::Required => {
                let message = format!("'{}' doesn't have default value", param.name);
                self.report(Diagnostic::error(message).at(&attr.place()));
                None
            }
            RawValue::Default => Some(Slot::new(param, default(param, defaults, element), None)),
            RawValue::Nil => {
                self.given(&attr, param, Value::Nil).map(|value| Slot::new(param, value, written))
            }
            RawValue::Text(ref text) => {
                match Value::parse(param.kind, text, self.session.strict, param.name) {
                    Ok(value) => {
                        self.diagnostics.extend(odd::warning(&attr, param.name, text, &value));
                        self.given(&attr, param, value).map(|value| Slot::new(param, value, written))
                    }
                    Err(message) => {
                        let error = Diagnostic::error(message).at(&attr.place());
                        let label = format!("the value of '{}'", param.name);
                        self.report(suggest::value(error.label(label), param.kind, text));
                        None
                    }
                }
            }
        }
    }

    /// A value that was written, unless it may not be.
    fn given(&mut self, attr: &Attr, param: &'static Param, value: Value) -> Option<Value> {
        if value.is_nil() && param.default != DefaultValue::Nil {
            let message = format!("'{}' parameter is required but nil is specified", param.name);
            let error = Diagnostic::error(message).at(&attr.place());
            let text = attr.value.text();
            self.report(text.map_or(error.clone(), |text| suggest::value(error, param.kind, text)));
            return None;
        }
        match param.status {
            Status::Active => {}
            Status::Deprecated(message) => {
                let message = format!("'{}' parameter is deprecated: {message}", param.name);
                self.report(Diagnostic::warning(message).at(&attr.name_place()));
            }
            Status::WithoutEffect(why) => {
                let message = format!("'{}' has no effect in Logweir: {why}", param.name);
                self.report(Diagnostic::warning(message).at(&attr.name_place()));
            }
            Status::Removed(message) => {
                let place = self.place();
                let message = format!("'{}' parameter is already removed: {message}{place}", param.name);
                let error = Diagnostic::error(message).class_name("Fluent::ObsoletedParameterError");
                self.report(error.at(&attr.name_place()));
                return None;
            }
        }
        Some(value)
    }

    fn reserved(&mut self, element: &Element, table: &Table) {
        for (attr, current) in unused::legacy(element, table) {
            let message = format!("'{}' is deprecated parameter name. use '{current}' instead.", attr.name);
            self.report(Diagnostic::warning(message).at(&attr.name_place()));
        }
        if let Some(attr) = element.reserved_attr("@log_level")
            && let Some(text) = attr.value.text()
            && log_level(text).is_none()
        {
            let error = Diagnostic::error(format!("Unknown log level: level = {text}"));
            let error = error.class_name("RuntimeError").at(&attr.place());
            self.report(error.help("one of trace, debug, info, warn, error, fatal"));
        }
    }

    fn sections(
        &mut self,
        element: &mut Element,
        spec: &'static SectionSpec,
        table: &Table,
        plugin_type: &str,
        pending: &mut Vec<(&'static str, Element)>,
    ) -> Vec<Params> {
        let is_it = |inner: &Element| inner.name == spec.name || spec.aliases.contains(&inner.name.as_str());
        let found: Vec<usize> =
            (0..element.elements.len()).filter(|index| is_it(&element.elements[*index])).collect();
        if spec.required && found.is_empty() {
            let message = format!("'<{}>' sections are required{}", spec.name, self.place());
            self.report(Diagnostic::error(message).at(&element.span).note(spec.about));
        }
        if !spec.repeated
            && let Some(second) = found.get(1)
        {
            let message =
                format!("'<{}>' section cannot be written twice or more{}", spec.name, self.place());
            self.report(Diagnostic::error(message).at(&element.elements[*second].span));
        }
        let is_buffer = spec.name == BUFFER_SECTION.name;
        let default_type = match spec.name {
            name if name == SECONDARY_SECTION.name => Some(plugin_type),
            _ => spec.default_type,
        };
        self.path.push(spec.name);
        let mut checked = Vec::new();
        for index in &found {
            let inner = &mut element.elements[*index];
            if spec.plugin.is_some() || is_buffer {
                declare(inner, "@type", &TYPE_OF_SECTION);
            }
            checked.extend(self.one_section(inner, spec, table, default_type, pending));
        }
        if found.is_empty() && (spec.always || (is_buffer && table.always_buffered)) {
            let mut inner = Element::new(spec.name, "", element.span.clone());
            checked.extend(self.one_section(&mut inner, spec, table, default_type, pending));
        }
        self.path.pop();
        checked
    }

    fn one_section(
        &mut self,
        element: &mut Element,
        spec: &'static SectionSpec,
        table: &Table,
        default_type: Option<&str>,
        pending: &mut Vec<(&'static str, Element)>,
    ) -> Option<Params> {
        match (spec.plugin, table.buffer) {
            (Some(Kind::Parser | Kind::Formatter), _)
                if element.reserved_attr("@type").is_none() && default_type.is_none() =>
            {
                pending.push((spec.name, element.clone()));
                None
            }
            (Some(kind), _) => {
                (self.section_params, self.section_defaults) = (spec.params, spec.defaults);
                let checked = self.plugin_in(element, kind, default_type);
                (self.section_params, self.section_defaults) = (&[], &[]);
                checked
            }
            (None, Some(defaults)) if spec.name == BUFFER_SECTION.name => {
                Some(self.buffer(element, defaults))
            }
            (None, _) => Some(self.section_in(element, spec)),
        }
    }

    fn place(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(", in section {}", self.path.join(" > ")) }
    }
}

/// Notes that an attribute with a reserved name is a text, which Fluentd's dump shows in quotes. It declares the `@type`
/// of sections and the `@log_level` of plugins, and no others.
fn declare(element: &mut Element, name: &str, param: &'static Param) {
    let written = element.reserved_attr(name).map(|attr| attr.name.clone());
    if let Some(attr) = element.attrs.iter_mut().find(|attr| Some(&attr.name) == written.as_ref()) {
        attr.declared = Some(param);
    }
}

static TYPE_OF_SECTION: Param = Param::new("@type", crate::plugin::ParamKind::String, "The plugin");
/// What a section with any names takes: the user's own, which say nothing about secrets.
static FREE: Param = Param::new("", crate::plugin::ParamKind::Hash, "Any");
static LOG_LEVEL: Param =
    Param::new("@log_level", crate::plugin::ParamKind::String, "Least level that the plugin logs");

fn default(param: &Param, replaced: &[SectionDefault], element: &Element) -> Value {
    let is_it = |other: &&SectionDefault| {
        other.name == param.name && !other.unless.is_some_and(|unless| element.has(unless))
    };
    let text = match replaced.iter().find(is_it) {
        Some(SectionDefault { value: None, .. }) => return Value::Nil,
        Some(SectionDefault { value: Some(text), .. }) => *text,
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

/// What messages call a plugin of that kind.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Input => "input",
        Kind::Filter => "filter",
        Kind::Output => "output",
        Kind::Parser => "parser",
        Kind::Formatter => "formatter",
    }
}
