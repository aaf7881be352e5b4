//! The line end that most formatters write.

use logweir_engine::config::Params;
use logweir_engine::plugin::{Param, ParamKind};

/// `newline`
pub(crate) const NEWLINE: Param =
    Param::new("newline", ParamKind::Enum(&["lf", "crlf"]), "The line end: lf or crlf").default("lf");
/// `add_newline`
pub(crate) const ADD_NEWLINE: Param =
    Param::new("add_newline", ParamKind::Bool, "Whether a line end is written behind each event")
        .default("true");

/// A line end, or none.
#[derive(Clone, Copy)]
pub(crate) struct Newline(&'static [u8]);

impl Newline {
    /// From a section with [`NEWLINE`].
    pub(crate) fn always(params: &Params) -> Self {
        Self(if params.word("newline") == Some("crlf") { b"\r\n" } else { b"\n" })
    }

    /// From a section with [`NEWLINE`] and [`ADD_NEWLINE`].
    pub(crate) fn from_params(params: &Params) -> Self {
        if params.bool("add_newline") { Self::always(params) } else { Self(b"") }
    }

    /// Writes it.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}
