//! The last time that was read: log lines come many a second, and most say the same time as the one before.

use super::error::TimeError;
use crate::event::EventTime;
use std::sync::Mutex;

/// The longest text that is kept.
const TEXT_BYTES_MAX: usize = 64;

/// For how long a text means the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// The text says all of it.
    Always,
    /// The text may lack the year or the day, which are those of the present. In every zone they change between two minutes.
    ThisMinute,
}

/// The last text and its time. A lock that another thread holds just now is not worth waiting for.
#[derive(Debug)]
pub(super) struct Memo {
    validity: Validity,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    text: Vec<u8>,
    time: EventTime,
    /// Minutes since the epoch when it was read; 0 if that does not matter.
    minute: i64,
}

impl Memo {
    pub(super) fn new(validity: Validity) -> Self {
        Self { validity, last: Mutex::default() }
    }

    /// The time of `text`: the one that is remembered, or what `read` makes of it. `now` is the clock that `read` goes by.
    pub(super) fn time_of(
        &self,
        text: &[u8],
        now: fn() -> EventTime,
        read: impl FnOnce(&[u8]) -> Result<EventTime, TimeError>,
    ) -> Result<EventTime, TimeError> {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return read(text);
        }
        // Before it is read: what is read behind the end of this minute is then not taken for its time.
        let minute = match self.validity {
            Validity::Always => 0,
            Validity::ThisMinute => now().sec.div_euclid(60),
        };
        if let Ok(last) = self.last.try_lock()
            && last.minute == minute
            && last.text == text
        {
            return Ok(last.time);
        }
        let time = read(text)?;
        if let Ok(mut last) = self.last.try_lock() {
            last.text.clear();
            last.text.extend_from_slice(text);
            last.time = time;
            last.minute = minute;
        }
        Ok(time)
    }
}
