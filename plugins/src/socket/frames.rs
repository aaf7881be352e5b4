//! Where messages begin and end in the bytes of a connection.
//!
//! | framing | bytes |
//! |---|---|
//! | delimited | message, delimiter, message, delimiter, ... (RFC 6587, 3.4.2) |
//! | octet count | length in decimal digits, space, message, length, ... (RFC 6587, 3.4.1) |

use bytes::{Buf, BytesMut};
use logweir_engine::net::Progress;
use memchr::memmem::Finder;

/// A message longer than this is not kept even if no parameter limits it, so that a connection without delimiters cannot
/// fill the memory.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// An incomplete message of at most this many bytes may wait for its rest as long as its peer likes: senders exist that
/// send a delimiter only in front of the next message. Ten thousand of them take 160 MB, within receive_memory_limit.
const PATIENT_BYTES: usize = 16 << 10;

/// Bytes of a length in digits, with what Ruby's Integer() allows around it.
const LENGTH_BYTES_MAX: usize = 24;

/// Bytes of a message that a log line shows when it is too long.
const HEAD_BYTES: usize = 32;

/// How messages are told apart.
pub(crate) enum Framing {
    /// Behind each message stands this text, which is not empty.
    Delimited(Vec<u8>),
    /// Before each message stands its length.
    OctetCount,
}

/// What a connection brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A complete message without its frame.
    Message(BytesMut),
    /// A complete message that was too long.
    Dropped {
        /// Its size.
        size: usize,
        /// How it begins.
        head: Vec<u8>,
    },
    /// A message that is too long already and not complete. It is thrown away up to its end.
    Cleared {
        /// Its size up to now.
        size: usize,
        /// How it begins.
        head: Vec<u8>,
    },
}

/// Why a connection cannot be read on: where its next message begins is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// No number where a length must stand.
    #[error("invalid value for Integer(): {0:?}: frame_type octet_count needs a length before each message")]
    NoLength(String),
    /// A message longer than we take.
    #[error("a message of {0} bytes is announced, more than the {1} that are taken")]
    TooLong(u64, usize),
}

/// Cuts messages out of a connection's bytes.
pub(crate) struct Framer {
    framing: Cut,
    bytes_max: usize,
    /// Bytes of the buffer that hold no delimiter for certain.
    scanned: usize,
    /// Whether the message that the buffer begins in is being thrown away.
    is_discarding: bool,
    /// The length of the next message, once it is known.
    length: Option<usize>,
}

enum Cut {
    Delimited(Box<Finder<'static>>),
    OctetCount,
}

impl Framer {
    /// `bytes_max` is the limit on messages that the configuration sets.
    pub(crate) fn new(framing: &Framing, bytes_max: Option<usize>) -> Self {
        Self {
            framing: match framing {
                Framing::Delimited(delimiter) => {
                    Cut::Delimited(Box::new(Finder::new(delimiter).into_owned()))
                }
                Framing::OctetCount => Cut::OctetCount,
            },
            bytes_max: bytes_max.unwrap_or(MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX),
            scanned: 0,
            is_discarding: false,
            length: None,
        }
    }

    /// The longest message that is taken.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Takes the next message out of the buffer; `None` if it needs more bytes.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        match &self.framing {
            Cut::Delimited(_) => Ok(self.next_delimited(buffer)),
            Cut::OctetCount => self.next_counted(buffer),
        }
    }

    /// Takes what is left at the end, as a message; `None` if there is nothing, or the rest of one that is too long.
    pub(crate) fn rest(&mut self, buffer: &mut BytesMut) -> Option<BytesMut> {
        self.scanned = 0;
        let rest = buffer.split();
        (!std::mem::take(&mut self.is_discarding) && !rest.is_empty()).then_some(rest)
    }

    /// What is known of the message that is incomplete. `buffered` bytes are left in the buffer.
    pub(crate) fn progress(&self, buffered: usize) -> Progress {
        Progress {
            known_bytes: self.length.unwrap_or(0) as u64,
            received_bytes: 0,
            is_skipping: self.is_discarding,
            is_patient: self.is_discarding || buffered <= PATIENT_BYTES,
        }
    }

    fn next_delimited(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        let Cut::Delimited(delimiter) = &self.framing else { return None };
        let width = delimiter.needle().len();
        while let Some(at) = delimiter.find(&buffer[self.scanned..]) {
            let end = self.scanned + at;
            self.scanned = 0;
            let mut message = buffer.split_to(end + width);
            message.truncate(end);
            if std::mem::take(&mut self.is_discarding) {
                continue;
            }
            if end > self.bytes_max {
                return Some(Frame::Dropped { size: end, head: head(&message) });
            }
            return Some(Frame::Message(message));
        }
        // The last bytes may be the beginning of a delimiter.
        self.scanned = buffer.len().saturating_sub(width - 1);
        if !self.is_discarding && self.scanned <= self.bytes_max {
            return None;
        }
        let cleared = Frame::Cleared { size: buffer.len(), head: head(buffer) };
        buffer.advance(self.scanned);
        self.scanned = 0;
        (!std::mem::replace(&mut self.is_discarding, true)).then_some(cleared)
    }

    fn next_counted(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let length = match self.length {
            Some(length) => length,
            None => {
                let look = &buffer[..buffer.len().min(LENGTH_BYTES_MAX)];
                let Some(at) = memchr::memchr(b' ', look) else {
                    if look.len() < LENGTH_BYTES_MAX {
                        return Ok(None);
                    }
                    return Err(FrameError::NoLength(String::from_utf8_lossy(look).into_owned()));
                };
                let length = decimal(&look[..at]).ok_or_else(|| {
                    FrameError::NoLength(String::from_utf8_lossy(&look[..=at]).into_owned())
                })?;
                let fits = usize::try_from(length).ok().filter(|length| *length <= self.bytes_max);
                let fits = fits.ok_or(FrameError::TooLong(length, self.bytes_max))?;
                buffer.advance(at + 1);
                *self.length.insert(fits)
            }
        };
        if buffer.len() < length {
            return Ok(None);
        }
        self.length = None;
        Ok(Some(Frame::Message(buffer.split_to(length))))
    }
}

/// A number in decimal digits, with white space around it.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    // Ruby reads 010 as 8, which no sender means.
    if digits.first() == Some(&b'0') && digits.len() > 1 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn head(message: &[u8]) -> Vec<u8> {
    message[..message.len().min(HEAD_BYTES)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces of the given sizes, in turn; answers what comes out.
    fn frames(framer: &mut Framer, bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>, FrameError> {
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        let mut pieces = pieces.iter().copied().filter(|size| *size > 0).cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = pieces.next().unwrap_or(rest.len()).min(rest.len());
            buffer.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
            while let Some(frame) = framer.next(&mut buffer)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    fn delimited(delimiter: &str, bytes_max: Option<usize>) -> Framer {
        Framer::new(&Framing::Delimited(delimiter.as_bytes().to_vec()), bytes_max)
    }

    fn message(text: &str) -> Frame {
        Frame::Message(text.as_bytes().into())
    }

    #[test]
    fn delimiters() {
        let mut lines = delimited("\n", None);
        assert_eq!(
            frames(&mut lines, b"one\n\ntwo\r\nrest", &[3]),
            Ok(vec![message("one"), message(""), message("two\r")])
        );
        let mut long = delimited("--end--", None);
        assert_eq!(
            frames(&mut long, b"a--en--end--b--end--", &[1]),
            Ok(vec![message("a--en"), message("b")])
        );
    }

    #[test]
    fn what_is_too_long_goes_up_to_its_delimiter() {
        let shown = |pieces: &[usize]| -> Vec<_> {
            let mut framer = delimited("\r\n", Some(5));
            let frames = frames(&mut framer, b"12345\r\n123456\r\n12\r\n123456789\r\n1\r\n", pieces).unwrap();
            frames
                .iter()
                .map(|frame| match frame {
                    Frame::Message(message) => (message.len(), "message"),
                    Frame::Dropped { size, .. } => (*size, "dropped"),
                    Frame::Cleared { size, .. } => (*size, "cleared"),
                })
                .collect()
        };
        let at_once = [(5, "message"), (6, "dropped"), (2, "message"), (9, "dropped"), (1, "message")];
        assert_eq!(shown(&[100]), at_once);
        // Known to be too long with its seventh byte, which may begin the delimiter.
        let by_bytes = [(5, "message"), (7, "cleared"), (2, "message"), (7, "cleared"), (1, "message")];
        assert_eq!(shown(&[1]), by_bytes);
    }

    #[test]
    fn an_endless_message_keeps_next_to_nothing() {
        let mut framer = delimited("\r\n", Some(1000));
        let mut buffer = BytesMut::new();
        let mut cleared = 0;
        for _ in 0..1000 {
            buffer.extend_from_slice(&[b'x'; 999]);
            while let Some(frame) = framer.next(&mut buffer).unwrap() {
                assert!(matches!(frame, Frame::Cleared { size: 1998, .. }), "{frame:?}");
                cleared += 1;
            }
            assert!(buffer.len() < 1000);
        }
        assert_eq!(cleared, 1);
        buffer.extend_from_slice(b"\r\nnext\r\n");
        assert_eq!(framer.next(&mut buffer), Ok(Some(message("next"))));
        assert_eq!(framer.next(&mut buffer), Ok(None));
    }

    #[test]
    fn octet_counts() {
        let counted = |bytes: &[u8], pieces: &[usize]| {
            frames(&mut Framer::new(&Framing::OctetCount, None), bytes, pieces)
        };
        for pieces in [&[1][..], &[2, 5], &[100]] {
            assert_eq!(
                counted(b"5 hello0 \n3 a\nb4 late", pieces),
                Ok(vec![message("hello"), message(""), message("a\nb"), message("late")])
            );
        }
        assert_eq!(counted(b"10 short", &[3]), Ok(vec![]));
        for bytes in [&b"x 1"[..], b" 5 hello", b"-1 x", b"010 0123456789", b"<34>Oct 1", b"1.5 x"] {
            assert!(matches!(counted(bytes, &[1]), Err(FrameError::NoLength(_))), "{bytes:?}");
        }
        assert!(matches!(counted(&[b'1'; 100], &[7]), Err(FrameError::NoLength(_))));
        assert_eq!(
            counted(b"99999999999 x", &[1]),
            Err(FrameError::TooLong(99_999_999_999, MESSAGE_BYTES_MAX))
        );
    }

    proptest! {
        /// However the network cuts the bytes, the same messages come out, as long as all are short enough.
        #[test]
        fn pieces_do_not_matter(
            messages in prop::collection::vec("[a-c\r ]{0,20}", 0..20),
            delimiter in "\n|\r\n|::|\u{0}",
            pieces in prop::collection::vec(1usize..9, 1..9),
        ) {
            let expected: Vec<_> = messages.iter().map(|text| message(text)).collect();
            let ending_in_half = delimiter == "\r\n" && messages.iter().any(|text| text.contains("\r\n"));
            prop_assume!(!ending_in_half);
            let bytes: String = messages.iter().map(|text| format!("{text}{delimiter}")).collect();
            prop_assert_eq!(frames(&mut delimited(&delimiter, None), bytes.as_bytes(), &pieces), Ok(expected.clone()));
            let bytes: String = messages.iter().map(|text| format!("{} {text}", text.len())).collect();
            prop_assert_eq!(frames(&mut Framer::new(&Framing::OctetCount, None), bytes.as_bytes(), &pieces), Ok(expected));
        }

        /// Bytes of no framing at all never panic, and what is kept stays within the limit.
        #[test]
        fn garbage_is_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            pieces in prop::collection::vec(1usize..50, 1..9),
            counted in any::<bool>(),
        ) {
            let framing = if counted { Framing::OctetCount } else { Framing::Delimited(b"\x00\x01".to_vec()) };
            let mut framer = Framer::new(&framing, Some(100));
            let mut buffer = BytesMut::new();
            let mut rest = &bytes[..];
            for size in pieces.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let size = (*size).min(rest.len());
                buffer.extend_from_slice(&rest[..size]);
                rest = &rest[size..];
                loop {
                    match framer.next(&mut buffer) {
                        Ok(Some(Frame::Message(message))) => prop_assert!(message.len() <= 100),
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                // And the byte that may begin a delimiter.
                prop_assert!(buffer.len() <= 101, "{} bytes are kept", buffer.len());
            }
        }
    }
}
