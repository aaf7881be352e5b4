//! Targets of `logweir_engine::regexp`.

use logweir_engine::regexp::{RegexpFlags, fuzz, fuzz_direct};

/// A byte of flags, a pattern up to the first line end, and a text: whatever compiles finds ranges that lie in the text.
pub fn regexp(data: &[u8]) {
    let Some((flags, pattern, text)) = parts(data) else { return };
    fuzz(&String::from_utf8_lossy(pattern), text, flags);
}

/// The same input: the direct matcher answers what the other engines answer.
pub fn regexp_direct(data: &[u8]) {
    let Some((flags, pattern, text)) = parts(data) else { return };
    fuzz_direct(&String::from_utf8_lossy(pattern), &[&String::from_utf8_lossy(text)], flags);
}

fn parts(data: &[u8]) -> Option<(RegexpFlags, &[u8], &[u8])> {
    let (flags, rest) = data.split_first()?;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let flags =
        RegexpFlags { ignore_case: flags & 1 != 0, multi_line: flags & 2 != 0, extended: flags & 4 != 0 };
    Some((flags, &rest[..end], rest.get(end + 1..).unwrap_or_default()))
}
