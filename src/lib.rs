//! Logweir as a program.
