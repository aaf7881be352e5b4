//! What a connection writes: HELO, PONG, and acks, in order, none divided.
//!
//! Reading goes on while acks wait for the disk; the queue between the two is bounded, so that a peer that does not take
//! its acks is not read from either.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use super::decoder::Encoding;
use super::duplicates::Attempt;
use super::limits::ACK_WRITE_MAX;
use bytes::Bytes;
use logweir_engine::delivery::{CommitError, Receipt};
use logweir_engine::fault;
use logweir_engine::json::{self, JsonStyle};
use logweir_engine::msgpack::{write_map_len, write_str};
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Replies that are taken from the queue at once.
const AT_ONCE: usize = 64;
/// Replies are put together up to this many bytes.
const SEGMENT_BYTES_MAX: usize = 4096;

/// One piece to be written.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    /// What must be durable before it is written.
    pub(super) after: Option<Receipt>,
    /// The chunk that it acknowledges, if that is to be remembered.
    pub(super) acknowledges: Option<Attempt>,
}

/// Why a connection's replies ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    /// The events of a message did not become durable: no ack, and none of those behind it.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The peer is gone, or does not read.
    #[error("{0}")]
    Write(#[from] io::Error),
}

impl Reply {
    /// Something that waits for nothing.
    pub(super) fn now(bytes: Vec<u8>) -> Self {
        Self { bytes, after: None, acknowledges: None }
    }

    /// `{"ack": chunk}` with the chunk's raw value, in the peer's encoding. `None` if the value cannot be written in
    /// JSON, which the peer's own text cannot have brought about.
    pub(super) fn ack(chunk: &Bytes, encoding: Encoding) -> Option<Self> {
        let mut bytes = Vec::with_capacity(chunk.len() + 8);
        match encoding {
            Encoding::MessagePack => {
                write_map_len(&mut bytes, 1);
                write_str(&mut bytes, b"ack");
                bytes.extend_from_slice(chunk);
            }
            Encoding::Json => {
                bytes.extend_from_slice(b"{\"ack\":");
                json::from_msgpack(chunk, &mut bytes, JsonStyle::Yajl).ok()?;
                bytes.push(b'}');
            }
        }
        Some(Self::now(bytes))
    }
}

/// Writes replies until the queue is closed. Those that are ready together are written together: a peer that sends on
/// before it has read its acks reads them as a stream.
pub(super) async fn write_replies(
    mut stream: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Reply>,
) -> Result<(), ReplyError> {
    let mut replies = Vec::new();
    let mut segment = Vec::new();
    while queue.recv_many(&mut replies, AT_ONCE).await > 0 {
        for reply in replies.drain(..) {
            if let Some(receipt) = reply.after {
                let committed = receipt.committed();
                tokio::pin!(committed);
                let known = tokio::select! {
                    biased;
                    committed = &mut committed => Some(committed),
                    () = std::future::ready(()) => None,
                };
                if !matches!(known, Some(Ok(()))) {
                    // Those before it are durable.
                    write(&mut stream, &mut segment).await?;
                }
                match known {
                    Some(committed) => committed?,
                    None => committed.await?,
                }
            }
            if let Some(attempt) = reply.acknowledges {
                // Before the write: once the peer can have it, a re-send must be known for what it is.
                attempt.acked();
            }
            fault!("ack-sending");
            segment.extend_from_slice(&reply.bytes);
            if segment.len() >= SEGMENT_BYTES_MAX {
                write(&mut stream, &mut segment).await?;
            }
        }
        write(&mut stream, &mut segment).await?;
    }
    Ok(())
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), segment: &mut Vec<u8>) -> Result<(), ReplyError> {
    if segment.is_empty() {
        return Ok(());
    }
    let write = async {
        stream.write_all(segment).await?;
        stream.flush().await
    };
    match timeout(ACK_WRITE_MAX, write).await {
        Ok(written) => written?,
        Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
    segment.clear();
    fault!("ack-sent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::delivery::Origin;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    #[test]
    fn acks_echo_the_chunk_as_it_came() {
        let ack = |raw: &'static [u8], encoding| {
            Reply::ack(&Bytes::from_static(raw), encoding).map(|reply| reply.bytes)
        };
        assert_eq!(ack(b"\xa1x", Encoding::MessagePack), Some(b"\x81\xa3ack\xa1x".to_vec()));
        assert_eq!(ack(b"\x07", Encoding::MessagePack), Some(b"\x81\xa3ack\x07".to_vec()));
        assert_eq!(ack(b"\xa3x\n\"", Encoding::Json), Some(br#"{"ack":"x\n\""}"#.to_vec()));
        assert_eq!(ack(b"\x07", Encoding::Json), Some(br#"{"ack":7}"#.to_vec()));
    }

    #[tokio::test]
    async fn replies_are_written_in_order_and_only_when_durable() {
        let (sender, queue) = mpsc::channel(8);
        let (first, committed) = tokio::sync::oneshot::channel::<()>();
        let mut receipt = Receipt::durable(Origin::None);
        receipt.add(Box::pin(async move { committed.await.map_err(|_| CommitError("lost".into())) }));
        let waiting = Reply { after: Some(receipt), ..Reply::now(b"1".to_vec()) };
        sender.send(waiting).await.unwrap();
        sender.send(Reply::now(b"2".to_vec())).await.unwrap();
        drop(sender);
        let (ours, mut theirs) = tokio::io::duplex(64);
        let writing = tokio::spawn(write_replies(ours, queue));
        let mut read = [0; 2];
        let early = timeout(
            std::time::Duration::from_millis(50),
            tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut read),
        );
        assert!(early.await.is_err(), "nothing before the commit");
        first.send(()).unwrap();
        tokio::io::AsyncReadExt::read_exact(&mut theirs, &mut read).await.unwrap();
        assert_eq!(&read, b"12");
        assert!(writing.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_failed_commit_ends_the_replies() {
        let (sender, queue) = mpsc::channel(8);
        let mut receipt = Receipt::durable(Origin::None);
        receipt.add(Box::pin(async { Err(CommitError("disk full".into())) }));
        sender.send(Reply { after: Some(receipt), ..Reply::now(b"1".to_vec()) }).await.unwrap();
        sender.send(Reply::now(b"2".to_vec())).await.unwrap();
        let mut written = Vec::new();
        let ended = write_replies(&mut written, queue).await;
        assert!(matches!(ended, Err(ReplyError::Commit(_))));
        assert!(written.is_empty());
    }

    /// Takes bytes and notes how many came with each call.
    #[derive(Default)]
    struct Calls(Vec<usize>);

    impl AsyncWrite for Calls {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.len());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_is_ready_together_is_written_together() {
        let (sender, queue) = mpsc::channel(8);
        let receipt = |commit: Result<(), CommitError>, yields: bool| {
            let mut receipt = Receipt::durable(Origin::None);
            receipt.add(Box::pin(async move {
                if yields {
                    tokio::task::yield_now().await;
                }
                commit
            }));
            Some(receipt)
        };
        for (bytes, after) in [
            (&b"1"[..], None),
            (b"22", receipt(Ok(()), false)),
            (b"333", receipt(Ok(()), true)),
            (b"4", receipt(Ok(()), false)),
            (b"5", receipt(Err(CommitError("lost".into())), false)),
        ] {
            sender.send(Reply { after, ..Reply::now(bytes.to_vec()) }).await.unwrap();
        }
        let mut calls = Calls::default();
        let ended = write_replies(&mut calls, queue).await;
        assert!(matches!(ended, Err(ReplyError::Commit(_))));
        assert_eq!(calls.0, [3, 4], "each up to the one that has to be waited for, or is lost");
    }
}
