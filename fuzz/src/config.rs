//! Configuration files in both languages.

/// Reads the text as a configuration; the body is in the engine.
pub fn config_text(data: &[u8]) {
    logweir_engine::config::fuzz(&String::from_utf8_lossy(data));
}
