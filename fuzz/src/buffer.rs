//! What lies in a buffer's directory when Logweir starts.

/// Edits of a chunk file of ours, and bytes beside it.
pub fn chunk_files(data: &[u8]) {
    logweir_engine::buffer::fuzz::chunk_files(data);
}

/// A chunk and its `.meta` as Fluentd leaves them.
pub fn fluentd_chunks(data: &[u8]) {
    logweir_engine::buffer::fuzz::fluentd_chunks(data);
}
