//! The way of a message without its socket, for what counts instructions and allocations.

use super::decoder::{Decoder, Received, Sizes};
use super::entries::Rules;
use super::message::{Body, Message, check_packed};
use super::options::Options;
use crate::inflate::{InflateLimits, Inflater};
use bytes::{Bytes, BytesMut};

/// Decodes the messages in `bytes` as a connection does, inflates and checks their packed entries, and answers how many
/// entries there are. `None` if something is not as the forward protocol has it, or incomplete.
#[doc(hidden)]
pub fn count_entries(bytes: &[u8]) -> Option<usize> {
    let sizes = Sizes { message_max: bytes.len() as u64, chunk_max: None };
    let mut decoder = Decoder::new(sizes, false);
    let mut buffer = BytesMut::from(bytes);
    let mut count = 0;
    while let Some(received) = decoder.next(&mut buffer).ok()? {
        let Received::Message(raw) = received else { return None };
        let Message::Events(events) = Message::read(raw, false).ok()? else { return None };
        count += match &events.body {
            Body::List { count, .. } => *count,
            Body::Packed(payload) => {
                let entries = inflated(payload, &events.options.ok()?)?;
                check_packed(entries, RULES, |_| ()).ok()?.count
            }
            Body::Single(_) => 1,
            Body::Invalid(..) | Body::Nothing => return None,
        };
    }
    buffer.is_empty().then_some(count)
}

fn inflated(payload: &Bytes, options: &Options) -> Option<Bytes> {
    let Some(compression) = options.compressed.compression().ok()? else { return Some(payload.clone()) };
    let mut inflater = Inflater::new(compression, payload, UNLIMITED).ok()?;
    let mut out = Vec::new();
    while !inflater.step(&mut out, usize::MAX).ok()? {}
    Some(out.into())
}

const UNLIMITED: InflateLimits = InflateLimits { bytes: u64::MAX, ratio: u64::MAX };
const RULES: Rules = Rules { skip_invalid: false, skip_all: false, forward: true, timestamps: false };
