//! Records that a plugin could not handle: to `<label @ERROR>`, or into the log.

use crate::event::Tag;
use crate::msgpack::Time;

/// Sends events that failed to `@ERROR`. Cheap to clone.
#[derive(Clone, Default)]
pub struct ErrorEvents {}

impl ErrorEvents {
    /// Hands over one event with the reason. `record` is its raw MessagePack map.
    pub fn emit(&self, _tag: &Tag, _time: Time, _record: &[u8], _class: &str, _message: &str) {}
}
