//! How a connection's bytes come in: buffers that fit the traffic, memory from the common pool, time limits, and the
//! end.

use super::decoder::Decoder;
use super::error::ConnectionError;
use super::limits::{DRAIN_MAX, MESSAGE_RATE_MIN, MESSAGE_WAIT_BASE, READ_BYTES};
use bytes::BytesMut;
use futures_util::FutureExt;
use logweir_engine::net::{HANDSHAKE_WAIT_MAX, Lease};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// The receiving side of a connection.
pub(super) struct Reading<R> {
    stream: R,
    /// What was read and not decoded yet.
    pub(super) buffer: BytesMut,
    /// What the buffer and the message in work take from the pool.
    pub(super) lease: Lease,
    /// How much the next read asks for.
    read_bytes: usize,
    /// Until when the handshake must be done, while it is not.
    handshake: Option<Instant>,
    /// How long the peer has kept us waiting for the rest of its message.
    waited: Duration,
    stop: CancellationToken,
    stopping: Option<Instant>,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    More,
    /// The peer has closed its side.
    Ended,
    /// The program stops, and everything that had arrived has been read.
    Stopped,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    /// `stop` ends the reading once everything that has arrived is read.
    pub(super) fn new(stream: R, lease: Lease, needs_handshake: bool, stop: CancellationToken) -> Self {
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
    pub(super) fn handshake_done(&mut self) {
        self.handshake = None;
    }

    /// A message is complete: the next one has the whole time again.
    pub(super) fn message_done(&mut self) {
        self.waited = Duration::ZERO;
    }

    /// The stream, when reading is over.
    pub(super) fn into_stream(self) -> R {
        self.stream
    }

    /// Reads more bytes behind those of the buffer.
    pub(super) async fn fill(&mut self, decoder: &Decoder) -> Result<Fill, ConnectionError> {
        let partial = !self.buffer.is_empty() || decoder.is_skipping();
        self.make_room(decoder.known_bytes()).await;
        let mut read = self.stream.read_buf(&mut self.buffer).now_or_never();
        if read.is_none() {
            if self.stop.is_cancelled() {
                return Ok(Fill::Stopped);
            }
            if !partial {
                // Thousands of connections are idle; each keeps little.
                self.buffer = BytesMut::with_capacity(READ_BYTES.0);
                self.lease.shrink_to(0);
            }
            read = self.wait(decoder, partial).await?;
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
        decoder: &Decoder,
        partial: bool,
    ) -> Result<Option<io::Result<usize>>, ConnectionError> {
        let begin = Instant::now();
        let received = decoder.received_bytes() + self.buffer.len() as u64;
        let (until, too_slow) = match self.handshake {
            Some(until) => (Some(until), "the handshake takes too long"),
            None if partial => {
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
                    .map_err(|_| ConnectionError::TooSlow(too_slow)),
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

    fn adapt(&mut self, count: usize) {
        let (least, most) = READ_BYTES;
        if count >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(most);
        } else if count < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(least);
        }
    }
}
