//! docs/reference: a page a plugin, written from the tables of parameters, each with an example that runs.

use crate::logweir::{logweir, words};
use crate::tables::root;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Everything in a folder that is a file, by name.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn the_pages_are_those_of_the_tables() {
    let reference = root().join("docs/reference");
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("examples")).unwrap();
    let examples = files(&reference.join("examples"));
    for (name, text) in &examples {
        fs::write(dir.path().join("examples").join(name), text).unwrap();
    }
    let output = logweir(&["doc", "--all", &dir.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let (written, committed) = (files(dir.path()), files(&reference));
    let differ = |name: &&String| written.get(*name) != committed.get(*name);
    let stale: Vec<&String> = written.keys().chain(committed.keys()).filter(differ).collect();
    assert!(
        stale.is_empty(),
        "these pages are not what the tables say; `make reference` writes them: {stale:?}"
    );
    for name in examples.keys() {
        let page = format!("{}.md", name.trim_end_matches(".conf"));
        assert!(written.contains_key(&page), "examples/{name} is of no plugin that there is");
    }
}

/// Every parameter of every plugin is in its page, and so is a sentence on it.
#[test]
fn every_parameter_has_a_sentence() {
    for plugin in logweir_plugins::registry().iter() {
        let mut sections: Vec<_> = plugin.sections.to_vec();
        let mut tables = vec![plugin.params];
        while let Some(section) = sections.pop() {
            assert!(section.about.len() > 2, "<{}> of {} has no sentence", section.name, plugin.name);
            tables.push(section.params);
            sections.extend_from_slice(section.sections);
        }
        assert!(plugin.about.contains(' '), "{} has no sentence", plugin.name);
        for param in tables.into_iter().flatten() {
            assert!(param.about.len() > 2, "{} of {} has no sentence", param.name, plugin.name);
            assert!(
                !param.about.ends_with('.') || param.about.ends_with("..."),
                "the sentence on {} of {} ends twice",
                param.name,
                plugin.name
            );
        }
    }
}

#[test]
fn a_plugin_without_an_example_says_what_to_write_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let output = logweir(&["doc", "--all", &dir.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let text = words(&output);
    assert!(
        text.contains("has no example: write a configuration that uses it into ")
            && text.contains("examples/"),
        "{text}"
    );
}

#[test]
fn every_example_passes_the_check_without_a_word() {
    let examples = root().join("docs/reference/examples");
    for name in files(&examples).keys() {
        let file = examples.join(name).display().to_string();
        let output = logweir(&["check", &file]);
        let text = words(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {text}");
        // Fluentd says so of whoever uses them.
        let is_obsolete = |line: &&str| {
            line.ends_with("output is obsoleted and will be removed.")
                || line.contains("Use 'forward' instead.")
        };
        let said = |line: &&str| line.contains("[warn]") || line.contains("[error]");
        let said: Vec<&str> = text.lines().filter(said).filter(|line| !is_obsolete(line)).collect();
        assert!(said.is_empty(), "{name}: {text}");
    }
}

/// What is recommended in place of a gem is there.
#[test]
fn plugins_that_are_to_be_used_instead_are_built_in() {
    let registry = logweir_plugins::registry();
    for gem in logweir_engine::config::gems::gems().iter().filter(|gem| !gem.instead.is_empty()) {
        assert!(
            registry.find(gem.kind, gem.name).is_none(),
            "{} is built in: its gem needs no advice",
            gem.name
        );
        for word in gem.instead.split("@type ").skip(1) {
            let name: String = word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(registry.iter().any(|plugin| plugin.name == name), "{}: there is no {name}", gem.name);
        }
    }
}
