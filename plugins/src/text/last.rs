//! Changing the event that a parser has just made.

use logweir_engine::msgpack::Splicer;
use logweir_engine::plugin::ParseOutput;

/// Sets a field of the last event to a raw value.
pub(crate) fn set_in_last(out: &mut ParseOutput, key: &[u8], value: &[u8]) {
    if out.entries().is_empty() {
        return;
    }
    let time = out.reopen_last();
    let at = out.open_record_start();
    let record = out.buffer().split_off(at);
    Splicer::new().set(key, value).splice(&record, out.buffer());
    out.commit(time);
}
