//! `multipart/form-data` (RFC 7578), as WEBrick reads it:
//!
//! ```text
//! --boundary CRLF
//! Content-Disposition: form-data; name="json" CRLF
//! CRLF
//! value CRLF
//! --boundary-- CRLF
//! ```

/// The parts' names and values, in order. What does not end with a boundary is no part.
pub(super) fn parts<'b>(
    body: &'b [u8],
    boundary: &'b [u8],
) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<'b> {
    let mut lines = Lines { body, at: 0 };
    let mut begin = None;
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            if !is_boundary(&body[line.clone()], boundary) {
                continue;
            }
            if let Some(part) = begin.replace(line.end).map(|begin| &body[begin..line.start])
                && let Some(part) = part_of(part)
            {
                return Some(part);
            }
        }
    })
}

/// The boundary that the header Content-Type names.
pub(super) fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let named = content_type.strip_prefix(b"multipart/form-data; boundary=")?;
    if named.is_empty() {
        return None;
    }
    let quoted = named.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let mut out = Vec::with_capacity(named.len());
    let mut bytes = quoted.unwrap_or(named).iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' { *bytes.next().unwrap_or(&byte) } else { byte });
    }
    Some(out)
}

struct Lines<'b> {
    body: &'b [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let rest = self.body.get(start..).filter(|rest| !rest.is_empty())?;
        self.at = start + memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        Some(start..self.at)
    }
}

/// `--boundary` or `--boundary--`, with CRLF.
fn is_boundary(line: &[u8], boundary: &[u8]) -> bool {
    let rest = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary));
    matches!(rest, Some(b"\r\n" | b"--\r\n"))
}

/// Name and value of what lies between two boundaries.
fn part_of(part: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut lines = Lines { body: part, at: 0 };
    let mut name = None;
    loop {
        let line = lines.next()?;
        let text = &part[line];
        if text == b"\r\n" {
            break;
        }
        if text.len() > DISPOSITION.len() && text[..DISPOSITION.len()].eq_ignore_ascii_case(DISPOSITION) {
            name = name.or_else(|| quoted_name(text));
        }
    }
    let value = &part[lines.at..];
    Some((name?, value.strip_suffix(b"\r\n").or(value.strip_suffix(b"\n")).unwrap_or(value).to_vec()))
}

const DISPOSITION: &[u8] = b"content-disposition:";

/// The text of ` name="..."`.
fn quoted_name(header: &[u8]) -> Option<Vec<u8>> {
    let at = (1..header.len())
        .find(|at| header[at - 1].is_ascii_whitespace() && header[*at..].starts_with(b"name=\""))?;
    let rest = &header[at + b"name=\"".len()..];
    Some(rest[..memchr::memchr(b'"', rest)?].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(body: &str) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        parts(body.as_bytes(), b"xx").map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn parts_have_names_and_values() {
        let body = "preamble\r\n--xx\r\nContent-Disposition: form-data; name=\"json\"\r\nX: y\r\n\r\n{\"a\":\r\n1}\r\n\
                    --xx\r\ncontent-disposition: form-data; filename=\"f\"; name=\"time\"\r\n\r\n5\r\n\
                    --xx\r\nno name: x\r\n\r\nlost\r\n--xx\r\nContent-Disposition: x; name=\"empty\"\r\n\r\n\r\n--xx--\r\n";
        let expected = [("json", "{\"a\":\r\n1}"), ("time", "5"), ("empty", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(shown(body), expected);
        assert_eq!(shown("--xx\r\nContent-Disposition: x; name=\"a\"\r\n\r\nno end"), []);
        assert_eq!(shown(""), []);
    }

    #[test]
    fn boundaries() {
        for (header, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (r#"multipart/form-data; boundary="a \"b""#, Some(r#"a "b"#)),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=abc", None),
        ] {
            assert_eq!(
                boundary(header.as_bytes()),
                expected.map(|text| text.as_bytes().to_vec()),
                "{header}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_to_its_end(body in "(--xx|--|\r\n|\n|name=\"|Content-Disposition:| |a){0,40}") {
            let length: usize = shown(&body).iter().map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(length <= body.len());
        }
    }
}
