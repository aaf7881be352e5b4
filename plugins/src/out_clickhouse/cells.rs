//! The columns of a block, row by row.

use super::column::{Column, Sink, write_varint};
use super::fault::Fault;
use super::layout::{Absent, Layout};
use super::value_at::end_at;
use bytes::Bytes;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::msgpack::ValueRef;

/// What becomes of a value that its column cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFault {
    /// The row is refused.
    RefuseRow,
    /// The column gets NULL, or its default.
    UseDefault,
}

/// Why a row was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowFault {
    /// The column, by its index in the layout; `None` if the record as a whole is the reason.
    pub(crate) column: Option<usize>,
    /// What is wrong with the value.
    pub(crate) fault: Fault,
}

impl RowFault {
    /// A record that is no MessagePack map; the chunk was damaged outside of Logweir.
    pub(crate) const UNREADABLE: Self = Self { column: None, fault: Fault::Unstorable };
}

/// The columns with a server-side default that a row gives, one bit each.
pub(crate) type Given = u64;

/// A finished block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Rows in it.
    pub(crate) rows: usize,
    /// The columns that it lists, by their index in the layout.
    pub(crate) columns: Vec<usize>,
    /// The body of the insert, piece by piece.
    pub(crate) body: Vec<Bytes>,
}

/// See the module.
pub(crate) struct Cells<'a> {
    pub(super) layout: &'a Layout,
    columns: Vec<Box<dyn Column>>,
    /// Whether the block lists the column.
    listed: Vec<bool>,
    /// The row in which the column last got a value, counted from 1.
    filled: Vec<u64>,
    /// Rows that were begun.
    row: u64,
    on_fault: OnFault,
    replaced: u64,
}

impl<'a> Cells<'a> {
    /// No rows. Of the columns with a server-side default the block lists those in `given`.
    pub(crate) fn new(layout: &'a Layout, given: Given, on_fault: OnFault) -> Self {
        let listed = layout.columns.iter().map(|column| match column.absent {
            Absent::ServerDefault(bit) => given >> bit & 1 == 1,
            _ => true,
        });
        Self {
            layout,
            columns: layout.columns.iter().map(|column| column.builder(&layout.context)).collect(),
            listed: listed.collect(),
            filled: vec![0; layout.columns.len()],
            row: 0,
            on_fault,
            replaced: 0,
        }
    }

    /// Begins a row.
    pub(crate) fn begin_row(&mut self) {
        self.row += 1;
    }

    /// Takes the row back.
    pub(crate) fn abandon_row(&mut self) {
        for (column, filled) in self.columns.iter_mut().zip(&mut self.filled) {
            if *filled == self.row {
                column.rollback();
                *filled = 0;
            }
        }
    }

    /// Whether the column has its value in this row, or needs none.
    #[inline]
    pub(crate) fn is_done(&self, index: usize) -> bool {
        self.filled[index] == self.row || !self.listed[index]
    }

    /// Whether the block lists any column.
    pub(crate) fn lists_any(&self) -> bool {
        self.listed.contains(&true)
    }

    /// Puts a value into a column; the last one of a row counts. Nil leaves a column that has a better value than its
    /// type's default without one.
    pub(crate) fn put(&mut self, index: usize, value: &ValueRef<'_>) -> Result<(), RowFault> {
        if !self.listed[index] || (*value == ValueRef::Nil && self.has_better_than_nil(index)) {
            return Ok(());
        }
        match self.prepared(index).push(value) {
            Ok(()) => Ok(()),
            Err(fault) => self.faulty(index, fault),
        }
    }

    /// The same for the value at a place in MessagePack; answers where it ends.
    #[inline]
    pub(crate) fn put_at(&mut self, index: usize, bytes: &[u8], at: usize) -> Result<usize, RowFault> {
        const NIL: Option<&u8> = Some(&0xc0);
        if !self.listed[index] || (bytes.get(at) == NIL && self.has_better_than_nil(index)) {
            return end_at(bytes, at).ok_or(RowFault::UNREADABLE);
        }
        match self.prepared(index).push_at(bytes, at) {
            Ok(end) => Ok(end),
            Err(fault) => {
                self.faulty(index, fault)?;
                end_at(bytes, at).ok_or(RowFault::UNREADABLE)
            }
        }
    }

    /// The column, so that what is pushed now can be taken back.
    #[inline]
    fn prepared(&mut self, index: usize) -> &mut dyn Column {
        let column = &mut *self.columns[index];
        if self.filled[index] == self.row {
            column.rollback();
        } else {
            column.checkpoint();
            self.filled[index] = self.row;
        }
        column
    }

    #[cold]
    fn faulty(&mut self, index: usize, fault: Fault) -> Result<(), RowFault> {
        if self.on_fault == OnFault::RefuseRow {
            return Err(RowFault { column: Some(index), fault });
        }
        let column = &mut self.columns[index];
        column.rollback();
        column.push_default();
        self.replaced += 1;
        Ok(())
    }

    /// Puts the type's default into a column that has no value yet.
    pub(crate) fn put_default(&mut self, index: usize) {
        let column = &mut self.columns[index];
        column.checkpoint();
        column.push_default();
        self.filled[index] = self.row;
    }

    /// Takes the number of values that were replaced by a default.
    pub(crate) fn take_replaced(&mut self) -> u64 {
        std::mem::take(&mut self.replaced)
    }

    /// Compresses large columns. Only between rows.
    pub(crate) fn seal(&mut self, compression: Compression) {
        for column in &mut self.columns {
            column.seal(compression);
        }
    }

    /// The block of `rows` rows.
    ///
    /// ```text
    /// columns:LEB128 rows:LEB128 (name:text type:text prefix data)*
    /// ```
    pub(crate) fn finish(mut self, rows: usize, compression: Compression) -> Block {
        let columns: Vec<usize> = (0..self.columns.len()).filter(|index| self.listed[*index]).collect();
        let mut sink = Sink::new(compression);
        let mut head = Vec::new();
        write_varint(&mut head, columns.len() as u64);
        write_varint(&mut head, rows as u64);
        sink.write(&head);
        for index in &columns {
            let described = &self.layout.columns[*index];
            sink.write_text(&described.name);
            sink.write_text(&described.type_name);
            let column = &mut self.columns[*index];
            column.write_prefix(&mut sink);
            column.finish(&mut sink);
        }
        Block { rows, columns, body: sink.into_body() }
    }

    fn has_better_than_nil(&self, index: usize) -> bool {
        matches!(self.layout.columns[index].absent, Absent::Time | Absent::Tag)
    }
}
