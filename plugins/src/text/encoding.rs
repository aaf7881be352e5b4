//! Encodings by the names that Ruby gives them.

use encoding_rs::Encoding;

/// An encoding by its name in Ruby: `Ok(None)` for bytes without one (`ASCII-8BIT`, `BINARY`); the error is Ruby's.
pub(crate) fn encoding_named(name: &str) -> Result<Option<&'static Encoding>, String> {
    let lower = name.to_ascii_lowercase();
    let label = match lower.as_str() {
        "ascii-8bit" | "binary" => return Ok(None),
        "eucjp" | "euc-jp" | "eucjp-ms" | "cp51932" => "euc-jp",
        "windows-31j" | "cp932" | "cswindows31j" | "sjis" => "shift_jis",
        "us-ascii" | "ascii" => "utf-8",
        other => other,
    };
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(format!("unknown encoding name - {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rubys() {
        for (name, encoding) in [
            ("UTF-8", encoding_rs::UTF_8),
            ("CP932", encoding_rs::SHIFT_JIS),
            ("csWindows31J", encoding_rs::SHIFT_JIS),
            ("EUC-JP", encoding_rs::EUC_JP),
            ("ISO-8859-2", encoding_rs::ISO_8859_2),
            ("UTF-16LE", encoding_rs::UTF_16LE),
        ] {
            assert_eq!(encoding_named(name), Ok(Some(encoding)), "{name}");
        }
        assert_eq!(encoding_named("BINARY"), Ok(None));
        assert_eq!(encoding_named("utf8mb4"), Err("unknown encoding name - utf8mb4".to_owned()));
    }
}
