//! A record, walked over as it lies in the stream.

use super::action::Masking;
use super::detect::{Detectors, What};
use logweir_engine::json;
use logweir_engine::msgpack::{
    Accessor, Reader, ValueRef, write_array_len, write_bin, write_map_len, write_str,
};
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

/// A walk over one record.
struct Walk<'m, 'o> {
    masker: &'m Masker,
    /// Where values lie that rules name, and the number of the rule.
    named: SmallVec<[(usize, usize); 4]>,
    /// Where values lie that are looked into.
    looked: SmallVec<[usize; 4]>,
    out: &'o mut Vec<u8>,
    changed: bool,
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
        let mut suspicious = false;
        if self.detects() {
            for value in self.detect_keys.iter().filter_map(|key| key.get(record)) {
                suspicious |= self.detectors.suspect(value);
                looked.push(place(value));
            }
            suspicious |= self.detect_keys.is_empty() && self.detectors.suspect(record);
        }
        if !by_name && named.is_empty() && !suspicious {
            return false;
        }
        let mut walk = Walk { masker: self, named, looked, out, changed: false };
        let mut reader = Reader::new(record);
        let detect = suspicious && self.detect_keys.is_empty();
        // What is no MessagePack stays as it is.
        walk.value(&mut reader, 0, None, detect).is_some() && walk.changed
    }

    /// The rule whose key_pattern the name of a field matches.
    fn rule_of_name(&self, name: &[u8]) -> Option<usize> {
        self.rules.iter().position(|rule| rule.key_pattern.as_ref().is_some_and(|p| p.is_match(name)))
    }
}

impl Walk<'_, '_> {
    /// Copies the next value of `reader`, whose bytes begin at `base` of the record. `rule` is that of the field's name.
    fn value(
        &mut self,
        reader: &mut Reader<'_>,
        base: usize,
        rule: Option<usize>,
        detect: bool,
    ) -> Option<()> {
        let start = base + reader.position();
        let raw = reader.read_raw().ok()?;
        let named = self.named.iter().filter(|(at, _)| *at == start).map(|(_, number)| *number).min();
        let rule = [rule, named].into_iter().flatten().min().and_then(|number| self.masker.rules.get(number));
        if let Some(rule) = rule {
            self.ruled(rule, raw);
            return Some(());
        }
        let detect = detect || self.looked.contains(&start);
        match ValueRef::read(raw).ok()? {
            ValueRef::Map(_) => {
                let mut inner = Reader::new(raw);
                let length = inner.read_map_len().ok()?;
                write_map_len(self.out, length);
                for _ in 0..length {
                    let key = inner.read_raw().ok()?;
                    self.out.extend_from_slice(key);
                    let rule = match ValueRef::read(key) {
                        Ok(ValueRef::Str(name) | ValueRef::Bin(name)) => self.masker.rule_of_name(name),
                        _ => None,
                    };
                    self.value(&mut inner, start, rule, detect)?;
                }
            }
            ValueRef::Array(_) => {
                let mut inner = Reader::new(raw);
                let length = inner.read_array_len().ok()?;
                write_array_len(self.out, length);
                for _ in 0..length {
                    self.value(&mut inner, start, None, detect)?;
                }
            }
            ValueRef::Str(text) if detect => self.detected(text, raw, write_str),
            ValueRef::Bin(text) if detect => self.detected(text, raw, write_bin),
            _ => self.out.extend_from_slice(raw),
        }
        Some(())
    }

    fn detected(&mut self, text: &[u8], raw: &[u8], write: fn(&mut Vec<u8>, &[u8])) {
        let mut masked = Vec::new();
        let mut copied = 0;
        self.masker.detectors.find(text, |found, what| {
            masked.extend_from_slice(&text[copied..found.start]);
            self.masker.found.write(&text[found.clone()], what, &mut masked);
            copied = found.end;
        });
        if copied == 0 {
            self.out.extend_from_slice(raw);
            return;
        }
        masked.extend_from_slice(&text[copied..]);
        write(self.out, &masked);
        self.changed = true;
    }

    fn ruled(&mut self, rule: &Rule, raw: &[u8]) {
        let value = ValueRef::read(raw);
        if rule.masking.keeps() || matches!(value, Ok(ValueRef::Nil) | Err(_)) {
            self.out.extend_from_slice(raw);
            return;
        }
        let mut masked = Vec::new();
        match (value, &rule.pattern) {
            (Ok(ValueRef::Str(text) | ValueRef::Bin(text)), Some(pattern)) => {
                if !rule.matches(pattern, text, &mut masked) {
                    self.out.extend_from_slice(raw);
                    return;
                }
            }
            (Ok(ValueRef::Str(text) | ValueRef::Bin(text)), None) => {
                rule.masking.write(text, What::Field, &mut masked);
            }
            (_, pattern) => {
                let mut text = Vec::new();
                json::ruby_to_s(raw, &mut text);
                if pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
                    self.out.extend_from_slice(raw);
                    return;
                }
                rule.masking.write(&text, What::Field, &mut masked);
            }
        }
        write_str(self.out, &masked);
        self.changed = true;
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
