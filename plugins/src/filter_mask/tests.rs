//! Rules and detectors on whole events.

use super::PLUGIN;
use crate::testing::Routed;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::EventStream;
use logweir_engine::plugin::{Build, Driver, FilterStep, Kind};

async fn masked(text: &str, record: &str) -> String {
    let routed = Routed::new(&PLUGIN, text);
    routed.feed("t", &[(1, record)]).await;
    let seen = routed.seen().join(" ");
    seen.strip_prefix("t 1 ").unwrap_or(&seen).to_owned()
}

const RECORD: &str = r#"{"message":"User u@example.com paid with 4111 1111 1111 1111 from 10.1.2.3","user":{"email":"someone@example.com","password":"pw","age":42},"list":["x@y.zz",{"ApiKey":"k1"}],"ok":true}"#;

#[tokio::test]
async fn texts_are_looked_into_wherever_they_are() {
    assert_eq!(
        masked("", RECORD).await,
        r#"{"message":"User [masked] paid with [masked] from 10.1.2.3","user":{"email":"[masked]","password":"pw","age":42},"list":["[masked]",{"ApiKey":"k1"}],"ok":true}"#
    );
    assert_eq!(
        masked("detectors ip, email\naction partial\ndetect_keys message, $.list", RECORD).await,
        r#"{"message":"User u***@example.com paid with 4111 1111 1111 1111 from 10.1.2.***","user":{"email":"someone@example.com","password":"pw","age":42},"list":["x***@y.zz",{"ApiKey":"k1"}],"ok":true}"#
    );
}

#[tokio::test]
async fn rules_are_for_fields() {
    let text = "detectors email\nhash_key Jefe\n\
        <rule>\nkeys $.user.email\naction keep\n</rule>\n\
        <rule>\nkey_pattern /password|api_?key/i\nreplacement ***\n</rule>\n\
        <rule>\nkeys $.user.age\naction hash\n</rule>\n\
        <rule>\nkeys message\npattern /\\d{4}( \\d{4}){3}/\naction partial\n</rule>";
    assert_eq!(
        masked(text, RECORD).await,
        r#"{"message":"User u@example.com paid with 4*** from 10.1.2.3","user":{"email":"someone@example.com","password":"***","age":"HASH"},"list":["[masked]",{"ApiKey":"***"}],"ok":true}"#
            .replace("HASH", &hash_of("Jefe", "42"))
    );
}

fn hash_of(key: &str, text: &str) -> String {
    let mut out = Vec::new();
    super::Masking::new(super::Action::Hash, String::new(), key).write(
        text.as_bytes(),
        super::detect::What::Field,
        &mut out,
    );
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn the_first_rule_for_a_field_counts() {
    let text = "detectors []\n<rule>\nkeys a\naction keep\n</rule>\n<rule>\nkey_pattern /./\n</rule>";
    assert_eq!(
        masked(text, r#"{"a":"x","b":"y","c":{"d":1},"n":null,"e":[1]}"#).await,
        r#"{"a":"x","b":"[masked]","c":"[masked]","n":null,"e":"[masked]"}"#
    );
    let text = "detectors []\n<rule>\nkey_pattern /a/\naction keep\n</rule>\n<rule>\nkeys $.a.b\n</rule>";
    assert_eq!(masked(text, r#"{"a":{"b":1},"b":2}"#).await, r#"{"a":{"b":1},"b":2}"#);
}

#[tokio::test]
async fn a_pattern_masks_only_what_matches() {
    let text = "detectors []\n<rule>\nkeys v\npattern /secret=\\S+/\nreplacement secret=?\n</rule>";
    assert_eq!(masked(text, r#"{"v":"a secret=x b secret=y"}"#).await, r#"{"v":"a secret=? b secret=?"}"#);
    assert_eq!(masked(text, r#"{"v":"none"}"#).await, r#"{"v":"none"}"#);
    assert_eq!(masked(text, r#"{"v":5}"#).await, r#"{"v":5}"#);
}

#[tokio::test]
async fn records_without_anything_to_mask_are_not_copied() {
    let mut driver = Driver::new(crate::PLUGINS);
    let mut step = |text: &str| {
        let params = driver.params(Kind::Filter, &format!("<filter **>\n@type mask\n{text}\n</filter>"));
        let Build::Filter(build) = PLUGIN.build else { panic!() };
        build(&params.unwrap(), &mut driver.context()).unwrap().for_tag(&"t".into())
    };
    assert!(matches!(step("detectors []"), FilterStep::Pass));
    assert!(matches!(step("action keep"), FilterStep::Pass));
    let FilterStep::Stream(filter) = step("") else { panic!() };
    let clean = bytes::Bytes::from_static(b"\x92\x01\x81\xa1a\xa1x\x92\x02\x81\xa1a\xa1y");
    let stream = EventStream::new("t".into(), clean.clone(), 2);
    let passed = filter.filter(stream, &mut Receipt::unwatched()).await;
    assert_eq!(passed.entries.as_ptr(), clean.as_ptr());
    // A record with a find lies between two others, which stay as they are.
    let mixed = bytes::Bytes::from_static(
        b"\x92\x01\x81\xa1a\xa1x\x92\x02\x81\xa1a\xa6a@b.cc\x92\x03\x81\xa1a\xd9\x01y",
    );
    let stream = EventStream::new("t".into(), mixed, 3);
    let passed = filter.filter(stream, &mut Receipt::unwatched()).await;
    assert_eq!(
        &passed.entries[..],
        b"\x92\x01\x81\xa1a\xa1x\x92\x02\x81\xa1a\xa8[masked]\x92\x03\x81\xa1a\xd9\x01y"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |text: &str| Routed::try_new(&PLUGIN, text).err().expect("an error");
    assert_eq!(refused("action hash"), "hash_key is required for the action hash");
    assert_eq!(refused("<rule>\nkeys a\naction hash\n</rule>"), "hash_key is required for the action hash");
    assert_eq!(refused("<rule>\naction keep\n</rule>"), "a <rule> needs keys or key_pattern");
    assert_eq!(
        refused("detectors email,iban"),
        "unknown detector `iban`: there are email, card, ip and token"
    );
    assert_eq!(refused("<rule>\nkeys $.\n</rule>"), "empty keys in dot notation");
}
