//! The checked parameters of one directive or section.

use super::check::{Checker, Session, log_level, unknown_plugin};
use super::value::{Value, duration};
use super::{Attr, Diagnostic, Element, RawValue, Span};
use crate::plugin::{Kind, Param, Registry, Status};
use crate::regexp::Regexp;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The checked parameters of one directive or section. Cheap to clone.
///
/// Getters answer `None` for a parameter that is not set and has no default. Asking for a parameter that the table
/// does not declare, or for another type than it declares, is a mistake of the plugin: debug builds stop there.
#[derive(Clone)]
pub struct Params(Arc<Inner>);

pub(super) struct Inner {
    pub(super) element: Element,
    pub(super) values: Vec<Slot>,
    pub(super) sections: Vec<(&'static str, Vec<Params>)>,
    /// Plugin sections whose `@type` is only known when the plugin is built.
    pub(super) pending: Vec<(&'static str, Element)>,
    pub(super) plugin_type: String,
    pub(super) session: Arc<Session>,
}

pub(super) struct Slot {
    pub(super) param: &'static Param,
    pub(super) value: Value,
    /// The name under which it is written.
    pub(super) written: Option<String>,
    /// Whether its value was ever asked for.
    asked: AtomicBool,
}

impl Slot {
    pub(super) fn new(param: &'static Param, value: Value, written: Option<String>) -> Self {
        Self { param, value, written, asked: AtomicBool::new(false) }
    }
}

impl Params {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// A text.
    pub fn str(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Value::Text(text) => Some(text),
            Value::Word(word) => Some(word),
            other => self.none(name, "a string", other),
        }
    }

    /// A text, owned; empty if it is not set.
    pub fn string(&self, name: &str) -> String {
        self.str(name).unwrap_or_default().to_owned()
    }

    /// A text as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.str(name).map(PathBuf::from)
    }

    /// A bool; false if it is not set.
    pub fn bool(&self, name: &str) -> bool {
        self.opt_bool(name).unwrap_or(false)
    }

    /// A bool.
    pub fn opt_bool(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Value::Bool(value) => Some(*value),
            other => self.none(name, "a bool", other),
        }
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Value::Integer(value) => Some(*value),
            other => self.none(name, "an integer", other),
        }
    }

    /// A float.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Value::Float(value) => Some(*value),
            other => self.none(name, "a float", other),
        }
    }

    /// Bytes. A negative size, with which some parameters say "no limit", is `None` here; [`Self::signed_size`] has it.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.signed_size(name).and_then(|size| u64::try_from(size).ok())
    }

    /// Bytes, negative ones included.
    pub fn signed_size(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Value::Size(value) => Some(*value),
            other => self.none(name, "a size", other),
        }
    }

    /// A time. A negative one is zero here; [`Self::seconds`] has it.
    pub fn time(&self, name: &str) -> Option<Duration> {
        self.seconds(name).map(duration)
    }

    /// A time in seconds, negative ones included.
    pub fn seconds(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Value::Time(value) => Some(*value),
            other => self.none(name, "a time", other),
        }
    }

    /// A list as texts: strings as they are, other JSON values as JSON text, null as the empty text.
    pub fn array(&self, name: &str) -> Option<Vec<String>> {
        self.array_values(name).map(|items| items.iter().map(json_text).collect())
    }

    /// A list as it was written.
    pub fn array_values(&self, name: &str) -> Option<&[Json]> {
        match self.value(name) {
            Value::Array(items) => Some(items),
            other => self.none(name, "an array", other),
        }
    }

    /// A map, in order.
    pub fn hash(&self, name: &str) -> Option<Vec<(String, Json)>> {
        match self.value(name) {
            Value::Hash(pairs) => Some(pairs.clone()),
            other => self.none(name, "a hash", other),
        }
    }

    /// The word of an enum.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        match self.value(name) {
            Value::Word(word) => Some(word),
            other => self.none(name, "an enum", other),
        }
    }

    /// A regular expression. Cloning one is cheap.
    pub fn regexp(&self, name: &str) -> Option<Regexp> {
        match self.value(name) {
            Value::Regexp(regexp) => Some(regexp.clone()),
            other => self.none(name, "a regexp", other),
        }
    }

    /// Whether the user wrote the parameter (with a value other than `use_default`).
    pub fn is_set(&self, name: &str) -> bool {
        self.slot(name).is_some_and(|slot| slot.written.is_some())
    }

    /// The argument of the section; empty if there is none.
    pub fn arg(&self) -> &str {
        &self.0.element.arg
    }

    /// The name of the section or directive.
    pub fn name(&self) -> &str {
        &self.0.element.name
    }

    /// The section of that name, the first if there are several.
    pub fn section(&self, name: &str) -> Option<&Params> {
        self.sections(name).first()
    }

    /// All sections of that name, in order.
    pub fn sections(&self, name: &str) -> &[Params] {
        self.0.sections.iter().find(|(known, _)| *known == name).map_or(&[], |(_, list)| list)
    }

    /// All keys and values of the section in order, whether a table declares them or not; for free sections such as
    /// `<record>`. A value that is `use_nil` is the empty text; one that is `use_default` is left out.
    pub fn attrs(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.0.element.attrs.iter().filter_map(|attr| match &attr.value {
            RawValue::Text(text) => Some((attr.name.as_str(), text.as_str())),
            RawValue::Nil => Some((attr.name.as_str(), "")),
            RawValue::Default | RawValue::Invalid => None,
        })
    }

    /// The directive as it was written, after older spellings were moved into their sections.
    pub fn element(&self) -> &Element {
        &self.0.element
    }

    /// Where the directive stands.
    pub fn span(&self) -> &Span {
        &self.0.element.span
    }

    /// The `@type`; empty if there is none.
    pub fn plugin_type(&self) -> &str {
        &self.0.plugin_type
    }

    /// The `@id`.
    pub fn plugin_id(&self) -> Option<&str> {
        self.0.element.reserved("@id")
    }

    /// The `@label`.
    pub fn label(&self) -> Option<&str> {
        self.0.element.reserved("@label")
    }

    /// The `@log_level`, which has been checked.
    pub fn log_level(&self) -> Option<crate::telemetry::Level> {
        self.0.element.reserved("@log_level").and_then(log_level)
    }

    /// Whether strict_config_value is on: a plugin with types of its own should then refuse what it would guess at.
    pub fn is_strict(&self) -> bool {
        self.0.session.strict
    }

    /// A problem of one parameter: points at its value, or at the directive if it is not written. A reserved name
    /// (`@label`) or a key of a free section works too.
    pub fn error(&self, name: &str, message: impl Into<String>) -> Diagnostic {
        let diagnostic = Diagnostic::error(message);
        match self.written(name) {
            Some(attr) => diagnostic.at(&attr.place()),
            None => diagnostic.at(self.span()),
        }
    }

    /// A problem of this directive as a whole.
    pub fn error_here(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self.span())
    }

    /// The parameters of a section that configures a plugin, checked against that plugin's table. Without the
    /// section, or without a `@type` in it, the plugin is `default`.
    pub fn plugin_section(
        &self,
        section: &'static str,
        kind: Kind,
        default: Option<&str>,
        registry: &Registry,
    ) -> Result<Params, Diagnostic> {
        if let Some(checked) = self.section(section) {
            return Ok(checked.clone());
        }
        let pending = self.0.pending.iter().find(|(name, _)| *name == section).map(|(_, element)| element);
        let Some(plugin_type) = default else {
            return Err(match pending {
                Some(element) => {
                    Diagnostic::error(format!("@type is required in <{section}>")).at(&element.span)
                }
                None => self.error_here(format!("<{section}> section is required.")),
            });
        };
        let element = match pending {
            Some(element) => element.clone(),
            None => Element::new(section, "", self.span().clone()),
        };
        Checker::new(registry, &self.0.session).late_plugin(element, kind, plugin_type)
    }

    /// The same section as another plugin reads it: what that plugin's table does not have is left out.
    pub fn as_plugin(
        &self,
        kind: Kind,
        plugin_type: &str,
        registry: &Registry,
    ) -> Result<Params, Diagnostic> {
        self.as_plugin_with(kind, plugin_type, registry, &[])
    }

    /// [`Params::as_plugin`] with these parameters in addition, or in place of those that are written.
    pub fn as_plugin_with(
        &self,
        kind: Kind,
        plugin_type: &str,
        registry: &Registry,
        more: &[(&str, String)],
    ) -> Result<Params, Diagnostic> {
        let mut element = self.element().clone();
        for (name, text) in more {
            element.attrs.retain(|attr| attr.name != *name);
            let place = self.span().clone();
            element.attrs.push(Attr::new(*name, RawValue::Text(text.clone()), place.clone(), place));
        }
        let params = registry.find(kind, plugin_type).map_or(&[][..], |descriptor| descriptor.params);
        element.attrs.retain(|attr| {
            let is_it =
                |param: &&Param| param.name == attr.name || param.aliases.contains(&attr.name.as_str());
            // What has no effect there may have one in the section's own plugin, and needs no word.
            params.iter().find(is_it).is_some_and(|param| !matches!(param.status, Status::WithoutEffect(_)))
        });
        // What is handed over is read there.
        for slot in
            self.0.values.iter().filter(|slot| params.iter().any(|param| param.name == slot.param.name))
        {
            slot.asked.store(true, Relaxed);
        }
        Checker::new(registry, &self.0.session).late_plugin(element, kind, plugin_type)
    }

    /// The error for a `@type` that no plugin has, with the nearest one as a suggestion.
    pub fn unknown_plugin(&self, kind: Kind, registry: &Registry) -> Diagnostic {
        unknown_plugin(self.element(), kind, self.plugin_type(), registry)
    }

    /// The parameters that the user wrote, with their values and places.
    pub(super) fn written_values(&self) -> impl Iterator<Item = (&'static Param, &Value, &Attr)> + '_ {
        self.0.values.iter().filter_map(|slot| {
            let attr = self.0.element.attr(slot.written.as_deref()?)?;
            Some((slot.param, &slot.value, attr))
        })
    }

    /// The parameters whose values were asked for so far, those of a section as `SECTION.NAME`. For the test that code reads
    /// what the tables declare: asking whether one is set does not count.
    pub fn asked(&self) -> BTreeSet<String> {
        let own = self.0.values.iter().filter(|slot| slot.asked.load(Relaxed));
        let mut asked: BTreeSet<String> = own.map(|slot| slot.param.name.to_owned()).collect();
        for (section, list) in &self.0.sections {
            let inner = list.iter().flat_map(Self::asked);
            asked.extend(inner.map(|name| format!("{section}.{name}")));
        }
        asked
    }

    /// The check that these parameters belong to.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    fn written(&self, name: &str) -> Option<&Attr> {
        let known = self.slot(name).and_then(|slot| slot.written.as_deref());
        self.0.element.reserved_attr(known.unwrap_or(name))
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        self.0.values.iter().find(|slot| slot.param.name == name)
    }

    fn value(&self, name: &str) -> &Value {
        let slot = self.slot(name);
        debug_assert!(slot.is_some(), "the table of <{}> does not declare {name:?}", self.name());
        slot.map_or(&Value::Nil, |slot| {
            slot.asked.store(true, Relaxed);
            &slot.value
        })
    }

    fn none<T>(&self, name: &str, wanted: &str, found: &Value) -> Option<T> {
        debug_assert!(found.is_nil(), "{name:?} of <{}> is {found:?}, not {wanted}", self.name());
        None
    }
}

impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Params(<{}> {:?})", self.name(), self.span())
    }
}

pub(super) fn json_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}
