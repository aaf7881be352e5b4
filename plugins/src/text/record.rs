//! Records as formatters see them.

use logweir_engine::json::{GenerateError, JsonStyle};
use logweir_engine::msgpack::RecordView;
use logweir_engine::plugin::FormatError;

/// The raw keys and values of a raw record, each key once, as a Ruby Hash has them.
pub(crate) fn fields(record: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let view = RecordView::new(record);
    let distinct = view.distinct();
    let plain = distinct.is_none().then(|| view.iter());
    distinct.into_iter().flatten().chain(plain.into_iter().flatten())
}

/// The error of a record that has no JSON text.
pub(crate) fn json_error(error: GenerateError, style: JsonStyle) -> FormatError {
    FormatError(format!("{}: {error}", error.class(style)))
}
