//! Chunks in memory: what was appended is kept by reference, never copied.

use super::Body;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The bodies of a chunk in memory.
#[derive(Default)]
pub(super) struct MemoryContent {
    bodies: Mutex<Vec<Body>>,
}

impl MemoryContent {
    pub(super) fn push(&self, body: Body) {
        self.lock().push(body);
    }

    pub(super) fn pop(&self) {
        self.lock().pop();
    }

    pub(super) fn bodies(&self) -> Vec<Body> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Body>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
