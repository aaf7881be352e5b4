//! What stack traces look like, as steps from state to state. The first rule of a state that matches a line decides; `start` is
//! outside of every trace, and a rule that leads there is for the last line of one.

/// The rules of a language and its relatives.
pub(super) struct Language {
    pub(super) names: &'static [&'static str],
    pub(super) rules: &'static [Rule],
}

/// One step.
pub(super) struct Rule {
    pub(super) from: &'static [&'static str],
    pub(super) pattern: &'static str,
    pub(super) to: &'static str,
}

const fn rule(from: &'static [&'static str], pattern: &'static str, to: &'static str) -> Rule {
    Rule { from, pattern, to }
}

/// All languages.
#[rustfmt::skip] // one line a rule
pub(super) const RULES: &[Language] = &[
    // Java, and what prints like it: V8, .NET.
    Language { names: &["java", "javascript", "js", "csharp"], rules: &[
        rule(&["start", "java_nested"], r"(?:Exception|Error|Throwable|V8 errors stack trace)[:\r\n]", "java_head"),
        rule(&["java_head"], r"^[\t ]*nested exception is:[\t ]*", "java_nested"),
        rule(&["java_head"], r"^[\r\n]*$", "java_head"),
        rule(&["java_head", "java"], r"^[\t ]+(?:eval )?at ", "java"),
        rule(&["java_head", "java"], r"^[\t ]+--- End of inner exception stack trace ---$", "java"),
        rule(&["java_head", "java"], r"^--- End of stack trace from previous location where exception was thrown ---$", "java"),
        rule(&["java_head", "java"], r"^[\t ]*(?:Caused by|Suppressed):", "java_head"),
        rule(&["java_head", "java"], r"^[\t ]*... \d+ (?:more|common frames omitted)", "java"),
    ] },
    Language { names: &["python", "py"], rules: &[
        rule(&["start"], r"^Traceback \(most recent call last\):$", "python"),
        rule(&["python"], r"^[\t ]+File ", "python_code"),
        rule(&["python_code"], r"[^\t ]", "python"),
        rule(&["python"], r"^(?:[^\s.():]+\.)*[^\s.():]+:", "start"),
    ] },
    Language { names: &["php"], rules: &[
        rule(&["start"], r"PHP (?:Notice|Parse error|Fatal error|Warning):|exception '[^']+' with message '", "php"),
        rule(&["php"], r"^Stack trace:", "php_frames"),
        rule(&["php_frames"], r"^#\d", "php_frames"),
        rule(&["php_frames"], r"^\s+thrown in ", "start"),
    ] },
    Language { names: &["go"], rules: &[
        rule(&["start"], r"\bpanic: ", "go_panic"),
        rule(&["start"], r"http: panic serving", "go_goroutine"),
        rule(&["go_panic", "go_signal", "go_call"], r"^$", "go_goroutine"),
        rule(&["go_panic"], r"^\[signal ", "go_signal"),
        rule(&["go_goroutine"], r"^goroutine \d+ \[[^\]]+\]:$", "go_call"),
        rule(&["go_call"], r"^(?:[^\s.:]+\.)*[^\s.():]+\(|^created by ", "go_place"),
        rule(&["go_place"], r"^\s", "go_call"),
    ] },
    Language { names: &["ruby", "rb"], rules: &[
        rule(&["start"], r"Error \(.*\):$", "ruby_head"),
        rule(&["ruby_head"], r"^  $", "ruby"),
        rule(&["ruby_head", "ruby"], r"^[\t ]+.*?\.rb:\d+:in `", "ruby"),
    ] },
    Language { names: &["dart"], rules: &[
        rule(&["start"], r"^Unhandled exception:$", "dart"),
        rule(&["dart"], r"^(?:Instance of|Exception|Bad state|IntegerDivisionByZeroException|Invalid argument|RangeError)", "dart_frames"),
        rule(&["dart"], r"^(?:Assertion failed|Cannot instantiate|Reading static variable|UnimplementedError)", "dart_frames"),
        rule(&["dart"], r"^(?:Unsupported operation|Concurrent modification|Out of Memory|Stack Overflow)", "dart_frames"),
        rule(&["dart"], r"^'.+?':.+?$", "dart_type_1"),
        rule(&["dart_type_1"], r"^#\d+\s+.+?\(.+?\)$", "dart_frames"),
        rule(&["dart_type_1"], r"^.+?$", "dart_type_2"),
        rule(&["dart_type_2"], r"^.*?\^.*?$", "dart_type_3"),
        rule(&["dart_type_3"], r"^$", "dart_type_4"),
        rule(&["dart_type_4"], r"^$", "dart_frames"),
        rule(&["dart"], r"^FormatException", "dart_format_1"),
        rule(&["dart_format_1"], r"^#\d+\s+.+?\(.+?\)$", "dart_frames"),
        rule(&["dart_format_1"], r"^.", "dart_format_2"),
        rule(&["dart_format_2"], r"^.*?\^", "dart_format_3"),
        rule(&["dart_format_3"], r"^$", "dart_frames"),
        rule(&["dart"], r"^NoSuchMethodError:", "dart_method_1"),
        rule(&["dart_method_1"], r"^Receiver:", "dart_method_2"),
        rule(&["dart_method_2"], r"^Tried calling:", "dart_method_3"),
        rule(&["dart_method_3"], r"^Found:", "dart_frames"),
        rule(&["dart_method_3", "dart_frames"], r"^#\d+\s+.+?\(.+?\)$", "dart_frames"),
        rule(&["dart_frames"], r"^<asynchronous suspension>$", "dart_frames"),
    ] },
    // Before 1.73 the message is in the first line, since then in those behind it.
    Language { names: &["rust"], rules: &[
        rule(&["start"], r"^thread '[^']*' (?:\(\d+\) )?panicked at [^']*:\d+:\d+:$", "rust_head"),
        rule(&["start"], r"^thread '[^']*' (?:\(\d+\) )?panicked at ", "rust_message"),
        rule(&["rust_head"], r"", "rust_message"),
        rule(&["rust_message"], r"^\s+(?:left|right): ", "rust_message"),
        rule(&["rust_message", "rust_frames"], r"^note: ", "start"),
        rule(&["rust_message"], r"^stack backtrace:$", "rust_frames"),
        rule(&["rust_frames"], r"^\s+\d+: |^\s+at ", "rust_frames"),
    ] },
];
