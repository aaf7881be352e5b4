//! `config_include_dir` (Fluentd 1.19): the files of a folder and of those in it, read behind the main file.
//!
//! Where neither `<system>` nor `$FLUENT_CONF_INCLUDE_DIR` names a folder, none is read, as in Fluentd 1.16; Fluentd 1.19 has a
//! default.

use super::document::{ParseOptions, parse_one};
use super::{Diagnostic, Diagnostics, Document, Evaluate};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders in folders, at most.
const DEPTH_MAX: usize = 16;

/// Reads the files of the folder that `options` or `document` names, and adds what they hold.
pub(super) fn append(
    document: &mut Document,
    options: &ParseOptions,
    evaluate: &dyn Evaluate,
    diagnostics: &mut Diagnostics,
) {
    let attr =
        document.root.sections("system").next().and_then(|system| system.attr("config_include_dir")).cloned();
    let written = attr.as_ref().and_then(|attr| attr.value.text()).map(PathBuf::from);
    let dir = options.include_dir.clone().or(written).or_else(|| options.include_dir_default.clone());
    let dir = dir.unwrap_or_default();
    if dir.as_os_str().is_empty() {
        return;
    }
    let mut files = BTreeSet::new();
    if let Err(error) = find(&dir, 0, &mut files) {
        let message = format!("cannot read config_include_dir {}: {error}", dir.display());
        let problem = Diagnostic::warning(message).help("create the folder, or take the parameter out");
        return diagnostics.push(match &attr {
            Some(attr) => problem.at(&attr.value_span),
            None => problem,
        });
    }
    let known: Vec<_> = document.sources.iter().filter_map(|source| canonical(&source.name)).collect();
    for path in files.iter().filter(|path| canonical(path).is_none_or(|path| !known.contains(&path))) {
        let more = parse_one(path, &ParseOptions::default(), evaluate, diagnostics);
        document.root.attrs.extend(more.root.attrs);
        document.root.elements.extend(more.root.elements);
        document.sources.extend(more.sources);
    }
}

fn canonical(path: impl AsRef<Path>) -> Option<PathBuf> {
    path.as_ref().canonicalize().ok()
}

fn find(dir: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if depth < DEPTH_MAX {
                find(&path, depth + 1, files)?;
            }
        } else if path.extension().is_some_and(|end| end == "conf" || end == "yaml" || end == "yml") {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Evaluated, parse_file};
    use std::fs;

    fn read(dir: &Path, main: &str, default: Option<&Path>) -> (Vec<String>, Vec<String>) {
        let main_path = dir.join("fluent.conf");
        fs::write(&main_path, main).unwrap();
        let include_dir_default = default.map(Path::to_owned);
        let options = ParseOptions { include_dir_default, ..ParseOptions::default() };
        let mut diagnostics = Diagnostics::new();
        let document = parse_file(&main_path, &options, &|_: &str| Ok(Evaluated::Nil), &mut diagnostics);
        let names = document.root.elements.iter().map(|element| format!("{} {}", element.name, element.arg));
        (names.collect(), diagnostics.iter().map(|problem| problem.message().to_owned()).collect())
    }

    #[test]
    fn the_files_of_a_folder_come_behind_the_main_file_each_in_its_language() {
        let dir = tempfile::tempdir().unwrap();
        let conf_d = dir.path().join("conf.d");
        fs::create_dir_all(conf_d.join("sub")).unwrap();
        fs::write(conf_d.join("b.conf"), "<match b>\n</match>\n").unwrap();
        fs::write(conf_d.join("a.yaml"), "config:\n  - match:\n      $tag: a\n      $type: null\n").unwrap();
        fs::write(conf_d.join("sub/c.conf"), "<match c>\n</match>\n").unwrap();
        fs::write(conf_d.join("b.conf.bak"), "<match never>\n</match>\n").unwrap();
        let main = "<match main>\n</match>\n";
        let all = ["match main", "match a", "match b", "match c"];
        assert_eq!(read(dir.path(), main, Some(&conf_d)), (all.map(String::from).to_vec(), vec![]));
        let named = format!("<system>\nconfig_include_dir {}\n</system>\n{main}", conf_d.display());
        assert_eq!(read(dir.path(), &named, None).0[1..], all);
        let off = format!("<system>\nconfig_include_dir \"\"\n</system>\n{main}");
        assert_eq!(read(dir.path(), &off, Some(&conf_d)).0.len(), 2);
        let included = format!("@include {}/b.conf\n{main}", conf_d.display());
        assert_eq!(read(dir.path(), &included, Some(&conf_d)).0.len(), 4, "b.conf is not read twice");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (_, problems) = read(dir.path(), "<system>\nconfig_include_dir /no/such\n</system>\n", None);
        assert!(problems[0].starts_with("cannot read config_include_dir /no/such: "), "{problems:?}");
    }
}
