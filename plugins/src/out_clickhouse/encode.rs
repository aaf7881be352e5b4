//! A chunk into blocks.
//!
//! Encoding is a pure function of the chunk, the layout and the limits: the same insert, repeated after a failure or a
//! restart, has the same bytes. So nothing but the description of an insert has to be kept for a retry.

use super::cells::{Block, Given, OnFault, RowFault};
use super::keys::Keys;
use super::layout::Layout;
use super::rows::{RowEncoder, given};
use super::source::{Position, Source};
use super::value_at::end_at;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Entries, Entry, Time};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Which entries go into an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// From a place on, up to an ordinal (exclusive).
    Range { from: Position, to: usize },
    /// Entries from an order of their own, in that order's places `from..to`.
    Picked { order: Arc<[u32]>, from: usize, to: usize, why: Picked },
}

/// Why entries are picked. Inserts with different rows have different names, so the name says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// They are all of a part, by partition.
    ByPartition,
    /// They are what a server lacks of a part that it has stored partly. Another attempt lacks fewer.
    Missing,
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
            Selection::Picked { from, to, why: Picked::ByPartition, .. } => format!("{given}-p{from}-{to}"),
            Selection::Picked { order, from, to, why: Picked::Missing } => {
                format!("{given}-m{}-{}", order.get(*from).copied().unwrap_or_default(), to - from)
            }
        }
    }

    /// Two halves; `None` for a single entry.
    pub(crate) fn halves(&self, source: Source<'_>) -> io::Result<Option<[Self; 2]>> {
        let part = |selection| Self { given: self.given, selection };
        Ok(match &self.selection {
            Selection::Range { from, to } => {
                let until = |to| {
                    move |ordinal, _: &Entry<'_>| match ordinal < to {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                };
                let to = source.each(*from, until(*to))?.ordinal;
                if to - from.ordinal < 2 {
                    return Ok(None);
                }
                let middle = source.each(*from, until(from.ordinal + (to - from.ordinal) / 2))?;
                Some([
                    part(Selection::Range { from: *from, to: middle.ordinal }),
                    part(Selection::Range { from: middle, to }),
                ])
            }
            Selection::Picked { order, from, to, why } => {
                if to - from < 2 {
                    return Ok(None);
                }
                let middle = from + (to - from) / 2;
                let picked =
                    |from, to| part(Selection::Picked { order: Arc::clone(order), from, to, why: *why });
                Some([picked(*from, middle), picked(middle, *to)])
            }
        })
    }
}

impl Encoded {
    /// The part that has only these rows of the block, by number.
    pub(crate) fn missing(&self, source: Source<'_>, layout: &Layout, rows: &[u32]) -> io::Result<Part> {
        let ordinals = self.ordinals(source, layout)?;
        let order: Arc<[u32]> = rows.iter().filter_map(|row| ordinals.get(*row as usize).copied()).collect();
        let to = order.len();
        let selection = Selection::Picked { order, from: 0, to, why: Picked::Missing };
        Ok(Part { given: self.part.given, selection })
    }

    /// The entries that are the rows of the block, in its order.
    fn ordinals(&self, source: Source<'_>, layout: &Layout) -> io::Result<Vec<u32>> {
        let refused: HashSet<u32> = self.faults.iter().map(|(ordinal, _)| *ordinal).collect();
        match &self.part.selection {
            Selection::Range { from, to } => {
                let mut keys = layout.has_server_defaults().then(|| Keys::new(&layout.fields));
                let mut ordinals = Vec::new();
                source.each(*from, |ordinal, entry| {
                    if ordinal >= *to {
                        return ControlFlow::Break(());
                    }
                    let fits = |keys| given(layout, keys, entry.record) == self.part.given;
                    if !refused.contains(&(ordinal as u32)) && keys.as_mut().is_none_or(fits) {
                        ordinals.push(ordinal as u32);
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(ordinals)
            }
            Selection::Picked { order, from, to, .. } => {
                let mut picked = order[*from..*to].to_vec();
                picked.sort_unstable();
                Ok(picked.into_iter().filter(|ordinal| !refused.contains(ordinal)).collect())
            }
        }
    }
}

/// The sets of columns with a server-side default that entries of the chunk give; one insert for each is needed.
pub(crate) fn groups(source: Source<'_>, layout: &Layout) -> io::Result<BTreeSet<Given>> {
    if !layout.has_server_defaults() {
        return Ok(BTreeSet::from([0]));
    }
    let mut keys = Keys::new(&layout.fields);
    let mut groups = BTreeSet::new();
    source.each(Position::default(), |_, entry| {
        groups.insert(given(layout, &mut keys, entry.record));
        ControlFlow::Continue(())
    })?;
    Ok(groups)
}

/// Encodes a part, or as much of it as the limits allow.
pub(crate) fn encode(
    source: Source<'_>,
    layout: &Layout,
    part: &Part,
    options: &EncodeOptions,
) -> io::Result<Encoded> {
    let rows =
        RowEncoder::new(layout, part.given, options.compression, options.on_fault, source.fallback_time);
    let mut run = Run { rows, faults: Vec::new(), count: 0, bytes: 0, rest: None };
    match &part.selection {
        Selection::Range { from, to } if !layout.has_server_defaults() => {
            run.add_all(source, *from, *to, options)?;
        }
        Selection::Range { from, to } => {
            let mut keys = Keys::new(&layout.fields);
            let wanted = |_: usize, record: &[u8]| given(layout, &mut keys, record) == part.given;
            run.add_some(source, *from, *to, options, wanted)?;
        }
        Selection::Picked { order, from, to, .. } => {
            let mut picked = vec![false; order.iter().max().map_or(0, |last| *last as usize + 1)];
            order[*from..*to].iter().for_each(|ordinal| picked[*ordinal as usize] = true);
            let no_limit = EncodeOptions { rows_max: usize::MAX, bytes_max: usize::MAX, ..*options };
            let wanted = |ordinal: usize, _: &[u8]| picked[ordinal];
            run.add_some(source, Position::default(), picked.len(), &no_limit, wanted)?;
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
    Ok(Encoded { block: rows.finish(), part, rest, faults, unknown, replaced })
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
    fn add_all(
        &mut self,
        source: Source<'_>,
        from: Position,
        to: usize,
        options: &EncodeOptions,
    ) -> io::Result<()> {
        let mut bodies = source.bodies(from)?;
        let mut ordinal = from.ordinal;
        while let Some((start, bytes)) = bodies.next()? {
            let mut at = start.offset;
            while at < bytes.len() {
                if ordinal >= to {
                    return Ok(());
                }
                if self.is_full(options) {
                    self.rest = Some(Position { offset: at, ordinal, ..start });
                    return Ok(());
                }
                let end = match event_at(bytes, at) {
                    Some((time, record)) => match self.add(bytes, record, time, source.tag, ordinal) {
                        Some(end) => end,
                        None => match end_at(bytes, record) {
                            Some(end) => end,
                            None => break,
                        },
                    },
                    None => {
                        let mut entries = Entries::new(&bytes[at..]);
                        let Some(entry) = entries.next() else { break };
                        self.add(entry.record, 0, entry.time, source.tag_of(&entry), ordinal);
                        at + entries.position()
                    }
                };
                self.bytes += end - at;
                at = end;
                ordinal += 1;
            }
        }
        Ok(())
    }

    /// Adds the entries that are `wanted`, by ordinal and record.
    fn add_some(
        &mut self,
        source: Source<'_>,
        from: Position,
        to: usize,
        options: &EncodeOptions,
        mut wanted: impl FnMut(usize, &[u8]) -> bool,
    ) -> io::Result<()> {
        let mut is_full = false;
        let end = source.each(from, |ordinal, entry| {
            is_full = self.is_full(options);
            if ordinal >= to || is_full {
                return ControlFlow::Break(());
            }
            if wanted(ordinal, entry.record) {
                self.bytes += entry.raw.len();
                self.add(entry.record, 0, entry.time, source.tag_of(entry), ordinal);
            }
            ControlFlow::Continue(())
        })?;
        if is_full && end.ordinal < to {
            self.rest = Some(end);
        }
        Ok(())
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
pub(crate) fn sorted(
    source: Source<'_>,
    layout: &Layout,
    part: &Part,
    column: usize,
) -> io::Result<Option<Arc<[u32]>>> {
    let Some(only) = layout.only(column) else { return Ok(None) };
    let mut rows = RowEncoder::new(&only, 0, Compression::None, OnFault::UseDefault, source.fallback_time);
    let mut keys = layout.has_server_defaults().then(|| Keys::new(&layout.fields));
    let Selection::Range { from, to } = &part.selection else { return Ok(None) };
    let mut ordinals = Vec::new();
    source.each(*from, |ordinal, entry| {
        if ordinal >= *to {
            return ControlFlow::Break(());
        }
        let is_other = |keys| given(layout, keys, entry.record) != part.given;
        if !keys.as_mut().is_some_and(is_other)
            && rows.push(entry.record, 0, entry.time, source.tag_of(entry)).is_ok()
        {
            ordinals.push(ordinal as u32);
        }
        ControlFlow::Continue(())
    })?;
    let body = rows.finish().body.concat();
    let width = match only.columns[0].width() {
        Some(width) if body.len() >= width * ordinals.len() => width,
        _ => return Ok(None),
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
    Ok(Some(order.into_iter().map(|(_, ordinal)| ordinal).collect()))
}
