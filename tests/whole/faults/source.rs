//! The fault points in the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All names, each of which stands at one place only.
pub(super) fn points() -> BTreeSet<String> {
    let mut points = BTreeSet::new();
    for folder in ["engine/src", "plugins/src", "store/src", "src"] {
        visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut points);
    }
    points
}

fn visit(path: &Path, points: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            visit(&entry.unwrap().path(), points);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("io/fault.rs") {
        let text = fs::read_to_string(path).unwrap();
        for call in text.split("fault!(").skip(1) {
            let name = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            let name = name.unwrap_or_else(|| panic!("{}: fault!({call}", path.display()));
            assert!(points.insert(name.to_owned()), "{name} stands at two places");
        }
    }
}
