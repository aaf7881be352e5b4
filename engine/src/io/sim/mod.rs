//! A file system in memory whose power can be cut at any step, and whose calls can be made to fail.
//!
//! It keeps of each file and of all names what is on the "device" and what is only pending:
//!
//! | | volatile | durable after |
//! |---|---|---|
//! | bytes and length of a file | what is read | a sync of the file |
//! | names, directories | what is listed and opened | a sync of the directory that they are in |
//!
//! [`SimFs::power_cut`] answers the file system that the next start finds, [`SimFs::each_power_cut`] all of them. A sync that
//! fails leaves some of the pending bytes on the device and never tries the others again; they may be read for a while, or
//! be gone at once. It is as unkind as the contract of [`Fs`](super::Fs) allows, and with [`Lie`] unkinder, so that it can
//! be tested that the tests would notice. It is no part of a release build; it is here for the tests of every crate.

mod dice;
mod fault;
mod power;
mod world;

pub use dice::{Choices, Dice, Odometer, SimClock};
pub use fault::{FAULTS, Fault};
pub use world::{Lie, SimFs};
