//! Bytes of a file to lines: one buffer for all files of a source, refilled with whatever file has its turn.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read at once.
pub(super) const READ_BYTES: usize = 256 << 10;

/// A line longer than this is skipped even without max_line_size, so that a file without line ends cannot fill the
/// memory.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// The buffer: a window of the file whose turn it is, from the beginning of a line.
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    len: usize,
}

impl LineBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; READ_BYTES], len: 0 }
    }

    /// Stands in for a buffer that is lent out.
    pub(super) fn new_empty() -> Self {
        Self { bytes: Vec::new(), len: 0 }
    }

    /// Reads once at `offset`, at most `limit` bytes; 0 at the end of the file.
    pub(super) fn fill(&mut self, file: &File, offset: u64, limit: usize) -> io::Result<usize> {
        self.len = 0;
        let end = self.bytes.len().min(limit);
        self.len = read_once(file, &mut self.bytes[..end], offset)?;
        Ok(self.len)
    }

    /// What is held.
    pub(super) fn held(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Reads a line that is longer than the buffer: `len` bytes at `offset`. Fewer if the file has become shorter.
pub(super) fn read_long_line(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut line = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match read_once(file, &mut line[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    line.truncate(filled);
    Ok(line)
}

fn read_once(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A line without its end: what goes is `\n`, `\r\n` or a lone last `\r`, as Ruby's `chomp`.
pub(super) fn chomp(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Lines of `bytes` with their line ends, in order; the rest without one is [`Lines::rest`].
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes of the lines taken so far.
    pub(super) fn taken(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\n', rest)? + 1;
        self.at += end;
        Some(&rest[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_go_as_chomp_takes_them() {
        for (line, text) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\r", "a"), ("a\r\r\n", "a\r"), ("\n", ""), ("a", "a")]
        {
            assert_eq!(chomp(line.as_bytes()), text.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_taken() {
        let mut lines = Lines::new(b"a\n\nb");
        assert_eq!(lines.by_ref().collect::<Vec<_>>(), [&b"a\n"[..], b"\n"]);
        assert_eq!(lines.taken(), 3);
    }
}
