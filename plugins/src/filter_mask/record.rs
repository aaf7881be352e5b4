//! A record, walked over as it lies in the stream.

use super::action::Masking;
use super::detect::{Detectors, What};
use logweir_engine::json;
use logweir_engine::msgpack::{Accessor, Kind, Reader, ValueRef, write_bin, write_str};
use logweir_engine::regexp::{Regexp, Spans};
use smallvec::SmallVec;

/// What is masked, and how.
pub(super) struct Masker {
    pub(super) detectors: Detectors,
    /// What becomes of what detectors find.
    pub(super) found: Masking,
    pub(super) rules: Vec<Rule>,
    /// Where they look; everywhere if there are none.
    pub(super) detect_keys: Vec<Accessor>,
}

/// A `<rule>`.
pub(super) struct Rule {
    pub(super) keys: Vec<Accessor>,
    pub(super) key_pattern: Option<Regexp>,
    /// What of a text is masked; all of it if there is none.
    pub(super) pattern: Option<Regexp>,
    pub(super) masking: Masking,
}

/// A walk over one record. What stays as it is is copied in one go up to the next mask.
struct Walk<'m, 'r, 'o> {
    masker: &'m Masker,
    /// Those that may find something.
    detectors: Detectors,
    /// Whether names of fields matter.
    by_name: bool,
    /// Where values lie that rules name, and the number of the rule.
    named: SmallVec<[(usize, usize); 4]>,
    /// Where values lie that are looked into.
    looked: SmallVec<[usize; 4]>,
    record: &'r [u8],
    reader: Reader<'r>,
    /// What of the record is in `out`.
    copied: usize,
    out: &'o mut Vec<u8>,
    /// A text with its masks.
    masked: Vec<u8>,
}

impl Masker {
    /// Whether every record stays as it is.
    pub(super) fn does_nothing(&self) -> bool {
        self.rules.is_empty() && !self.detects()
    }

    fn detects(&self) -> bool {
        !self.detectors.is_empty() && !self.found.keeps()
    }

    /// Appends the record with masks to `out`. False if nothing is to be masked; then what is in `out` means nothing.
    pub(super) fn mask(&self, record: &[u8], out: &mut Vec<u8>) -> bool {
        let place = |value: &[u8]| value.as_ptr() as usize - record.as_ptr() as usize;
        let mut named = SmallVec::new();
        let mut by_name = false;
        for (number, rule) in self.rules.iter().enumerate() {
            by_name |= rule.key_pattern.is_some();
            let values = rule.keys.iter().filter_map(|key| key.get(record));
            named.extend(values.map(|value| (place(value), number)));
        }
        let mut looked = SmallVec::new();
        let mut detectors = Detectors::default();
        if self.detects() {
            if self.detect_keys.is_empty() {
                detectors = self.detectors.suspects(record);
            }
            for value in self.detect_keys.iter().filter_map(|key| key.get(record)) {
                detectors = detectors.and(self.detectors.suspects(value));
                looked.push(place(value));
            }
        }
        if !by_name && named.is_empty() && detectors.is_empty() {
            return false;
        }
        let detect = self.detect_keys.is_empty() && !detectors.is_empty();
        let (reader, masked) = (Reader::new(record), Vec::new());
        let mut walk =
            Walk { masker: self, detectors, by_name, named, looked, record, reader, copied: 0, out, masked };
        // What is no MessagePack stays as it is.
        walk.value(None, detect).is_some() && walk.finish()
    }

    /// The rule whose key_pattern the name of a field matches.
    fn rule_of_name(&self, name: &[u8]) -> Option<usize> {
        self.rules.iter().position(|rule| rule.key_pattern.as_ref().is_some_and(|p| p.is_match(name)))
    }
}

impl Walk<'_, '_, '_> {
    /// Walks over the next value. `rule` is that of the field's name.
    fn value(&mut self, rule: Option<usize>, detect: bool) -> Option<()> {
        let start = self.reader.position();
        let named = self.named.iter().filter(|(at, _)| *at == start).map(|(_, number)| *number).min();
        let rule = [rule, named].into_iter().flatten().min().and_then(|number| self.masker.rules.get(number));
        if let Some(rule) = rule {
            let raw = self.reader.read_raw().ok()?;
            self.ruled(rule, raw, start);
            return Some(());
        }
        let detect = detect || self.looked.contains(&start);
        match self.reader.peek().ok()? {
            Kind::Map => {
                for _ in 0..self.reader.read_map_len().ok()? {
                    let rule = self.rule_of_key()?;
                    self.value(rule, detect)?;
                }
            }
            Kind::Array => {
                for _ in 0..self.reader.read_array_len().ok()? {
                    self.value(None, detect)?;
                }
            }
            Kind::Str if detect => {
                let text = self.reader.read_str().ok()?;
                self.detected(text, start, write_str);
            }
            Kind::Bin if detect => {
                let text = self.reader.read_bin().ok()?;
                self.detected(text, start, write_bin);
            }
            _ => self.reader.skip().ok()?,
        }
        Some(())
    }

    /// Reads the name of a field; the rule for fields of that name.
    fn rule_of_key(&mut self) -> Option<Option<usize>> {
        if !self.by_name {
            self.reader.skip().ok()?;
            return Some(None);
        }
        Some(match self.reader.read_value().ok()? {
            ValueRef::Str(name) | ValueRef::Bin(name) => self.masker.rule_of_name(name),
            _ => None,
        })
    }

    fn detected(&mut self, text: &[u8], start: usize, write: fn(&mut Vec<u8>, &[u8])) {
        let (masked, masker) = (&mut self.masked, self.masker);
        masked.clear();
        let mut copied = 0;
        self.detectors.find(text, |found, what| {
            masked.extend_from_slice(&text[copied..found.start]);
            masker.found.write(&text[found.clone()], what, masked);
            copied = found.end;
        });
        if copied > 0 {
            masked.extend_from_slice(&text[copied..]);
            self.replace(start, write);
        }
    }

    /// Puts the masked text in place of the value that was just read and begins at `start`.
    fn replace(&mut self, start: usize, write: fn(&mut Vec<u8>, &[u8])) {
        self.out.extend_from_slice(&self.record[self.copied..start]);
        write(self.out, &self.masked);
        self.copied = self.reader.position();
    }

    /// Copies what is left; whether anything was masked.
    fn finish(self) -> bool {
        self.out.extend_from_slice(&self.record[self.copied..]);
        self.copied > 0
    }

    fn ruled(&mut self, rule: &Rule, raw: &[u8], start: usize) {
        let value = ValueRef::read(raw);
        if rule.masking.keeps() || matches!(value, Ok(ValueRef::Nil) | Err(_)) {
            return;
        }
        let masked = &mut self.masked;
        masked.clear();
        match (value, &rule.pattern) {
            (Ok(ValueRef::Str(text) | ValueRef::Bin(text)), Some(pattern)) => {
                if !rule.matches(pattern, text, masked) {
                    return;
                }
            }
            (Ok(ValueRef::Str(text) | ValueRef::Bin(text)), None) => {
                rule.masking.write(text, What::Field, masked);
            }
            (_, pattern) => {
                let mut text = Vec::new();
                json::ruby_to_s(raw, &mut text);
                if pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
                    return;
                }
                rule.masking.write(&text, What::Field, masked);
            }
        }
        self.replace(start, write_str);
    }
}

impl Rule {
    /// Appends the text with masks; false if the pattern matches nowhere. A pattern that takes too many steps on a text masks
    /// all of it: what could not be looked at does not get through.
    fn matches(&self, pattern: &Regexp, text: &[u8], out: &mut Vec<u8>) -> bool {
        let mut spans = Spans::new();
        let (mut from, mut copied, mut any) = (0, 0, false);
        loop {
            match pattern.search(text, from, &mut spans) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    out.clear();
                    self.masking.write(text, What::Field, out);
                    return true;
                }
            }
            let Some(found) = spans.get(0) else { break };
            if found.is_empty() {
                from = found.end
                    + text[found.end..]
                        .utf8_chunks()
                        .next()
                        .map_or(1, |chunk| chunk.valid().chars().next().map_or(1, char::len_utf8));
                continue;
            }
            any = true;
            out.extend_from_slice(&text[copied..found.start]);
            self.masking.write(&text[found.clone()], What::Field, out);
            copied = found.end;
            from = found.end;
        }
        out.extend_from_slice(&text[copied..]);
        any
    }
}
