//! Entries into the rows of one block.

use super::cells::{Block, Cells, Given, OnFault, RowFault};
use super::fault::Fault;
use super::keys::{Action, Keys, Place, Spread};
use super::layout::{Absent, Layout};
use super::value_at::{end_at, read_at};
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{
    Reader, RecordView, Time, ValueRef, write_array_len, write_map_len, write_nil,
};

/// Columns are looked at for compression each time this many rows have been added.
const SEAL_EVERY_ROWS: usize = 256;

/// Builds one block.
pub(crate) struct RowEncoder<'a> {
    cells: Cells<'a>,
    keys: Keys,
    compression: Compression,
    /// Seconds since the epoch for entries without a time.
    fallback_time: i64,
    rows: usize,
    extra: Extra,
}

/// The fields of a record that have no column, as pairs of MessagePack.
#[derive(Default)]
struct Extra {
    pairs: Vec<u8>,
    count: usize,
    map: Vec<u8>,
}

impl<'a> RowEncoder<'a> {
    /// An empty block. Of the columns with a server-side default it lists those in `given`.
    /// `fallback_time` is for entries without a time, in seconds since the epoch.
    pub(crate) fn new(
        layout: &'a Layout,
        given: Given,
        compression: Compression,
        on_fault: OnFault,
        fallback_time: i64,
    ) -> Self {
        Self {
            cells: Cells::new(layout, given, on_fault),
            keys: Keys::new(&layout.fields),
            compression,
            fallback_time,
            rows: 0,
            extra: Extra::default(),
        }
    }

    /// Adds the record at a place in MessagePack as a row, and answers where it ends; `tag` if it is known. After an error the
    /// block is as it was, and the end is not known.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        at: usize,
        time: Time,
        tag: Option<&[u8]>,
    ) -> Result<usize, RowFault> {
        self.cells.begin_row();
        let filled = self.fill(bytes, at).and_then(|end| self.fill_absent(time, tag).map(|()| end));
        if filled.is_err() {
            self.cells.abandon_row();
            return filled;
        }
        self.rows += 1;
        if self.rows.is_multiple_of(SEAL_EVERY_ROWS) {
            self.cells.seal(self.compression);
        }
        filled
    }

    /// Takes the number of values that were replaced by a default.
    pub(crate) fn take_replaced(&mut self) -> u64 {
        self.cells.take_replaced()
    }

    /// Takes the counts of fields without a column.
    pub(crate) fn take_unknown(&mut self, each: impl FnMut(&[u8], u64)) {
        self.keys.take_unknown(each);
    }

    /// Ends the block.
    pub(crate) fn finish(self) -> Block {
        self.cells.finish(self.rows, self.compression)
    }

    fn fill(&mut self, bytes: &[u8], at: usize) -> Result<usize, RowFault> {
        if !self.cells.lists_any() {
            return Err(RowFault { column: None, fault: Fault::NoField });
        }
        let Self { cells, keys, extra, .. } = self;
        let layout = cells.layout;
        extra.clear();
        let (mut left, mut at) = map_at(bytes, at).ok_or(RowFault::UNREADABLE)?;
        let mut place = Place::START;
        while left > 0 {
            left -= 1;
            let key_at = at;
            let (action, length) = keys.find(&mut place, &bytes[at..]).ok_or(RowFault::UNREADABLE)?;
            at += length;
            at = match action {
                Action::Column(column) => cells.put_at(column, bytes, at)?,
                Action::Spread(index) => {
                    let (value, end) = read_at(bytes, at).ok_or(RowFault::UNREADABLE)?;
                    spread(cells, keys.spread(index), &value)?;
                    end
                }
                Action::Unknown if layout.gathers_extra => {
                    let (value, end) = read_at(bytes, at).ok_or(RowFault::UNREADABLE)?;
                    extra.add(&bytes[key_at..at], &bytes[at..end], &value, layout.extra_name.as_deref());
                    end
                }
                Action::Unknown => {
                    keys.count_unknown(place);
                    end_at(bytes, at).ok_or(RowFault::UNREADABLE)?
                }
            };
        }
        Ok(at)
    }

    /// Columns that the record gave nothing.
    fn fill_absent(&mut self, time: Time, tag: Option<&[u8]>) -> Result<(), RowFault> {
        let cells = &mut self.cells;
        let layout = cells.layout;
        for (index, column) in layout.columns.iter().enumerate() {
            if cells.is_done(index) {
                continue;
            }
            match (column.absent, tag) {
                (Absent::Time, _) => {
                    let time = shifted(time, layout.time_offset_seconds, self.fallback_time);
                    cells.put(index, &time_value(time, &mut [0; 8]))?;
                }
                (Absent::Tag, Some(tag)) => cells.put(index, &ValueRef::Str(tag))?,
                (Absent::Extra, _) => cells.put(index, &ValueRef::Map(self.extra.as_map()))?,
                _ => cells.put_default(index),
            }
        }
        Ok(())
    }
}

impl Extra {
    fn clear(&mut self) {
        self.pairs.clear();
        self.count = 0;
    }

    /// Keeps a field. A map under the extra column's own name (`own`) is merged.
    fn add(&mut self, key: &[u8], raw: &[u8], value: &ValueRef<'_>, own: Option<&str>) {
        if let (ValueRef::Map(inner), Ok(ValueRef::Str(name))) = (value, ValueRef::read(key))
            && own.is_some_and(|own| own.as_bytes() == name)
        {
            let mut reader = Reader::new(inner);
            if let Ok(pairs) = reader.read_map_len() {
                self.count += pairs;
                self.pairs.extend_from_slice(&inner[reader.position()..]);
            }
            return;
        }
        self.count += 1;
        self.pairs.extend_from_slice(key);
        self.pairs.extend_from_slice(raw);
    }

    fn as_map(&mut self) -> &[u8] {
        self.map.clear();
        write_map_len(&mut self.map, self.count);
        self.map.extend_from_slice(&self.pairs);
        &self.map
    }
}

/// Which columns with a server-side default a record gives a value.
pub(crate) fn given(layout: &Layout, keys: &mut Keys, record: &[u8]) -> Given {
    let mut given = 0;
    let Some(mut pairs) = Pairs::new(record) else { return 0 };
    let mut place = Place::START;
    while pairs.more() {
        let Some((action, value)) = pairs.next(keys, &mut place) else { break };
        if value == ValueRef::Nil {
            continue;
        }
        match action {
            Action::Column(column) => given |= bit(layout, column),
            Action::Spread(index) => {
                let spread = keys.spread(index);
                given |= spread.columns.iter().fold(0, |given, column| given | bit(layout, *column));
                given |= match (&mut spread.inside, value) {
                    (Some(inside), ValueRef::Map(raw)) => self::given(layout, inside, raw),
                    (Some(inside), ValueRef::Array(_)) => {
                        inside.columns().iter().fold(0, |given, (_, column)| given | bit(layout, *column))
                    }
                    _ => 0,
                };
            }
            Action::Unknown => {}
        }
    }
    given
}

fn bit(layout: &Layout, column: usize) -> Given {
    match layout.columns[column].absent {
        Absent::ServerDefault(bit) => 1 << bit,
        _ => 0,
    }
}

/// Puts a value into its columns, and what is in it into theirs.
fn spread(cells: &mut Cells<'_>, spread: &mut Spread, value: &ValueRef<'_>) -> Result<(), RowFault> {
    for column in &spread.columns {
        cells.put(*column, value)?;
    }
    let Some(keys) = &mut spread.inside else { return Ok(()) };
    match *value {
        ValueRef::Map(raw) => {
            let mut pairs = Pairs::new(raw).ok_or(RowFault::UNREADABLE)?;
            let mut place = Place::START;
            while pairs.more() {
                let (action, value) = pairs.next(keys, &mut place).ok_or(RowFault::UNREADABLE)?;
                match action {
                    Action::Column(column) => cells.put(column, &value)?,
                    Action::Spread(index) => self::spread(cells, keys.spread(index), &value)?,
                    Action::Unknown => {}
                }
            }
            Ok(())
        }
        ValueRef::Array(raw) => transposed(cells, keys, raw),
        _ => Ok(()),
    }
}

/// An array of maps for the columns `n.a`, `n.b` of a Nested: each gets the array of its field's values.
fn transposed(cells: &mut Cells<'_>, keys: &Keys, raw: &[u8]) -> Result<(), RowFault> {
    let mut values = Vec::new();
    for (name, column) in keys.columns() {
        values.clear();
        let mut reader = Reader::new(raw);
        let length = reader.read_array_len().map_err(|_| RowFault::UNREADABLE)?;
        write_array_len(&mut values, length);
        for _ in 0..length {
            let element = reader.read_raw().map_err(|_| RowFault::UNREADABLE)?;
            match RecordView::new(element).get(name) {
                Some(value) => values.extend_from_slice(value),
                None => write_nil(&mut values),
            }
        }
        cells.put(column, &ValueRef::Array(&values))?;
    }
    Ok(())
}

/// A cursor over the pairs of a map.
struct Pairs<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Pairs<'a> {
    fn new(map: &'a [u8]) -> Option<Self> {
        let (left, at) = map_at(map, 0)?;
        Some(Self { bytes: map, at, left })
    }

    fn more(&self) -> bool {
        self.left > 0
    }

    /// The next pair: what its key says and its value. `None` if the bytes are no MessagePack.
    fn next(&mut self, keys: &mut Keys, place: &mut Place) -> Option<(Action, ValueRef<'a>)> {
        self.left -= 1;
        let (action, length) = keys.find(place, self.bytes.get(self.at..)?)?;
        let (value, end) = read_at(self.bytes, self.at + length)?;
        self.at = end;
        Some((action, value))
    }
}

/// The number of pairs of the map at `at`, and where the first begins.
#[inline]
fn map_at(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    if let marker @ 0x80..=0x8f = *bytes.get(at)? {
        return Some((usize::from(marker & 0x0f), at + 1));
    }
    let mut reader = Reader::new(&bytes[at..]);
    let pairs = reader.read_map_len().ok()?;
    Some((pairs, at + reader.position()))
}

fn shifted(time: Time, seconds: i64, fallback: i64) -> Time {
    match time {
        Time::Int(sec) => Time::Int(sec.saturating_add(seconds)),
        Time::Event(time) => {
            Time::Event(EventTime { sec: time.sec.saturating_add(seconds), nsec: time.nsec })
        }
        Time::Float(sec) => Time::Float(sec + seconds as f64),
        Time::None => Time::Int(fallback.saturating_add(seconds)),
    }
}

/// A time as a value; `payload` is room for its bytes.
fn time_value(time: Time, payload: &mut [u8; 8]) -> ValueRef<'_> {
    match time {
        Time::Event(time) => match u32::try_from(time.sec) {
            Ok(sec) => {
                payload[..4].copy_from_slice(&sec.to_be_bytes());
                payload[4..].copy_from_slice(&time.nsec.to_be_bytes());
                ValueRef::Ext(0, payload)
            }
            Err(_) => ValueRef::Int(time.sec),
        },
        Time::Int(sec) => ValueRef::Int(sec),
        Time::Float(sec) => ValueRef::F64(sec),
        Time::None => ValueRef::Nil,
    }
}
