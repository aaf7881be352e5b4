//! `@type grep`: keeps or drops records by regular expressions on their fields.
//!
//! A field that is not a string is matched as Ruby's `to_s` shows it; a missing or nil field is the empty text. Records
//! are looked at as they lie in the stream, without decoding, unless a filter before has decoded them.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Accessor, Record, Value, ValueRef};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterStep, Kind, Param, ParamKind, SectionSpec, Select, Status,
};
use logweir_engine::regexp::{Regexp, RegexpFlags};
use logweir_engine::{json, log_info};
use std::sync::Arc;

/// `@type grep`
pub static PLUGIN: Descriptor = Descriptor {
    params: NUMBERED,
    sections: &[REGEXP, EXCLUDE, AND, OR],
    ..Descriptor::new(
        Kind::Filter,
        "grep",
        "Keeps or drops records by regular expressions on their fields",
        Build::Filter(build),
    )
};

const CONDITION: &[Param] = &[
    Param::new("key", ParamKind::String, "The field, in record accessor syntax").required(),
    Param::new("pattern", ParamKind::Regexp, "The regular expression that the field is matched with")
        .required(),
];
const REGEXP: SectionSpec = SectionSpec {
    params: CONDITION,
    repeated: true,
    ..SectionSpec::new("regexp", "Keeps a record only if the field matches; several must all match")
};
const EXCLUDE: SectionSpec = SectionSpec {
    params: CONDITION,
    repeated: true,
    ..SectionSpec::new("exclude", "Drops a record if the field matches; of several, one is enough")
};
const AND: SectionSpec = SectionSpec {
    sections: &[REGEXP, EXCLUDE],
    repeated: true,
    ..SectionSpec::new(
        "and",
        "Conditions of one kind that must all hold for the record to be kept, or dropped",
    )
};
const OR: SectionSpec = SectionSpec {
    sections: &[REGEXP, EXCLUDE],
    repeated: true,
    ..SectionSpec::new(
        "or",
        "Conditions of one kind of which one must hold for the record to be kept, or dropped",
    )
};

macro_rules! numbered {
    ($($keep:literal $drop:literal)*) => {&[
        $(Param::new($keep, ParamKind::String, "Field and pattern, separated by a space: kept if it matches")
            .status(Status::Deprecated("Use <regexp> section")),
        Param::new($drop, ParamKind::String, "Field and pattern, separated by a space: dropped if it matches")
            .status(Status::Deprecated("Use <exclude> section")),)*
    ]};
}

const NUMBERED: &[Param] = numbered! {
    "regexp1" "exclude1" "regexp2" "exclude2" "regexp3" "exclude3" "regexp4" "exclude4" "regexp5" "exclude5"
    "regexp6" "exclude6" "regexp7" "exclude7" "regexp8" "exclude8" "regexp9" "exclude9" "regexp10" "exclude10"
    "regexp11" "exclude11" "regexp12" "exclude12" "regexp13" "exclude13" "regexp14" "exclude14"
    "regexp15" "exclude15" "regexp16" "exclude16" "regexp17" "exclude17" "regexp18" "exclude18"
    "regexp19" "exclude19" "regexp20" "exclude20"
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let mut conditions = Conditions::default();
    for (index, param) in NUMBERED.iter().enumerate() {
        if let Some(text) = params.str(param.name) {
            let condition = numbered_condition(params, param.name, text)?;
            let group = if index % 2 == 0 { &mut conditions.all_match } else { &mut conditions.any_excluded };
            if group.iter().any(|other| other.key == condition.key) {
                let message = format!("{} contains a duplicated key, {}", param.name, condition.key);
                return Err(params.error(param.name, message));
            }
            group.push(condition);
        }
    }
    if params.sections("regexp").len() > 1 {
        log_info!(context.log, "Top level multiple <regexp> is interpreted as 'and' condition");
    }
    if params.sections("exclude").len() > 1 {
        log_info!(context.log, "Top level multiple <exclude> is interpreted as 'or' condition");
    }
    add(&mut conditions.all_match, params.sections("regexp"), "")?;
    add(&mut conditions.any_excluded, params.sections("exclude"), "")?;
    for (name, place) in [("and", " in <and>"), ("or", " in <or>")] {
        for section in params.sections(name) {
            let (regexps, excludes) = (section.sections("regexp"), section.sections("exclude"));
            if !regexps.is_empty() && !excludes.is_empty() {
                let message = format!("Do not specify both <regexp> and <exclude> in <{name}>");
                return Err(section.error_here(message));
            }
            let (keep, drop) = match name {
                "and" => (&mut conditions.all_match, &mut conditions.all_excluded),
                _ => (&mut conditions.any_match, &mut conditions.any_excluded),
            };
            add(keep, regexps, place)?;
            add(drop, excludes, place)?;
        }
    }
    Ok(Box::new(Grep(Arc::new(conditions))))
}

fn numbered_condition(params: &Params, name: &str, text: &str) -> Result<Condition, Diagnostic> {
    let Some((key, pattern)) = text.split_once(' ') else {
        return Err(params.error(name, format!("{name} does not contain 2 parameters")));
    };
    let accessor = Accessor::parse(key).map_err(|error| params.error(name, error.to_string()))?;
    let pattern = Regexp::new(pattern, RegexpFlags::default());
    let pattern = pattern.map_err(|error| params.error(name, error.to_string()))?;
    Ok(Condition { key: key.to_owned(), accessor, pattern })
}

fn add(group: &mut Vec<Condition>, sections: &[Params], place: &str) -> Result<(), Diagnostic> {
    for section in sections {
        let key = section.string("key");
        if group.iter().any(|condition| condition.key == key) {
            return Err(section.error("key", format!("Duplicate key{place}: {key}")));
        }
        let accessor = Accessor::parse(&key).map_err(|error| section.error("key", error.to_string()))?;
        let Some(pattern) = section.regexp("pattern") else { continue };
        group.push(Condition { key, accessor, pattern });
    }
    Ok(())
}

struct Grep(Arc<Conditions>);

impl Filter for Grep {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        FilterStep::Select(self.0.clone())
    }
}

/// An empty group decides nothing.
#[derive(Default)]
struct Conditions {
    /// Kept only if all match.
    all_match: Vec<Condition>,
    /// Kept only if one matches.
    any_match: Vec<Condition>,
    /// Dropped if all match.
    all_excluded: Vec<Condition>,
    /// Dropped if one matches.
    any_excluded: Vec<Condition>,
}

struct Condition {
    key: String,
    accessor: Accessor,
    pattern: Regexp,
}

impl Conditions {
    fn keep(&self, matches: impl Fn(&Condition) -> bool) -> bool {
        self.all_match.iter().all(&matches)
            && (self.any_match.is_empty() || self.any_match.iter().any(&matches))
            && (self.all_excluded.is_empty() || !self.all_excluded.iter().all(&matches))
            && !self.any_excluded.iter().any(&matches)
    }
}

impl Select for Conditions {
    fn keeps_raw(&self, record: &[u8]) -> bool {
        self.keep(|condition| match condition.accessor.get(record) {
            Some(raw) => condition.matches_raw(raw),
            None => condition.pattern.is_match(b""),
        })
    }

    fn keeps(&self, record: &Record<'_>) -> bool {
        self.keep(|condition| match condition.accessor.get_in(record) {
            Some(Value::Str(text) | Value::Bin(text)) => condition.pattern.is_match(text),
            Some(value) => {
                let mut raw = Vec::new();
                value.write(&mut raw);
                condition.matches_raw(&raw)
            }
            None => condition.pattern.is_match(b""),
        })
    }
}

impl Condition {
    fn matches_raw(&self, raw: &[u8]) -> bool {
        match ValueRef::read(raw) {
            Ok(ValueRef::Str(text) | ValueRef::Bin(text)) => self.pattern.is_match(text),
            _ => {
                let mut text = Vec::new();
                json::ruby_to_s(raw, &mut text);
                self.pattern.is_match(&text)
            }
        }
    }
}
