//! Appends of which parts may be in files that could not be looked at.
//!
//! A start at which a chunk file, or the marks file, cannot be read does not know which appends are whole: the missing
//! parts may be stored there, and acknowledged. It keeps what it has, but not the marks (inputs repeat what they were not
//! told of), and notes in the marks file which appends that concerns. A later start to which the file shows itself again
//! treats them in the same way, whatever was declared durable meanwhile, until none of them is left.

/// The appends behind `after`, up to `up_to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unseen {
    pub(super) after: u64,
    pub(super) up_to: u64,
}

impl Unseen {
    pub(super) fn contains(self, sequence: u64) -> bool {
        self.after < sequence && sequence <= self.up_to
    }

    /// All of these, all of `other`, and what lies between.
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::default() {
            return other;
        }
        Self { after: self.after.min(other.after), up_to: self.up_to.max(other.up_to) }
    }
}
