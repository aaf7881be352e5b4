//! The filter and a server of ours.

use super::*;
use crate::filter_kubernetes_metadata::shared::WAIT_MAX;
use logweir_testing::{KubernetesApi, Pod, namespace};
use std::time::Instant;

fn pod<'a>(name: &'a str, uid: &'a str, containers: &'a [(&'a str, &'a str)]) -> Pod<'a> {
    Pod { namespace: "shop", name, uid, node: "node-1", containers, labels: &[("v", "1")] }
}

fn config(api: &KubernetesApi, more: &str) -> String {
    format!(
        "kubernetes_url {}\nsecret_dir {}\nskip_master_url true\n{more}",
        api.url(),
        api.secrets().display()
    )
}

fn shop() -> KubernetesApi {
    let api = KubernetesApi::start();
    api.put(namespace("shop", "n1", &[("tenant", "x")]));
    api.put(pod("web", "u1", &[("app", ID)]).json());
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_records_wait_for_the_lists_and_nothing_is_asked_for_by_name() {
    let api = shop();
    let rig = Rig::start(&config(&api, ""), &on_node("node-1"));
    let seen = rig.filter(&tag("web", "shop", "app", ID), &["{}", r#"{"a":1}"#]).await;
    let metadata = format!(
        r#""docker":{{"container_id":"{ID}"}},"kubernetes":{{"container_name":"app","namespace_name":"shop","pod_name":"web","container_image":"registry/app:1","container_image_id":"registry/app@sha256:1","pod_id":"u1","pod_ip":"10.0.0.7","host":"node-1","labels":{{"v":"1"}},"namespace_id":"n1","namespace_labels":{{"tenant":"x"}}}}"#
    );
    assert_eq!(seen, [format!("{{{metadata}}}"), format!("{{\"a\":1,{metadata}}}")]);
    api.wait_for_watches(2);
    let requests = api.requests();
    assert!(
        requests
            .contains(&"GET /api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName=node-1".to_owned()),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 4, "{requests:?}");
    rig.stop().await;
    api.wait_for_watches(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_by_the_watch() {
    let api = shop();
    let rig = Rig::start(&config(&api, ""), &on_node("node-1"));
    let web = tag("web", "shop", "app", ID);
    rig.filter_until(&web, r#""labels":{"v":"1"}"#).await;
    api.wait_for_watches(2);
    api.put(Pod { labels: &[("v", "2")], ..pod("web", "u1", &[("app", ID)]) }.json());
    rig.filter_until(&web, r#""labels":{"v":"2"}"#).await;
    api.put(namespace("shop", "n1", &[("tenant", "y")]));
    rig.filter_until(&web, r#""namespace_labels":{"tenant":"y"}"#).await;
    // A pod that is scheduled after it was made is new to this node then.
    api.put(Pod { node: "", ..pod("late", "u2", &[]) }.json());
    api.put(pod("late", "u2", &[("app", OTHER_ID)]).json());
    rig.filter_until(&tag("late", "shop", "app", OTHER_ID), r#""pod_id":"u2""#).await;
    api.delete("Pod", "shop", "web");
    api.put(pod("after", "u3", &[("app", "after")]).json());
    rig.filter_until(&tag("after", "shop", "app", &"a".repeat(64)), r#""pod_id":"u3""#).await;
    assert!(rig.filter(&web, &["{}"]).await[0].contains(r#""pod_id":"u1""#));
    // Nothing was listed twice.
    let lists = ["GET /api/v1/pods?resourceVersion=0", "GET /api/v1/namespaces?resourceVersion=0"];
    let is_list = |request: &&String| lists.iter().any(|list| request.starts_with(list));
    assert_eq!(api.requests().iter().filter(is_list).count(), 2, "{:?}", api.requests());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_where_it_was_and_lists_again_when_that_is_forgotten() {
    for as_status in [false, true] {
        let api = shop();
        let rig = Rig::start(&config(&api, ""), &on_node("node-1"));
        let web = tag("web", "shop", "app", ID);
        rig.filter_until(&web, r#""v":"1""#).await;
        api.wait_for_watches(2);
        // A bookmark moves the version on; the next watches begin there.
        api.bookmark();
        api.put(pod("other", "u5", &[("app", OTHER_ID)]).json());
        rig.filter_until(&tag("other", "shop", "app", OTHER_ID), r#""pod_id":"u5""#).await;
        let lists = |api: &KubernetesApi| {
            api.requests().iter().filter(|request| request.contains("pods?resourceVersion=0&")).count()
        };
        api.end_watches();
        let watches = |api: &KubernetesApi| {
            api.requests().iter().filter(|request| request.contains("/pods?watch=true")).count()
        };
        while watches(&api) < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        api.wait_for_watches(2);
        assert_eq!(lists(&api), 1, "{:?}", api.requests());
        // While the watch is away, the label changes and the server forgets.
        api.hold(true);
        api.end_watches();
        api.wait_for_watches(0);
        api.put(Pod { labels: &[("v", "2")], ..pod("web", "u1", &[("app", ID)]) }.json());
        api.delete("Pod", "shop", "other");
        api.forget_history(as_status);
        api.hold(false);
        rig.filter_until(&web, r#""v":"2""#).await;
        assert_eq!(lists(&api), 2, "{:?}", api.requests());
        assert!(rig.filter(&tag("other", "shop", "app", OTHER_ID), &["{}"]).await[0].contains("u5"));
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_no_events_end_a_watch_but_not_the_watching() {
    let api = shop();
    let rig = Rig::start(&config(&api, ""), &on_node("node-1"));
    let web = tag("web", "shop", "app", ID);
    rig.filter_until(&web, r#""v":"1""#).await;
    for (n, line) in [
        "nonsense",
        r#"{"type":"ERROR","object":{"code":500,"message":"etcd"}}"#,
        r#"{"type":"MODIFIED","object":{"metadata":{}}}"#,
        r#"{"type":"NEW","object":{}}"#,
        "",
    ]
    .into_iter()
    .enumerate()
    {
        api.wait_for_watches(2);
        api.send_line(line);
        let value = format!("after-{n}");
        api.put(Pod { labels: &[("v", &value)], ..pod("web", "u1", &[("app", ID)]) }.json());
        rig.filter_until(&web, &value).await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watch_names_are_asked_for_once() {
    let api = shop();
    let rig = Rig::start(&config(&api, "watch false"), &Environment::default());
    let (web, gone) = (tag("web", "shop", "app", ID), tag("gone", "shop", "app", OTHER_ID));
    for _ in 0..3 {
        assert!(rig.filter(&web, &["{}"]).await[0].contains(r#""pod_id":"u1""#));
        let seen = rig.filter(&gone, &["{}"]).await.remove(0);
        assert!(seen.contains(&format!(r#""pod_id":"{OTHER_ID}""#)) && seen.contains("n1"), "{seen}");
    }
    let orphan = tag("p", "lost", "app", &"c".repeat(64));
    assert!(rig.filter(&orphan, &["{}"]).await[0].contains(r#""orphaned_namespace":"lost""#));
    let mut requests = api.requests();
    requests.sort();
    assert_eq!(
        requests,
        [
            "GET /api/v1/namespaces/lost/pods/p?resourceVersion=0",
            "GET /api/v1/namespaces/lost?resourceVersion=0",
            "GET /api/v1/namespaces/shop/pods/gone?resourceVersion=0",
            "GET /api/v1/namespaces/shop/pods/web?resourceVersion=0",
            "GET /api/v1/namespaces/shop?resourceVersion=0",
        ]
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_get() {
    let api = shop();
    api.forbid(&["list pods", "watch pods", "list namespaces", "watch namespaces"]);
    let rig = Rig::start(&config(&api, ""), &on_node("node-1"));
    let seen = rig.filter_until(&tag("web", "shop", "app", ID), r#""pod_id":"u1""#).await;
    assert!(seen.contains("n1"), "{seen}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_instead_of_a_token() {
    let api = shop();
    api.take_tokens(&[]);
    let (certificate, key) = api.client_certificate();
    let more = format!("watch false\nclient_cert {}\nclient_key {}", certificate.display(), key.display());
    let rig = Rig::start(&config(&api, &more), &Environment::default());
    assert!(rig.filter(&tag("web", "shop", "app", ID), &["{}"]).await[0].contains("u1"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_unless_asked_not_to_look() {
    let api = shop();
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("token"), "token-1").unwrap();
    let web = tag("web", "shop", "app", ID);
    let text = format!("kubernetes_url {}\nsecret_dir {}\n", api.url(), empty.path().display());
    let strict = Rig::start(&text, &on_node("node-1"));
    assert!(strict.filter(&web, &["{}"]).await[0].contains(r#""namespace_name":".orphaned""#));
    strict.stop().await;
    assert!(api.requests().is_empty(), "{:?}", api.requests());
    let lax = Rig::start(&format!("{text}verify_ssl false"), &on_node("node-1"));
    lax.filter_until(&web, r#""pod_id":"u1""#).await;
    lax.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_holds_up_one_stream_for_a_moment() {
    let api = shop();
    api.hold(true);
    let rig = Rig::start(&config(&api, "read_timeout 600"), &on_node("node-1"));
    let web = tag("web", "shop", "app", ID);
    let began = Instant::now();
    assert!(rig.filter(&web, &["{}"]).await[0].contains(".orphaned"));
    assert!(began.elapsed() >= WAIT_MAX);
    // From now on nobody waits: a hundred more would take minutes.
    let limit = tokio::time::timeout(Duration::from_secs(100), async {
        for _ in 0..100 {
            assert!(rig.filter(&web, &["{}"]).await[0].contains(".orphaned"));
        }
    });
    limit.await.expect("records wait again");
    api.hold(false);
    rig.filter_until(&web, r#""pod_id":"u1""#).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_a_large_cluster() {
    let api = shop();
    let containers: Vec<String> = (0..3000).map(|n| format!("{n:064x}")).collect();
    for (n, id) in containers.iter().enumerate() {
        let (name, uid) = (format!("p{n}"), format!("u-{n}"));
        api.put(
            Pod { node: if n % 2 == 0 { "node-1" } else { "node-2" }, ..pod(&name, &uid, &[("app", id)]) }
                .json(),
        );
    }
    // Without a node's name, there is room for some, and others are asked for.
    let rig = Rig::start(&config(&api, "cache_size 100"), &Environment::default());
    for n in [0, 1, 2998, 2999, 1500] {
        let seen = rig
            .filter_until(&tag(&format!("p{n}"), "shop", "app", &containers[n]), &format!("\"u-{n}\""))
            .await;
        assert!(seen.contains(r#""namespace_id":"n1""#), "{seen}");
    }
    rig.stop().await;
}
