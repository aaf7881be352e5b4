//! `logweir config FILE`: the parse tree, as Fluentd dumps it or as JSON
//! `{"name": ..., "arg": ..., "attrs": {...}, "elements": [...]}`. Secrets are masked as in the log of a start, unless they are
//! asked for.

use crate::cli::Options;
use crate::configuration::read;
use logweir_engine::config::Secrets;
use logweir_engine::plugin::Registry;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn show_config(file: &Path, json: bool, show_secrets: bool, registry: &Registry) -> ExitCode {
    let secrets = if show_secrets { Secrets::Shown } else { Secrets::Masked };
    let (document, problems) = read(file, &Options::default());
    if !problems.is_empty() {
        eprintln!("{}", problems.render(false));
    }
    if problems.has_errors() {
        return ExitCode::FAILURE;
    }
    if json {
        println!("{:#}", document.root.tree(registry, secrets));
    } else {
        println!("{}", document.root.dump_with(registry, secrets));
    }
    ExitCode::SUCCESS
}
