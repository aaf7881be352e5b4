//! Runs every committed input through its target: what a fuzzer once found stays found.

use std::path::Path;

use logweir_fuzz::TARGETS;

#[test]
fn corpora() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, target) in TARGETS {
        let folder = root.join("corpus").join(name);
        let inputs: Vec<_> = std::fs::read_dir(&folder).expect("every target has a corpus").collect();
        assert!(!inputs.is_empty(), "{}: no seeds", folder.display());
        for input in inputs {
            let path = input.expect("a readable folder").path();
            eprintln!("{}", path.display());
            let data = std::fs::read(&path).expect("a readable seed");
            // Cut off at every length, too, if it is short: half a message is what a socket gives.
            let shortest = if data.len() <= 256 { 0 } else { data.len() };
            (shortest..=data.len()).for_each(|length| target(&data[..length]));
        }
    }
}

#[test]
fn every_target_is_a_program_and_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    let mut files: Vec<String> = std::fs::read_dir(root.join("fuzz_targets"))
        .expect("a folder of targets")
        .map(|file| {
            file.expect("a readable folder").path().file_stem().unwrap().to_string_lossy().into_owned()
        })
        .collect();
    files.sort();
    let listed: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, listed, "sorted by name, in both places");
    for name in listed {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is missing in Cargo.toml");
    }
}
