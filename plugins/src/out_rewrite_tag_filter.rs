//! `@type rewrite_tag_filter`: gives events new tags by what is in their fields and sends them on
//! (fluent-plugin-rewrite-tag-filter 2.4).
//!
//! The first rule whose pattern matches decides. Events that no rule takes, and those whose tag would stay as it is, end
//! here: sent on with the same tag they would come back for ever. hostname_command is not run as a command: Logweir starts no
//! programs for a configuration; `hostname` with its options is understood, anything else is refused.

mod rule;

use bytes::Bytes;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::expr::Host;
use logweir_engine::log_info;
use logweir_engine::msgpack::Entries;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, EmitFuture, Kind, LabelRef, Output, OutputPlugin, Param, ParamKind,
    SectionSpec,
};
use logweir_engine::regexp::{Regexp, RegexpFlags};
use logweir_engine::telemetry::PluginLog;
use rule::{Placeholders, Rule};

/// `@type rewrite_tag_filter`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new(
            "capitalize_regex_backreference",
            ParamKind::Bool,
            "Whether $1, $2, ... begin with a capital and go on in small letters",
        )
        .default("false"),
        Param::new("remove_tag_prefix", ParamKind::String, "What ${tag} is without at its beginning"),
        Param::new("remove_tag_regexp", ParamKind::Regexp, "What is taken out of ${tag}"),
        Param::new(
            "hostname_command",
            ParamKind::String,
            "What ${hostname} is: `hostname`, `hostname -s`, `hostname -f` or `hostname -d`",
        )
        .default("hostname"),
        Param::new(
            "emit_mode",
            ParamKind::Enum(&["record", "batch"]),
            "Whether events are sent on one by one, or together with those of the same new tag",
        )
        .default("batch"),
    ],
    sections: &[SectionSpec {
        repeated: true,
        params: &[
            Param::new("key", ParamKind::String, "The field, in record accessor syntax").required(),
            Param::new("pattern", ParamKind::Regexp, "The regular expression").required(),
            Param::new(
                "tag",
                ParamKind::String,
                "The new tag, with ${tag}, ${tag_parts[n]}, ${hostname} and $1, $2, ... of the pattern",
            )
            .required(),
            Param::new("label", ParamKind::String, "The label that events of this rule go to"),
            Param::new("invert", ParamKind::Bool, "Whether the rule is for what does not match")
                .default("false"),
        ],
        ..SectionSpec::new("rule", "Which events get which tag; the first rule that fits decides")
    }],
    ..Descriptor::new(
        Kind::Output,
        "rewrite_tag_filter",
        "Gives events new tags by what is in their fields and sends them on",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    if let Some((name, _)) = params.attrs().find(|(name, _)| name.starts_with("rewriterule")) {
        let message = "\"rewriterule<num>\" support has been dropped. Use <rule> section instead.";
        return Err(params.error(name, message));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for section in params.sections("rule") {
        let label = section.str("label").filter(|label| !label.is_empty());
        let router = match label {
            Some(label) => context.label(label),
            None => context.router(params),
        };
        let rule = Rule::from_params(section, label.is_some(), router)?;
        if rules.iter().any(|other| other.is_like(&rule)) {
            return Err(section.error("pattern", format!("duplicated rewriterules found: {rule}")));
        }
        log_info!(context.log, format!("adding rewrite_tag_filter rule: {rule}"));
        rules.push(rule);
    }
    if rules.is_empty() {
        return Err(params.error_here("missing rewriterules").help("add a <rule> section"));
    }
    let remove = match (params.str("remove_tag_prefix"), params.regexp("remove_tag_regexp")) {
        (Some(_), Some(_)) => {
            let message = "remove_tag_prefix and remove_tag_regexp are exclusive";
            return Err(params.error("remove_tag_regexp", message));
        }
        (Some(prefix), None) => {
            let source = format!(r"^{}\.?", escape(prefix));
            let regexp = Regexp::new(&source, RegexpFlags::default());
            Some(regexp.map_err(|error| params.error("remove_tag_prefix", error.to_string()))?)
        }
        (None, regexp) => regexp,
    };
    let command = params.string("hostname_command");
    let host = Host::process(None);
    let hostname = hostname(&command, host.hostname()).map_err(|m| params.error("hostname_command", m))?;
    Ok(OutputPlugin::Direct(Box::new(RewriteTag {
        rules,
        remove,
        hostname,
        capitalize: params.bool("capitalize_regex_backreference"),
        one_by_one: params.word("emit_mode") == Some("record"),
        log: context.log.clone(),
    })))
}

/// What the command would print, where that is known without running it.
fn hostname(command: &str, name: &str) -> Result<String, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let domain = name.split_once('.');
    let known = match words.as_slice() {
        ["hostname" | "/bin/hostname" | "/usr/bin/hostname"] | ["uname", "-n"] => Some(name),
        ["hostname" | "/bin/hostname" | "/usr/bin/hostname", "-s" | "--short"] => {
            Some(domain.map_or(name, |(short, _)| short))
        }
        ["hostname" | "/bin/hostname" | "/usr/bin/hostname", "-f" | "--fqdn" | "--long"] => {
            domain.map(|_| name)
        }
        ["hostname" | "/bin/hostname" | "/usr/bin/hostname", "-d" | "--domain"] => {
            domain.map(|(_, rest)| rest)
        }
        ["echo", text] => Some(*text),
        _ => None,
    };
    known.map(str::to_owned).ok_or_else(|| {
        format!(
            "`{command}` is not run: Logweir starts no programs for a configuration, and this one's answer is not known \
             without it. Write `hostname`, `hostname -s` or `echo NAME` (or `\"echo #{{ENV['NAME']}}\"`)"
        )
    })
}

/// As Regexp.escape.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '[' | ']'
                | '{'
                | '}'
                | '('
                | ')'
                | '|'
                | '-'
                | '*'
                | '.'
                | '\\'
                | '?'
                | '+'
                | '^'
                | '$'
                | '#'
                | ' '
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

struct RewriteTag {
    rules: Vec<Rule>,
    remove: Option<Regexp>,
    hostname: String,
    capitalize: bool,
    one_by_one: bool,
    log: PluginLog,
}

/// Events with the same new tag that go to the same place.
struct Rewritten<'r> {
    to: &'r LabelRef,
    /// The label's name; `None` where the rule names none.
    label: Option<&'r str>,
    tag: Tag,
    entries: Vec<u8>,
    count: usize,
}

impl RewriteTag {
    async fn take(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        for Rewritten { to, tag, entries, count, .. } in self.rewrite(&stream) {
            to.emit(EventStream::new(tag, Bytes::from(entries), count), receipt).await?;
        }
        Ok(())
    }

    fn rewrite(&self, stream: &EventStream) -> Vec<Rewritten<'_>> {
        let places = Placeholders::new(stream.tag.as_str(), self.remove.as_ref(), &self.hostname);
        let mut all: Vec<Rewritten<'_>> = Vec::new();
        // Where events with a new tag go; few, unless tags hold what differs from event to event.
        let mut known = std::collections::HashMap::<(Option<&str>, String), usize>::new();
        for entry in Entries::new(&stream.entries) {
            let applied = self.rules.iter().find_map(|rule| {
                rule.apply(entry.record, &places, self.capitalize, &self.log).map(|tag| (rule, tag))
            });
            let Some((rule, tag)) = applied else { continue };
            let label = rule.label();
            if tag == stream.tag.as_str() && label.is_none() {
                continue;
            }
            let key = (label, tag);
            let at = match known.get(&key) {
                Some(at) if !self.one_by_one => *at,
                _ => {
                    let (to, tag) = (rule.router(), Tag::new(&key.1));
                    all.push(Rewritten { to, label, tag, entries: Vec::new(), count: 0 });
                    known.insert(key, all.len() - 1);
                    all.len() - 1
                }
            };
            all[at].entries.extend_from_slice(entry.raw);
            all[at].count += 1;
        }
        if !self.one_by_one {
            // Label by label, in the order in which each was first needed.
            let mut order: Vec<Option<&str>> = Vec::new();
            for rewritten in &all {
                if !order.contains(&rewritten.label) {
                    order.push(rewritten.label);
                }
            }
            all.sort_by_key(|rewritten| order.iter().position(|label| *label == rewritten.label));
        }
        all
    }
}

impl Output for RewriteTag {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.take(stream, receipt))
    }
}

#[cfg(test)]
mod tests;
