//! Chunks in memory: what was appended is kept by reference, never copied.

use super::Body;
use super::chunk::{Content, NewFrame};
use std::io;
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

    fn lock(&self) -> MutexGuard<'_, Vec<Body>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content for MemoryContent {
    fn append(&self, frame: &NewFrame<'_>) -> io::Result<()> {
        self.push(frame.body.clone());
        Ok(())
    }

    fn undo(&self) -> io::Result<()> {
        self.lock().pop();
        Ok(())
    }

    fn enqueue(&self) -> io::Result<()> {
        Ok(())
    }

    fn bodies(&self) -> io::Result<Vec<Body>> {
        Ok(self.lock().clone())
    }
}
