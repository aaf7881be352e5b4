//! Finds where a message ends in a stream of MessagePack values, and what it consists of.
//!
//! The framer goes on where it stopped when more bytes arrive, so that a message costs one pass however it is cut into
//! segments. It allocates nothing from what a length says: a length only tells how far to read, and what would
//! go beyond the limit is refused when its header is seen.
//!
//! ```text
//! [tag, time, record, option]     Message
//! [tag, [entry, ...], option]     Forward
//! [tag, str|bin, option]          PackedForward
//! entry: [time, record] | [[time, metadata], record]
//! ```

use logweir_engine::msgpack::{BIG_INT_EXT, DEPTH_MAX, Kind, Limits, scan_entries};
use smallvec::SmallVec;

/// What a framed message looks like. Offsets count from the message's first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of the message.
    pub(super) length: usize,
    /// The kind of its outermost value; `Array` unless the peer is wrong.
    pub(super) kind: Option<Kind>,
    /// Where its first slots begin; those that are missing begin at `length`.
    pub(super) slots: [usize; 4],
    /// How many slots there are.
    pub(super) count: u64,
    /// The kind of the second slot, which decides the mode.
    pub(super) mode: Option<Kind>,
    /// Where the entries of a Forward message begin, behind the array's header.
    pub(super) entries_at: usize,
    /// How many entries a Forward message has.
    pub(super) entries: u64,
    /// Whether all entries of a Forward message are `[time, record]` or `[[time, metadata], record]` with a time
    /// other than nil and 0 and with a map.
    pub(super) entries_usual: bool,
    /// Whether there is an extension value other than an EventTime, the entries of a Forward message not counted.
    pub(super) unknown_extension: bool,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// The byte 0xc1.
    #[error("reserved byte 0xc1: this is not MessagePack")]
    Reserved,
    /// Containers nested deeper than [`DEPTH_MAX`].
    #[error("value nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// The message would be longer than the limit.
    #[error("message of more than {0} bytes; message_size_limit allows no more")]
    TooLong(u64),
}

/// A message that is being read.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// Whether MessagePack's timestamp is a time (`enable_msgpack_time_support`).
    timestamps: bool,
    /// Offset of the next header. Beyond the bytes at hand while the body of a string is still to come.
    at: u64,
    /// Values still to come in each open container, the one that is being read included.
    open: SmallVec<[u64; 8]>,
    begun: bool,
    /// Whether what comes at [`METADATA_PART`] belongs to `[time, metadata]`.
    in_metadata: bool,
    layout: Layout,
}

/// Levels of the message around an entry. An entry may be as deep as [`DEPTH_MAX`] in every mode, as other scans of it
/// expect.
const LEVELS_AROUND: usize = 2;

/// Depths of the values that the layout looks at; 0 is the message.
const SLOT: usize = 1;
const ENTRY: usize = 2;
const ENTRY_PART: usize = 3;
const METADATA_PART: usize = 4;

impl Framer {
    /// A framer that takes MessagePack's timestamp for a time if `timestamps`.
    pub(super) fn new(timestamps: bool) -> Self {
        Self { timestamps, ..Self::default() }
    }

    /// Looks at `bytes`, which begin with the message: the same bytes as before, and more. Answers the layout when the
    /// message is complete, and is then ready for the next.
    pub(super) fn feed(&mut self, bytes: &[u8], bytes_max: u64) -> Result<Option<Layout>, FrameError> {
        loop {
            if self.begun && self.open.is_empty() {
                return Ok((self.at <= bytes.len() as u64).then(|| self.finish()));
            }
            let Some(rest) = usize::try_from(self.at).ok().and_then(|at| bytes.get(at..)) else {
                return Ok(None);
            };
            if self.open.len() == ENTRY && self.in_entries() && self.scan_entries(rest) {
                continue;
            }
            let Some(header) = Header::read(rest)? else { return Ok(None) };
            self.take(header, rest, bytes_max)?;
        }
    }

    /// Forgets the first `count` bytes, which the caller throws away because the message is only to be skipped. The
    /// layout's offsets mean nothing from then on.
    pub(super) fn discard(&mut self, count: usize) {
        self.at -= (count as u64).min(self.at);
    }

    /// How many bytes the message has at least, as far as it is known.
    pub(super) fn known_bytes(&self) -> u64 {
        self.at
    }

    /// Where the first slot lies, once the second has begun.
    pub(super) fn tag(&self) -> Option<std::ops::Range<usize>> {
        self.layout.mode.map(|_| self.layout.slots[0]..self.layout.slots[1])
    }

    /// Takes all complete entries at once, as a scan of packed entries does. An entry that is cut off, or that the scan
    /// refuses, is then read value by value. Answers whether there was any.
    fn scan_entries(&mut self, rest: &[u8]) -> bool {
        let limits =
            Limits { count_max: self.open[1] as usize, timestamp_ext: self.timestamps, ..Limits::default() };
        let Ok(scan) = scan_entries(rest, limits) else { return false };
        if scan.count == 0 {
            return false;
        }
        self.layout.entries_usual &=
            scan.violations + scan.zero_times + scan.nil_times + scan.float_times + scan.timestamps == 0;
        self.at += scan.end as u64;
        self.open[1] -= scan.count as u64 - 1;
        self.close();
        true
    }

    fn take(&mut self, header: Header, raw: &[u8], bytes_max: u64) -> Result<(), FrameError> {
        let depth = self.open.len();
        if depth <= METADATA_PART {
            self.look(depth, header, raw);
        }
        if header.kind == Kind::Ext && !self.in_entries() && !self.is_known_extension(raw) {
            self.layout.unknown_extension = true;
        }
        self.at = self.at.saturating_add(header.size);
        // Each child has at least one byte.
        if self.at.saturating_add(header.children) > bytes_max {
            return Err(FrameError::TooLong(bytes_max));
        }
        if header.children == 0 {
            self.close();
        } else if depth < DEPTH_MAX + if self.in_entries() { LEVELS_AROUND } else { 0 } {
            self.open.push(header.children);
        } else {
            return Err(FrameError::TooDeep);
        }
        Ok(())
    }

    /// A value has ended, and with it each container that it was the last of.
    fn close(&mut self) {
        while let Some(pending) = self.open.last_mut() {
            *pending -= 1;
            if *pending > 0 {
                return;
            }
            self.open.pop();
        }
    }

    /// Notes what a header near the surface says about the message.
    fn look(&mut self, depth: usize, header: Header, raw: &[u8]) {
        let layout = &mut self.layout;
        match depth {
            0 => {
                self.begun = true;
                layout.kind = Some(header.kind);
                layout.entries_usual = true;
                if header.kind == Kind::Array {
                    layout.count = header.children;
                }
            }
            SLOT if layout.kind == Some(Kind::Array) => {
                let index = layout.count - self.open[0];
                if let Some(slot) = usize::try_from(index).ok().and_then(|index| layout.slots.get_mut(index))
                {
                    *slot = self.at as usize;
                }
                if index == 1 {
                    layout.mode = Some(header.kind);
                    if header.kind == Kind::Array {
                        layout.entries = header.children;
                        layout.entries_at = (self.at + header.size) as usize;
                    }
                }
            }
            _ if depth < ENTRY || !self.in_entries() => {}
            ENTRY => {
                self.in_metadata = false;
                self.layout.entries_usual &= header.kind == Kind::Array && header.children == 2;
            }
            ENTRY_PART => {
                let is_time = self.open[ENTRY] == 2;
                self.in_metadata = is_time && header.kind == Kind::Array;
                self.layout.entries_usual &= match (is_time, header.kind) {
                    (true, Kind::Array) => header.children == 2,
                    (true, kind) => is_usual_time(kind, raw),
                    (false, kind) => kind == Kind::Map,
                };
            }
            _ if self.in_metadata => {
                let is_time = self.open[ENTRY_PART] == 2;
                self.in_metadata = is_time;
                self.layout.entries_usual &=
                    if is_time { is_usual_time(header.kind, raw) } else { header.kind == Kind::Map };
            }
            _ => {}
        }
    }

    /// Whether the second slot is being read and is an array.
    fn in_entries(&self) -> bool {
        self.layout.mode == Some(Kind::Array)
            && self.open.first().is_some_and(|pending| pending + 1 == self.layout.count)
    }

    /// EventTime, the integers above 64 bits that another Logweir may send, and timestamps if they are configured.
    fn is_known_extension(&self, raw: &[u8]) -> bool {
        let kind = match raw {
            [0xd4..=0xd8, kind, ..] | [0xc7, _, kind, ..] | [0xc8, _, _, kind, ..] => *kind as i8,
            [0xc9, _, _, _, _, kind, ..] => *kind as i8,
            _ => return false,
        };
        is_event_time(raw) || kind == BIG_INT_EXT || (kind == -1 && self.timestamps)
    }

    fn finish(&mut self) -> Layout {
        let mut layout = std::mem::take(&mut self.layout);
        layout.length = self.at as usize;
        for slot in layout.slots.iter_mut().skip(usize::try_from(layout.count).unwrap_or(4)) {
            *slot = layout.length;
        }
        *self = Self::new(self.timestamps);
        layout
    }
}

/// A time that needs no correction. Nil and 0 mean "now".
fn is_usual_time(kind: Kind, raw: &[u8]) -> bool {
    match kind {
        Kind::Int => raw.first() != Some(&0),
        Kind::Ext => is_event_time(raw),
        _ => false,
    }
}

fn is_event_time(raw: &[u8]) -> bool {
    matches!(raw, [0xd7, 0x00, ..] | [0xc7, 0x08, 0x00, ..])
}

/// The first bytes of a value.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: Kind,
    /// Bytes up to the first child, or all bytes if there are no children.
    size: u64,
    /// Values in it; two a pair of a map.
    children: u64,
}

impl Header {
    /// Reads it; `None` if more bytes are needed.
    fn read(raw: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(&marker) = raw.first() else { return Ok(None) };
        let kind = Kind::of(marker).ok_or(FrameError::Reserved)?;
        let number = |bytes: usize| -> Option<u64> {
            Some(raw.get(1..1 + bytes)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        };
        let leaf = |size: u64| Some((size, 0));
        let body =
            |bytes: usize, more: u64| number(bytes).map(|length| (1 + bytes as u64 + more + length, 0));
        let container = |bytes: usize, each: u64| number(bytes).map(|count| (1 + bytes as u64, count * each));
        let found = match marker {
            0x80..=0x8f => Some((1, u64::from(marker & 0x0f) * 2)),
            0x90..=0x9f => Some((1, u64::from(marker & 0x0f))),
            0xa0..=0xbf => leaf(1 + u64::from(marker & 0x1f)),
            0xc4 | 0xd9 => body(1, 0),
            0xc5 | 0xda => body(2, 0),
            0xc6 | 0xdb => body(4, 0),
            // The extension's type is looked at, so it must be there.
            0xc7 => (raw.len() > 2).then(|| body(1, 1)).flatten(),
            0xc8 => (raw.len() > 3).then(|| body(2, 1)).flatten(),
            0xc9 => (raw.len() > 5).then(|| body(4, 1)).flatten(),
            0xd4..=0xd8 => (raw.len() > 1).then(|| 2 + (1u64 << (marker - 0xd4))).and_then(leaf),
            0xcc | 0xd0 => leaf(2),
            0xcd | 0xd1 => leaf(3),
            0xca | 0xce | 0xd2 => leaf(5),
            0xcb | 0xcf | 0xd3 => leaf(9),
            0xdc => container(2, 1),
            0xdd => container(4, 1),
            0xde => container(2, 2),
            0xdf => container(4, 2),
            _ => leaf(1),
        };
        Ok(found.map(|(size, children)| Self { kind, size, children }))
    }
}
