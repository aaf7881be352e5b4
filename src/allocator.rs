//! What the C library's allocator does with memory that is freed.
//!
//! glibc takes large buffers from the kernel and gives them back when they are freed, but raises the size from which it does so
//! up to 32 MiB as soon as it sees such buffers. From then on each thread keeps freed megabytes of its own: peers that send large
//! messages make the process a multiple of receive_memory_limit, the more so the more cores there are.

/// Gives every buffer of [`LARGE_BYTES`] and more back to the kernel when it is freed, unless the environment has glibc's own
/// setting. Without glibc there is nothing to do.
pub(crate) fn give_large_buffers_back() {
    #[cfg(target_env = "gnu")]
    if std::env::var_os("MALLOC_MMAP_THRESHOLD_").is_none() {
        // SAFETY: mallopt(3) takes two numbers and locks the allocator while it stores them. If it refuses (it answers 0),
        // nothing has changed.
        unsafe { mallopt(M_MMAP_THRESHOLD, LARGE_BYTES) };
    }
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn mallopt(parameter: std::ffi::c_int, value: std::ffi::c_int) -> std::ffi::c_int;
}

/// From malloc.h.
#[cfg(target_env = "gnu")]
const M_MMAP_THRESHOLD: std::ffi::c_int = -3;

/// Above what connections read at once (256 KiB), so that the buffers of every day stay where they are.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: std::ffi::c_int = 1 << 20;
