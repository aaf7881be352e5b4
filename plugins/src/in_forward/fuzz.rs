//! What a peer's bytes come to, without sockets: for a fuzz target and for property tests.

use super::decoder::{Decoder, Received, Sizes};
use super::entries::Rules;
use super::handshake::Handshake;
use super::message::{Body, Checked, Message, check_packed, mended};
use super::options::Options;
use super::security::Security;
use crate::inflate::{InflateLimits, Inflater};
use bytes::{Bytes, BytesMut};
use logweir_engine::msgpack::{Limits, scan_entries};

/// The body of a fuzz target: what a peer sends, behind a byte that says into what pieces it is cut. Panics if the pieces
/// make a difference, or if entries come out that are not valid.
pub fn fuzz(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let chunk_max = (choice & 1 == 1).then_some(64);
    let sizes = Sizes { message_max: 1 << 16, chunk_max };
    let whole = decoded(bytes, &[bytes.len()], sizes);
    assert_eq!(decoded(bytes, &[usize::from(choice >> 1) + 1], sizes), whole, "the pieces make a difference");
    let security = Security {
        self_hostname: "server".to_owned(),
        shared_key: "key".to_owned(),
        user_auth: true,
        allow_anonymous_source: true,
        users: vec![("user".to_owned(), "password".to_owned())],
        clients: Vec::new(),
    };
    let ping = Handshake::new([0; 16], [1; 16]).check(&security, [127, 0, 0, 1].into(), bytes);
    assert!(ping.is_err(), "nobody guesses a digest");
}

/// What comes of `bytes` when they arrive in pieces of those sizes, in turn: a text for each message, then how it ended.
pub(super) fn decoded(bytes: &[u8], pieces: &[usize], sizes: Sizes) -> Vec<String> {
    let mut decoder = Decoder::new(sizes, false);
    let mut buffer = BytesMut::new();
    let mut out = Vec::new();
    let mut rest = bytes;
    let mut turn = pieces.iter().cycle();
    while !rest.is_empty() {
        let size = turn.next().copied().unwrap_or(1);
        let (piece, behind) = rest.split_at(size.clamp(1, rest.len()));
        rest = behind;
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(received)) => out.push(shown(received)),
                Err(error) => {
                    out.push(error.to_string());
                    return out;
                }
            }
        }
    }
    out.push(format!("{} bytes left", buffer.len()));
    out
}

fn shown(received: Received) -> String {
    match received {
        Received::Dropped { tag, size } => format!("dropped {tag:x?} {size}"),
        Received::Message(raw) => match Message::read(raw, false) {
            Err(error) => format!("error {error}"),
            Ok(Message::Events(events)) => {
                let body = match &events.body {
                    Body::List { entries, count, usual: true } => {
                        valid(&Checked { entries: entries.clone(), count: *count });
                        format!("{count} {entries:x?}")
                    }
                    // Mended entries may have the time of the call.
                    Body::List { entries, .. } => {
                        let checked = mended(entries, RULES, |_| ());
                        valid(&checked);
                        format!("mended {}", checked.count)
                    }
                    Body::Packed(payload) => packed(payload, &events.options.clone().unwrap_or_default()),
                    Body::Single(entry) => format!("single of {}", entry.len()),
                    other => format!("{other:x?}"),
                };
                format!("{:?} {body} {:?}", events.tag, events.options)
            }
            Ok(other) => format!("{other:x?}"),
        },
    }
}

fn packed(payload: &Bytes, options: &Options) -> String {
    let inflater = options.compressed.compression().and_then(|compression| {
        compression
            .filter(|_| !payload.is_empty())
            .map(|compression| Inflater::new(compression, payload, INFLATED))
            .transpose()
    });
    let payload = match inflater {
        Err(error) => return error.to_string(),
        Ok(None) => payload.clone(),
        Ok(Some(mut inflater)) => {
            let mut out = Vec::new();
            loop {
                match inflater.step(&mut out, 1000) {
                    Ok(true) => break out.into(),
                    Ok(false) => {}
                    Err(error) => return error.to_string(),
                }
            }
        }
    };
    match check_packed(payload.clone(), RULES, |_| ()) {
        Err(error) => error.to_string(),
        Ok(checked) => {
            valid(&checked);
            let unchanged = payload.starts_with(&checked.entries);
            if unchanged { format!("{checked:x?}") } else { format!("mended {}", checked.count) }
        }
    }
}

/// What is emitted must pass any later scan. Records that are no maps are let through as Fluentd 1.16 does it.
fn valid(checked: &Checked) {
    let scan = scan_entries(&checked.entries, Limits::default());
    let whole = scan.is_ok_and(|scan| scan.end == checked.entries.len() && scan.count == checked.count);
    assert!(whole, "not {} entries: {:x?}", checked.count, checked.entries);
}

const RULES: Rules = Rules { skip_invalid: false, skip_all: false, forward: true, timestamps: false };

/// Enough for a seed, little enough for a fuzzer's speed.
const INFLATED: InflateLimits = InflateLimits { bytes: 1 << 16, ratio: u64::MAX };
