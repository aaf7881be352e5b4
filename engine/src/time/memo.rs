//! The last time that was read: log lines come many a second, and most say the same time as the one before.

use crate::event::EventTime;
use std::sync::Mutex;

/// The longest text that is kept.
const TEXT_BYTES_MAX: usize = 64;

/// The last text and its time. A lock that another thread holds just now is not worth waiting for.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<(Vec<u8>, EventTime)>);

impl Memo {
    /// The time of this text if it was the last one.
    pub(super) fn get(&self, text: &[u8]) -> Option<EventTime> {
        let last = self.0.try_lock().ok()?;
        (!text.is_empty() && last.0 == text).then_some(last.1)
    }

    pub(super) fn set(&self, text: &[u8], time: EventTime) {
        if text.len() <= TEXT_BYTES_MAX
            && let Ok(mut last) = self.0.try_lock()
        {
            last.0.clear();
            last.0.extend_from_slice(text);
            last.1 = time;
        }
    }
}
