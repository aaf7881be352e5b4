//! Settings from several places, one over the other: defaults, `<system>`, the environment, the command line.

use super::table::SYSTEM;
use crate::config::value::Value;
use crate::config::{Diagnostic, Diagnostics, Params};
use crate::plugin::{DefaultValue, Param};
use config::{Config, ConfigError, Map, Source, Value as Setting, ValueKind};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    list: Vec<(String, String, String)>,
}

impl Overrides {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the parameter `name` of `<system>` (or `log.format` for one of its `<log>`) to `text`, as if it were
    /// written there. `option` is what the user typed. The last one wins.
    #[must_use]
    pub fn with(mut self, name: &str, text: impl Into<String>, option: impl Into<String>) -> Self {
        self.list.push((name.to_owned(), text.into(), option.into()));
        self
    }
}

impl Overrides {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.list.iter().rev().find(|(known, _, _)| known == name).map(|(_, text, _)| text.as_str())
    }
}

/// The settings of one place.
#[derive(Clone, Debug, Default)]
struct Layer {
    settings: Map<String, Setting>,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Setting>, ConfigError> {
        Ok(self.settings.clone())
    }
}

impl Layer {
    fn set(&mut self, name: &str, value: &Value, origin: &str) {
        let kind = match value {
            Value::Text(text) => ValueKind::String(text.clone()),
            Value::Word(word) => ValueKind::String((*word).to_owned()),
            Value::Integer(value) | Value::Size(value) => ValueKind::I64(*value),
            Value::Float(value) | Value::Time(value) => ValueKind::Float(*value),
            Value::Bool(value) => ValueKind::Boolean(*value),
            Value::Nil | Value::Array(_) | Value::Hash(_) | Value::Regexp(_) => return,
        };
        self.settings.insert(name.to_owned(), Setting::new(Some(&origin.to_owned()), kind));
    }

    /// Reads `text` as the type of the parameter.
    fn parse(&mut self, name: &str, text: &str, origin: &str, diagnostics: &mut Diagnostics) {
        let Some((_, param)) = all_params().find(|(known, _)| known == name) else {
            return diagnostics.push(Diagnostic::error(format!("{origin}: there is no setting '{name}'")));
        };
        match Value::parse(param.kind, text, false, name) {
            Ok(Value::Nil) => {
                let message = format!("{origin}: '{name}' parameter is required but nil is specified");
                diagnostics.push(Diagnostic::error(message));
            }
            Ok(value) => self.set(name, &value, origin),
            Err(message) => diagnostics.push(Diagnostic::error(format!("{origin}: {message}"))),
        }
    }

    fn defaults() -> Self {
        let mut layer = Self::default();
        for (name, param) in all_params() {
            if let DefaultValue::Text(text) = param.default
                && let Ok(value) = Value::parse(param.kind, text, false, &name)
            {
                layer.set(&name, &value, "default");
            }
        }
        layer
    }

    fn section(params: &Params) -> Self {
        let mut layer = Self::default();
        let mut add = |params: &Params, prefix: &str| {
            for (param, value, attr) in params.written_values() {
                layer.set(&format!("{prefix}{}", param.name), value, &attr.name_span.to_string());
            }
        };
        add(params, "");
        if let Some(log) = params.section("log") {
            add(log, "log.");
        }
        layer
    }

    fn environment(read: &dyn Fn(&str) -> Option<String>, diagnostics: &mut Diagnostics) -> Self {
        let mut layer = Self::default();
        for (name, _) in all_params() {
            let variable = format!("{PREFIX}{}", name.replace('.', "_").to_ascii_uppercase());
            if let Some(text) = read(&variable) {
                layer.parse(&name, &text, &variable, diagnostics);
            }
        }
        layer
    }

    fn overrides(overrides: &Overrides, diagnostics: &mut Diagnostics) -> Self {
        let mut layer = Self::default();
        for (name, text, option) in &overrides.list {
            layer.parse(name, text, option, diagnostics);
        }
        layer
    }
}

/// All settings by name, those of `<log>` as `log.NAME`.
fn all_params() -> impl Iterator<Item = (String, &'static Param)> {
    let own = SYSTEM.params.iter().map(|param| (param.name.to_owned(), param));
    let log = SYSTEM.sections.iter().filter(|section| section.name == "log");
    own.chain(log.flat_map(|section| section.params).map(|param| (format!("log.{}", param.name), param)))
}

/// The settings that hold, and where each comes from.
pub(super) struct Layers {
    config: Config,
    /// The names that were asked for.
    asked: RefCell<BTreeSet<String>>,
}

impl Layers {
    /// `section` is the checked `<system>`. `read` looks up an environment variable.
    pub(super) fn new(
        section: Option<&Params>,
        read: &dyn Fn(&str) -> Option<String>,
        overrides: &Overrides,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let built = Config::builder()
            .add_source(Layer::defaults())
            .add_source(section.map(Layer::section).unwrap_or_default())
            .add_source(Layer::environment(read, diagnostics))
            .add_source(Layer::overrides(overrides, diagnostics))
            .build();
        let config = built.unwrap_or_else(|error| {
            diagnostics.push(Diagnostic::error(format!("the settings cannot be combined: {error}")));
            Config::default()
        });
        Self { config, asked: RefCell::default() }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.asked(name).get_string(name).ok()
    }

    pub(super) fn bool(&self, name: &str) -> bool {
        self.opt_bool(name).unwrap_or(false)
    }

    pub(super) fn opt_bool(&self, name: &str) -> Option<bool> {
        self.asked(name).get_bool(name).ok()
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.asked(name).get_int(name).ok()
    }

    pub(super) fn time(&self, name: &str) -> Option<std::time::Duration> {
        self.asked(name).get_float(name).ok().map(crate::config::value::duration)
    }

    fn asked(&self, name: &str) -> &Config {
        self.asked.borrow_mut().insert(name.to_owned());
        &self.config
    }

    /// Settings that have an effect, and that nobody has asked for.
    #[cfg(test)]
    pub(super) fn never_asked(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        let live = all_params()
            .filter(|(_, param)| !matches!(param.status, crate::plugin::Status::WithoutEffect(_)));
        live.map(|(name, _)| name).filter(|name| !asked.contains(name)).collect()
    }

    /// Where each setting comes from: `default`, `FILE:LINE:COLUMN`, an environment variable or an option.
    pub(super) fn origins(&self) -> BTreeMap<String, String> {
        let mut origins = BTreeMap::new();
        for (name, _) in all_params() {
            let mut table = &self.config.cache;
            for part in name.split('.') {
                let ValueKind::Table(map) = &table.kind else { break };
                let Some(inner) = map.get(part) else { break };
                table = inner;
            }
            if let Some(origin) = table.origin() {
                origins.insert(name, origin.to_owned());
            }
        }
        origins
    }
}

/// Environment variables are named after the setting: `LOGWEIR_LOG_LEVEL`, `LOGWEIR_LOG_FORMAT` for `log.format`.
const PREFIX: &str = "LOGWEIR_";
