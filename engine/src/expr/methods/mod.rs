//! The methods that expressions can call: one table a class, put together into rows by name when the first expression
//! is compiled. A name that is in no table is refused at load; a name that the receiver's class does not have is a
//! NoMethodError when it is called.

use super::run::{Args, Eval, Vm};
use super::value::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

mod args;
mod arith;
mod array;
mod base64;
mod class;
mod digest;
mod enumerable;
mod environment;
mod exception;
mod file;
mod float;
mod format;
mod hash;
mod integer;
mod ip;
mod json;
mod kernel;
mod list;
mod math;
mod netlink;
mod object;
mod pack;
mod proc;
mod random;
mod range;
mod regexp;
mod socket;
mod string;
mod symbol;
mod time;
mod uri;

pub(crate) use super::value::ClassId;
pub(crate) use args::inspect_text;
pub(crate) use ip::ip_inspect;
pub(crate) use list::to_list;
pub(crate) use object::case_equal;
pub(crate) use regexp::match_position;
pub(crate) use time::{date_inspect, date_text, time_inspect, time_text};

/// A method of ours: takes the receiver and the arguments, whose number has been checked.
pub(crate) type Function = for<'v, 'p, 'a> fn(&'v mut Vm<'p, 'a>, Value<'a>, Args<'v, 'p, 'a>) -> Eval<'a>;

/// One line of a method table.
#[derive(Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) min: u8,
    /// 255: any number.
    pub(crate) max: u8,
    pub(crate) call: Function,
    /// Whether it may change its receiver or an argument.
    mutates: bool,
    /// Whether its answer changes by itself: the clock, random numbers, files.
    impure: bool,
}

/// A method that takes `min` to `max` arguments.
pub(crate) const fn method(name: &'static str, min: u8, max: u8, call: Function) -> Method {
    Method { name, min, max, call, mutates: false, impure: false }
}

/// Any number of arguments.
pub(crate) const ANY: u8 = u8::MAX;

impl Method {
    const fn mutates(mut self) -> Self {
        self.mutates = true;
        self
    }

    const fn impure(mut self) -> Self {
        self.impure = true;
        self
    }
}

/// Which table a receiver's methods are in: that of its class, that of the class itself as an object, or functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u8);

impl Kind {
    /// Functions, which have no receiver.
    pub(crate) const FUNCTION: Self = Self(u8::MAX);
    const SINGLETON: u8 = 128;

    /// Instances of a class.
    #[inline]
    pub(crate) const fn of(class: ClassId) -> Self {
        Self(class as u8)
    }

    /// A class or module itself.
    #[inline]
    pub(crate) const fn singleton(class: ClassId) -> Self {
        Self(class as u8 | Self::SINGLETON)
    }
}

/// All methods of one name.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Few, so that a search from the front is fastest.
    methods: Vec<(Kind, &'static Method)>,
    /// That of all objects.
    object: Option<&'static Method>,
    pub(crate) mutates: bool,
    pub(crate) impure: bool,
    pub(crate) operator: Operator,
}

/// Operators that the evaluator does itself on small values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Index,
    Equal,
    Other,
}

impl Row {
    /// The method that a receiver of this kind has.
    #[inline]
    pub(crate) fn find(&self, kind: Kind) -> Option<&'static Method> {
        match self.methods.iter().find(|(known, _)| *known == kind) {
            Some((_, method)) => Some(method),
            None => self.object,
        }
    }

    /// The function of this name.
    pub(crate) fn function(&self) -> Option<&'static Method> {
        self.methods.iter().find(|(known, _)| *known == Kind::FUNCTION).map(|(_, method)| *method)
    }

    /// Whether receivers of this kind have a method of their own of this name, or it is a function.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.methods.iter().any(|(known, _)| *known == kind)
    }

    /// Whether some kind of receiver has a method of this name.
    pub(crate) fn is_method(&self) -> bool {
        self.object.is_some() || self.methods.iter().any(|(kind, _)| *kind != Kind::FUNCTION)
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The row of a name.
pub(crate) fn row(name: &str) -> Option<&'static Row> {
    ROWS.get(name)
}

/// The same for a name that comes from a value.
pub(crate) fn row_of(name: &[u8]) -> Option<&'static Row> {
    row(std::str::from_utf8(name).ok()?).filter(|row| row.is_method())
}

/// All names, for suggestions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.keys().copied()
}

/// The methods of a kind, for suggestions.
pub(crate) fn names_of(kind: Kind) -> impl Iterator<Item = &'static str> {
    ROWS.values().filter(move |row| row.methods.iter().any(|(known, _)| *known == kind)).map(|row| row.name)
}

static ROWS: LazyLock<HashMap<&'static str, Row>> = LazyLock::new(build);

/// Which tables a kind takes its methods from, first come first served.
static TABLES: &[(Kind, &[&[&[Method]]])] = {
    use ClassId as C;
    const fn of(class: ClassId) -> Kind {
        Kind::of(class)
    }
    const fn class(class: ClassId) -> Kind {
        Kind::singleton(class)
    }
    &[
        (Kind::FUNCTION, &[&[kernel::FUNCTIONS]]),
        (of(C::Hash), &[&hash::TABLES, &enumerable::TABLES]),
        (of(C::String), &[&string::TABLES, &[pack::STRING, arith::COMPARISONS]]),
        (of(C::Array), &[&array::TABLES, &enumerable::TABLES, &[pack::ARRAY]]),
        (of(C::Integer), &[&[integer::METHODS, arith::COMPARISONS]]),
        (of(C::Float), &[&[float::METHODS, arith::COMPARISONS]]),
        (of(C::Symbol), &[&[symbol::METHODS, arith::COMPARISONS]]),
        (of(C::NilClass), &[&[object::NIL]]),
        (of(C::TrueClass), &[&[object::BOOL]]),
        (of(C::FalseClass), &[&[object::BOOL]]),
        (of(C::Range), &[&[range::METHODS], &enumerable::TABLES]),
        (of(C::Enumerator), &[&[proc::ENUMERATOR], &enumerable::TABLES]),
        (of(C::Proc), &[&[proc::METHODS]]),
        (of(C::Regexp), &[&[regexp::METHODS]]),
        (of(C::MatchData), &[&[regexp::MATCH]]),
        (of(C::Time), &[&[time::METHODS, arith::COMPARISONS]]),
        (of(C::Date), &[&[time::DATE, arith::COMPARISONS]]),
        (of(C::Exception), &[&[exception::METHODS]]),
        (of(C::EventTime), &[&[time::EVENT_TIME]]),
        (of(C::Env), &[&[environment::ENV]]),
        (of(C::Ip), &[&[ip::METHODS, arith::COMPARISONS]]),
        (of(C::Addrinfo), &[&[socket::ADDRESS]]),
        (of(C::Ifaddr), &[&[socket::INTERFACE]]),
        (of(C::UriGeneric), &[&[uri::METHODS]]),
        (of(C::File), &[&[file::OPEN]]),
        (class(C::String), &[&[class::STRING]]),
        (class(C::Array), &[&[class::ARRAY]]),
        (class(C::Hash), &[&[class::HASH]]),
        (class(C::Range), &[&[class::RANGE]]),
        (class(C::Proc), &[&[class::PROC]]),
        (class(C::Integer), &[&[class::INTEGER]]),
        (class(C::Regexp), &[&[regexp::CLASS]]),
        (class(C::Time), &[&[time::CLASS]]),
        (class(C::Date), &[&[time::DATE_CLASS]]),
        (class(C::DateTime), &[&[time::DATE_CLASS, time::DATE_TIME_CLASS]]),
        (class(C::EventTime), &[&[time::EVENT_TIME_CLASS]]),
        (class(C::Ip), &[&[ip::CLASS]]),
        (class(C::Socket), &[&[socket::CLASS]]),
        (class(C::Addrinfo), &[&[socket::ADDRESS_CLASS]]),
        (class(C::File), &[&[file::CLASS]]),
        (class(C::Io), &[&[file::IO]]),
        (class(C::Dir), &[&[file::DIR]]),
        (class(C::Math), &[&[math::MODULE]]),
        (class(C::Json), &[&[json::MODULE]]),
        (class(C::Base64), &[&[base64::MODULE]]),
        (class(C::Md5), &[&[digest::CLASS]]),
        (class(C::Sha1), &[&[digest::CLASS]]),
        (class(C::Sha256), &[&[digest::CLASS]]),
        (class(C::Zlib), &[&[digest::ZLIB]]),
        (class(C::SecureRandom), &[&[random::SECURE]]),
        (class(C::Random), &[&[random::RANDOM]]),
        (class(C::Process), &[&[environment::PROCESS]]),
        (class(C::Uri), &[&[uri::MODULE]]),
        (class(C::Cgi), &[&[uri::CGI]]),
        (class(C::OmsCommon), &[&[environment::OMS]]),
    ]
};

fn build() -> HashMap<&'static str, Row> {
    let mut rows: HashMap<&'static str, Row> = HashMap::new();
    let mut add = |kind: Option<Kind>, method: &'static Method| {
        let row = rows.entry(method.name).or_insert_with(|| Row {
            name: method.name,
            methods: Vec::new(),
            object: None,
            mutates: false,
            impure: false,
            operator: match method.name {
                "[]" => Operator::Index,
                "==" => Operator::Equal,
                _ => Operator::Other,
            },
        });
        row.mutates |= method.mutates;
        row.impure |= method.impure;
        match kind {
            None => row.object = Some(method),
            Some(kind) if row.methods.iter().all(|(known, _)| *known != kind) => {
                row.methods.push((kind, method))
            }
            Some(_) => {}
        }
    };
    for method in object::METHODS {
        add(None, method);
    }
    for (kind, tables) in TABLES {
        for method in tables.iter().copied().flatten().copied().flatten() {
            add(Some(*kind), method);
        }
    }
    for class in ClassId::ALL {
        let tables: &[&[Method]] =
            if class.is_exception() { &[exception::CLASS, class::METHODS] } else { &[class::METHODS] };
        for method in tables.iter().copied().flatten() {
            add(Some(Kind::singleton(*class)), method);
        }
    }
    rows
}
