//! What records get, and what is asked for it.

mod server;
mod store;

use super::settings::{Environment, Settings};
use super::{PLUGIN, build_in};
use crate::testing::with_params;
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::json::{self, JsonStyle, ReadOptions};
use logweir_engine::msgpack::{Entries, Time, write_entry};
use logweir_engine::plugin::{Filter, FilterStep};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const ID: &str = "49095a2894da899d3b327c5fde1e056a81376cc9a8f8b09a195f2a92bceed459";
const OTHER_ID: &str = "5a095a2894da899d3b327c5fde1e056a81376cc9a8f8b09a195f2a92bceed45a";
/// 2026-02-01
const NOW: i64 = 1_769_904_000;

fn settings(text: &str, environment: &Environment) -> Settings {
    with_params(&PLUGIN, text, |params, context| Settings::new(params, environment, &context.log))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn on_node(name: &str) -> Environment {
    Environment { node: Some(name.to_owned()), service: None }
}

/// The tag of a file below /var/log/containers.
fn tag(pod: &str, namespace: &str, container: &str, id: &str) -> String {
    format!("kubernetes.var.log.containers.{pod}_{namespace}_{container}-{id}.log")
}

fn entries(records: &[&str]) -> EventStream {
    let mut entries = Vec::new();
    for record in records {
        let mut raw = Vec::new();
        json::to_msgpack(record.as_bytes(), &mut raw, ReadOptions::default()).unwrap();
        write_entry(&mut entries, Time::Event(EventTime::from_secs(NOW)), None, &raw);
    }
    EventStream::new(Tag::new("t"), entries.into(), records.len())
}

fn shown(stream: &EventStream) -> Vec<String> {
    let records: Vec<String> = Entries::new(&stream.entries)
        .map(|entry| {
            let mut text = Vec::new();
            json::from_msgpack(entry.record, &mut text, JsonStyle::Oj).unwrap();
            String::from_utf8(text).unwrap()
        })
        .collect();
    assert_eq!(records.len(), stream.count);
    records
}

/// The filter at work.
struct Rig {
    filter: Box<dyn Filter>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Rig {
    fn start(text: &str, environment: &Environment) -> Self {
        let filter = with_params(&PLUGIN, text, |params, context| build_in(params, context, environment))
            .unwrap_or_else(|error| panic!("{error}"));
        let rig = Self { filter, tasks: TaskTracker::new(), stop: CancellationToken::new() };
        rig.filter.start(&rig.tasks, &rig.stop);
        rig
    }

    /// What records become.
    async fn filter(&self, tag: &str, records: &[&str]) -> Vec<String> {
        let stream = EventStream { tag: Tag::new(tag), ..entries(records) };
        let stream = match self.filter.for_tag(&Tag::new(tag)) {
            FilterStep::Pass => stream,
            FilterStep::Stream(filter) => filter.filter(stream, &mut Receipt::unwatched()).await,
            _ => panic!("another step"),
        };
        shown(&stream)
    }

    /// The same for one record, again and again until it has this text in it.
    async fn filter_until(&self, tag: &str, text: &str) -> String {
        let mut seen = String::new();
        for _ in 0..2000 {
            seen = self.filter(tag, &["{}"]).await.remove(0);
            if seen.contains(text) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{text} does not come: {seen}");
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.tasks.wait()).await;
        assert!(ended.is_ok(), "its tasks do not end");
    }
}

#[tokio::test]
async fn without_a_server_the_tag_is_all_there_is() {
    let rig = Rig::start("", &Environment::default());
    let expected = format!(
        r#"{{"a":1,"docker":{{"container_id":"{ID}"}},"kubernetes":{{"container_name":"app","namespace_name":"shop","pod_name":"web-0"}}}}"#
    );
    assert_eq!(rig.filter(&tag("web-0", "shop", "app", ID), &[r#"{"a":1}"#]).await, [expected]);
    assert_eq!(
        rig.filter("kubernetes.var.log.pods.shop_web-0_c76927af.app.0.log", &["{}"]).await,
        [r#"{"kubernetes":{"container_name":"app","namespace_name":"shop","pod_name":"web-0"}}"#]
    );
    for other in ["app", "kubernetes.var.log.containers.x.log"] {
        assert_eq!(rig.filter(other, &[r#"{"a":1}"#]).await, [r#"{"a":1}"#]);
    }
    let plain = Rig::start("lookup_from_k8s_field false", &Environment::default());
    assert!(matches!(plain.filter.for_tag(&Tag::new("app")), FilterStep::Pass));
}

#[tokio::test]
async fn fields_that_are_there_are_replaced_where_they_are() {
    let rig = Rig::start("", &Environment::default());
    let seen = rig.filter(&tag("p", "n", "c", ID), &[r#"{"kubernetes":1,"a":2,"docker":{}}"#]).await;
    let expected = format!(
        r#"{{"kubernetes":{{"container_name":"c","namespace_name":"n","pod_name":"p"}},"a":2,"docker":{{"container_id":"{ID}"}}}}"#
    );
    assert_eq!(seen, [expected]);
}

#[tokio::test]
async fn records_that_name_their_container_themselves() {
    let rig = Rig::start("use_journal true", &Environment::default());
    let field = |pod: &str| {
        format!(
            r#"{{"docker":{{"container_id":"id"}},"kubernetes":{{"namespace_name":"m","pod_name":"{pod}","container_name":"c","x":1}}}}"#
        )
    };
    let [one, two] = ["one", "two"].map(field);
    let journal = r#"{"CONTAINER_NAME":"k8s_c.1_three_m_u_0","CONTAINER_ID_FULL":"j"}"#;
    let lacking = r#"{"docker":{"container_id":"id"},"kubernetes":{"pod_name":"p"}}"#;
    let records = [&*one, &one, r#"{"container_id":"text"}"#, &two, journal, lacking];
    let seen = rig.filter("app", &records).await;
    let pod = |pod: &str| {
        format!(
            r#"{{"docker":{{"container_id":"id"}},"kubernetes":{{"container_name":"c","namespace_name":"m","pod_name":"{pod}"}}}}"#
        )
    };
    let from_journal = r#"{"CONTAINER_NAME":"k8s_c.1_three_m_u_0","CONTAINER_ID_FULL":"j","docker":{"container_id":"j"},"kubernetes":{"container_name":"c","namespace_name":"m","pod_name":"three"}}"#;
    assert_eq!(
        seen,
        [&*pod("one"), &pod("one"), r#"{"container_id":"text"}"#, &pod("two"), from_journal, lacking]
    );
    // A record's own fields come before its tag.
    let seen = rig.filter(&tag("p", "n", "c", ID), &[&one, "{}"]).await;
    assert_eq!(seen[0], pod("one"));
    assert!(seen[1].contains(r#""pod_name":"p""#), "{seen:?}");
    let deaf = Rig::start("lookup_from_k8s_field false", &Environment::default());
    assert_eq!(deaf.filter("app", &[&one]).await, [one]);
}

#[test]
fn parameters_that_contradict_or_are_wrong() {
    let error = |text: &str| match with_params(&PLUGIN, text, |params, context| {
        build_in(params, context, &Environment::default())
    }) {
        Ok(_) => panic!("{text} is taken"),
        Err(error) => error,
    };
    for (text, says) in [
        ("kubernetes_url ftp://x", "https"),
        ("cache_size 0", "at least 1"),
        ("kubernetes_url https://x\nread_timeout 0", "at least 1 second"),
        ("tag_to_kubernetes_name_regexp (?<namespace>a)", "pod_name"),
        ("tag_to_kubernetes_name_regexp (?<namespace>a)(?<pod_name>b)(?<container_name>c)", "docker_id"),
        ("tag_to_kubernetes_name_regexp (", "unmatched parenthesis"),
        ("kubernetes_url https://x\nca_file /no/such/file", "/no/such/file"),
        ("kubernetes_url https://x\nbearer_token_file /no/such/file", "/no/such/file"),
        ("kubernetes_url https://x\nclient_cert /no/such/file", "client_key"),
    ] {
        let error = error(text);
        assert!(error.contains(says), "{text}: {error}");
    }
    // What ENV of an unset variable comes to, and an annotation that is no expression, are no errors.
    let quiet = settings(
        "ca_file \"\"\nkubernetes_url \"\"\nannotation_match [\"(\", \"x\"]",
        &Environment::default(),
    );
    assert!(quiet.server.is_none() && quiet.shape.annotations.len() == 1);
    let service = Some(("10.0.0.1".to_owned(), "443".to_owned()));
    let inside = settings("", &Environment { service, node: None });
    assert_eq!(inside.server.unwrap().base, "https://10.0.0.1:443/api/v1");
}
