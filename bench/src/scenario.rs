//! What is measured: a configuration, a load, and how to see that the work is done.

use crate::load::Mode;

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Forward messages of this mode, with acks.
    Forward(Mode),
    /// A file of lines.
    Tail(Lines),
}

/// What lines of a file look like, named as the parser that reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    Json,
    None,
    Nginx,
    Apache2,
    Cri,
    Syslog,
}

impl Lines {
    /// The parser.
    pub(crate) fn parser(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::None => "none",
            Self::Nginx => "nginx",
            Self::Apache2 => "apache2",
            Self::Cri => "cri",
            Self::Syslog => "syslog",
        }
    }
}

/// Where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Nowhere.
    Null,
    /// A forward server of ours that counts.
    Forward,
    /// A ClickHouse table.
    ClickHouse,
}

/// What is done to the records between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Nothing.
    None,
    /// record_transformer adds `hostname` and `environment`.
    Transformer,
    /// grep drops the errors, one record in forty.
    Grep,
    /// parser replaces a field of JSON text by its fields.
    Parser,
    /// mask looks for e-mail addresses (each record has one), card numbers and tokens.
    Mask,
    /// record_transformer with enable_ruby adds three fields that are made of the record.
    Ruby,
}

/// One row of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) input: Input,
    pub(crate) filter: Filter,
    /// Whether there is a file buffer.
    pub(crate) buffer: bool,
    pub(crate) output: Output,
    /// Share of the records that is enough here.
    pub(crate) share: f64,
}

const PACKED: Input = Input::Forward(Mode::Packed);

/// All scenarios.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::new("forward-null", PACKED, Output::Null),
    Scenario::new("forward-mode-null", Input::Forward(Mode::Forward), Output::Null),
    Scenario::new("message-null", Input::Forward(Mode::Message), Output::Null).share(0.2),
    Scenario::new("gzip-null", Input::Forward(Mode::Compressed), Output::Null),
    Scenario::new("forward-filter-null", PACKED, Output::Null).filter(Filter::Transformer),
    Scenario::new("forward-grep-null", PACKED, Output::Null).filter(Filter::Grep),
    Scenario::new("forward-parser-null", PACKED, Output::Null).filter(Filter::Parser),
    Scenario::new("forward-mask-null", PACKED, Output::Null).filter(Filter::Mask),
    Scenario::new("forward-ruby-null", PACKED, Output::Null).filter(Filter::Ruby),
    Scenario::new("forward-buffer", PACKED, Output::Null).buffer(),
    Scenario::new("forward-buffer-forward", PACKED, Output::Forward).buffer(),
    Scenario::new("tail-null", Input::Tail(Lines::Json), Output::Null).share(0.5),
    Scenario::new("tail-nginx-null", Input::Tail(Lines::Nginx), Output::Null).share(0.5),
    Scenario::new("tail-apache2-null", Input::Tail(Lines::Apache2), Output::Null).share(0.5),
    Scenario::new("tail-cri-null", Input::Tail(Lines::Cri), Output::Null).share(0.5),
    Scenario::new("tail-syslog-null", Input::Tail(Lines::Syslog), Output::Null).share(0.5),
    Scenario::new("tail-none-forward", Input::Tail(Lines::None), Output::Forward).buffer().share(0.5),
    Scenario::new("forward-clickhouse", PACKED, Output::ClickHouse)
        .filter(Filter::Transformer)
        .buffer()
        .share(0.5),
    Scenario::new("tail-clickhouse", Input::Tail(Lines::Json), Output::ClickHouse)
        .filter(Filter::Transformer)
        .buffer()
        .share(0.5),
];

impl Scenario {
    const fn new(name: &'static str, input: Input, output: Output) -> Self {
        Self { name, input, filter: Filter::None, buffer: false, output, share: 1.0 }
    }

    const fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    const fn buffer(mut self) -> Self {
        self.buffer = true;
        self
    }

    const fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }
}
