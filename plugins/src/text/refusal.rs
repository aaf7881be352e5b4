//! Expressions of the configuration that do not compile, shown to the user.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::expr::SyntaxError;

/// The problem of the parameter `key`, with the expression and a caret below what is wrong in it.
pub(crate) fn refused_expression(
    params: &Params,
    key: &str,
    message: String,
    error: &SyntaxError,
) -> Diagnostic {
    let caret = format!(
        "{}\n{}{}",
        error.source,
        " ".repeat(error.source[..error.span.start.min(error.source.len())].chars().count()),
        "^".repeat(error.source.get(error.span.clone()).map_or(1, |text| text.chars().count().max(1)))
    );
    let problem = params.error(key, message).note(caret);
    match &error.help {
        Some(help) => problem.help(help.clone()),
        None => problem,
    }
}
