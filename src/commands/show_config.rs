//! `logweir config FILE`: the parse tree, as Fluentd dumps it or as JSON
//! `{"name": ..., "arg": ..., "attrs": {...}, "elements": [...]}`.

use crate::cli::Options;
use crate::configuration::read;
use logweir_engine::plugin::Registry;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn show_config(file: &Path, json: bool, registry: &Registry) -> ExitCode {
    let (document, problems) = read(file, &Options::default());
    if !problems.is_empty() {
        eprintln!("{}", problems.render(false));
    }
    if problems.has_errors() {
        return ExitCode::FAILURE;
    }
    if json {
        println!("{:#}", document.root.to_json());
    } else {
        print!("{}", document.root.dump(registry));
    }
    ExitCode::SUCCESS
}
