//! How a connection's bytes come in: buffers that fit the traffic, memory from the common pool, time limits, and the
//! end.

use super::{HANDSHAKE_WAIT_MAX, Lease};
use bytes::BytesMut;
use futures_util::FutureExt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A message may take this long to arrive, plus what it takes at [`MESSAGE_RATE_MIN`]. Time in which we do not read
/// (back-pressure) does not count.
const MESSAGE_WAIT_BASE: Duration = Duration::from_secs(60);

/// Bytes per second that a peer must deliver while one of its messages is incomplete.
const MESSAGE_RATE_MIN: u64 = 4 * 1024;

/// After the program was told to stop, what peers have sent already is still read for this long at most.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Bytes that are read at once, from the first value to the last: doubled when a read fills the buffer. Large reads cost
/// less per byte; small ones pin less memory for peers that send little.
const READ_BYTES: (usize, usize) = (4 * 1024, 256 * 1024);

/// The receiving side of a connection.
pub struct Reading<R> {
    stream: R,
    /// What was read and not decoded yet.
    pub buffer: BytesMut,
    /// What the buffer and the message in work take from the pool.
    pub lease: Lease,
    /// How much the next read asks for.
    read_bytes: usize,
    /// Until when the handshake must be done, while it is not.
    handshake: Option<Instant>,
    /// How long the peer has kept us waiting for the rest of its message.
    waited: Duration,
    stop: CancellationToken,
    stopping: Option<Instant>,
}

/// What its reader knows of the message that the buffer holds the beginning of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How long the message will be at least.
    pub known_bytes: u64,
    /// Bytes of the message that have arrived and are not in the buffer.
    pub received_bytes: u64,
    /// Whether the message is being skipped, so that an empty buffer does not mean that there is none.
    pub is_skipping: bool,
    /// Whether its peer may take as long as it likes for the rest. Meant for messages so small that all connections may
    /// hold one.
    pub is_patient: bool,
}

/// Why nothing more is read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    /// The connection broke.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A message, or the handshake, took too long.
    #[error("{0}")]
    TooSlow(&'static str),
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Bytes, or the first sign of the end.
    More,
    /// The peer has closed its side.
    Ended,
    /// The program stops, and everything that had arrived has been read.
    Stopped,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    /// `stop` ends the reading once everything that has arrived is read.
    pub fn new(stream: R, lease: Lease, needs_handshake: bool, stop: CancellationToken) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            lease,
            read_bytes: READ_BYTES.0,
            handshake: needs_handshake.then(|| Instant::now() + HANDSHAKE_WAIT_MAX),
            waited: Duration::ZERO,
            stop,
            stopping: None,
        }
    }

    /// The peer may send events from now on.
    pub fn handshake_done(&mut self) {
        self.handshake = None;
    }

    /// A message is complete: the next one has the whole time again.
    pub fn message_done(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// The stream, when reading is over.
    pub fn into_stream(self) -> R {
        self.stream
    }

    /// Reads more bytes behind those of the buffer.
    pub async fn fill(&mut self, progress: Progress) -> Result<Fill, ReadFailure> {
        let partial = !self.buffer.is_empty() || progress.is_skipping;
        self.make_room(progress.known_bytes).await;
        let mut read = self.stream.read_buf(&mut self.buffer).now_or_never();
        if read.is_none() {
            if self.stop.is_cancelled() {
                return Ok(Fill::Stopped);
            }
            if !partial {
                // Thousands of connections are idle; each keeps little.
                self.buffer = BytesMut::with_capacity(READ_BYTES.0);
                self.lease.shrink_to(0);
            } else if progress.is_patient {
                self.compact();
            }
            read = self.wait(progress, partial && !progress.is_patient).await?;
        }
        let Some(read) = read else { return Ok(Fill::More) };
        let count = match read {
            Ok(count) => count,
            // A TLS peer that closes without saying so; what it sent was authentic.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error.into()),
        };
        if self.stop.is_cancelled() {
            let until = *self.stopping.get_or_insert_with(|| Instant::now() + DRAIN_MAX);
            if Instant::now() >= until {
                return Ok(Fill::Stopped);
            }
        }
        self.adapt(count);
        Ok(if count == 0 { Fill::Ended } else { Fill::More })
    }

    /// Waits for bytes, for the end of the program or for the end of patience. `None` if the program stops: then one more
    /// look is taken at what has arrived.
    async fn wait(
        &mut self,
        progress: Progress,
        is_limited: bool,
    ) -> Result<Option<io::Result<usize>>, ReadFailure> {
        let begin = Instant::now();
        let received = progress.received_bytes + self.buffer.len() as u64;
        let (until, too_slow) = match self.handshake {
            Some(until) => (Some(until), "the handshake takes too long"),
            None if is_limited => {
                let allowed = MESSAGE_WAIT_BASE + Duration::from_secs(received / MESSAGE_RATE_MIN);
                (Some(begin + allowed.saturating_sub(self.waited)), "a message takes too long to arrive")
            }
            None => (None, ""),
        };
        let read = async {
            match until {
                None => Ok(self.stream.read_buf(&mut self.buffer).await),
                Some(until) => timeout_at(until, self.stream.read_buf(&mut self.buffer))
                    .await
                    .map_err(|_| ReadFailure::TooSlow(too_slow)),
            }
        };
        let read = tokio::select! {
            biased;
            read = read => read?,
            () = self.stop.cancelled() => return Ok(None),
        };
        self.waited += begin.elapsed();
        Ok(Some(read))
    }

    /// Makes room for the next read: as much as is worth it, and not more than the message needs or doubles it to.
    async fn make_room(&mut self, known_bytes: u64) {
        let length = self.buffer.len();
        let missing = usize::try_from(known_bytes).unwrap_or(usize::MAX).saturating_sub(length);
        let room = self.read_bytes.max(missing.min(length));
        let spare = self.buffer.capacity() - length;
        if spare >= room.min(READ_BYTES.0) && spare >= room / 2 || self.buffer.try_reclaim(room) {
            return;
        }
        if length + room > READ_BYTES.0 {
            self.lease.grow_to(length + room).await;
        }
        if length > READ_BYTES.1 {
            // Large and not shared with anybody: the allocator may move it without copying.
            self.buffer.reserve(room);
        } else {
            let mut buffer = BytesMut::with_capacity(length + room);
            buffer.extend_from_slice(&self.buffer);
            self.buffer = buffer;
        }
    }

    /// Moves a small message out of a large buffer, which would be pinned for as long as its peer likes.
    fn compact(&mut self) {
        let length = self.buffer.len();
        if self.buffer.capacity() > 2 * (length + READ_BYTES.0) {
            let mut buffer = BytesMut::with_capacity(length + READ_BYTES.0);
            buffer.extend_from_slice(&self.buffer);
            self.buffer = buffer;
            self.read_bytes = READ_BYTES.0;
            self.lease.shrink_to(self.buffer.capacity());
        }
    }

    fn adapt(&mut self, count: usize) {
        let (least, most) = READ_BYTES;
        if count >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(most);
        } else if count < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryPool;
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn a_patient_message_waits_for_ever_and_pins_little() {
        let pool = MemoryPool::new(1 << 20);
        let (mut theirs, ours) = tokio::io::duplex(1 << 20);
        let mut reading = Reading::new(ours, pool.lease(), false, CancellationToken::new());
        let burst = vec![b'x'; 600_000];
        theirs.write_all(&burst).await.unwrap();
        while reading.buffer.len() < burst.len() {
            assert_eq!(reading.fill(Progress::default()).await.unwrap(), Fill::More);
        }
        // All but a few bytes are messages that were taken out.
        drop(reading.buffer.split_to(burst.len() - 10));
        let patient = Progress { is_patient: true, ..Progress::default() };
        let waiting = tokio::time::timeout(Duration::from_secs(100_000), reading.fill(patient)).await;
        assert!(waiting.is_err(), "no limit of time");
        assert!(pool.leased() <= 2 * READ_BYTES.0 as u64, "{} bytes are pinned", pool.leased());
        theirs.write_all(b"end").await.unwrap();
        assert_eq!(reading.fill(patient).await.unwrap(), Fill::More);
        assert_eq!(&reading.buffer[..], b"xxxxxxxxxxend");
        let failure = reading.fill(Progress::default()).await;
        assert!(matches!(failure, Err(ReadFailure::TooSlow(_))), "{failure:?}");
    }
}
