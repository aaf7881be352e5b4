//! Records into rows, read back from the block.

use super::engines::encode;
use crate::out_clickhouse::cells::Block;
use crate::out_clickhouse::layout::tests::table;
use crate::out_clickhouse::layout::{ColumnOptions, Layout, Source};
use crate::out_clickhouse::reader::{Column, read_block};
use jiff::tz::TimeZone;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Time, write_entry};
use proptest::prelude::*;
use serde_json::{Value, json};

fn layout(columns: &[(&str, &str, &str)], options: &ColumnOptions) -> Layout {
    Layout::new(&table(columns), options, &TimeZone::UTC, |column| panic!("{column:?}")).unwrap()
}

fn entries(records: &[Value]) -> Vec<u8> {
    let mut entries = Vec::new();
    for record in records {
        let time = Time::Event(EventTime { sec: 86_400, nsec: 0 });
        write_entry(&mut entries, time, None, &rmp_serde::to_vec(record).unwrap());
    }
    entries
}

fn read(block: &Block) -> Vec<Column> {
    read_block(&block.body.concat()).expect("a block")
}

/// The values of a column when these records are encoded without a fault.
fn column(layout: &Layout, records: &[Value], name: &str) -> Vec<Value> {
    let (block, faults) = encode(layout, &entries(records), u64::MAX, Compression::None);
    assert_eq!(faults, []);
    read(&block).into_iter().find(|(found, _)| found == name).expect("the column").1
}

#[test]
fn fields_find_their_columns_in_any_order_and_number() {
    let layout =
        layout(&[("a", "UInt8", ""), ("b", "String", ""), ("c", "Int8", "")], &ColumnOptions::default());
    let records = [
        json!({"a": 1, "b": "x", "c": -1}),
        json!({"c": -2, "a": 2, "b": "y"}),
        json!({"b": "z"}),
        json!({}),
        json!({"unknown": {"a": 9}, "a": 4, "more": 1, "c": null}),
        json!({"a": 5, "b": "x", "c": -5}),
    ];
    assert_eq!(column(&layout, &records, "a"), [1, 2, 0, 0, 4, 5]);
    assert_eq!(column(&layout, &records, "b"), ["x", "y", "z", "", "", "x"]);
    assert_eq!(column(&layout, &records, "c"), [-1, -2, 0, 0, 0, -5]);
}

#[test]
fn of_a_field_that_comes_twice_the_last_counts() {
    let layout = layout(&[("a", "Array(UInt8)", ""), ("b", "UInt8", "")], &ColumnOptions::default());
    let mut raw = Vec::new();
    let record = [0x83, 0xa1, b'a', 0x92, 1, 2, 0xa1, b'b', 7, 0xa1, b'a', 0x91, 3];
    write_entry(&mut raw, Time::Int(0), None, &record);
    let (block, faults) = encode(&layout, &raw, 0, Compression::None);
    assert_eq!(faults, []);
    assert_eq!(read(&block), [("a".to_owned(), vec![json!([3])]), ("b".to_owned(), vec![json!(7)])]);
}

#[test]
fn time_and_tag_are_filled_in_where_the_record_has_none() {
    let columns = [
        ("timestamp", "DateTime", ""),
        ("tag", "String", ""),
        ("date", "Date", ""),
        ("ts", "DateTime", "DEFAULT"),
    ];
    let layout = layout(&columns, &ColumnOptions::default());
    let records = [
        json!({}),
        json!({"timestamp": 5, "tag": "own", "date": "1970-01-09", "ts": 1}),
        json!({"timestamp": null}),
    ];
    assert_eq!(column(&layout, &records, "timestamp"), [86_400, 5, 86_400]);
    assert_eq!(column(&layout, &records, "tag"), ["some.tag", "own", "some.tag"]);
    assert_eq!(column(&layout, &records, "date"), [1, 8, 1]);
    let options = ColumnOptions {
        time_column: Some("timestamp".into()),
        time_offset_seconds: 60,
        ..ColumnOptions::default()
    };
    let always = self::layout(&columns, &options);
    assert_eq!(column(&always, &records, "timestamp"), [86_460, 86_460, 86_460]);
}

#[test]
fn fields_without_a_column_are_gathered() {
    let options = ColumnOptions { extra_column: Some("rest".into()), ..ColumnOptions::default() };
    let records = [
        json!({"a": 1, "x": "1", "y": {"z": [2]}}),
        json!({"a": 2}),
        json!({"rest": {"own": true}, "x": 3, "a": 3}),
        json!({"rest": "text"}),
    ];
    let text = layout(&[("a", "UInt8", ""), ("rest", "String", "")], &options);
    assert_eq!(
        column(&text, &records, "rest"),
        [r#"{"x":"1","y":{"z":[2]}}"#, "{}", r#"{"own":true,"x":3}"#, r#"{"rest":"text"}"#]
    );
    let map = layout(&[("a", "UInt8", ""), ("rest", "Map(LowCardinality(String), String)", "")], &options);
    assert_eq!(
        column(&map, &records, "rest"),
        [
            json!({"x": "1", "y.z": "[2]"}),
            json!({}),
            json!({"own": "true", "x": "3"}),
            json!({"rest": "text"})
        ]
    );
}

#[test]
fn values_inside_values_have_columns_of_their_own() {
    let columns = [
        ("pod", "String", ""),
        ("kubernetes", "String", ""),
        ("kubernetes.node", "String", ""),
        ("n.a", "Array(UInt8)", ""),
        ("n.b", "Array(String)", ""),
    ];
    let path = ["kubernetes", "labels", "pod.name"].map(str::to_owned).to_vec();
    let options =
        ColumnOptions { sources: vec![("pod".into(), Source::Field(path))], ..ColumnOptions::default() };
    let layout = layout(&columns, &options);
    let records = [
        json!({"kubernetes": {"node": "n1", "labels": {"pod.name": "p"}}, "n": [{"a": 1, "b": "x"}, {"a": 2}]}),
        json!({"kubernetes": "text", "kubernetes.node": "n2", "n": {"a": [3], "b": ["y"]}}),
    ];
    assert_eq!(column(&layout, &records, "pod"), ["p", ""]);
    assert_eq!(column(&layout, &records, "kubernetes.node"), ["n1", "n2"]);
    assert_eq!(
        column(&layout, &records, "kubernetes"),
        [r#"{"node":"n1","labels":{"pod.name":"p"}}"#, "text"]
    );
    assert_eq!(column(&layout, &records, "n.a"), [json!([1, 2]), json!([3])]);
    assert_eq!(column(&layout, &records, "n.b"), [json!(["x", ""]), json!(["y"])]);
}

#[test]
fn a_record_without_any_column_is_refused_where_nothing_else_is_to_store() {
    let layout = layout(&[("a", "UInt8", "DEFAULT")], &ColumnOptions::default());
    let (block, faults) = encode(&layout, &entries(&[json!({"x": 1})]), 0, Compression::None);
    assert_eq!((block.rows, faults.len()), (0, 1));
}

/// A table with most kinds of columns.
const WIDE: [(&str, &str, &str); 14] = [
    ("u", "UInt8", ""),
    ("i", "Nullable(Int16)", ""),
    ("f", "Float64", ""),
    ("d", "Decimal(9, 2)", ""),
    ("s", "String", ""),
    ("fs", "FixedString(4)", ""),
    ("t", "DateTime64(3)", ""),
    ("e", "Enum8('a' = 1, 'b' = 2)", ""),
    ("ar", "Array(Nullable(UInt8))", ""),
    ("m", "Map(String, Array(Int8))", ""),
    ("tu", "Tuple(a UInt8, b Array(String))", ""),
    ("j", "JSON", ""),
    ("v", "Variant(Array(UInt8), String, UInt8)", ""),
    ("dy", "Dynamic", ""),
];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|n| json!(n)),
        (-3i64..300).prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        "[ab]{0,5}".prop_map(|s| json!(s)),
        Just(json!("2024-01-15T10:30:45Z")),
        Just(json!("[1,2]")),
        Just(json!("{\"a\":1}")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            proptest::collection::btree_map("[ab]{0,2}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Value> {
    let names = WIDE.map(|(name, _, _)| name.to_owned()).to_vec();
    proptest::collection::hash_map(proptest::sample::select(names), any_value(), 0..6)
        .prop_map(|map| json!(map))
}

proptest! {
    #[test]
    fn refused_rows_leave_nothing_behind(records in proptest::collection::vec(any_record(), 0..20)) {
        let layout = layout(&WIDE, &ColumnOptions::default());
        let (block, faults) = encode(&layout, &entries(&records), 0, Compression::None);
        let refused: Vec<usize> = faults.iter().map(|(index, _)| *index).collect();
        let accepted: Vec<Value> =
            records.iter().enumerate().filter(|(index, _)| !refused.contains(index)).map(|(_, record)| record.clone()).collect();
        let (alone, faults) = encode(&layout, &entries(&accepted), 0, Compression::None);
        prop_assert_eq!(faults, []);
        prop_assert_eq!(block.rows, accepted.len());
        let columns = read(&block);
        prop_assert!(columns.iter().all(|(_, values)| values.len() == accepted.len()));
        prop_assert_eq!(block.body, alone.body);
    }

    #[test]
    fn compressed_blocks_hold_the_same(records in proptest::collection::vec(any_record(), 0..8)) {
        let layout = layout(&WIDE, &ColumnOptions::default());
        let plain = encode(&layout, &entries(&records), 0, Compression::None).0.body.concat();
        let framed = encode(&layout, &entries(&records), 0, Compression::Lz4).0.body.concat();
        prop_assert_eq!(logweir_engine::clickhouse::frame::unframe(&framed).unwrap(), plain);
    }
}
