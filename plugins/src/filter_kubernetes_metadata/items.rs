//! Takes the items out of a list while it comes, so that the list of a large cluster never lies in memory as a whole.
//!
//! ```json
//! {"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{...},{...}]}
//! ```

/// Finds the values of a list's `metadata`, and the elements of its `items`.
#[derive(Default)]
pub(super) struct ItemReader {
    /// The bytes of the value that is being read, or of a key at the top.
    held: Vec<u8>,
    key: Vec<u8>,
    place: Place,
    depth: u32,
    is_string: bool,
    is_escaped: bool,
}

/// Where in the document the reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    /// Between the pairs of the document.
    Top,
    Key,
    /// Within a value at the top that is not wanted, or within `metadata`.
    Value,
    /// Between the items.
    Items,
    Item,
    End,
}

/// Something that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Metadata(&'a [u8]),
    Item(&'a [u8]),
}

/// Why reading ends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ItemError {
    #[error("the answer is no list")]
    NoList,
    #[error("an item is larger than {0} bytes")]
    TooLarge(usize),
}

impl ItemReader {
    /// Takes a piece of the document and tells what ends in it; `max` bytes of one value are held.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        max: usize,
        mut found: impl FnMut(Piece<'_>),
    ) -> Result<(), ItemError> {
        for &byte in bytes {
            self.byte(byte, &mut found)?;
            if self.held.len() > max {
                return Err(ItemError::TooLarge(max));
            }
        }
        Ok(())
    }

    /// Whether the document is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.place == Place::End
    }

    fn byte(&mut self, byte: u8, found: &mut impl FnMut(Piece<'_>)) -> Result<(), ItemError> {
        match self.place {
            Place::Key | Place::Value | Place::Item => self.within(byte, found),
            _ if byte.is_ascii_whitespace() => Ok(()),
            Place::Before if byte == b'{' => {
                self.place = Place::Top;
                Ok(())
            }
            Place::Before | Place::End => Err(ItemError::NoList),
            Place::Top => {
                match byte {
                    b'"' => self.begin(Place::Key, byte),
                    b',' | b':' => {}
                    b'}' => self.place = Place::End,
                    b'[' if self.key == b"items" => self.place = Place::Items,
                    _ => self.begin(Place::Value, byte),
                }
                Ok(())
            }
            Place::Items => {
                match byte {
                    b',' => {}
                    b']' => {
                        self.place = Place::Top;
                        self.key.clear();
                    }
                    _ => self.begin(Place::Item, byte),
                }
                Ok(())
            }
        }
    }

    fn begin(&mut self, place: Place, byte: u8) {
        self.place = place;
        self.held.clear();
        self.depth = 0;
        self.is_string = false;
        // A text at the top that follows a key is a value.
        if place == Place::Key && !self.key.is_empty() {
            self.place = Place::Value;
        }
        self.open(byte);
    }

    fn open(&mut self, byte: u8) {
        if self.place != Place::Value || self.key == b"metadata" {
            self.held.push(byte);
        }
        match byte {
            b'"' => self.is_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// A byte of a key, of a value at the top, or of an item.
    fn within(&mut self, byte: u8, found: &mut impl FnMut(Piece<'_>)) -> Result<(), ItemError> {
        if self.is_string {
            if self.place != Place::Value || self.key == b"metadata" {
                self.held.push(byte);
            }
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.is_string = false;
                    if self.depth == 0 {
                        self.end(found);
                    }
                }
                _ => {}
            }
            return Ok(());
        }
        if self.depth == 0 && (matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace()) {
            // A number or a word ends before what follows it.
            self.end(found);
            return self.byte(byte, found);
        }
        self.open(byte);
        if self.depth == 0 && matches!(byte, b'}' | b']') {
            self.end(found);
        }
        Ok(())
    }

    fn end(&mut self, found: &mut impl FnMut(Piece<'_>)) {
        match self.place {
            Place::Key => {
                let text = self.held.get(1..self.held.len() - 1).unwrap_or_default();
                self.key.clear();
                self.key.extend_from_slice(text);
                self.place = Place::Top;
            }
            Place::Item => {
                found(Piece::Item(&self.held));
                self.place = Place::Items;
            }
            _ => {
                if self.key == b"metadata" {
                    found(Piece::Metadata(&self.held));
                }
                self.key.clear();
                self.place = Place::Top;
            }
        }
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, step: usize) -> Result<Vec<String>, ItemError> {
        let mut reader = ItemReader::default();
        let mut pieces = Vec::new();
        for bytes in text.as_bytes().chunks(step) {
            reader.push(bytes, 1000, |piece| pieces.push(format!("{piece:?}").replace(' ', "")))?;
        }
        let pieces = pieces.iter().map(|piece| decoded(piece)).collect();
        if reader.is_complete() { Ok(pieces) } else { Err(ItemError::NoList) }
    }

    /// `Item([123, 125])` as `Item {}`.
    fn decoded(piece: &str) -> String {
        let (name, bytes) = piece.split_once("([").unwrap();
        let bytes: Vec<u8> =
            bytes.trim_end_matches("])").split(',').map(|byte| byte.parse().unwrap()).collect();
        format!("{name} {}", String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn items_and_metadata_at_any_place_in_any_pieces() {
        let list = r#" {"kind":"PodList","n":-1.5e3,"t":true,"apiVersion":"v1",
            "metadata":{"resourceVersion":"7","items":[1]},
            "items" : [ {"a":"x\"}]\\","b":[{}],"items":[2]}, {}, 5 ,"text", [1] ], "x":{"items":[3]}, "y":null}
            "#;
        let expected = [
            r#"Metadata {"resourceVersion":"7","items":[1]}"#,
            r#"Item {"a":"x\"}]\\","b":[{}],"items":[2]}"#,
            "Item {}",
            "Item 5",
            r#"Item "text""#,
            "Item [1]",
        ];
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(read(list, step).unwrap(), expected, "{step}");
        }
        for empty in [r#"{"items":[]}"#, r#"{"items":null}"#, "{}"] {
            assert_eq!(read(empty, 1).unwrap(), [""; 0]);
        }
        assert_eq!(
            read(r#"{"items":[{"a":1}],"metadata":{}}"#, 1).unwrap(),
            [r#"Item {"a":1}"#, "Metadata {}"]
        );
    }

    #[test]
    fn what_is_no_list() {
        for wrong in ["", "[]", "<html>", "null", r#"{"items":[{}"#, r#"{} {}"#] {
            assert!(read(wrong, 3).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_item_that_is_too_large() {
        let mut reader = ItemReader::default();
        let text = format!(r#"{{"x":"{0}","items":[{{"a":"{0}"}}]}}"#, "x".repeat(2000));
        assert_eq!(reader.push(text.as_bytes(), 1000, |_| ()), Err(ItemError::TooLarge(1000)));
    }
}
