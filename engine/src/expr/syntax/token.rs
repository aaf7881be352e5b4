//! What the lexer hands to the parser.

/// A range of bytes of the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// From the start of this one to the end of the other.
    pub(crate) fn to(self, other: Span) -> Self {
        Self { start: self.start, end: other.end.max(self.start) }
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A token with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Tok<'s>,
    pub(crate) span: Span,
    /// Whether blanks stand before it: `a [1]` is not `a[1]`, `a -1` is not `a - 1`.
    pub(crate) spaced: bool,
}

/// The kinds of tokens. Texts are slices of the expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tok<'s> {
    /// The end of the text.
    End,
    /// A line end or `;` that ends a statement.
    Newline,
    /// `name`, `name?`, `name!`
    Ident(&'s str),
    /// `Name`
    Const(&'s str),
    /// `@name`, `@@name`
    Ivar(&'s str),
    /// `$name`, `$1`, `$~`, ...: the text behind the `$`.
    Gvar(&'s str),
    /// A reserved word.
    Keyword(Keyword),
    /// An integer's digits (with underscores and base prefix).
    Int(&'s str),
    /// A float's digits.
    Float(&'s str),
    /// `"` and friends: the parts follow by [`super::lexer::Lexer::part`].
    String(Quote),
    /// `?x`
    Char(&'s str),
    /// `:name`
    Symbol(&'s str),
    /// `:"`: a symbol written as a string.
    SymbolString(Quote),
    /// `/` or `%r`
    Regexp(Quote),
    /// `%w[`: the words follow by [`super::lexer::Lexer::word`].
    Words(Quote),
    /// `%i[`
    Symbols(Quote),
    /// Anything made of punctuation.
    Op(Op),
    /// A literal that the parser has read already.
    Parsed,
}

/// How a string-like literal ends and what is special in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    /// The opening bracket, if it nests.
    pub(crate) open: Option<u8>,
    /// The closing character; `None` for a template, which ends with the text.
    pub(crate) close: Option<u8>,
    /// Whether `#{}` and escapes mean something.
    pub(crate) interpolates: bool,
    /// Whether it is a regular expression: escapes stay as they are.
    pub(crate) regexp: bool,
}

impl Quote {
    /// The inside of a `%Q[...]` without its brackets: ends with the text.
    pub(crate) const TEMPLATE: Self =
        Self { open: Some(b'['), close: None, interpolates: true, regexp: false };
}

macro_rules! keywords {
    ($($name:ident $text:literal,)*) => {
        /// Reserved words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Keyword { $($name),* }

        impl Keyword {
            pub(crate) fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }

            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

keywords! {
    Alias "alias", And "and", Begin "begin", Break "break", Case "case", Class "class", Def "def",
    Defined "defined?", Do "do", Else "else", Elsif "elsif", End "end", Ensure "ensure", False "false", For "for",
    If "if", In "in", Module "module", Next "next", Nil "nil", Not "not", Or "or", Redo "redo", Rescue "rescue",
    Retry "retry", Return "return", Self_ "self", Super "super", Then "then", True "true", Undef "undef",
    Unless "unless", Until "until", When "when", While "while", Yield "yield", File "__FILE__", Line "__LINE__",
    UpperBegin "BEGIN", UpperEnd "END",
}

/// Punctuation. `Assign` operators carry the operator that they apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Plus,
    Minus,
    Star,
    Power,
    Slash,
    Percent,
    Equal,
    CaseEqual,
    NotEqual,
    Match,
    NotMatch,
    Compare,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    AndAnd,
    OrOr,
    Not,
    Tilde,
    Amp,
    Pipe,
    Caret,
    ShiftLeft,
    ShiftRight,
    Assign,
    PlusAssign,
    MinusAssign,
    StarAssign,
    PowerAssign,
    SlashAssign,
    PercentAssign,
    AndAssign,
    OrAssign,
    AmpAssign,
    PipeAssign,
    CaretAssign,
    ShiftLeftAssign,
    ShiftRightAssign,
    Question,
    Colon,
    Scope,
    Comma,
    Dot,
    SafeDot,
    Range,
    RangeExclusive,
    ParenOpen,
    ParenClose,
    BracketOpen,
    BracketClose,
    BraceOpen,
    BraceClose,
    Arrow,
    Lambda,
}
