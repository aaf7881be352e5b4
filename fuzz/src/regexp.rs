//! Targets of `logweir_engine::regexp`.

use logweir_engine::regexp::{RegexpFlags, fuzz};

/// A byte of flags, a pattern up to the first line end, and a text: whatever compiles finds ranges that lie in the text.
pub fn regexp(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let text = rest.get(end + 1..).unwrap_or_default();
    let flags =
        RegexpFlags { ignore_case: flags & 1 != 0, multi_line: flags & 2 != 0, extended: flags & 4 != 0 };
    fuzz(&String::from_utf8_lossy(&rest[..end]), text, flags);
}
