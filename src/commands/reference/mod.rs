//! `logweir doc --all DIR`: a page of reference for each plugin and each section that plugins share, from the parameter tables,
//! and an index. `DIR/examples` has the configurations that the pages show.

mod page;
mod shared;
mod table;

use logweir_engine::config::kind_word;
use logweir_engine::plugin::{Descriptor, Registry};
use page::page;
use shared::SHARED;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

/// The first words of each page.
const GENERATED: &str = "<!-- Written by `logweir doc --all`, from the tables in the sources. -->\n\n";

pub(crate) fn reference(dir: &Path, registry: &Registry) -> ExitCode {
    match write_all(dir, registry) {
        Ok(count) => {
            println!("{count} pages in {}", dir.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(dir: &Path, registry: &Registry) -> Result<usize, String> {
    let mut plugins: Vec<&'static Descriptor> = registry.iter().collect();
    plugins.sort_by_key(|plugin| (order(plugin), plugin.name));
    let mut pages = Vec::new();
    for plugin in &plugins {
        let name = file_name(plugin);
        let path = dir.join("examples").join(format!("{name}.conf"));
        let example = std::fs::read_to_string(&path).map_err(|error| {
            format!(
                "the {} plugin {} has no example: write a configuration that uses it into {} ({error})",
                kind_word(plugin.kind),
                plugin.name,
                path.display()
            )
        })?;
        pages.push((format!("{name}.md"), page(plugin, &example)));
    }
    pages.extend(SHARED.iter().map(|section| (format!("{}.md", section.file), section.page())));
    pages.push(("README.md".to_owned(), index(&plugins)));
    for (name, text) in &pages {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(pages.len())
}

/// `input_tail`
fn file_name(plugin: &Descriptor) -> String {
    format!("{}_{}", kind_word(plugin.kind), plugin.name)
}

fn order(plugin: &Descriptor) -> usize {
    ["input", "filter", "output", "parser", "formatter"]
        .iter()
        .position(|word| *word == kind_word(plugin.kind))
        .unwrap_or(usize::MAX)
}

fn index(plugins: &[&'static Descriptor]) -> String {
    let mut out = format!("{GENERATED}# Reference\n");
    let mut kind = "";
    for plugin in plugins {
        let word = kind_word(plugin.kind);
        if word != kind {
            kind = word;
            let title = word[..1].to_ascii_uppercase() + &word[1..];
            let _ = write!(out, "\n## {title} plugins\n\n| `@type` | what it does |\n|---|---|\n");
        }
        let _ =
            writeln!(out, "| [{}]({}.md) | {} |", plugin.name, file_name(plugin), table::cell(plugin.about));
    }
    out.push_str("\n## Sections and kinds that plugins share\n\n| | |\n|---|---|\n");
    for section in SHARED {
        let _ =
            writeln!(out, "| [{}]({}.md) | {} |", section.title, section.file, table::cell(section.about));
    }
    out.push_str(
        "\nEach plugin also takes `@type`, `@id`, `@label` and `@log_level`. Types of values: a *size* is bytes, or a number with k, m, g \
         or t; a *time* is seconds, or a number with s, m, h or d; an *array* is a JSON array or a list with commas; a *hash* is a JSON object \
         or a list of `key:value`; a *regexp* stands between slashes. The examples are in [examples](examples), and pass \
         `logweir check`.\n",
    );
    out
}
