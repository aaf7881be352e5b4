//! A chunk into blocks.
//!
//! Encoding is a pure function of the chunk, the layout and the limits: the same insert, repeated after a failure or a
//! restart, has the same bytes. So nothing but the description of an insert has to be kept for a retry.

use super::cells::{Block, Given, OnFault, RowFault};
use super::keys::Keys;
use super::layout::Layout;
use super::rows::{RowEncoder, given};
use super::value_at::end_at;
use logweir_engine::buffer::Body;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Entries, Entry, RecordView, Time, ValueRef};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The entries of a chunk.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// What each append put in.
    pub(crate) bodies: &'a [Body],
    /// The tag of all entries, if the chunk knows it.
    pub(crate) tag: Option<&'a [u8]>,
    /// Whether entries bring their own tag, in their metadata.
    pub(crate) tagged: bool,
    /// Seconds since the epoch for entries without a time.
    pub(crate) fallback_time: i64,
}

/// The key of the tag in the metadata of entries that bring their own.
pub(crate) const TAG_KEY: &[u8] = b"tag";

/// A place between entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    body: usize,
    offset: usize,
    /// How many entries lie before it.
    pub(crate) ordinal: usize,
}

/// Which entries go into an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// From a place on, up to an ordinal (exclusive).
    Range { from: Position, to: usize },
    /// Entries from an order of their own, in that order's places `from..to`.
    Picked { order: Arc<[u32]>, from: usize, to: usize },
}

/// What to encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Only entries that give exactly these columns of those with a server-side default.
    pub(crate) given: Given,
    /// Which of them.
    pub(crate) selection: Selection,
}

/// How to encode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodeOptions {
    /// How the body is compressed.
    pub(crate) compression: Compression,
    /// What becomes of values that do not fit.
    pub(crate) on_fault: OnFault,
    /// A part ends when it has so many rows,
    pub(crate) rows_max: usize,
    /// or so many bytes of records.
    pub(crate) bytes_max: usize,
}

/// A part, encoded.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The insert.
    pub(crate) block: Block,
    /// The part that was really encoded, up to where a limit ended it.
    pub(crate) part: Part,
    /// Where the next part begins, if a limit ended this one.
    pub(crate) rest: Option<Position>,
    /// Entries that were refused, by ordinal.
    pub(crate) faults: Vec<(u32, RowFault)>,
    /// Fields without a column, and how often they came.
    pub(crate) unknown: HashMap<String, u64>,
    /// Values that were replaced by a default.
    pub(crate) replaced: u64,
}

impl Part {
    /// A whole chunk.
    pub(crate) fn all(given: Given) -> Self {
        Self { given, selection: Selection::Range { from: Position::default(), to: usize::MAX } }
    }

    /// The name of this part among those of its chunk; empty for a whole chunk of `entries` entries.
    pub(crate) fn suffix(&self, entries: usize) -> String {
        let given = if self.given == 0 { String::new() } else { format!("-d{:x}", self.given) };
        match &self.selection {
            Selection::Range { from, to } if from.ordinal == 0 && *to >= entries => given,
            Selection::Range { from, to } => format!("{given}-{}-{}", from.ordinal, (*to).min(entries)),
            Selection::Picked { from, to, .. } => format!("{given}-p{from}-{to}"),
        }
    }

    /// Two halves; `None` for a single entry.
    pub(crate) fn halves(&self, source: Source<'_>) -> Option<[Self; 2]> {
        let part = |selection| Self { given: self.given, selection };
        match &self.selection {
            Selection::Range { from, to } => {
                let to = (*to).min(from.ordinal + source.entries(*from).count());
                if to - from.ordinal < 2 {
                    return None;
                }
                let middle = source.advance(*from, (to - from.ordinal) / 2);
                Some([
                    part(Selection::Range { from: *from, to: middle.ordinal }),
                    part(Selection::Range { from: middle, to }),
                ])
            }
            Selection::Picked { order, from, to } => {
                if to - from < 2 {
                    return None;
                }
                let middle = from + (to - from) / 2;
                let picked = |from, to| part(Selection::Picked { order: Arc::clone(order), from, to });
                Some([picked(*from, middle), picked(middle, *to)])
            }
        }
    }
}

impl<'a> Source<'a> {
    /// Entries from a place on, each with the place behind it.
    fn entries(self, from: Position) -> impl Iterator<Item = (Entry<'a>, Position)> {
        let mut ordinal = from.ordinal;
        self.bodies
            .iter()
            .enumerate()
            .skip(from.body)
            .flat_map(move |(body, stored)| {
                let start = if body == from.body { from.offset } else { 0 };
                let mut entries = Entries::new(stored.bytes.get(start..).unwrap_or_default());
                std::iter::from_fn(move || {
                    let entry = entries.next()?;
                    Some((entry, Position { body, offset: start + entries.position(), ordinal: 0 }))
                })
            })
            .map(move |(entry, position)| {
                ordinal += 1;
                (entry, Position { ordinal, ..position })
            })
    }

    fn advance(self, from: Position, count: usize) -> Position {
        self.entries(from).take(count).last().map_or(from, |(_, behind)| behind)
    }

    /// The tag of an entry.
    pub(crate) fn tag_of(self, entry: &Entry<'a>) -> Option<&'a [u8]> {
        let own = entry.metadata.filter(|_| self.tagged).and_then(|metadata| {
            RecordView::new(metadata).get(TAG_KEY).and_then(|raw| ValueRef::read(raw).ok()?.bytes())
        });
        own.or(self.tag)
    }

    /// The entries with these ordinals, which rise.
    pub(crate) fn pick(self, ordinals: &[u32]) -> impl Iterator<Item = (u32, Entry<'a>)> {
        let mut wanted = ordinals.iter().copied().peekable();
        self.entries(Position::default()).filter_map(move |(entry, behind)| {
            let ordinal = (behind.ordinal - 1) as u32;
            wanted.next_if_eq(&ordinal).map(|ordinal| (ordinal, entry))
        })
    }
}

/// The sets of columns with a server-side default that entries of the chunk give; one insert for each is needed.
pub(crate) fn groups(source: Source<'_>, layout: &Layout) -> BTreeSet<Given> {
    if !layout.has_server_defaults() {
        return BTreeSet::from([0]);
    }
    let mut keys = Keys::new(&layout.fields);
    source.entries(Position::default()).map(|(entry, _)| given(layout, &mut keys, entry.record)).collect()
}

/// Encodes a part, or as much of it as the limits allow.
pub(crate) fn encode(source: Source<'_>, layout: &Layout, part: &Part, options: &EncodeOptions) -> Encoded {
    let rows =
        RowEncoder::new(layout, part.given, options.compression, options.on_fault, source.fallback_time);
    let mut run = Run { rows, faults: Vec::new(), count: 0, bytes: 0, rest: None };
    match &part.selection {
        Selection::Range { from, to } if !layout.has_server_defaults() => {
            run.add_all(source, *from, *to, options);
        }
        Selection::Range { from, to } => {
            let mut keys = Keys::new(&layout.fields);
            let wanted = |_: usize, record: &[u8]| given(layout, &mut keys, record) == part.given;
            run.add_some(source, *from, *to, options, wanted);
        }
        Selection::Picked { order, from, to } => {
            let mut picked = vec![false; order.iter().max().map_or(0, |last| *last as usize + 1)];
            order[*from..*to].iter().for_each(|ordinal| picked[*ordinal as usize] = true);
            let no_limit = EncodeOptions { rows_max: usize::MAX, bytes_max: usize::MAX, ..*options };
            let wanted = |ordinal: usize, _: &[u8]| picked[ordinal];
            run.add_some(source, Position::default(), picked.len(), &no_limit, wanted);
        }
    }
    let Run { mut rows, faults, rest, .. } = run;
    let mut part = part.clone();
    if let (Selection::Range { to, .. }, Some(rest)) = (&mut part.selection, rest) {
        *to = rest.ordinal;
    }
    let mut unknown = HashMap::new();
    rows.take_unknown(|name, count| {
        *unknown.entry(String::from_utf8_lossy(name).into_owned()).or_default() += count;
    });
    let replaced = rows.take_replaced();
    Encoded { block: rows.finish(), part, rest, faults, unknown, replaced }
}

/// A part while it is encoded. Refused rows count for the limits, so that the parts of a chunk do not depend on the table.
struct Run<'a> {
    rows: RowEncoder<'a>,
    faults: Vec<(u32, RowFault)>,
    count: usize,
    bytes: usize,
    rest: Option<Position>,
}

impl Run<'_> {
    /// Adds each entry. Entries as Fluentd and Logweir write them (`92 d7 00`, eight bytes of time, a map) are read once:
    /// where one ends is known when its row is.
    fn add_all(&mut self, source: Source<'_>, from: Position, to: usize, options: &EncodeOptions) {
        let mut behind = from;
        for (body, stored) in source.bodies.iter().enumerate().skip(from.body) {
            let bytes = &stored.bytes[..];
            let mut at = if body == from.body { from.offset } else { 0 };
            while at < bytes.len() && behind.ordinal < to {
                if self.is_full(options) {
                    self.rest = Some(behind);
                    return;
                }
                let end = match event_at(bytes, at) {
                    Some((time, record)) => match self.add(bytes, record, time, source.tag, behind.ordinal) {
                        Some(end) => end,
                        None => match end_at(bytes, record) {
                            Some(end) => end,
                            None => break,
                        },
                    },
                    None => {
                        let mut entries = Entries::new(&bytes[at..]);
                        let Some(entry) = entries.next() else { break };
                        self.add(entry.record, 0, entry.time, source.tag_of(&entry), behind.ordinal);
                        at + entries.position()
                    }
                };
                self.bytes += end - at;
                at = end;
                behind = Position { body, offset: at, ordinal: behind.ordinal + 1 };
            }
        }
    }

    /// Adds the entries that are `wanted`, by ordinal and record.
    fn add_some(
        &mut self,
        source: Source<'_>,
        from: Position,
        to: usize,
        options: &EncodeOptions,
        mut wanted: impl FnMut(usize, &[u8]) -> bool,
    ) {
        let mut behind = from;
        for (entry, next) in source.entries(from).take_while(|(_, next)| next.ordinal <= to) {
            if self.is_full(options) {
                self.rest = Some(behind);
                return;
            }
            behind = next;
            if wanted(next.ordinal - 1, entry.record) {
                self.bytes += entry.raw.len();
                self.add(entry.record, 0, entry.time, source.tag_of(&entry), next.ordinal - 1);
            }
        }
    }

    /// Adds one entry; answers where its record ends, unless it is refused.
    #[inline]
    fn add(
        &mut self,
        bytes: &[u8],
        at: usize,
        time: Time,
        tag: Option<&[u8]>,
        ordinal: usize,
    ) -> Option<usize> {
        self.count += 1;
        match self.rows.push(bytes, at, time, tag) {
            Ok(end) => Some(end),
            Err(fault) => {
                self.faults.push((ordinal as u32, fault));
                None
            }
        }
    }

    fn is_full(&self, options: &EncodeOptions) -> bool {
        self.count >= options.rows_max || self.bytes >= options.bytes_max
    }
}

/// The time of the entry at `at` and where its record begins, for entries with an EventTime and no metadata.
#[inline]
fn event_at(bytes: &[u8], at: usize) -> Option<(Time, usize)> {
    const HEAD: usize = 11;
    match bytes.get(at..)?.first_chunk::<{ HEAD + 1 }>()? {
        [0x92, 0xd7, 0x00, time @ .., 0x80..=0x8f | 0xde | 0xdf] => {
            let time = u64::from_be_bytes(*time);
            let (sec, nsec) = (i64::from((time >> 32) as u32), time as u32);
            Some((Time::Event(EventTime { sec, nsec }), at + HEAD))
        }
        _ => None,
    }
}

/// The entries of a part in the order of the values of one column, so that halves of the order lie in few partitions.
/// `None` if the column's values have no fixed width.
pub(crate) fn sorted(source: Source<'_>, layout: &Layout, part: &Part, column: usize) -> Option<Arc<[u32]>> {
    let only = layout.only(column)?;
    let mut rows = RowEncoder::new(&only, 0, Compression::None, OnFault::UseDefault, source.fallback_time);
    let mut keys = layout.has_server_defaults().then(|| Keys::new(&layout.fields));
    let Selection::Range { from, to } = &part.selection else { return None };
    let mut ordinals = Vec::new();
    for (entry, next) in source.entries(*from).take_while(|(_, next)| next.ordinal <= *to) {
        if keys.as_mut().is_some_and(|keys| given(layout, keys, entry.record) != part.given) {
            continue;
        }
        if rows.push(entry.record, 0, entry.time, source.tag_of(&entry)).is_ok() {
            ordinals.push((next.ordinal - 1) as u32);
        }
    }
    let body = rows.finish().body.concat();
    let width = match only.columns[0].width()? {
        width if body.len() >= width * ordinals.len() => width,
        _ => return None,
    };
    let values = &body[body.len() - width * ordinals.len()..];
    let mut order: Vec<(u64, u32)> = values
        .chunks_exact(width)
        .zip(ordinals)
        .map(|(value, ordinal)| {
            let mut number = [0; 8];
            number[..width].copy_from_slice(value);
            (u64::from_le_bytes(number), ordinal)
        })
        .collect();
    order.sort_unstable();
    Some(order.into_iter().map(|(_, ordinal)| ordinal).collect())
}
