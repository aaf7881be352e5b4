//! The page of one plugin.

use super::shared::shared;
use super::{GENERATED, table};
use logweir_engine::config::{gems, kind_word};
use logweir_engine::output::OUTPUT_PARAMS;
use logweir_engine::plugin::{BufferSupport, Compat, Descriptor, Kind, SectionSpec};
use std::fmt::Write;

pub(super) fn page(plugin: &Descriptor, example: &str) -> String {
    let word = kind_word(plugin.kind);
    let mut out = format!("{GENERATED}# {} {word}\n\n{}.", plugin.name, plugin.about);
    let _ = writeln!(out, " {}", origin(plugin));
    if !plugin.aliases.is_empty() {
        let names: Vec<String> = plugin.aliases.iter().map(|name| format!("`@type {name}`")).collect();
        let _ = writeln!(out, "\nAlso {}.", names.join(", "));
    }
    let _ = write!(out, "\n## Example\n\n```\n{}\n```\n\n", example.trim_end());
    out.push_str("## Parameters\n\n");
    if plugin.params.is_empty() {
        out.push_str("None of its own.\n\n");
    }
    table::params(&mut out, &plugin.params.iter().collect::<Vec<_>>(), &[]);
    if plugin.kind == Kind::Output && !matches!(plugin.buffer, BufferSupport::Never) {
        out.push_str("Those of every output that has a buffer:\n\n");
        table::params(&mut out, &OUTPUT_PARAMS.iter().collect::<Vec<_>>(), &[]);
    }
    for section in plugin.sections {
        describe(&mut out, section, "");
    }
    buffer(&mut out, plugin);
    flat(&mut out, plugin.compat);
    out.trim_end().to_owned() + "\n"
}

/// Whose plugin it is.
fn origin(plugin: &Descriptor) -> String {
    match gems::gem(plugin.kind, plugin.name) {
        _ if gems::is_fluentds(plugin.kind, plugin.name) => "One of Fluentd's own plugins.".to_owned(),
        Some(gem) => format!("In Fluentd, the plugin of that name is in `{}`.", gem.gem),
        None => "Logweir's own; Fluentd has none of that name.".to_owned(),
    }
}

fn describe(out: &mut String, section: &SectionSpec, parents: &str) {
    let _ = write!(out, "### {parents}`<{}>`\n\n{}", section.name, table::section_words(section));
    if let Some(file) = shared(section) {
        let _ = write!(out, " Its parameters: [{}]({file}.md).\n\n", section.name);
        return;
    }
    if let Some(kind) = section.plugin {
        let article = if kind_word(kind).starts_with(['i', 'o']) { "an" } else { "a" };
        let _ = write!(out, " It takes the parameters of {article} {} plugin", kind_word(kind));
        match section.default_type {
            Some(name) => {
                let _ = write!(out, ", `{name}` if there is no `@type`.");
            }
            None => out.push('.'),
        }
        let changed: Vec<String> = section
            .defaults
            .iter()
            .map(|default| match default.value {
                Some(text) => format!("`{} {text}`", default.name),
                None => format!("no `{}`", default.name),
            })
            .collect();
        if !changed.is_empty() {
            let _ = write!(out, " Its defaults here: {}.", changed.join(", "));
        }
    }
    out.push_str("\n\n");
    table::params(out, &section.params.iter().collect::<Vec<_>>(), section.defaults);
    for inner in section.sections {
        describe(out, inner, &format!("{parents}`<{}>` ", section.name));
    }
}

fn buffer(out: &mut String, plugin: &Descriptor) {
    let (words, defaults) = match plugin.buffer {
        BufferSupport::Never if plugin.kind == Kind::Output => {
            out.push_str("### `<buffer>`\n\nNone: events are handed on at once.\n");
            return;
        }
        BufferSupport::Never => return,
        BufferSupport::Optional(defaults) => ("Without one, events are written as they come", defaults),
        BufferSupport::Always(defaults) => ("Events always pass one", defaults),
    };
    let _ = write!(out, "### `<buffer>`\n\n{words}. Its parameters: [buffer](section_buffer.md).");
    if !defaults.chunk_keys.is_empty() {
        let _ = write!(out, " Chunk keys, if none are written: `{}`.", defaults.chunk_keys.join(","));
    }
    let changed: Vec<String> =
        defaults.params.iter().map(|(name, text)| format!("`{name} {text}`")).collect();
    if !changed.is_empty() {
        let _ = write!(out, " Defaults of this output: {}.", changed.join(", "));
    }
    out.push_str(
        "\n\n### `<secondary>`\n\nThe output for chunks that could not be written: any output that can have a buffer, usually \
         [secondary_file](output_secondary_file.md).\n",
    );
}

fn flat(out: &mut String, compat: &[Compat]) {
    let names: Vec<&str> = compat
        .iter()
        .map(|compat| match compat {
            Compat::Buffer => "`<buffer>` (`buffer_type`, `buffer_path`, `flush_interval`, `num_threads`, `retry_limit`, ...)",
            Compat::Parser => "`<parse>` (`format`, `time_format`, `keys`, `types`, ...)",
            Compat::Formatter => "`<format>` (`format`, `delimiter`, `fields`, ...)",
            Compat::Inject => "`<inject>` (`include_time_key`, `include_tag_key`, `time_key`, ...)",
            Compat::Extract => "`<extract>` (`time_key`, `tag_key`, ...)",
            Compat::ExecFilter => "`<inject>`, `<format>`, `<parse>` and `<extract>` (`in_format`, `out_keys`, `tag_key`, ...)",
        })
        .collect();
    if !names.is_empty() {
        let _ = write!(
            out,
            "\n### Older spellings\n\nThe flat parameters of Fluentd 0.12 stand for sections that are not written: {}.\n",
            names.join(", ")
        );
    }
}
