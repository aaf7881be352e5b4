//! Ruby's objects as expressions see them. Values are two words that can be copied; objects live in the arena of one
//! evaluation, so that nothing is counted and nothing is freed one by one.

mod array;
mod class;
mod compare;
mod convert;
mod float;
mod hash;
mod inspect;
mod number;
mod regexp;
mod string;
mod time;

pub(crate) use array::Array;
pub(crate) use class::ClassId;
pub(crate) use compare::{compare, compare_folded, eql, equal, hash_code};
pub(crate) use convert::{record_hash, record_value, to_record};
pub(crate) use float::float_text;
pub(crate) use hash::Hash;
pub(crate) use inspect::{inspect, inspect_bytes, kind_text, receiver_text, to_s};
pub(crate) use number::{BITS_MAX, Big, big_from_f64};
pub(crate) use regexp::{Match, RegexpHandle, compile_regexp, display_regexp};
pub(crate) use string::{Str, chars, is_utf8};
pub(crate) use time::{Civil, Clock, DAY, Date, Moment, days_from, month_length};

use crate::expr::methods::{Kind, Row};
use crate::expr::syntax::ast::BlockId;
use std::net::IpAddr;

/// A reference to an object, or the object itself if it is small.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    /// A variable that has not been filled yet; never the value of an expression.
    Unset,
    Nil,
    Bool(bool),
    Int(i64),
    Big(&'a Big<'a>),
    Float(f64),
    Str(&'a Str<'a>),
    Symbol(&'a [u8]),
    Array(&'a Array<'a>),
    Hash(&'a Hash<'a>),
    Range(&'a Range<'a>),
    /// An index into the regular expressions of the evaluation.
    Regexp(u32),
    Match(&'a Match<'a>),
    Proc(&'a Proc),
    Enumerator(&'a Enumerator<'a>),
    Time(&'a Moment),
    Date(&'a Date),
    Exception(&'a Exception<'a>),
    Class(ClassId),
    /// `ENV`
    Env,
    /// `self` outside of everything.
    Main,
    /// A MessagePack extension that is carried along: EventTime (type 0) and others.
    Ext(i8, &'a [u8]),
    Ip(&'a Ip),
    Address(&'a Address<'a>),
    Interface(&'a Interface<'a>),
    Uri(&'a Uri<'a>),
    /// An open file: its content was read when it was opened.
    File(&'a OpenFile<'a>),
}

/// `low..high`
#[derive(Debug)]
pub(crate) struct Range<'a> {
    pub(crate) low: Value<'a>,
    pub(crate) high: Value<'a>,
    pub(crate) exclusive: bool,
}

/// A lambda, a proc, or `&:name` made into one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proc {
    pub(crate) code: ProcCode,
    pub(crate) lambda: bool,
}

/// What a [`Proc`] runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProcCode {
    /// A block of the program with that number: a proc can outlive its expression in the record.
    Block {
        program: u64,
        block: BlockId,
    },
    Method(&'static Row),
}

/// What a method without its block answers: the call that waits for one.
#[derive(Debug)]
pub(crate) struct Enumerator<'a> {
    pub(crate) receiver: Value<'a>,
    pub(crate) method: &'static Row,
    pub(crate) args: &'a [Value<'a>],
}

/// A raised or made exception.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exception<'a> {
    pub(crate) class: ClassId,
    pub(crate) message: &'a [u8],
}

/// An IPAddr: an address with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ip {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

/// An Addrinfo of an interface.
#[derive(Debug)]
pub(crate) struct Address<'a> {
    pub(crate) address: IpAddr,
    pub(crate) interface: &'a [u8],
}

/// A Socket::Ifaddr.
#[derive(Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) address: &'a Address<'a>,
}

/// The parts of an URI.
#[derive(Debug)]
pub(crate) struct Uri<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) scheme: Option<&'a [u8]>,
    pub(crate) userinfo: Option<&'a [u8]>,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) port: Option<i64>,
    pub(crate) path: &'a [u8],
    pub(crate) query: Option<&'a [u8]>,
    pub(crate) fragment: Option<&'a [u8]>,
}

/// A file that `File.open` read.
#[derive(Debug)]
pub(crate) struct OpenFile<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) content: &'a [u8],
    /// How much of it has been handed out.
    pub(crate) at: std::cell::Cell<usize>,
}

impl<'a> Value<'a> {
    /// Everything but nil and false.
    #[inline]
    pub(crate) fn truthy(self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    pub(crate) fn is_nil(self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Its class.
    pub(crate) fn class(self) -> ClassId {
        match self {
            Self::Unset | Self::Nil => ClassId::NilClass,
            Self::Bool(true) => ClassId::TrueClass,
            Self::Bool(false) => ClassId::FalseClass,
            Self::Int(_) | Self::Big(_) => ClassId::Integer,
            Self::Float(_) => ClassId::Float,
            Self::Str(_) => ClassId::String,
            Self::Symbol(_) => ClassId::Symbol,
            Self::Array(_) => ClassId::Array,
            Self::Hash(_) => ClassId::Hash,
            Self::Range(_) => ClassId::Range,
            Self::Regexp(_) => ClassId::Regexp,
            Self::Match(_) => ClassId::MatchData,
            Self::Proc(_) => ClassId::Proc,
            Self::Enumerator(_) => ClassId::Enumerator,
            Self::Time(_) => ClassId::Time,
            Self::Date(date) if date.has_time => ClassId::DateTime,
            Self::Date(_) => ClassId::Date,
            Self::Exception(exception) => exception.class,
            Self::Class(class) if class.is_module() => ClassId::Module,
            Self::Class(_) => ClassId::Class,
            Self::Env => ClassId::Env,
            Self::Main => ClassId::Main,
            Self::Ext(..) => ClassId::EventTime,
            Self::Ip(_) => ClassId::Ip,
            Self::Address(_) => ClassId::Addrinfo,
            Self::Interface(_) => ClassId::Ifaddr,
            Self::Uri(_) => ClassId::UriGeneric,
            Self::File(_) => ClassId::File,
        }
    }

    /// Which methods it has.
    #[inline]
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Exception(_) => Kind::of(ClassId::Exception),
            Self::Class(class) => Kind::singleton(class),
            Self::Date(_) => Kind::of(ClassId::Date),
            other => Kind::of(other.class()),
        }
    }

    /// The bytes of a string or symbol.
    #[inline]
    pub(crate) fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Str(text) => Some(text.bytes()),
            Self::Symbol(name) => Some(name),
            _ => None,
        }
    }
}
