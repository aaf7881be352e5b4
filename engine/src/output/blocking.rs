//! File work in the middle of a task.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work that waits for a disk. The other tasks of this thread go on elsewhere meanwhile, where the runtime has
/// other threads. For what cannot be given to `spawn_blocking` because it borrows.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
