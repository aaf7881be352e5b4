//! A plugin as a literal: names, parameter tables, build function.

use super::{BuildContext, Filter, Formatter, Input, OutputPlugin, Parser};
use crate::config::{Diagnostic, Params};
use std::sync::Arc;

/// What a plugin is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<source>`
    Input,
    /// `<filter>`
    Filter,
    /// `<match>`, `<store>`, `<secondary>`
    Output,
    /// `<parse>`
    Parser,
    /// `<format>`
    Formatter,
}

/// Everything that the program knows about a plugin before it builds one.
pub struct Descriptor {
    /// What it is used as.
    pub kind: Kind,
    /// The `@type`.
    pub name: &'static str,
    /// Other spellings of the `@type`.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub about: &'static str,
    /// Its own parameters; `@type`, `@id`, `@label` and `@log_level` are understood everywhere.
    pub params: &'static [Param],
    /// Its sections. `<buffer>` and `<secondary>` of outputs are not listed: [`BufferSupport`] brings them.
    pub sections: &'static [SectionSpec],
    /// Which flat parameters of older configurations are moved into sections (Fluentd's compat_parameters).
    pub compat: &'static [Compat],
    /// Whether events may or must pass a buffer; only for outputs.
    pub buffer: BufferSupport,
    /// Makes one from checked parameters.
    pub build: Build,
}

impl Descriptor {
    /// A descriptor with empty tables, to be filled in with `..Descriptor::new(...)`.
    pub const fn new(kind: Kind, name: &'static str, about: &'static str, build: Build) -> Self {
        Self {
            kind,
            name,
            aliases: &[],
            about,
            params: &[],
            sections: &[],
            compat: &[],
            buffer: BufferSupport::Never,
            build,
        }
    }
}

/// How to make a plugin. The parameters have been checked against the tables; what remains to be refused (values
/// that contradict each other, files that do not exist) is refused here, with [`Params::error`].
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum Build {
    Input(BuildFn<Box<dyn Input>>),
    Filter(BuildFn<Box<dyn Filter>>),
    Output(BuildFn<OutputPlugin>),
    Parser(BuildFn<Arc<dyn Parser>>),
    Formatter(BuildFn<Arc<dyn Formatter>>),
}

/// From checked parameters to a plugin.
pub type BuildFn<T> = fn(&Params, &mut BuildContext<'_>) -> Result<T, Diagnostic>;

/// Whether an output has a buffer.
#[derive(Clone, Copy)]
pub enum BufferSupport {
    /// A `<buffer>` section is refused.
    Never,
    /// Buffered only when a `<buffer>` section is there.
    Optional(BufferDefaults),
    /// Always buffered.
    Always(BufferDefaults),
}

/// What an output changes in the defaults of its `<buffer>`.
#[derive(Clone, Copy)]
pub struct BufferDefaults {
    /// Chunk keys when the section names none (`tag`, `time`).
    pub chunk_keys: &'static [&'static str],
    /// `(parameter, value)` in configuration spelling, such as `("timekey", "1d")`, `("@type", "file")`.
    pub params: &'static [(&'static str, &'static str)],
}

impl BufferDefaults {
    /// Fluentd's own defaults.
    pub const STANDARD: Self = Self { chunk_keys: &[], params: &[] };
}

/// A family of flat parameters that older configurations write outside their section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// `buffer_type`, `flush_interval`, `retry_limit`, ... into `<buffer>`.
    Buffer,
    /// `format`, `time_format`, `keys`, ... into `<parse>`.
    Parser,
    /// `format`, `include_time_key`, ... into `<format>`.
    Formatter,
    /// `include_time_key`, `include_tag_key`, ... into `<inject>`.
    Inject,
    /// `time_key`, `tag_key`, ... into `<extract>`.
    Extract,
    /// `in_format`, `out_keys`, `tag_key`, ... of out_exec_filter into `<inject>`, `<format>`, `<parse>` and `<extract>`.
    ExecFilter,
}

/// One parameter: its type, default and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// Its type.
    pub kind: ParamKind,
    /// Its default.
    pub default: DefaultValue,
    /// One sentence, with the unit where there is one.
    pub about: &'static str,
    /// Shown as `xxxxxx` in dumps.
    pub secret: bool,
    /// Whether it should still be used.
    pub status: Status,
    /// Who has it.
    pub origin: Origin,
}

/// Who has a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Fluentd 1.16, or the gem that the plugin takes the place of.
    Original,
    /// Fluentd from this version on.
    Since(&'static str),
    /// Nobody but Logweir.
    Logweir,
}

/// Types of spec config-syntax 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ParamKind {
    String,
    Integer,
    Float,
    Bool,
    /// Bytes, with k, m, g, t.
    Size,
    /// Seconds, with s, m, h, d.
    Time,
    /// JSON array or comma list of strings.
    Array,
    /// JSON object or `k:v` list.
    Hash,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// `/pattern/flags`, or the pattern itself.
    Regexp,
}

/// What a parameter is when it is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// It must be written.
    Required,
    /// Not set.
    Nil,
    /// This text, as if it were written.
    Text(&'static str),
}

/// Whether a parameter should still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    Active,
    /// Works, with the warning `'x' parameter is deprecated: MSG`.
    Deprecated(&'static str),
    /// Understood and not needed here, with the warning `'x' has no effect in Logweir: WHY`.
    WithoutEffect(&'static str),
    /// Refused with `'x' parameter is already removed: MSG`.
    Removed(&'static str),
}

impl Param {
    /// A parameter that is nil unless written.
    pub const fn new(name: &'static str, kind: ParamKind, about: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            default: DefaultValue::Nil,
            about,
            secret: false,
            status: Status::Active,
            origin: Origin::Original,
        }
    }

    /// With a default, in configuration spelling.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = DefaultValue::Text(text);
        self
    }

    /// That must be written.
    pub const fn required(mut self) -> Self {
        self.default = DefaultValue::Required;
        self
    }

    /// With other spellings.
    pub const fn aliases(mut self, names: &'static [&'static str]) -> Self {
        self.aliases = names;
        self
    }

    /// That is masked in dumps.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// That Fluentd has from this version on.
    pub const fn since(mut self, version: &'static str) -> Self {
        self.origin = Origin::Since(version);
        self
    }

    /// That only Logweir has.
    pub const fn own(mut self) -> Self {
        self.origin = Origin::Logweir;
        self
    }

    /// Two tables as one.
    pub const fn join<const A: usize, const B: usize, const N: usize>(
        a: [Self; A],
        b: [Self; B],
    ) -> [Self; N] {
        assert!(A + B == N, "the joined table has the length of both");
        let mut all = [Self::new("", ParamKind::String, ""); N];
        let mut n = 0;
        while n < N {
            all[n] = if n < A { a[n] } else { b[n - A] };
            n += 1;
        }
        all
    }

    /// That should not be used any more.
    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

/// A default that the owner of a section changes.
#[derive(Clone, Copy, Debug)]
pub struct SectionDefault {
    /// The parameter.
    pub name: &'static str,
    /// Its default, nil or in configuration spelling.
    pub value: Option<&'static str>,
    /// A parameter with which, when it is written, the default stays as it is.
    pub unless: Option<&'static str>,
}

impl SectionDefault {
    /// Another default.
    pub const fn new(name: &'static str, value: Option<&'static str>) -> Self {
        Self { name, value, unless: None }
    }

    /// Only if `other` is not written.
    pub const fn unless(mut self, other: &'static str) -> Self {
        self.unless = Some(other);
        self
    }
}

/// A section inside a plugin's directive.
#[derive(Clone, Copy)]
pub struct SectionSpec {
    /// Its name.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub about: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
    /// Sections in it.
    pub sections: &'static [SectionSpec],
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may be there more than once.
    pub repeated: bool,
    /// Whether it takes any key (such as `<record>`, `<labels>`).
    pub free: bool,
    /// A section that configures a plugin of this kind (`<parse>`, `<format>`, `<store>`): its table is that plugin's,
    /// with `params` added (such as `weight` of a `<store>`).
    pub plugin: Option<Kind>,
    /// The `@type` of such a section when it names none; known to the check, unlike a default that the build function
    /// gives to [`super::BuildContext::parser`].
    pub default_type: Option<&'static str>,
    /// What it changes in the defaults of the plugin that it configures. Only with `default_type`: without one, the section
    /// is checked when its owner is built.
    pub defaults: &'static [SectionDefault],
    /// Whether it is there, with its defaults, when it is not written.
    pub always: bool,
}

impl SectionSpec {
    /// A section that may be there once.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            about,
            params: &[],
            sections: &[],
            required: false,
            repeated: false,
            free: false,
            plugin: None,
            default_type: None,
            defaults: &[],
            always: false,
        }
    }

    /// With a `@type` for sections that name none.
    pub const fn default_type(mut self, name: &'static str) -> Self {
        self.default_type = Some(name);
        self
    }

    /// That is there with its defaults when it is not written.
    pub const fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// `<parse>`.
    pub const PARSE: Self =
        Self { plugin: Some(Kind::Parser), ..Self::new("parse", "How text becomes records") };
    /// `<format>`.
    pub const FORMAT: Self =
        Self { plugin: Some(Kind::Formatter), ..Self::new("format", "How records become text") };
}
