//! A buffer's directory as an onlooker sees it; `logweir buffer` is made of this.
//!
//! Nothing here writes, removes or takes a lock, so a Logweir or a Fluentd may be running on the directory meanwhile: a
//! chunk that is delivered while it is looked at is passed over, one that gets another name is found again.
//!
//! | | |
//! |---|---|
//! | [`Place`] | where a buffer's chunk files are, from a configuration or from what lies in a directory |
//! | [`ChunkFile`] | one file, by its name |
//! | [`Look`] | what is in it, and what of it is damaged |

mod chunk_file;
mod damage;
mod names;
mod ours;
mod place;
mod theirs;

pub use chunk_file::{ChunkFile, Look, Writer};
pub use damage::Damage;
pub use place::{Incomplete, Place};
