//! The compiled form of an expression: a tree whose names are resolved. Variables are slots of one flat frame,
//! methods are rows of the method table, regular expressions are compiled.

use super::token::Span;
use crate::expr::methods::{ClassId, Row};

/// A piece of an expression with its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Span,
}

/// A variable's place in the frame.
pub(crate) type Slot = u16;

/// What a [`Node`] is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    Nil,
    True,
    False,
    SelfObject,
    Int(i64),
    /// An integer beyond 64 bits: its decimal digits.
    BigInt(Box<str>),
    Float(f64),
    Str(Box<[u8]>),
    /// Text with code in it.
    Interpolated(Box<[Node]>),
    Symbol(Box<str>),
    InterpolatedSymbol(Box<[Node]>),
    /// An index into the program's regular expressions.
    Regexp(u32),
    InterpolatedRegexp(Box<[Node]>, RegexpOptions),
    Array(Box<[Node]>),
    Hash(Box<[HashPart]>),
    Range {
        low: Option<Box<Node>>,
        high: Option<Box<Node>>,
        exclusive: bool,
    },
    /// A name that the caller gives a value: `record`, `tag`, ...; its slot is filled when it is first read.
    Given(Given, Slot),
    Local(Slot),
    SetLocal(Slot, Box<Node>),
    /// `receiver[args] = value`, `receiver.name = value`; gives the value, whatever the method answers.
    SetBy(Box<Call>, Box<Node>),
    /// `a, b = value`
    SetMany(Box<Pattern>, Box<Node>),
    /// `$~`, `$&`, `$1`, ...
    LastMatch(MatchPart),
    Class(ClassId),
    /// A constant that is a plain value (`Float::NAN`, `Math::PI`).
    Constant(Constant),
    /// `$stdout`-like variables and instance variables that nobody has set.
    Unset,
    /// A name that nobody defined: a NameError when it is evaluated, as in Ruby.
    Undefined(Box<str>),
    Call(Box<Call>),
    /// `receiver.name ||= value`, `receiver[index] += value`
    Update(Box<Update>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// `defined?(x)` with what is known at load, or a test whether evaluating it succeeds.
    Defined(Option<&'static str>, Box<Node>),
    If {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    While {
        condition: Box<Node>,
        body: Box<Node>,
        /// `until`: go on while the condition is false.
        negated: bool,
        /// `begin ... end while`: the body runs first.
        body_first: bool,
    },
    Case {
        subject: Option<Box<Node>>,
        whens: Box<[(Box<[Node]>, Node)]>,
        otherwise: Box<Node>,
    },
    Begin(Box<Begin>),
    Sequence(Box<[Node]>),
    /// `*value` in an argument list or an array.
    Splat(Box<Node>),
    Break(Box<Node>),
    Next(Box<Node>),
    Return(Box<Node>),
    /// `->(x) { }`: an index into the program's blocks.
    Lambda(BlockId),
    /// `/(?<name>..)/ =~ value`, which sets a variable for each name.
    MatchNames(Box<Node>, Box<Node>, Box<[(Box<str>, Slot)]>),
    /// `record["a"]["b"][0]`, `record.dig("a", "b")`: a path of constants into the record.
    RecordPath(Box<RecordPath>),
    /// `use_nil`, `use_default`
    Use(Sentinel),
}

/// Values that a caller provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Given {
    Record,
    Tag,
    Time,
    /// The time as Fluent::EventTime, which record_modifier sees.
    EventTime,
    TagParts,
    TagPrefix,
    TagSuffix,
    Hostname,
    WorkerId,
    /// An instance variable that prepare_value set, by its number.
    Prepared(u16),
}

/// Constants that are plain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Constant {
    Float(f64),
    Int(i64),
    Text(&'static str),
    Env,
}

/// Words that decide about a whole parameter instead of giving a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sentinel {
    /// `use_nil`
    Nil,
    /// `use_default`
    Default,
}

/// What of the last match is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchPart {
    /// `$~`
    Data,
    /// `` $` ``
    Before,
    /// `$'`
    After,
    /// `$+`
    LastGroup,
    /// `$&` (0), `$1`, ...
    Group(usize),
}

/// Flags behind a regular expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RegexpOptions {
    pub(crate) ignore_case: bool,
    pub(crate) extended: bool,
    pub(crate) multiline: bool,
}

/// `key => value` or `**hash`.
#[derive(Debug)]
pub(crate) enum HashPart {
    Pair(Node, Node),
    Splat(Node),
}

/// A method call.
#[derive(Debug)]
pub(crate) struct Call {
    /// `None` calls a function (`format(...)`).
    pub(crate) receiver: Option<Node>,
    pub(crate) method: &'static Row,
    pub(crate) args: Box<[Node]>,
    /// `&.`
    pub(crate) safe: bool,
    pub(crate) block: Option<BlockArg>,
    /// Whether an argument is a splat, so that the count is only known at run time.
    pub(crate) splat: bool,
}

/// What stands for the block of a call.
#[derive(Debug)]
pub(crate) enum BlockArg {
    /// `{ |x| ... }`
    Code(BlockId),
    /// `&:name`
    Method(&'static Row),
    /// `&value`
    Value(Node),
}

/// An index into a program's blocks.
pub(crate) type BlockId = u32;

/// The code of a block or lambda.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) params: Params,
    pub(crate) body: Node,
    /// The slots of its own variables, parameters included: `start..end`.
    pub(crate) slots: (Slot, Slot),
    /// Lambdas check the number of their arguments.
    pub(crate) lambda: bool,
}

/// The parameters of a block.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pub(crate) required: Box<[Pattern]>,
    pub(crate) optional: Box<[(Slot, Node)]>,
    /// `*rest`: `Some(None)` has no name.
    pub(crate) rest: Option<Option<Slot>>,
    /// Behind the rest.
    pub(crate) post: Box<[Pattern]>,
    /// `|a,|`: one parameter, but the value is taken apart.
    pub(crate) trailing_comma: bool,
}

impl Params {
    /// Whether one array argument is taken apart.
    pub(crate) fn destructures(&self) -> bool {
        self.trailing_comma
            || self.required.len() + self.optional.len() + self.post.len() > 1
            || self.rest.is_some() && self.required.len() + self.optional.len() + self.post.len() > 0
    }
}

/// Where values of an assignment or a block parameter go.
#[derive(Debug)]
pub(crate) enum Pattern {
    Slot(Slot),
    /// `(a, b)`
    Group(Box<[Pattern]>, Option<Box<Pattern>>, Box<[Pattern]>),
    /// `receiver[index]` or `receiver.name` in a multiple assignment: a call with the value as its last argument.
    Call(Box<Call>),
    /// `*` without a name.
    Nothing,
}

/// An assignment that reads what it writes.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) target: Target,
    pub(crate) operator: UpdateOperator,
    pub(crate) value: Node,
}

/// What an [`Update`] reads and writes.
#[derive(Debug)]
pub(crate) enum Target {
    Local(Slot, Option<Given>),
    /// `receiver[args]` or `receiver.name`, with the rows of the reader and the writer.
    Method {
        receiver: Node,
        args: Box<[Node]>,
        reader: &'static Row,
        writer: &'static Row,
        safe: bool,
    },
}

/// `||=`, `&&=`, `+=`, ...
#[derive(Clone, Copy, Debug)]
pub(crate) enum UpdateOperator {
    Or,
    And,
    Method(&'static Row),
}

/// `begin ... rescue ... else ... ensure ... end`, and `x rescue y`.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) body: Node,
    pub(crate) rescues: Box<[Rescue]>,
    pub(crate) otherwise: Option<Node>,
    pub(crate) ensure: Option<Node>,
}

/// One `rescue` clause. No classes means StandardError.
#[derive(Debug)]
pub(crate) struct Rescue {
    pub(crate) classes: Box<[Node]>,
    pub(crate) variable: Option<Slot>,
    pub(crate) body: Node,
}

/// A path of constants into the record, and the same as ordinary calls for when the fast way does not apply.
#[derive(Debug)]
pub(crate) struct RecordPath {
    pub(crate) keys: Box<[PathKey]>,
    /// Evaluated when a step before the last leads nowhere: then `[]` is an error where `dig` gives nil.
    pub(crate) fallback: Node,
}

/// A step of a [`RecordPath`].
#[derive(Debug)]
pub(crate) enum PathKey {
    Name(Box<[u8]>),
    Index(i64),
}
