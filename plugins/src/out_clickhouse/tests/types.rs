//! Each column type with the values that it takes: what a SELECT shows must be what the table below says.

use super::engines::{Engine, encode, insert_sql, layout};
use logweir_engine::msgpack::{Time, write_entry, write_map_len, write_str};
use serde_json::{Value, json};

/// A value and how ClickHouse shows it (as text of `toString`, or in JSON for containers).
type Row = (Value, &'static str);

fn check(engine: Engine, kind: &str, shown: &str, rows: &[Row]) {
    let (name, table) = engine.table(&format!("n UInt32, v {kind}"));
    let layout = layout(&table);
    let mut entries = Vec::new();
    for (index, (value, _)) in rows.iter().enumerate() {
        let mut record = Vec::new();
        write_map_len(&mut record, 2);
        write_str(&mut record, b"n");
        record.extend(rmp_serde::to_vec(&index).unwrap());
        write_str(&mut record, b"v");
        record.extend(rmp_serde::to_vec(value).unwrap());
        write_entry(&mut entries, Time::Int(1_700_000_000), None, &record);
    }
    let (block, faults) = encode(&layout, &entries, 0, engine.compression());
    assert_eq!(faults, [], "{kind}");
    let body = block.body.concat();
    engine
        .insert(&insert_sql(&name, &layout, &block), &body, engine.compression())
        .unwrap_or_else(|error| panic!("{kind}: {error}"));
    let found = engine.query(&format!("SELECT {shown} FROM {name} ORDER BY n FORMAT TabSeparatedRaw"));
    // Old and new engines show NULL in two ways.
    let found = found.replace("ᴺᵁᴸᴸ", "\\N");
    let expected: Vec<&str> = rows.iter().map(|(_, text)| *text).collect();
    assert_eq!(found.split('\n').collect::<Vec<_>>(), expected, "{kind}");
    engine.query(&format!("DROP TABLE {name}"));
}

#[test]
fn numbers() {
    for engine in Engine::all() {
        check(
            engine,
            "UInt8",
            "v",
            &[
                (json!(0), "0"),
                (json!(255), "255"),
                (json!("17"), "17"),
                (json!(3.0), "3"),
                (json!(null), "0"),
                (json!(true), "1"),
            ],
        );
        check(engine, "UInt16", "v", &[(json!(65_535), "65535")]);
        check(engine, "UInt32", "v", &[(json!(4_294_967_295u32), "4294967295")]);
        let largest = "18446744073709551615";
        check(engine, "UInt64", "v", &[(json!(u64::MAX), largest), (json!(largest), largest)]);
        check(engine, "Int8", "v", &[(json!(-128), "-128"), (json!(127), "127")]);
        check(engine, "Int16", "v", &[(json!(-32_768), "-32768")]);
        check(engine, "Int32", "v", &[(json!(-2_147_483_648), "-2147483648")]);
        check(engine, "Int64", "v", &[(json!(i64::MIN), "-9223372036854775808"), (json!("-1"), "-1")]);
        check(engine, "Float32", "v", &[(json!(1.5), "1.5"), (json!("-0.25"), "-0.25"), (json!(7), "7")]);
        check(
            engine,
            "Float64",
            "v",
            &[(json!(1e300), "1e300"), (json!("NaN"), "nan"), (json!("-Infinity"), "-inf")],
        );
        check(engine, "Decimal(9, 2)", "toString(v)", &[(json!(12.25), "12.25"), (json!("-0.01"), "-0.01")]);
        let digits = "99999999999999.9999";
        check(engine, "Decimal(18, 4)", "toString(v)", &[(json!(digits), digits)]);
        // Debian's server prints longer ones with zero bytes in them.
        check(engine, "Decimal(38, 2)", "toString(v)", &[(json!("-1234567890.01"), "-1234567890.01")]);
        check(
            engine,
            "Nullable(Int32)",
            "v",
            &[(json!(null), "\\N"), (json!(""), "\\N"), (json!(5), "5"), (json!(0), "0")],
        );
    }
}

#[test]
fn texts() {
    for engine in Engine::all() {
        check(
            engine,
            "String",
            "v",
            &[
                (json!("héllo"), "héllo"),
                (json!(12), "12"),
                (json!(-0.5), "-0.5"),
                (json!(true), "true"),
                (json!(null), ""),
                (
                    json!({"email": "u@example.com", "n": [1, null]}),
                    r#"{"email":"u@example.com","n":[1,null]}"#,
                ),
                (json!([]), "[]"),
            ],
        );
        let long = "x".repeat(20_000);
        let long_text: &'static str = Box::leak(long.clone().into_boxed_str());
        check(engine, "String", "v", &[(json!(long), long_text)]);
        check(engine, "Nullable(String)", "v", &[(json!(null), "\\N"), (json!(""), ""), (json!("a"), "a")]);
        check(engine, "FixedString(3)", "v", &[(json!("abc"), "abc"), (json!(123), "123")]);
        check(
            engine,
            "Enum8('info' = 1, 'error' = -2, '' = 0)",
            "v",
            &[(json!(""), ""), (json!("error"), "error"), (json!(1), "info"), (json!(null), "error")],
        );
        check(engine, "Enum16('a' = 1000, 'b' = 1)", "v", &[(json!("a"), "a"), (json!("b"), "b")]);
        let uuid = "01234567-89ab-cdef-8000-000000000010";
        check(
            engine,
            "UUID",
            "v",
            &[(json!(uuid), uuid), (json!(null), "00000000-0000-0000-0000-000000000000")],
        );
    }
}

#[test]
fn low_cardinality() {
    for engine in Engine::all() {
        check(
            engine,
            "LowCardinality(String)",
            "v",
            &[(json!("info"), "info"), (json!(""), ""), (json!("error"), "error"), (json!("info"), "info")],
        );
        check(
            engine,
            "LowCardinality(Nullable(String))",
            "v",
            &[(json!(null), "\\N"), (json!(""), ""), (json!("x"), "x"), (json!(null), "\\N")],
        );
        check(
            engine,
            "Array(LowCardinality(String))",
            "toString(arrayMap(x -> toString(x), v))",
            &[(json!(["a", "b", "a"]), "['a','b','a']"), (json!([]), "[]")],
        );
        // Positions of two and four bytes.
        let rows: Vec<Row> = (0..70_000)
            .map(|n| (json!(format!("v{n}")), Box::leak(format!("v{n}").into_boxed_str()) as &'static str))
            .collect();
        check(engine, "LowCardinality(String)", "v", &rows[..300]);
        check(engine, "LowCardinality(String)", "v", &rows);
    }
}

#[test]
fn moments() {
    for engine in Engine::all() {
        check(
            engine,
            "DateTime",
            "toString(v)",
            &[
                (json!("2024-01-15T10:30:45.123Z"), "2024-01-15 10:30:45"),
                (json!("2024-01-15T10:30:45+09:00"), "2024-01-15 01:30:45"),
                (json!(1_705_314_645), "2024-01-15 10:30:45"),
                (json!(1_705_314_645_123i64), "2024-01-15 10:30:45"),
                (json!("15/Jan/2024:10:30:45 +0000"), "2024-01-15 10:30:45"),
                (json!(1_705_314_645.5), "2024-01-15 10:30:45"),
            ],
        );
        check(
            engine,
            "DateTime('Asia/Tokyo')",
            "toString(v)",
            &[(json!("2024-01-15 10:30:45"), "2024-01-15 10:30:45"), (json!(86_400), "1970-01-02 09:00:00")],
        );
        check(
            engine,
            "Date",
            "toString(v)",
            &[(json!("2024-01-15T10:30:45Z"), "2024-01-15"), (json!("2024-02-29"), "2024-02-29")],
        );
        check(
            engine,
            "Nullable(DateTime)",
            "toString(v)",
            &[(json!(null), "\\N"), (json!("2024-01-15"), "2024-01-15 00:00:00")],
        );
    }
}

#[test]
fn containers() {
    for engine in Engine::all() {
        check(
            engine,
            "Array(UInt16)",
            "toString(v)",
            &[(json!([1, 2]), "[1,2]"), (json!([]), "[]"), (json!(7), "[7]"), (json!("[3,4]"), "[3,4]")],
        );
        check(
            engine,
            "Array(Array(String))",
            "toString(v)",
            &[(json!([["a"], [], ["b", "c"]]), "[['a'],[],['b','c']]"), (json!(null), "[]")],
        );
        check(
            engine,
            "Array(Nullable(Int8))",
            "toString(v)",
            &[(json!([null, -1]), "[NULL,-1]"), (json!([]), "[]")],
        );
        check(
            engine,
            "Tuple(UInt8, String)",
            "toString(v.1), v.2",
            &[(json!([7, "x"]), "7\tx"), (json!({"2": "y"}), "0\ty"), (json!("[8,\"z\"]"), "8\tz")],
        );
    }
}

#[test]
fn types_of_the_current_engine() {
    let Some(engine) = Engine::current() else { return };
    engine.query("SET allow_suspicious_low_cardinality_types = 1");
    let wide = "-170141183460469231731687303715884105728";
    check(engine, "Int128", "v", &[(json!(wide), wide), (json!(-5), "-5")]);
    check(engine, "UInt128", "v", &[(json!(u64::MAX), "18446744073709551615")]);
    let widest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    check(engine, "UInt256", "v", &[(json!(widest), widest), (json!(1), "1")]);
    check(engine, "Int256", "v", &[(json!("-1"), "-1")]);
    let decimal = "-1234567890123456789012345678.0123456789";
    check(engine, "Decimal(38, 10)", "toString(v)", &[(json!(decimal), decimal)]);
    check(engine, "Decimal(76, 5)", "toString(v)", &[(json!("123456789.12345"), "123456789.12345")]);
    check(engine, "BFloat16", "v", &[(json!(1.5), "1.5")]);
    check(engine, "Bool", "v", &[(json!("yes"), "true"), (json!(0), "false"), (json!(null), "false")]);
    check(engine, "IPv4", "v", &[(json!("192.168.1.2"), "192.168.1.2"), (json!(null), "0.0.0.0")]);
    check(engine, "IPv6", "v", &[(json!("::1"), "::1"), (json!("10.0.0.1"), "::ffff:10.0.0.1")]);
    check(
        engine,
        "DateTime64(3)",
        "v",
        &[
            (json!("2024-01-15T10:30:45.123Z"), "2024-01-15 10:30:45.123"),
            (json!(1_705_314_645_123i64), "2024-01-15 10:30:45.123"),
            (json!("1969-12-31T23:59:59.5Z"), "1969-12-31 23:59:59.500"),
            (json!("1900-01-01T00:00:00Z"), "1900-01-01 00:00:00.000"),
            (json!("2299-12-31T23:59:59.999Z"), "2299-12-31 23:59:59.999"),
        ],
    );
    check(
        engine,
        "DateTime64(9, 'Asia/Tokyo')",
        "v",
        &[(json!("2024-01-15T10:30:45.123456789Z"), "2024-01-15 19:30:45.123456789")],
    );
    check(engine, "Date32", "v", &[(json!("1925-05-05"), "1925-05-05"), (json!("2299-12-31"), "2299-12-31")]);
    check(engine, "Time", "v", &[(json!("-12:30:00"), "-12:30:00"), (json!(61), "00:01:01")]);
    check(engine, "Time64(3)", "v", &[(json!("10:30:45.25"), "10:30:45.250")]);
    check(engine, "IntervalSecond", "v", &[(json!(90), "90")]);
    check(engine, "LowCardinality(Nullable(UInt32))", "v", &[(json!(7), "7"), (json!(null), "\\N")]);
    check(
        engine,
        "Map(String, String)",
        "v",
        &[
            (json!({"a": 1, "b": {"c": "x", "d": {"e": [1]}}}), "{'a':'1','b.c':'x','b.d.e':'[1]'}"),
            (json!({}), "{}"),
            (json!("{\"k\":null}"), "{'k':''}"),
        ],
    );
    check(
        engine,
        "Map(LowCardinality(String), Array(UInt8))",
        "v",
        &[(json!({"a": [1, 2]}), "{'a':[1,2]}"), (json!(null), "{}")],
    );
    check(
        engine,
        "Tuple(id UInt8, `the name` Nullable(String))",
        "v",
        &[(json!({"id": 1, "the name": "n"}), "(1,'n')"), (json!({"x": 1}), "(0,NULL)")],
    );
    check(engine, "Point", "v", &[(json!([1.5, 2]), "(1.5,2)")]);
    check(engine, "Ring", "v", &[(json!([[0, 0], [1, 1]]), "[(0,0),(1,1)]")]);
    check(engine, "SimpleAggregateFunction(max, UInt64)", "v", &[(json!(9), "9")]);
    check(
        engine,
        "Nested(a UInt8, b String)",
        "`v.a`, `v.b`",
        &[(json!([{"a": 1, "b": "x"}, {"a": 2}]), "[1,2]\t['x','']")],
    );
}

#[test]
fn open_types() {
    let Some(engine) = Engine::current() else { return };
    check(
        engine,
        "JSON",
        "v",
        &[
            (json!({"a": {"b": 1}, "c": ["x"]}), r#"{"a":{"b":1},"c":["x"]}"#),
            (json!("{\"t\":\"2024\"}"), r#"{"t":"2024"}"#),
            (json!(null), "{}"),
        ],
    );
    check(engine, "JSON(n UInt8, SKIP secret)", "v.n", &[(json!({"n": 5, "secret": 1}), "5")]);
    check(engine, "Nullable(JSON)", "v", &[(json!(null), "\\N"), (json!({"a": true}), r#"{"a":true}"#)]);
    check(engine, "Array(JSON)", "v[1].a", &[(json!([{"a": "x"}, {}]), "x")]);
    check(
        engine,
        "Variant(String, UInt64, Array(UInt64), Bool, Map(String, String))",
        "toString(v), variantType(v)",
        &[
            (json!("a"), "a\tString"),
            (json!(7), "7\tUInt64"),
            (json!([1]), "[1]\tArray(UInt64)"),
            (json!({"k": "v"}), "{'k':'v'}\tMap(String, String)"),
            (json!(true), "true\tBool"),
            (json!(-1), "-1\tString"),
            (json!(null), "\\N\tNone"),
        ],
    );
    for kind in ["Dynamic", "Dynamic(max_types=2)"] {
        check(
            engine,
            kind,
            "toString(v), dynamicType(v)",
            &[
                (json!("12"), "12\tString"),
                (json!(12), "12\tInt64"),
                (json!(u64::MAX), "18446744073709551615\tUInt64"),
                (json!(false), "false\tBool"),
                (json!(0.5), "0.5\tFloat64"),
                (json!({"a": 1}), "{\"a\":1}\tString"),
                (json!(null), "\tNone"),
            ],
        );
    }
    check(engine, "Map(String, Dynamic)", "v", &[(json!({"a": 1, "b": "x"}), "{'a':1,'b':'x'}")]);
    check(engine, "Array(Variant(String, UInt64))", "v", &[(json!(["a", 1, null]), "['a',1,NULL]")]);
}
