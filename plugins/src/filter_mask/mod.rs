//! `@type mask`: keeps personal data and secrets out of what is stored. Logweir's own; nothing in Fluentd's core does this.
//!
//! Rules are for fields, by where they are or what they are called; detectors find e-mail addresses, card numbers, IP
//! addresses and tokens in all other texts. Of several rules for a field the first counts, and a field that a rule keeps is
//! not looked into either. Records in which there is nothing to mask pass as they are, without being decoded.

mod action;
mod detect;
mod record;

use action::{Action, Masking};
use detect::Detectors;
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::msgpack::{Accessor, Entries};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterStep, Kind, Param, ParamKind, SectionSpec, StreamFilter,
};
use record::{Masker, Rule};
use std::sync::Arc;

/// `@type mask`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new(
            "detectors",
            ParamKind::Array,
            "What is looked for in texts: email, card (numbers that pass the Luhn check), ip (version 4 and 6), token (bearer \
             tokens and JSON Web Tokens); an empty list for nothing",
        )
        .default("email,card,token"),
        Param::new(
            "detect_keys",
            ParamKind::Array,
            "The fields that are looked into, in record accessor syntax, with all that is in them; all if none is named",
        ),
        Param::new("action", ParamKind::Enum(ACTIONS), "What becomes of what was detected").default("redact"),
        Param::new("replacement", ParamKind::String, "What stands in place of what is redacted").default("[masked]"),
        Param::new(
            "hash_key",
            ParamKind::String,
            "The key of the action hash: equal values have equal hashes, and who lacks the key cannot try values out",
        )
        .secret(),
    ],
    sections: &[SectionSpec {
        repeated: true,
        params: &[
            Param::new("keys", ParamKind::Array, "Fields, in record accessor syntax"),
            Param::new("key_pattern", ParamKind::Regexp, "What the names of fields look like, at any depth"),
            Param::new("pattern", ParamKind::Regexp, "Only what matches in a text is masked, not all of it"),
            Param::new("action", ParamKind::Enum(ACTIONS), "What becomes of the value").default("redact"),
            Param::new("replacement", ParamKind::String, "What stands in place of what is redacted, if not the filter's"),
        ],
        ..SectionSpec::new("rule", "What becomes of some fields; the first rule for a field counts")
    }],
    ..Descriptor::new(Kind::Filter, "mask", "Masks personal data and secrets", Build::Filter(build))
};

/// keep: leaves it; redact: `replacement`; hash: HMAC-SHA-256 in hexadecimal; partial: what shows its kind and little else.
const ACTIONS: &[&str] = &["redact", "hash", "partial", "keep"];

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let detectors = Detectors::of(&params.array("detectors").unwrap_or_default())
        .map_err(|message| params.error("detectors", message))?;
    let hash_key = params.str("hash_key").filter(|key| !key.is_empty());
    let masking = |section: &Params, replacement: String| {
        let action = match section.word("action") {
            Some("hash") => Action::Hash,
            Some("partial") => Action::Partial,
            Some("keep") => Action::Keep,
            _ => Action::Redact,
        };
        if action == Action::Hash && hash_key.is_none() {
            let message = "hash_key is required for the action hash";
            return Err(section
                .error("action", message)
                .help("set hash_key of the filter, best from the environment"));
        }
        Ok(Masking::new(action, replacement, hash_key.unwrap_or_default()))
    };
    let replacement = params.string("replacement");
    let found = masking(params, replacement.clone())?;
    let mut rules = Vec::new();
    for section in params.sections("rule") {
        let keys = accessors(section, "keys")?;
        let key_pattern = section.regexp("key_pattern");
        if keys.is_empty() && key_pattern.is_none() {
            return Err(section.error_here("a <rule> needs keys or key_pattern"));
        }
        let replacement = section.str("replacement").map_or_else(|| replacement.clone(), str::to_owned);
        let masking = masking(section, replacement)?;
        rules.push(Rule { keys, key_pattern, pattern: section.regexp("pattern"), masking });
    }
    let detect_keys = accessors(params, "detect_keys")?;
    let masker = Masker { detectors, found, rules, detect_keys };
    Ok(Box::new(Mask(Arc::new(Streams(masker)))))
}

fn accessors(params: &Params, name: &str) -> Result<Vec<Accessor>, Diagnostic> {
    let keys = params.array(name).unwrap_or_default();
    let parsed: Result<Vec<Accessor>, _> = keys.iter().map(|key| Accessor::parse(key)).collect();
    parsed.map_err(|error| params.error(name, error.to_string()))
}

struct Mask(Arc<Streams>);

struct Streams(Masker);

impl Filter for Mask {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        match self.0.0.does_nothing() {
            true => FilterStep::Pass,
            false => FilterStep::Stream(self.0.clone()),
        }
    }
}

impl StreamFilter for Streams {
    fn filter<'a>(&'a self, stream: EventStream, _: &'a mut Receipt) -> BoxFuture<'a, EventStream> {
        let masked = self.mask(&stream);
        Box::pin(std::future::ready(match masked {
            Some(entries) => EventStream::new(stream.tag, entries.into(), stream.count),
            None => stream,
        }))
    }
}

impl Streams {
    /// The entries with masks; `None` if nothing is to be masked.
    fn mask(&self, stream: &EventStream) -> Option<Vec<u8>> {
        let mut out: Option<Vec<u8>> = None;
        let mut seen = 0;
        let mut record = Vec::new();
        for entry in Entries::new(&stream.entries) {
            record.clear();
            if self.0.mask(entry.record, &mut record) {
                let out = out.get_or_insert_with(|| {
                    let mut out = Vec::with_capacity(stream.entries.len() + stream.entries.len() / 4);
                    out.extend_from_slice(&stream.entries[..seen]);
                    out
                });
                out.extend_from_slice(entry.head());
                out.extend_from_slice(&record);
            } else if let Some(out) = &mut out {
                out.extend_from_slice(entry.raw);
            }
            seen += entry.raw.len();
        }
        out
    }
}

#[cfg(test)]
mod tests;
