//! `--setup DIR`: a sample configuration to begin with.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

const SAMPLE: &str = include_str!("../../conf/sample.conf");

pub(crate) fn setup(dir: &Path) -> ExitCode {
    let file = dir.join("fluent.conf");
    if file.exists() {
        println!("{} already exists.", file.display());
        return ExitCode::SUCCESS;
    }
    match fs::create_dir_all(dir).and_then(|()| fs::write(&file, SAMPLE)) {
        Ok(()) => {
            println!("Installed {}.", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}
