//! Properties of this room, with rmp-serde as the oracle.

use std::io::Cursor;

use bumpalo::Bump;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::tree::{Tree, leaf, pairs, value};
use super::*;

/// Where the first value ends, by rmp-serde.
fn oracle_end(bytes: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(bytes);
    let mut deserializer = rmp_serde::Deserializer::new(&mut cursor);
    IgnoredAny::deserialize(&mut deserializer).ok()?;
    drop(deserializer);
    Some(cursor.position() as usize)
}

/// Well-formed bytes with a few bytes changed, or cut off.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (value(), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(tree, changes, cut, whole)| {
        let mut bytes = tree.bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    })
}

/// What Ruby's Hash does: the last value at the first place.
fn united(pairs: &[(Tree, Tree)]) -> Vec<(Tree, Tree)> {
    let mut hash: Vec<(Tree, Tree)> = Vec::new();
    for (key, value) in pairs {
        set(&mut hash, key, value.clone());
    }
    hash
}

fn set(hash: &mut Vec<(Tree, Tree)>, key: &Tree, value: Tree) {
    match hash.iter_mut().find(|(known, _)| same(known, key)) {
        Some(place) => place.1 = value,
        None => hash.push((key.clone(), value)),
    }
}

/// A byte array equals a string of the same bytes.
fn same(a: &Tree, b: &Tree) -> bool {
    match (a, b) {
        (Tree::Str(text), Tree::Bin(bytes)) | (Tree::Bin(bytes), Tree::Str(text)) => text.as_bytes() == bytes,
        _ => a == b,
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Set(String, Tree),
    Drop(String),
    Keep(Vec<String>),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let name = || "[a-e]{1,2}|new";
    let edit = prop_oneof![
        5 => (name(), value()).prop_map(|(name, value)| Edit::Set(name, value)),
        3 => name().prop_map(Edit::Drop),
        1 => prop::collection::vec(name(), 0..6).prop_map(Edit::Keep),
    ];
    prop::collection::vec(edit, 0..6)
}

fn edit_hash(hash: &mut Vec<(Tree, Tree)>, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Set(name, value) => set(hash, &Tree::Str(name.clone()), value.clone()),
            Edit::Drop(name) => hash.retain(|(key, _)| !same(key, &Tree::Str(name.clone()))),
            Edit::Keep(names) => {
                let mut kept = Vec::new();
                for name in names {
                    if let Some(at) = hash.iter().position(|(key, _)| same(key, &Tree::Str(name.clone()))) {
                        kept.push(hash.remove(at));
                    }
                }
                *hash = kept;
            }
        }
    }
}

fn splicer(edits: &[Edit]) -> Splicer {
    edits.iter().fold(Splicer::new(), |splicer, edit| match edit {
        Edit::Set(name, value) => splicer.set(name.as_bytes(), &value.bytes()),
        Edit::Drop(name) => splicer.drop(name.as_bytes()),
        Edit::Keep(names) => splicer.keep(names),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn skip_accepts_what_rmp_serde_accepts(bytes in mangled()) {
        // 0xc1 apart, rmp-serde knows no limits that these bytes reach.
        prop_assert_eq!(skip(&bytes, 0).ok(), oracle_end(&bytes), "{:02x?}", bytes);
    }

    #[test]
    fn skip_accepts_what_rmp_serde_accepts_of_noise(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(skip(&bytes, 0).ok(), oracle_end(&bytes));
    }

    #[test]
    fn what_is_written_is_what_rmp_serde_writes_and_reads(tree in value()) {
        let bytes = tree.bytes();
        prop_assert_eq!(Tree::read(&bytes), tree.clone());
        let oracle = rmp_serde::to_vec(&tree).unwrap();
        prop_assert_eq!(Tree::read(&oracle), tree);
        prop_assert_eq!(skip(&oracle, 0), Ok(oracle.len()));
        let arena = Bump::new();
        let mut again = Vec::new();
        Value::read(&oracle).unwrap().write(&mut again);
        let mut opened = Value::read(&oracle).unwrap();
        let open = !matches!(opened.open(&arena), Value::Raw(_));
        prop_assert!(open);
        prop_assert_eq!(&again, &oracle);
    }

    #[test]
    fn a_decoded_record_is_a_ruby_hash(pairs in pairs()) {
        let raw = Tree::Map(pairs.clone()).bytes();
        let arena = Bump::new();
        let mut out = Vec::new();
        Record::decode(&raw, &arena).unwrap().encode(&mut out);
        let expected = united(&pairs);
        prop_assert_eq!(Tree::read(&out), Tree::Map(expected.clone()));
        let view = RecordView::new(&raw);
        match view.distinct() {
            None => prop_assert_eq!(view.len(), expected.len()),
            Some(distinct) => prop_assert_eq!(distinct.len(), expected.len()),
        }
        for (key, value) in &expected {
            if let Tree::Str(name) = key {
                let found = view.get(name.as_bytes()).map(Tree::read);
                prop_assert_eq!(found.as_ref(), Some(value));
            }
        }
    }

    #[test]
    fn splicing_is_decoding_editing_and_encoding(pairs in pairs(), edits in edits()) {
        let raw = Tree::Map(pairs.clone()).bytes();
        let splicer = splicer(&edits);
        let mut expected = united(&pairs);
        edit_hash(&mut expected, &edits);

        let mut out = Vec::new();
        splicer.splice(&raw, &mut out);
        let Tree::Map(spliced) = Tree::read(&out) else { panic!("no map") };
        prop_assert_eq!(united(&spliced), expected.clone());

        let arena = Bump::new();
        let mut record = Record::decode(&raw, &arena).unwrap();
        splicer.apply(&mut record);
        let mut out = Vec::new();
        record.encode(&mut out);
        prop_assert_eq!(Tree::read(&out), Tree::Map(expected));
    }

    #[test]
    fn merging_is_merging_hashes(record in pairs(), found in pairs(), without in prop::option::of("[a-e]{1,2}")) {
        let mut expected = united(&record);
        if let Some(without) = &without {
            expected.retain(|(key, _)| !same(key, &Tree::Str(without.clone())));
        }
        for (key, value) in &found {
            set(&mut expected, key, value.clone());
        }
        let mut out = Vec::new();
        let (record, found) = (Tree::Map(record).bytes(), Tree::Map(found).bytes());
        merge_maps(&record, without.as_deref().map(str::as_bytes), &found, &mut out);
        prop_assert_eq!(Tree::read(&out), Tree::Map(expected));
    }

    #[test]
    fn splicing_in_two_steps_is_splicing_once(pairs in pairs(), first in edits(), second in edits()) {
        let raw = Tree::Map(pairs).bytes();
        let (mut one, mut two, mut both) = (Vec::new(), Vec::new(), Vec::new());
        splicer(&first).splice(&raw, &mut one);
        splicer(&second).splice(&one, &mut two);
        splicer(&first).then(splicer(&second)).splice(&raw, &mut both);
        let (Tree::Map(two), Tree::Map(both)) = (Tree::read(&two), Tree::read(&both)) else { panic!("no map") };
        prop_assert_eq!(united(&two), united(&both));
    }

    #[test]
    fn streams_are_scanned_walked_and_spliced_alike(
        entries in prop::collection::vec((leaf(), prop::option::of(pairs()), pairs()), 0..6),
        edits in edits(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stream = Vec::new();
        let mut ends = vec![0];
        let splicer = splicer(&edits);
        let mut expected = Vec::new();
        let mut violations = 0;
        let mut walked = 0;
        for (time, metadata, record) in &entries {
            let time = match metadata {
                Some(metadata) => Tree::Array(vec![time.clone(), Tree::Map(metadata.clone())]),
                None => time.clone(),
            };
            let entry = Tree::Array(vec![time.clone(), Tree::Map(record.clone())]).bytes();
            expected.push(0x92);
            time.write(&mut expected);
            splicer.splice(&Tree::Map(record.clone()).bytes(), &mut expected);
            violations += scan_entries(&entry, Limits::default()).unwrap().violations;
            walked += 1;
            stream.extend_from_slice(&entry);
            ends.push(stream.len());
        }
        let scan = scan_entries(&stream, Limits::default()).unwrap();
        prop_assert_eq!((scan.count, scan.end, scan.violations), (entries.len(), stream.len(), violations));
        prop_assert_eq!(Entries::new(&stream).count(), walked);
        let mut out = Vec::new();
        splicer.splice_entries(&stream, &mut out);
        prop_assert_eq!(out, expected);

        let cut = cut.index(stream.len() + 1);
        let scan = scan_entries(&stream[..cut], Limits::default()).unwrap();
        let whole = ends.iter().rposition(|&end| end <= cut).unwrap();
        prop_assert_eq!((scan.count, scan.end), (whole, ends[whole]));
    }

    #[test]
    fn nothing_panics_on_bytes_that_were_never_scanned(bytes in mangled(), edits in edits()) {
        let arena = Bump::new();
        let _ = Record::decode(&bytes, &arena);
        let _ = Time::read(&bytes);
        let view = RecordView::new(&bytes);
        let _ = (view.get(b"a"), view.iter().count(), view.distinct());
        let _ = Entries::new(&bytes).count();
        let mut out = Vec::new();
        splicer(&edits).splice(&bytes, &mut out);
        splicer(&edits).splice_entries(&bytes, &mut out);
        let _ = Accessor::parse("$.a[0].b").unwrap().get(&bytes);
        add_fields(&mut out, 0, |_| 0);
        merge_maps(&bytes, Some(b"a"), &bytes, &mut out);
    }
}
