//! What one evaluation may cost.

/// What is left of the steps and bytes of an evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(super) steps: u64,
    pub(super) bytes: usize,
    pub(super) depth: u32,
}

impl Limits {
    /// Steps (pieces of the expression, elements that a method looks at) of one evaluation: some tens of milliseconds.
    pub(crate) const STEPS_MAX: u64 = 1_000_000;
    /// Bytes that one evaluation may allocate; as much as the largest message that is accepted by default may hold.
    pub(crate) const BYTES_MAX: usize = 32 * 1024 * 1024;
    /// Calls inside of calls.
    pub(crate) const DEPTH_MAX: u32 = 300;

    pub(crate) fn new() -> Self {
        Self { steps: Self::STEPS_MAX, bytes: Self::BYTES_MAX, depth: 0 }
    }
}

/// A limit that an evaluation ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Steps,
    Bytes,
}

impl Exceeded {
    pub(crate) fn message(self) -> String {
        match self {
            Self::Steps => format!("the expression takes more than {} steps", Limits::STEPS_MAX),
            Self::Bytes => format!("the expression needs more than {} MiB", Limits::BYTES_MAX >> 20),
        }
    }
}
