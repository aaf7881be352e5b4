//! What tables declare is used: settings of the process by the code that they are for, and reasons in lists by the documents.

use logweir_engine::config::SYSTEM;
use logweir_engine::plugin::Status;
use std::fs;
use std::path::{Path, PathBuf};

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each setting of `<system>` and its `<log>` is a field of `System`, and other code than that which fills it in asks for the field. That
/// it is filled in is looked at in engine/config/system.
#[test]
fn code_uses_every_setting_of_the_process() {
    let sources: Vec<String> = ["src", "engine/src", "plugins/src"]
        .iter()
        .flat_map(|dir| rust_files(&root().join(dir)))
        .filter(|path| !path.starts_with(root().join("engine/src/config/system")))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let log =
        SYSTEM.sections.iter().filter(|section| section.name == "log").flat_map(|section| section.params);
    let mut unused = Vec::new();
    for param in SYSTEM.params.iter().chain(log) {
        if matches!(param.status, Status::WithoutEffect(_) | Status::Removed(_)) {
            continue;
        }
        // What the field is called, where its name is not the setting's; one that is read before there is a `System` is looked for
        // by its name in quotes.
        let field = match param.name {
            "fluentd_compat" => ".follows".to_owned(),
            "config_include_dir" => "\"config_include_dir\"".to_owned(),
            name => format!(".{name}"),
        };
        let is_used = |text: &String| {
            text.match_indices(&field).any(|(at, found)| {
                let after = text[at + found.len()..].chars().next();
                !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '(')
            })
        };
        if !sources.iter().any(is_used) {
            unused.push(param.name);
        }
    }
    assert!(unused.is_empty(), "no code uses {unused:?} of <system>");
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

/// docs/compatibility.md has each case that may fail, with the reason.
#[test]
fn deliberate_differences_are_documented() {
    let document = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let known = fs::read_to_string(root().join("tests/conformance/known.txt")).unwrap();
    let mut count = 0;
    for line in known.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
        // `1.19:` is before a case that fails only where that version is followed.
        for part in [name.trim_start_matches("1.19:"), reason.trim()] {
            assert!(document.contains(part), "docs/compatibility.md lacks {part:?}, which is in known.txt");
        }
        count += 1;
    }
    let cases = fs::read_dir(root().join("tests/conformance/cases")).unwrap();
    let cases = cases.map(|area| fs::read_dir(area.unwrap().path()).unwrap().count()).sum::<usize>();
    assert!(count * 100 < cases * 3, "{count} of {cases} cases may fail");
}

/// docs/compatibility.md has each case that Fluentd 1.19 answers differently, and each of them has that answer.
#[test]
fn differences_of_later_fluentds_are_documented() {
    let document = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    let mut count = 0;
    for area in fs::read_dir(root().join("tests/conformance/cases")).unwrap() {
        for case in fs::read_dir(area.unwrap().path()).unwrap() {
            let dir = case.unwrap().path();
            let text = fs::read_to_string(dir.join("case.json")).unwrap();
            let case: serde_json::Value = serde_json::from_str(&text).unwrap();
            if case.get("differs_in").is_none() {
                continue;
            }
            let name =
                dir.strip_prefix(root().join("tests/conformance/cases")).unwrap().display().to_string();
            assert!(document.contains(&name), "docs/compatibility.md lacks {name}");
            assert!(dir.join("expected.1.19.json").exists(), "{name} has no expected.1.19.json");
            count += 1;
        }
    }
    assert!(count > 0);
}
