//! Names of constants, functions and methods: what they mean, and why some are refused.

use super::postfix::Arguments;
use super::{Names, Parse, Parser};
use crate::config::nearest;
use crate::expr::SyntaxError;
use crate::expr::methods::{self, ClassId, Kind};
use crate::expr::syntax::ast::{Constant, Given, Node, NodeKind};
use crate::expr::syntax::token::{Op, Span};

/// The names that a caller provides.
pub(super) fn given(names: Names) -> &'static [(&'static str, Given)] {
    match names {
        Names::Configuration => &[("hostname", Given::Hostname), ("worker_id", Given::WorkerId)],
        Names::Record => &[
            ("record", Given::Record),
            ("tag", Given::Tag),
            ("time", Given::Time),
            ("tag_parts", Given::TagParts),
            ("tag_prefix", Given::TagPrefix),
            ("tag_suffix", Given::TagSuffix),
            ("hostname", Given::Hostname),
        ],
        Names::Modifier => &[
            ("record", Given::Record),
            ("tag", Given::Tag),
            ("time", Given::EventTime),
            ("tag_parts", Given::TagParts),
        ],
        Names::Prepare => &[],
    }
}

/// Libraries that Ruby would have to load, and of which all that is supported is there without.
const LIBRARIES: &[&str] = &[
    "json",
    "time",
    "date",
    "socket",
    "uri",
    "cgi",
    "base64",
    "digest",
    "digest/md5",
    "digest/sha1",
    "digest/sha2",
    "securerandom",
    "ipaddr",
    "zlib",
    "etc",
    "set",
    "yajl",
    "oj",
    "erb",
    "pathname",
    "bigdecimal",
];

const NO_OTHER_PROGRAMS: &str = "expressions cannot use the network, run programs or load code";

impl<'s> Parser<'s> {
    /// A capitalized name at the beginning of an expression.
    pub(super) fn constant(&mut self, name: &str, span: Span) -> Parse<Node> {
        if self.lexer.rest().starts_with('(')
            && let Some(row) = methods::row(name).filter(|row| row.has(Kind::FUNCTION))
        {
            self.note_effects(row);
            let args = self.call_arguments(false)?;
            return self.function_call(row, args, span);
        }
        let kind = match name {
            "ENV" => NodeKind::Constant(Constant::Env),
            "RUBY_VERSION" => NodeKind::Constant(Constant::Text("3.1.2")),
            "RUBY_ENGINE" => NodeKind::Constant(Constant::Text("ruby")),
            "RUBY_PLATFORM" => NodeKind::Constant(Constant::Text("x86_64-linux")),
            _ => match ClassId::find(name) {
                Some(class) => NodeKind::Class(class),
                None => return Err(self.unknown_constant(name, span)),
            },
        };
        self.node(kind, span)
    }

    fn unknown_constant(&self, name: &str, span: Span) -> Box<SyntaxError> {
        let message = format!("constant `{name}` is not supported");
        let foreign = [
            "Net",
            "HTTP",
            "HTTPS",
            "OpenURI",
            "Faraday",
            "RestClient",
            "TCPSocket",
            "TCPServer",
            "UDPSocket",
            "UNIXSocket",
            "IPSocket",
            "Resolv",
            "Open3",
            "PTY",
            "Thread",
            "Fiber",
            "Ractor",
            "ObjectSpace",
            "Marshal",
            "Signal",
            "GC",
            "FileUtils",
            "Tempfile",
            "Binding",
            "RubyVM",
            "TracePoint",
        ];
        if foreign.contains(&name) {
            return self.error_help(span, message, NO_OTHER_PROGRAMS);
        }
        let known = ClassId::ALL.iter().map(|class| class.name());
        match nearest(name, known) {
            Some(near) => self.error_help(span, message, format!("did you mean `{near}`?")),
            None => self.error(span, message),
        }
    }

    /// `Class::NAME`
    pub(super) fn constant_in(
        &mut self,
        class: ClassId,
        name: &str,
        span: Span,
        name_span: Span,
    ) -> Parse<Node> {
        if let Some(inner) = class.member(name) {
            return self.node(NodeKind::Class(inner), span);
        }
        use std::f64::consts;
        let constant = match (class, name) {
            (ClassId::Float, "INFINITY") => Constant::Float(f64::INFINITY),
            (ClassId::Float, "NAN") => Constant::Float(f64::NAN),
            (ClassId::Float, "EPSILON") => Constant::Float(f64::EPSILON),
            (ClassId::Float, "MAX") => Constant::Float(f64::MAX),
            (ClassId::Float, "MIN") => Constant::Float(f64::MIN_POSITIVE),
            (ClassId::Float, "DIG") => Constant::Int(15),
            (ClassId::Math, "PI") => Constant::Float(consts::PI),
            (ClassId::Math, "E") => Constant::Float(consts::E),
            (ClassId::Regexp, "IGNORECASE") => Constant::Int(1),
            (ClassId::Regexp, "EXTENDED") => Constant::Int(2),
            (ClassId::Regexp, "MULTILINE") => Constant::Int(4),
            (ClassId::File, "SEPARATOR") => Constant::Text("/"),
            (ClassId::Process, "CLOCK_REALTIME") => Constant::Int(0),
            (ClassId::Process, "CLOCK_MONOTONIC") => Constant::Int(1),
            (ClassId::Encoding, "UTF_8") => Constant::Text("UTF-8"),
            (ClassId::Encoding, "ASCII_8BIT" | "BINARY") => Constant::Text("ASCII-8BIT"),
            (ClassId::Encoding, "US_ASCII" | "ASCII") => Constant::Text("US-ASCII"),
            (ClassId::Encoding, "ISO_8859_1") => Constant::Text("ISO-8859-1"),
            _ => {
                let message = format!("constant `{}::{name}` is not supported", class.name());
                return Err(self.error(name_span, message));
            }
        };
        self.node(NodeKind::Constant(constant), span)
    }

    /// Refuses a method that a class or module does not have.
    pub(super) fn check_class_method(
        &self,
        class: ClassId,
        name: &str,
        span: Span,
        name_span: Span,
    ) -> Parse<()> {
        let kind = Kind::singleton(class);
        if matches!(name, "send" | "public_send" | "__send__")
            || methods::row(name).is_some_and(|row| row.find(kind).is_some())
        {
            return Ok(());
        }
        let message = format!("`{}.{name}` is not supported", class.name());
        let help = match (class, name) {
            (ClassId::File | ClassId::Dir | ClassId::Io, "write" | "delete" | "unlink" | "rename" | "mkdir" | "binwrite" | "chmod") => {
                Some("expressions can read files, not change them".to_owned())
            }
            (ClassId::Io | ClassId::Kernel | ClassId::Process, _) => Some(NO_OTHER_PROGRAMS.to_owned()),
            (ClassId::Uri, "escape" | "unescape" | "encode" | "decode") => Some(
                "it is gone since Ruby 3.0: use URI.encode_www_form_component or URI.decode_www_form_component".to_owned(),
            ),
            (ClassId::Uri, "open") => Some(NO_OTHER_PROGRAMS.to_owned()),
            _ => nearest(name, methods::names_of(kind)).map(|near| format!("did you mean `{}.{near}`?", class.name())),
        };
        let place = if name == "[]" { span } else { name_span };
        Err(match help {
            Some(help) => self.error_help(place, message, help),
            None => self.error(place, message),
        })
    }

    /// Refuses what a function must not be used for.
    pub(super) fn check_function(&self, name: &str, args: &Arguments, span: Span) -> Parse<()> {
        if name != "open" {
            return Ok(());
        }
        let first = args.list.first();
        let foreign = match first.map(|node| &node.kind) {
            Some(NodeKind::Str(text)) => text.starts_with(b"|") || text.windows(3).any(|part| part == b"://"),
            _ => false,
        };
        if foreign {
            let place = first.map_or(span, |node| node.span);
            return Err(self.error_help(place, "`open` is supported for files only", NO_OTHER_PROGRAMS));
        }
        Ok(())
    }

    /// `require "json"`: what is known is there already.
    pub(super) fn require(&mut self, name: &str, span: Span) -> Parse<Node> {
        let args = self.call_arguments(true)?;
        let library = match args.list.first().map(|node| &node.kind) {
            Some(NodeKind::Str(text)) if args.list.len() == 1 => String::from_utf8_lossy(text).into_owned(),
            _ => {
                return Err(
                    self.error(span, format!("`{name}` is supported only with the name of a library"))
                );
            }
        };
        if name == "require" && LIBRARIES.contains(&library.as_str()) {
            return self.node(NodeKind::False, span.to(args.end.unwrap_or(span)));
        }
        let place = args.list.first().map_or(span, |node| node.span);
        Err(self.error_help(place, format!("library `{library}` is not supported"), NO_OTHER_PROGRAMS))
    }

    /// A name that is no variable, and no function that is known.
    pub(super) fn unknown_name(&mut self, name: &str, span: Span) -> Parse<Node> {
        let refused = [
            "system",
            "exec",
            "spawn",
            "fork",
            "eval",
            "instance_eval",
            "class_eval",
            "binding",
            "load",
            "autoload",
            "syscall",
            "trap",
            "at_exit",
            "exit",
            "exit!",
            "abort",
            "sleep",
            "gets",
            "puts",
            "print",
            "p",
            "pp",
            "warn",
            "putc",
            "printf",
            "catch",
            "throw",
            "srand",
            "select",
            "test",
            "caller",
            "define_method",
            "callcc",
            "set_trace_func",
        ];
        if refused.contains(&name) {
            return Err(self.error_help(
                span,
                format!("`{name}` is not supported in expressions"),
                "expressions compute a value; they print nothing and run nothing else",
            ));
        }
        let args = self.call_arguments(true)?;
        let block = self.at(Op::BraceOpen)?;
        if args.end.is_some() || block || name.ends_with(['?', '!']) {
            let message = format!("function `{name}` is not supported");
            let functions = methods::names_of(Kind::FUNCTION);
            return Err(match nearest(name, functions) {
                Some(near) => self.error_help(span, message, format!("did you mean `{near}`?")),
                None => self.error(span, message),
            });
        }
        // An assignment that follows takes it off again.
        self.undefined.push((name.to_owned(), span));
        self.node(NodeKind::Undefined(name.into()), span)
    }

    /// Why no class has a method of this name.
    pub(super) fn unknown_method(&self, name: &str, span: Span) -> Box<SyntaxError> {
        let message = format!("method `{name}` is not supported");
        let reflection = [
            "eval",
            "instance_eval",
            "class_eval",
            "instance_exec",
            "define_method",
            "define_singleton_method",
            "instance_variable_get",
            "instance_variable_set",
            "const_get",
            "method",
            "methods",
            "extend",
            "instance_variables",
            "singleton_class",
            "object_id",
            "__id__",
            "system",
            "popen",
        ];
        if reflection.contains(&name) {
            return self.error_help(span, message, NO_OTHER_PROGRAMS);
        }
        match nearest(name, methods::names()) {
            Some(near) => self.error_help(span, message, format!("did you mean `{near}`?")),
            None => self.error(span, message),
        }
    }
}
