//! Where Logweir touches the disk and the clock: two small traits, so that a test can stop time and cut the power.
//!
//! Everything that decides whether a record survives goes through [`Fs`] and [`Clock`]. [`RealFs`] and [`RealClock`] are
//! the ones that run; a simulated file system implements the same contract and forgets, when it "crashes", whatever
//! the contract does not promise to keep.

mod clock;
pub mod fault;
mod fs;
mod lock;
mod real_fs;
// Like fault points: in debug builds, and so in the tests of every crate, but not in the program that is released. A feature that only
// dev-dependencies turn on would have everything that depends on this crate built twice.
#[cfg(any(test, debug_assertions, feature = "fuzz"))]
pub mod sim;

pub use clock::{Clock, RealClock, Timestamp};
pub use fs::{Access, File, FileStat, Fs, durable_replace, replace, sync_above};
pub use lock::{DirectoryLock, LockError};
pub use real_fs::{RealFs, hold, holder};
