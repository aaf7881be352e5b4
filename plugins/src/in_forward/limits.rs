//! What in_forward grants to a peer that nobody has vetted. Each limit has its reason; those that an operator may need to
//! change are parameters, and the number here is their default.

use std::time::Duration;

/// `message_size_limit`: bytes of one message. A Fluentd with a file buffer sends chunks of up to 256 MiB as one message,
/// so less would refuse honest senders; the last MiB is for tag and options.
pub(super) const MESSAGE_BYTES_MAX: &str = "257m";

/// `decompression_size_limit`: bytes of one inflated payload, Fluentd 1.19.3's default.
pub(super) const INFLATED_BYTES_MAX: &str = "256m";

/// Bytes of a tag. Tags made of file paths (4096 at most) are the longest that are seen.
pub(super) const TAG_BYTES_MAX: usize = 8192;

/// Bytes of the `chunk` option. Senders use 24 to 40; each may wait for its ack and be remembered.
pub(super) const CHUNK_ID_BYTES_MAX: usize = 512;

/// Bytes of PING, the only message before a peer has shown that it may send events.
pub(super) const PING_BYTES_MAX: u64 = 16 * 1024;

/// A client that fails the handshake waits this long for its refusal, so that guessing is slow.
pub(super) const REFUSAL_DELAY: Duration = Duration::from_secs(1);

/// A peer that does not take its acks for this long is gone.
pub(super) const ACK_WRITE_MAX: Duration = Duration::from_secs(60);

/// Acks of one connection that wait for the disk. Senders wait for each ack before they send on; the few that pipeline
/// gain nothing from more, and each may hold a commit of a buffer.
pub(super) const ACKS_WAITING_MAX: usize = 256;

/// How long a chunk id is remembered after its ack when its sender has shown no sign of having read it. Senders
/// that missed an ack send again within minutes (Fluentd: 190 s, then retries up to its retry_max_interval).
pub(super) const REMEMBERED_MAX: Duration = Duration::from_secs(3600);

/// How many chunk ids are remembered at most; then the oldest are forgotten.
pub(super) const REMEMBERED_IDS_MAX: usize = 65_536;

/// On one connection a chunk id that comes again while its ack is outstanding is a re-send only if it comes this much
/// later: the shortest time after which a sender gives up waiting for an ack is a second.
pub(super) const RESEND_AFTER_MIN: Duration = Duration::from_secs(1);
