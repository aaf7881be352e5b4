//! The cases of the original plugin's tests and of its README, and what its code does beyond them.

use super::PLUGIN;
use crate::testing::Routed;
use logweir_engine::msgpack::{Event, Record, Time};
use logweir_engine::plugin::{Build, Driver, FilterContext, FilterStep, Kind};

async fn filtered(text: &str, record: &str) -> Vec<String> {
    let routed = Routed::new(&PLUGIN, text);
    routed.feed("test.tag", &[(1_700_000_000, record)]).await;
    routed.seen()
}

/// The record of the one event that comes out.
async fn record(text: &str, given: &str) -> String {
    let seen = filtered(text, given).await;
    let [one] = seen.as_slice() else { panic!("{seen:?}") };
    one.strip_prefix("test.tag 1700000000 ").unwrap_or(one).to_owned()
}

fn refused(text: &str) -> String {
    Routed::try_new(&PLUGIN, text).err().expect("an error")
}

#[tokio::test]
async fn fields_are_set() {
    let text = "remove_keys hoge\n<record>\nfoo bar\nincluded_tag ${tag}\n\
                tag_wrap -${tag_parts[0]}-${tag_parts[1]}-\n</record>";
    assert_eq!(
        record(text, r#"{"a":1,"hoge":2}"#).await,
        r#"{"a":1,"foo":"bar","included_tag":"test.tag","tag_wrap":"-test-tag-"}"#
    );
    let readme = "<record>\ntag ${tag}\ntag_extract ${tag_parts[0]}-${tag_parts[1]}-foo\n\
                  formatted_time ${Time.at(time).utc.to_s}\n\
                  new_field foo:${record['key1'] + record['dict']['key']}\n</record>";
    assert_eq!(
        record(readme, r#"{"key1":"a","dict":{"key":"b"}}"#).await,
        r#"{"key1":"a","dict":{"key":"b"},"tag":"test.tag","tag_extract":"test-tag-foo","formatted_time":"2023-11-14 22:13:20 UTC","new_field":"foo:ab"}"#
    );
}

#[tokio::test]
async fn each_field_sees_those_before_it() {
    let text = "<record>\na ${record['n'] + 1}\nb ${record['a'] * 2}\nn \"x\"\n</record>";
    assert_eq!(record(text, r#"{"n":1}"#).await, r#"{"n":"x","a":2,"b":4}"#);
}

#[tokio::test]
async fn what_an_expression_does_to_the_record_stays_done() {
    let trick = "remove_keys _dummy_\n<record>\n\
                 _dummy_ ${if record.has_key?('foo'); record['bar'] = 'Hi!'; end; nil}\nlast ${record['bar']}\n</record>";
    assert_eq!(record(trick, r#"{"foo":1}"#).await, r#"{"foo":1,"bar":"Hi!","last":"Hi!"}"#);
    assert_eq!(record(trick, r#"{"x":1}"#).await, r#"{"x":1,"last":null}"#);
    let gone = "<record>\nkept ${record.delete('a')}\nfixed text\n</record>";
    assert_eq!(record(gone, r#"{"a":"v","b":{"c":1}}"#).await, r#"{"b":{"c":1},"kept":"v","fixed":"text"}"#);
}

#[tokio::test]
async fn a_value_that_is_code_alone_keeps_its_type_and_json_is_text() {
    let text =
        "<record>\nn ${1 + 1}\ntext n=${1 + 1}\ntwo ${1}${2}\njson {\"a\":1}\nmap ${record['m']}\n</record>";
    assert_eq!(
        record(text, r#"{"m":{"k":[1]}}"#).await,
        r#"{"m":{"k":[1]},"n":2,"text":"n=2","two":"12","json":"{\"a\":1}","map":{"k":[1]}}"#
    );
}

/// A text with placeholders is the Ruby code `"..."`, in which a quote ends it and `#` begins a comment.
#[tokio::test]
async fn quotes_are_not_escaped() {
    assert_eq!(record("<record>\na say \"${tag}\"\n</record>", "{}").await, r#"{"a":"say "}"#);
    assert_eq!(
        record("<record>\na say \\\"${tag}\\\"\n</record>", "{}").await,
        r#"{"a":"say \"test.tag\""}"#
    );
}

#[tokio::test]
async fn keys_are_removed() {
    let all = r#"{"k1":"v","k2":"v","k4":"v"}"#;
    assert_eq!(record("remove_keys k1", all).await, r#"{"k2":"v","k4":"v"}"#);
    assert_eq!(record("remove_keys k1, k2, k3", all).await, r#"{"k4":"v"}"#);
    assert_eq!(
        record(
            "remove_keys k1, $.kubernetes.test",
            r#"{"k1":"v","kubernetes":{"test":"v","prod":"v"},"k2":"v"}"#
        )
        .await,
        r#"{"kubernetes":{"prod":"v"},"k2":"v"}"#
    );
    let text = "<record>\nfoo bar\n</record>\nwhitelist_keys k1, k2, k3";
    assert_eq!(
        record(text, r#"{"k4":"v","k2":"v","k1":"v","k5":"v"}"#).await,
        r#"{"k1":"v","k2":"v","foo":"bar"}"#
    );
}

#[tokio::test]
async fn values_are_prepared() {
    let text =
        "prepare_value @foo = 'foo'; @n = {'a' => 1}\n<record>\ntest_key ${@foo}\nn ${@n['a']}\n</record>";
    assert_eq!(record(text, r#"{"k1":"v"}"#).await, r#"{"k1":"v","test_key":"foo","n":1}"#);
}

#[tokio::test]
async fn parts_of_values_are_replaced() {
    let text = "<replace>\nkey k1\nexpression /^(?<start>.+).{2}(?<end>.+)$/\nreplace \\k<start>ors\\k<end>\n</replace>\n\
                <replace>\nkey k2\nexpression /^(.{1}).{2}(.{1})$/\nreplace \\1ors\\2\n</replace>";
    assert_eq!(
        record(text, r#"{"k1":"hoge","k2":"hoge","k3":"bar"}"#).await,
        r#"{"k1":"horse","k2":"horse","k3":"bar"}"#
    );
    assert_eq!(record(text, r#"{"k1":"hog","k2":null}"#).await, r#"{"k1":"hog","k2":null}"#);
    assert_eq!(
        filtered(text, r#"{"k1":5}"#).await,
        [r#"@ERROR test.tag 1700000000 {"k1":5}"#, r#"test.tag 1700000000 {"k1":5}"#]
    );
}

#[tokio::test]
async fn an_expression_that_raises() {
    let seen = filtered("<record>\na x\nb ${record['n'] + 1}\nc y\n</record>", r#"{"m":1}"#).await;
    assert_eq!(
        seen,
        [r#"@ERROR test.tag 1700000000 {"m":1}"#, r#"test.tag 1700000000 {"m":1,"a":"x"}"#],
        "as when a filter of Fluentd raises"
    );
}

/// The record as MessagePack: encodings do not show in JSON.
fn raw(text: &str, given: &[u8]) -> Vec<u8> {
    let mut driver = Driver::new(crate::PLUGINS);
    let params =
        driver.params(Kind::Filter, &format!("<filter **>\n@type record_modifier\n{text}\n</filter>"));
    let Build::Filter(build) = PLUGIN.build else { panic!() };
    let filter = build(&params.unwrap(), &mut driver.context()).unwrap();
    let tag = "t".into();
    let FilterStep::Records(records) = filter.for_tag(&tag) else { panic!("not record by record") };
    let arena = bumpalo::Bump::new();
    let mut event = Event::new(&tag, Time::Int(1), Record::decode(given, &arena).unwrap());
    records.filter(&mut event, &FilterContext { arena: &arena, tag: &tag }).unwrap();
    let mut out = Vec::new();
    event.record.encode(&mut out);
    out
}

#[test]
fn encodings() {
    // Bytes become texts, in arrays and hashes too; keys stay.
    assert_eq!(
        raw("char_encoding utf-8", b"\x83\xa1a\xc4\x01v\xc4\x01b\x91\xc4\x02\xc3\xa9\xa1c\x81\xa1d\xc4\x01w"),
        b"\x83\xa1a\xa1v\xc4\x01b\x91\xa2\xc3\xa9\xa1c\x81\xa1d\xa1w"
    );
    assert_eq!(raw("char_encoding ASCII-8BIT", b"\x81\xa1a\xa1v"), b"\x81\xa1a\xc4\x01v");
    // "ビ" in UTF-8, in CP932, in UTF-16.
    assert_eq!(raw("char_encoding utf-8:cp932", b"\x81\xa1k\xa3\xe3\x83\x93"), b"\x81\xa1k\xa2\x83\x72");
    assert_eq!(raw("char_encoding cp932:utf-8", b"\x81\xa1k\xc4\x02\x83\x72"), b"\x81\xa1k\xa3\xe3\x83\x93");
    assert_eq!(raw("char_encoding utf-8:utf-16le", b"\x81\xa1k\xa3\xe3\x83\x93"), b"\x81\xa1k\xa2\xd3\x30");
    assert_eq!(
        raw("char_encoding utf-8:euc-jp", b"\x82\xa1k\xa3\xe3\x83\x93\xa1n\x01"),
        b"\x82\xa1k\xa2\xa5\xd3\xa1n\x01"
    );
    // What cannot be converted is replaced.
    assert_eq!(raw("char_encoding utf-8:iso-8859-2", b"\x81\xa1k\xa3\xe3\x83\x93"), b"\x81\xa1k\xa1?");
    assert_eq!(raw("char_encoding utf-8:utf-8", b"\x81\xa1k\xa2\xffa"), b"\x81\xa1k\xa4\xef\xbf\xbda");
}

#[test]
fn constants_are_spliced() {
    let step = |text: &str| {
        let mut driver = Driver::new(crate::PLUGINS);
        let text = format!("<filter **>\n@type record_modifier\n{text}\n</filter>");
        let params = driver.params(Kind::Filter, &text).unwrap();
        let Build::Filter(build) = PLUGIN.build else { panic!() };
        build(&params, &mut driver.context()).unwrap().for_tag(&"a.b".into())
    };
    assert!(matches!(step(""), FilterStep::Pass));
    for text in
        ["remove_keys a,b", "whitelist_keys a", "<record>\na b\nt ${tag_parts[0]} ${'x' * 2}\n</record>"]
    {
        assert!(matches!(step(text), FilterStep::Splice(_)), "{text}");
    }
    for text in ["remove_keys $.a.b", "<record>\na ${time.to_i}\n</record>", "<record>\na ${rand}\n</record>"]
    {
        assert!(matches!(step(text), FilterStep::Records(_)), "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert_eq!(
        refused("remove_keys a\nwhitelist_keys b"),
        "remove_keys and whitelist_keys are exclusive with each other."
    );
    assert_eq!(refused("char_encoding utf-8:klingon"), "unknown encoding name - klingon");
    let message = refused("<record>\na ${record['x}\n</record>");
    assert!(
        message.starts_with("Pass invalid syntax parameter : key = a, value = ${record['x}: "),
        "{message}"
    );
    let message = refused("prepare_value @a = Foo.new");
    assert!(message.starts_with("Pass invalid syntax parameter : key = prepare_value"), "{message}");
    assert!(refused("<replace>\nkey a\nexpression /(/\nreplace b\n</replace>").contains("/(/"));
}
