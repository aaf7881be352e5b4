//! Logweir.
