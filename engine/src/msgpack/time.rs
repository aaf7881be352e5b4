//! The time of an entry in every encoding that is seen on the wire (spec forward-protocol 2.1).

use crate::event::EventTime;

/// An entry's time. Re-encoding it gives the kind of value that was read: an integer stays an integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Time {
    /// Whole seconds.
    Int(i64),
    /// EventTime (ext type 0).
    Event(EventTime),
    /// Seconds with a fraction, as JSON clients and old Fluent Bits send it.
    Float(f64),
    /// nil, or anything that is no time.
    None,
}
