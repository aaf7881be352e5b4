//! How a connection's bytes come in: buffers that fit the traffic, memory from the common pool, time limits, and the
//! end.

use super::Lease;
use crate::config::{Diagnostic, Params};
use crate::plugin::{Param, ParamKind};
use bytes::BytesMut;
use futures_util::FutureExt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long peers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// `handshake_timeout`: for TLS, and again for the handshake of the protocol.
    pub handshake: Duration,
    /// `message_timeout`: for a message to arrive, unless it brings bytes at `message_rate` all the while. Time in which we
    /// do not read (back-pressure) does not count.
    pub message: Duration,
    /// `message_min_rate`: bytes per second, on average over each `message`, that let a peer go on with its message. A peer
    /// that has sent much and then stalls is not kept for it.
    pub message_rate: u64,
    /// `idle_timeout`: for the next message to begin; `None` for ever.
    pub idle: Option<Duration>,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            message: Duration::from_secs(30),
            message_rate: 1024,
            idle: None,
        }
    }
}

/// The parameters of [`ReadLimits`], with its defaults.
pub const READING_PARAMS: [Param; 4] = [
    Param::new(
        "handshake_timeout",
        ParamKind::Time,
        "Seconds that a peer has for the TLS handshake, and again for that of <security>",
    ).own()
    .default("10"),
    Param::new(
        "message_timeout",
        ParamKind::Time,
        "Seconds that a message may take to arrive, if it is slower than message_min_rate; then the connection is closed",
    ).own()
    .default("30"),
    Param::new(
        "message_min_rate",
        ParamKind::Size,
        "Bytes per second that let a message take longer than message_timeout, as the average of each such period",
    ).own()
    .default("1k"),
    Param::new(
        "idle_timeout",
        ParamKind::Time,
        "Seconds without a message after which a connection is closed; for ever if not set, as senders keep theirs open",
    ).own(),
];

impl ReadLimits {
    /// From [`READING_PARAMS`].
    pub fn new(params: &Params) -> Result<Self, Diagnostic> {
        let positive = |name: &str| match params.time(name) {
            Some(time) if time.is_zero() => Err(params.error(name, format!("'{name}' must be more than 0"))),
            time => Ok(time),
        };
        let default = Self::default();
        Ok(Self {
            handshake: positive("handshake_timeout")?.unwrap_or(default.handshake),
            message: positive("message_timeout")?.unwrap_or(default.message),
            message_rate: params.size("message_min_rate").unwrap_or(default.message_rate).max(1),
            idle: positive("idle_timeout")?,
        })
    }
}

/// After the program was told to stop, what peers have sent already is still read for this long at most.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Stands for [`ReadFailure::Idle`].
const IDLE: &str = "";

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
    /// How long the peer has kept us waiting for the rest of its message, since `waited_from` bytes of it were there.
    waited: Duration,
    waited_from: u64,
    limits: ReadLimits,
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
    /// Nothing came for `idle_timeout`.
    #[error("nothing was sent for idle_timeout")]
    Idle,
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
    pub fn new(
        stream: R,
        lease: Lease,
        needs_handshake: bool,
        limits: ReadLimits,
        stop: CancellationToken,
    ) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            lease,
            read_bytes: READ_BYTES.0,
            handshake: needs_handshake.then(|| Instant::now() + limits.handshake),
            waited: Duration::ZERO,
            waited_from: 0,
            limits,
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
        self.waited_from = 0;
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
                let least = self.limits.message_rate.saturating_mul(self.limits.message.as_secs().max(1));
                if received.saturating_sub(self.waited_from) >= least {
                    (self.waited, self.waited_from) = (Duration::ZERO, received);
                }
                let rest = self.limits.message.saturating_sub(self.waited);
                (Some(begin + rest), "a message takes too long to arrive")
            }
            None => (self.limits.idle.map(|idle| begin + idle), IDLE),
        };
        let read = async {
            match until {
                None => Ok(self.stream.read_buf(&mut self.buffer).await),
                Some(until) => {
                    timeout_at(until, self.stream.read_buf(&mut self.buffer)).await.map_err(|_| {
                        if too_slow == IDLE { ReadFailure::Idle } else { ReadFailure::TooSlow(too_slow) }
                    })
                }
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
        let mut reading =
            Reading::new(ours, pool.lease(), false, ReadLimits::default(), CancellationToken::new());
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

    #[tokio::test(start_paused = true)]
    async fn a_message_may_take_long_while_it_comes_and_not_when_it_stalls() {
        let pool = MemoryPool::new(1 << 24);
        let (mut theirs, ours) = tokio::io::duplex(1 << 20);
        let mut reading =
            Reading::new(ours, pool.lease(), false, ReadLimits::default(), CancellationToken::new());
        let sender = tokio::spawn(async move {
            theirs.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
            for _ in 0..300 {
                theirs.write_all(&[b'x'; 2048]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            std::future::pending::<()>().await;
        });
        let begin = Instant::now();
        let failure = loop {
            match reading.fill(Progress::default()).await {
                Ok(_) => {}
                Err(failure) => break failure,
            }
        };
        assert!(matches!(failure, ReadFailure::TooSlow(_)), "{failure:?}");
        let took = begin.elapsed().as_secs();
        assert!((310..=340).contains(&took), "given up after {took} s, and not for the MiB that came first");
        sender.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_given_up_only_if_that_is_configured() {
        let pool = MemoryPool::new(1 << 20);
        for idle in [None, Some(Duration::from_secs(300))] {
            let (_theirs, ours) = tokio::io::duplex(64);
            let limits = ReadLimits { idle, ..ReadLimits::default() };
            let mut reading = Reading::new(ours, pool.lease(), false, limits, CancellationToken::new());
            let filled =
                tokio::time::timeout(Duration::from_secs(100_000), reading.fill(Progress::default())).await;
            match idle {
                None => assert!(filled.is_err()),
                Some(_) => assert!(matches!(filled, Ok(Err(ReadFailure::Idle)))),
            }
        }
    }
}
