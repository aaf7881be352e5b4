//! The configuration as a tree of directives.

use super::{Span, secret};
use crate::plugin::Param;

/// A value as it was written, after quotes, escapes and embedded expressions are dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// A text.
    Text(String),
    /// `"#{use_nil}"`: the parameter counts as given, and given as nothing.
    Nil,
    /// `"#{use_default}"`: the parameter counts as not given.
    Default,
    /// It could not be read, which has been reported.
    Invalid,
}

impl RawValue {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nil | Self::Default | Self::Invalid => None,
        }
    }
}

/// `name value`
#[derive(Clone, Debug)]
pub struct Attr {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: RawValue,
    /// Where the name stands.
    pub name_span: Span,
    /// Where the value stands, quotes included; the end of the name if there is none.
    pub value_span: Span,
    /// The parameter that it sets; known after the check.
    pub declared: Option<&'static Param>,
}

impl Attr {
    /// A parameter that has not been checked.
    pub fn new(name: impl Into<String>, value: RawValue, name_span: Span, value_span: Span) -> Self {
        Self { name: name.into(), value, name_span, value_span, declared: None }
    }

    /// What to mark when the value is wrong: the value, or the name if nothing follows it. The text around it does not
    /// show the value of a secret.
    pub fn place(&self) -> Span {
        let span = if self.value_span.range().is_empty() { &self.name_span } else { &self.value_span };
        if self.is_secret() { span.masked() } else { span.clone() }
    }

    /// What to mark when the name is wrong. The text around it does not show the value of a secret.
    pub fn name_place(&self) -> Span {
        if self.is_secret() && !self.value_span.range().is_empty() {
            return self.name_span.within(&self.value_span.masked());
        }
        self.name_span.clone()
    }

    /// Whether its value must not be shown: the parameter that it sets is secret, or it sets none that is known and is
    /// called like one that is (in a plugin that is not built in, or misspelt).
    pub fn is_secret(&self) -> bool {
        self.declared.map_or_else(|| secret::is_secret_name(&self.name), |param| param.secret)
    }
}

/// A directive or section: `<name arg> ... </name>`. The root of a file is an element named `ROOT`.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its argument; empty if there is none.
    pub arg: String,
    /// Its parameters in order of first appearance. A name is there once: the last value wins.
    pub attrs: Vec<Attr>,
    /// The sections in it, in order.
    pub elements: Vec<Element>,
    /// Where its start tag stands.
    pub span: Span,
    /// Where its argument stands.
    pub arg_span: Option<Span>,
}

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<String>, arg: impl Into<String>, span: Span) -> Self {
        Self {
            name: name.into(),
            arg: arg.into(),
            attrs: Vec::new(),
            elements: Vec::new(),
            span,
            arg_span: None,
        }
    }

    /// The parameter of that name.
    pub fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.iter().find(|attr| attr.name == name)
    }

    /// The text of the parameter of that name, unless it is nil or default.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attr(name).and_then(|attr| attr.value.text())
    }

    /// Whether the parameter is written, with whatever value.
    pub fn has(&self, name: &str) -> bool {
        self.attr(name).is_some()
    }

    /// Adds a parameter. If the name is there already, its value is replaced and its position stays, as in Ruby's
    /// Hash.
    pub fn set(&mut self, attr: Attr) {
        match self.attrs.iter_mut().find(|existing| existing.name == attr.name) {
            Some(existing) => *existing = attr,
            None => self.attrs.push(attr),
        }
    }

    /// The sections of that name.
    pub fn sections<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> + 'a {
        self.elements.iter().filter(move |element| element.name == name)
    }

    /// The `@type`, or the legacy `type`.
    pub fn plugin_type(&self) -> Option<&str> {
        self.reserved("@type")
    }

    /// A parameter with a reserved name (`@type`, `@id`, `@log_level`, `@label`), or its legacy spelling without `@`.
    pub fn reserved(&self, name: &str) -> Option<&str> {
        self.reserved_attr(name).and_then(|attr| attr.value.text())
    }

    /// As [`Self::reserved`], with its place.
    pub fn reserved_attr(&self, name: &str) -> Option<&Attr> {
        self.attr(name).or_else(|| {
            let (_, legacy) = LEGACY_NAMES.iter().find(|(current, _)| *current == name)?;
            self.attr(legacy)
        })
    }
}

/// Names with `@` that were once written without.
pub(super) const LEGACY_NAMES: &[(&str, &str)] =
    &[("@type", "type"), ("@id", "id"), ("@log_level", "log_level")];
