//! What record_modifier does to a record, as a filter and as an output (fluent-plugin-record-modifier 2.2).
//!
//! Order: the fields of `<record>`, of which each sees what those before it have set <- remove_keys or whitelist_keys <-
//! `<replace>` <- char_encoding.

mod encoding;
mod fields;
mod replace;

use bumpalo::Bump;
use encoding::EncodingChange;
use fields::Fields;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::expr::{Host, TagNames};
use logweir_engine::msgpack::{Accessor, Event, Splicer};
use logweir_engine::plugin::{AfterError, BuildContext, FilterError, Param, ParamKind, SectionSpec};
use replace::Replace;

pub(crate) use fields::{FieldValue, failed as expression_failed};

/// The parameters of both.
pub(crate) const PARAMS: [Param; 4] = [
    Param::new(
        "prepare_value",
        ParamKind::String,
        "Ruby code that is run once, at start-up; what it keeps in instance variables (@x) can be used in <record>",
    ),
    Param::new(
        "char_encoding",
        ParamKind::String,
        "The encoding of all texts of the record, or `from:to` to convert them",
    ),
    Param::new("remove_keys", ParamKind::Array, "Fields to remove"),
    Param::new("whitelist_keys", ParamKind::String, "The fields that stay, besides those of <record>"),
];

/// The sections of both.
pub(crate) const SECTIONS: &[SectionSpec] = &[
    SectionSpec {
        free: true,
        repeated: true,
        ..SectionSpec::new(
            "record",
            "Fields to set: a name, and a value in which ${...} is a Ruby expression",
        )
    },
    SectionSpec {
        repeated: true,
        params: &[
            Param::new("key", ParamKind::String, "The field").required(),
            Param::new("expression", ParamKind::String, "The regular expression: /pattern/").required(),
            Param::new(
                "replace",
                ParamKind::String,
                "What each match becomes; \\1 and \\k<name> are what a group matched",
            )
            .required(),
        ],
        ..SectionSpec::new("replace", "Replaces what matches in a field")
    },
];

/// How remove_keys is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemoveKeys {
    /// Record accessors, as the filter does.
    Accessors,
    /// Names of top-level fields, as the output does.
    Names,
}

/// See the module.
pub(crate) struct Modifier {
    fields: Fields,
    selection: Selection,
    replaces: Vec<Replace>,
    encoding: Option<EncodingChange>,
    host: Host,
}

enum Selection {
    All,
    Without(Vec<Accessor>),
    /// In this order.
    Only(Vec<String>),
}

impl Modifier {
    pub(crate) fn from_params(
        params: &Params,
        context: &BuildContext<'_>,
        remove_keys: RemoveKeys,
    ) -> Result<Self, Diagnostic> {
        let host = Host::process(Some(context.log.worker() as usize));
        let encoding = match params.str("char_encoding") {
            Some(text) => Some(EncodingChange::parse(text).map_err(|e| params.error("char_encoding", e))?),
            None => None,
        };
        let fields = Fields::from_params(params, &host)?;
        let selection = match (params.array("remove_keys"), params.str("whitelist_keys")) {
            (Some(_), Some(_)) => {
                let message = "remove_keys and whitelist_keys are exclusive with each other.";
                return Err(params.error("whitelist_keys", message));
            }
            (Some(keys), None) => {
                let parse = |key: &String| match remove_keys {
                    RemoveKeys::Accessors => Accessor::parse(key),
                    RemoveKeys::Names => Ok(Accessor::of_key(key)),
                };
                let keys: Result<Vec<Accessor>, _> = keys.iter().map(parse).collect();
                Selection::Without(keys.map_err(|error| params.error("remove_keys", error.to_string()))?)
            }
            (None, Some(keys)) => {
                let mut kept: Vec<String> = Vec::new();
                let written = keys.split(',').map(|key| key.trim().to_owned());
                for key in written.chain(fields.keys().map(str::to_owned)) {
                    if !kept.contains(&key) {
                        kept.push(key);
                    }
                }
                Selection::Only(kept)
            }
            (None, None) => Selection::All,
        };
        let replaces: Result<Vec<_>, _> = params
            .sections("replace")
            .iter()
            .map(|section| Replace::from_params(section, &context.log))
            .collect();
        Ok(Self { fields, selection, replaces: replaces?, encoding, host })
    }

    /// The fields of `<record>`, and what expressions may use besides the record.
    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The same as edits of bytes, if nothing depends on the record.
    pub(crate) fn splicer(&self, tag: &Tag) -> Option<Splicer> {
        if !self.replaces.is_empty() || self.encoding.is_some() {
            return None;
        }
        let mut splicer = Splicer::new();
        for (key, value) in self.fields.constants(tag, &self.host)? {
            splicer = splicer.set(key.as_bytes(), &value);
        }
        match &self.selection {
            Selection::All => Some(splicer),
            Selection::Only(keys) => Some(splicer.keep(keys)),
            Selection::Without(keys) => {
                for key in keys {
                    splicer = splicer.drop(key.top_level_key()?);
                }
                Some(splicer)
            }
        }
    }

    /// Edits an event. After an error the event is as edited so far.
    pub(crate) fn modify<'a>(
        &self,
        tag: &TagNames,
        event: &mut Event<'a>,
        arena: &'a Bump,
    ) -> Result<(), FilterError> {
        self.fields.set(tag, event, &self.host, arena)?;
        match &self.selection {
            Selection::All => {}
            Selection::Without(keys) => {
                for key in keys {
                    key.delete(&mut event.record);
                }
            }
            Selection::Only(keys) => event.record.keep(keys),
        }
        for replace in &self.replaces {
            replace.apply(&mut event.record, arena)?;
        }
        if let Some(change) = &self.encoding {
            change.apply(&mut event.record, arena);
        }
        Ok(())
    }
}

/// An error that Fluentd's plugin would raise for one record.
pub(crate) fn raised(class: &'static str, message: impl Into<String>) -> FilterError {
    FilterError { class, message: message.into(), then: AfterError::AsRaised }
}
