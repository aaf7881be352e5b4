//! `logweir buffer list|cat|export`.

use std::path::Path;
use std::process::ExitCode;

pub(crate) fn buffer(_action: &str, _path: &Path, _to: Option<&Path>) -> ExitCode {
    ExitCode::FAILURE
}
