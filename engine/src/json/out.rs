//! The output of the transcoder: a Vec that is longer than what has been written, so that short pieces can be stored in
//! blocks of fixed size.

use crate::msgpack::Sink;

/// Writes into a Vec at a place before its end; see [`Out::finish`].
pub(super) struct Out<'o> {
    bytes: &'o mut Vec<u8>,
    /// Where the next byte goes.
    pub(super) at: usize,
}

/// How many bytes it is longer by, at least, after it has grown. The Vec sees to it that growing is seldom copying.
const SLACK: usize = 256;

impl<'o> Out<'o> {
    /// Behind what is in `bytes`; about `expected` bytes will be written.
    pub(super) fn new(bytes: &'o mut Vec<u8>, expected: usize) -> Self {
        let at = bytes.len();
        // Large texts grow it as they go: the same text may be read value by value.
        bytes.resize(at + expected.min(4096) + 64, 0);
        Self { bytes, at }
    }

    /// Cuts off what has not been written.
    pub(super) fn finish(self) {
        self.bytes.truncate(self.at);
    }

    /// The next N bytes, if there are so many. They count as written once `at` is moved.
    #[inline(always)]
    pub(super) fn room<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.bytes.get_mut(self.at..)?.first_chunk_mut()
    }

    /// What has been written from `start` on.
    #[inline(always)]
    pub(super) fn since(&self, start: usize) -> &[u8] {
        &self.bytes[start..self.at]
    }

    /// A byte that has been written.
    #[inline(always)]
    pub(super) fn byte_mut(&mut self, at: usize) -> &mut u8 {
        &mut self.bytes[at]
    }

    /// Lets `write` append to the Vec itself.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.bytes.truncate(self.at);
        let answer = write(self.bytes);
        self.at = self.bytes.len();
        self.grow(0);
        answer
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        self.bytes.resize(self.at + needed + SLACK, 0);
    }
}

impl Sink for Out<'_> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, piece: [u8; N]) {
        if self.room::<N>().is_none() {
            self.grow(N);
        }
        if let Some(room) = self.room::<N>() {
            *room = piece;
        }
        self.at += N;
    }

    #[inline(always)]
    fn put_slice(&mut self, bytes: &[u8]) {
        if self.bytes.len() - self.at < bytes.len() {
            self.grow(bytes.len());
        }
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}
