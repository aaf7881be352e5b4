//! The body of a fuzz target, so that the fuzzer needs nothing of this folder's inside.

use super::priority::split;
use crate::socket::{Frame, FrameError, Framer, Framing};
use bytes::BytesMut;

/// Cuts the bytes of a connection, behind two bytes of choices, into messages: in one piece and in small ones, which must
/// bring the same. Panics if they do not.
pub fn fuzz(data: &[u8]) {
    let [kind, step, bytes @ ..] = data else { return };
    let framing = match kind % 3 {
        0 => Framing::Delimited(b"\n".to_vec()),
        1 => Framing::Delimited(b"\r\n\r".to_vec()),
        _ => Framing::OctetCount,
    };
    let whole = frames(&framing, bytes, bytes.len());
    assert_eq!(whole, frames(&framing, bytes, usize::from(*step)), "whole and in pieces of {step}");
    for frame in whole.0 {
        if let Frame::Message(message) = frame {
            assert!(split(&message).is_none_or(|(_, text)| text.len() < message.len()));
        }
    }
}

fn frames(framing: &Framing, bytes: &[u8], step: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut framer = Framer::new(framing, None);
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match framer.next(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
