//! Embedded expressions: `"#{...}"`.

/// Evaluates the code of `"#{...}"`. Implemented by engine/expr; configuration knows no Ruby.
pub trait Evaluate {
    /// The value of `code`, which is what stands between `#{` and its `}`. The error says what cannot be evaluated.
    fn evaluate(&self, code: &str) -> Result<Evaluated, String>;

    /// Whether those in JSON strings are evaluated too, as in Fluentd from 1.18 on.
    fn in_json(&self) -> bool {
        false
    }

    /// What follows stands in `<worker N>` (`N` is the first of `<worker N-M>`), or, with `None`, in none: what `worker_id` is.
    fn in_worker(&self, id: Option<u32>) {
        let _ = id;
    }
}

/// The first worker that the argument of a `<worker>` names.
pub(super) fn first_worker(arg: &str) -> Option<u32> {
    arg.split('-').next().unwrap_or(arg).trim().parse().ok()
}

/// The value of an embedded expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// Its `to_s`.
    Text(String),
    /// nil, which stands for the empty text.
    Nil,
    /// `use_nil`: the whole parameter is nil.
    UseNil,
    /// `use_default`: the parameter counts as not written.
    UseDefault,
}

impl<F: Fn(&str) -> Result<Evaluated, String>> Evaluate for F {
    fn evaluate(&self, code: &str) -> Result<Evaluated, String> {
        self(code)
    }
}

/// Where the `}` stands that closes the `#{` before `from`. Braces in strings, in interpolations and in regular
/// expressions do not count. `None` if there is none.
pub(super) fn code_end(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = vec![Inside::Code];
    let mut at = from;
    let mut before = b'{';
    while let (Some(byte), Some(inside)) = (bytes.get(at), open.last().copied()) {
        match (inside, byte) {
            (Inside::Code, b'}') => {
                open.pop();
                if open.is_empty() {
                    return Some(at);
                }
            }
            (Inside::Code, b'{') => open.push(Inside::Code),
            (Inside::Code, b'"' | b'`') => open.push(Inside::Text(*byte)),
            (Inside::Code, b'\'') => open.push(Inside::Plain(b'\'')),
            (Inside::Code, b'/') if starts_regexp(before) => open.push(Inside::Text(b'/')),
            (Inside::Code, _) => {}
            (_, b'\\') => at += 1,
            (Inside::Text(end) | Inside::Plain(end), byte) if *byte == end => {
                open.pop();
            }
            (Inside::Text(_), b'#') if bytes.get(at + 1) == Some(&b'{') => {
                at += 1;
                open.push(Inside::Code);
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
        at += 1;
    }
    None
}

#[derive(Clone, Copy)]
enum Inside {
    Code,
    /// Text that this byte ends, and in which `#{` begins code.
    Text(u8),
    /// Text that this byte ends.
    Plain(u8),
}

/// Whether a slash that follows `before` begins a regular expression rather than dividing.
fn starts_regexp(before: u8) -> bool {
    matches!(before, b'(' | b',' | b'=' | b'~' | b'!' | b'&' | b'|' | b'{' | b'[' | b';' | b'?' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_ends_at_its_own_brace() {
        for code in [
            "1 + 2",
            "ENV['X'] || '}'",
            r#"ENV["}"]"#,
            r#""a#{b + "}"}c}""#,
            "ENV.fetch('X') { 'd' }",
            "{'a' => {'b' => 1}}['a']",
            r"x.gsub(/[}]/, '')",
            r"'\'}'",
            "a / b",
        ] {
            let text = format!("{code}}} rest }}");
            assert_eq!(code_end(&text, 0), Some(code.len()), "{code}");
        }
        assert_eq!(code_end("ENV['X'", 0), None);
        assert_eq!(code_end(r"'\", 0), None);
    }
}
