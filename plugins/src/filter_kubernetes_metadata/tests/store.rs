//! The store by itself, without a server.

use super::*;
use crate::filter_kubernetes_metadata::identity::Identity;
use crate::filter_kubernetes_metadata::object::{Namespace, NamespaceJson, Pod, PodJson};
use crate::filter_kubernetes_metadata::questions::Question;
use crate::filter_kubernetes_metadata::settings::TAG_REGEXP;
use crate::filter_kubernetes_metadata::store::{Found, Resource, Store};
use logweir_engine::regexp::{Regexp, RegexpFlags};
use logweir_testing as testing;
use std::sync::Arc;
use std::time::Instant;

struct Scene {
    settings: Settings,
    store: Store,
    now: Instant,
}

const URL: &str = "kubernetes_url https://api\nskip_master_url true\n";

impl Scene {
    fn new(text: &str, node: Option<&str>) -> Self {
        let environment = Environment { node: node.map(str::to_owned), service: None };
        let settings = settings(&format!("{URL}{text}"), &environment);
        let store = Store::new(&settings, Arc::default());
        Self { settings, store, now: Instant::now() }
    }

    fn pod(&self, name: &str, uid: &str, id: &str, label: &str) -> Pod {
        let pod = testing::Pod {
            namespace: "shop",
            name,
            uid,
            node: "node-1",
            containers: &[("app", id)],
            labels: &[("v", label)],
        };
        serde_json::from_value::<PodJson>(pod.json()).unwrap().reduce(&self.settings.shape)
    }

    fn namespace(&self, uid: &str, label: &str) -> Namespace {
        let json = testing::namespace("shop", uid, &[("v", label)]);
        serde_json::from_value::<NamespaceJson>(json).unwrap().reduce(&self.settings.shape)
    }

    /// The first lists.
    fn list(&mut self, pods: Vec<Pod>, namespaces: Vec<Namespace>) {
        let list = self.store.begin_list();
        for pod in pods {
            self.store.pod_listed(pod, list, self.now);
        }
        self.store.end_list(Resource::Pods, list);
        let list = self.store.begin_list();
        for namespace in namespaces {
            self.store.namespace_listed(namespace, list, self.now);
        }
        self.store.end_list(Resource::Namespaces, list);
    }

    fn find(&mut self, tag: &str) -> Found {
        let regexp = Regexp::new(TAG_REGEXP, RegexpFlags::default()).unwrap();
        let identity = Identity::of_tag(&regexp, tag).unwrap();
        self.store.find(&identity, Some(EventTime::from_secs(NOW)), self.now)
    }

    /// The field `kubernetes`, with `?` in front if more is to come, and what is asked for.
    fn seen(&mut self, tag: &str) -> String {
        let found = self.find(tag);
        let mut out = Vec::new();
        found.plan.splicer.splice_entries(&entries(&["{}"]).entries, &mut out);
        let record = shown(&EventStream::new(Tag::new("t"), out.into(), 1)).remove(0);
        let start = record.find(r#""kubernetes":"#).unwrap() + r#""kubernetes":"#.len();
        let asked: Vec<String> = found
            .ask
            .iter()
            .map(|question| match question {
                Question::Pod { namespace, name } => format!(" pod {namespace}/{name}"),
                Question::Namespace { name } => format!(" namespace {name}"),
            })
            .collect();
        format!(
            "{}{}{}",
            if found.is_pending { "?" } else { "" },
            &record[start..record.len() - 1],
            asked.concat()
        )
    }
}

const NAMES: &str = r#""container_name":"app","namespace_name":"shop","pod_name":"web""#;
const IMAGE: &str = r#""container_image":"registry/app:1","container_image_id":"registry/app@sha256:1""#;

fn whole(uid: &str, label: &str, namespace: &str) -> String {
    format!(
        r#"{{{NAMES},{IMAGE},"pod_id":"{uid}","pod_ip":"10.0.0.7","host":"node-1","labels":{{"v":"{label}"}},"namespace_id":"{namespace}","namespace_labels":{{"v":"x"}}}}"#
    )
}

fn orphan() -> String {
    r#"{"container_name":"app","namespace_name":".orphaned","pod_name":"web","orphaned_namespace":"shop","namespace_id":"orphaned"}"#
        .to_owned()
}

#[test]
fn a_container_by_its_id_and_changes_by_the_watch() {
    let mut scene = Scene::new("", Some("node-1"));
    let web = tag("web", "shop", "app", ID);
    assert_eq!(scene.seen(&web), format!("?{}", orphan()));
    scene.list(vec![scene.pod("web", "u1", ID, "1")], vec![scene.namespace("n1", "x")]);
    assert_eq!(scene.seen(&web), whole("u1", "1", "n1"));
    let plan = scene.find(&web).plan;
    // What concerns others makes no new plan.
    scene.store.pod_changed(scene.pod("other", "u9", OTHER_ID, "1"), true, scene.now);
    assert!(Arc::ptr_eq(&plan, &scene.find(&web).plan));
    scene.store.pod_changed(scene.pod("web", "u1", ID, "2"), false, scene.now);
    assert_eq!(scene.seen(&web), whole("u1", "2", "n1"));
    // Deleted, and another of its name: lines of the old container are the old pod's.
    scene.store.pod_deleted("u1");
    assert_eq!(scene.seen(&web), whole("u1", "2", "n1"));
    scene.store.pod_changed(scene.pod("web", "u2", OTHER_ID, "3"), true, scene.now);
    assert_eq!(scene.seen(&web), whole("u1", "2", "n1"));
    assert_eq!(scene.seen(&tag("web", "shop", "app", OTHER_ID)), whole("u2", "3", "n1"));
    // By the pod's uid.
    let by_uid = scene.seen("kubernetes.var.log.pods.shop_web_u1.app.0.log");
    assert_eq!(by_uid, whole("u1", "2", "n1"));
}

#[test]
fn a_line_of_a_deleted_pods_name_may_be_its_successors() {
    let mut scene = Scene::new("", Some("node-1"));
    scene.list(vec![scene.pod("web", "u1", ID, "1")], vec![scene.namespace("n1", "x")]);
    scene.store.pod_deleted("u1");
    let successor = tag("web", "shop", "app", OTHER_ID);
    assert_eq!(scene.seen(&successor), format!("?{} pod shop/web", whole("u1", "1", "n1")));
    assert_eq!(scene.seen(&successor), format!("?{}", whole("u1", "1", "n1")));
    scene.store.pod_fetched(scene.pod("web", "u2", OTHER_ID, "2"), scene.now);
    assert_eq!(scene.seen(&successor), whole("u2", "2", "n1"));
}

#[test]
fn what_a_new_list_lacks_is_deleted_and_stays_for_its_last_lines() {
    let mut scene = Scene::new("", Some("node-1"));
    scene.list(vec![scene.pod("web", "u1", ID, "1")], vec![scene.namespace("n1", "x")]);
    scene.list(vec![scene.pod("other", "u2", OTHER_ID, "1")], vec![]);
    assert_eq!(scene.seen(&tag("web", "shop", "app", ID)), whole("u1", "1", "n1"));
    scene.now += Duration::from_secs(1_000_000);
    assert_eq!(scene.seen(&tag("web", "shop", "app", ID)), whole("u1", "1", "n1"));
}

#[test]
fn what_nobody_watches_is_asked_for_and_again_after_its_time() {
    let mut scene = Scene::new("watch false\ncache_ttl 60", None);
    let web = tag("web", "shop", "app", ID);
    assert_eq!(scene.seen(&web), format!("?{} pod shop/web namespace shop", orphan()));
    assert_eq!(scene.seen(&web), format!("?{}", orphan()));
    scene.store.pod_fetched(scene.pod("web", "u1", ID, "1"), scene.now);
    scene.store.namespace_fetched(scene.namespace("n1", "x"), scene.now);
    assert_eq!(scene.seen(&web), whole("u1", "1", "n1"));
    scene.now += Duration::from_secs(61);
    // The old answer is good until there is a new one.
    assert_eq!(scene.seen(&web), format!("{} pod shop/web namespace shop", whole("u1", "1", "n1")));
    scene.store.pod_fetched(scene.pod("web", "u1", ID, "2"), scene.now);
    assert_eq!(scene.seen(&web), whole("u1", "2", "n1"));
    scene.store.failed(&Question::Namespace { name: "shop".into() }, scene.now);
    assert_eq!(scene.seen(&web), whole("u1", "2", "n1"));
    scene.now += Duration::from_secs(2);
    assert_eq!(scene.seen(&web), format!("{} namespace shop", whole("u1", "2", "n1")));
    // Gone in the meantime.
    scene.now += Duration::from_secs(61);
    scene.find(&web);
    scene.store.not_found(&Question::Pod { namespace: "shop".into(), name: "web".into() }, scene.now);
    assert!(scene.seen(&web).starts_with(&whole("u1", "2", "n1")));
}

#[test]
fn orphans_and_half_orphans() {
    let pod = Question::Pod { namespace: "shop".into(), name: "web".into() };
    let namespace = Question::Namespace { name: "shop".into() };
    let web = tag("web", "shop", "app", ID);
    let mut scene = Scene::new("watch false", None);
    scene.find(&web);
    scene.store.not_found(&pod, scene.now);
    scene.store.failed(&namespace, scene.now);
    assert_eq!(scene.seen(&web), orphan());
    // A namespace that is older than the record: the container's id stands for the pod's.
    scene.store.namespace_fetched(scene.namespace("n1", "x"), scene.now);
    assert_eq!(
        scene.seen(&web),
        format!(r#"{{{NAMES},"pod_id":"{ID}","namespace_id":"n1","namespace_labels":{{"v":"x"}}}}"#)
    );
    // One that is younger.
    let mut young = testing::namespace("shop", "n2", &[]);
    young["metadata"]["creationTimestamp"] = "2027-01-01T00:00:00Z".into();
    let young = serde_json::from_value::<NamespaceJson>(young).unwrap().reduce(&scene.settings.shape);
    scene.store.namespace_fetched(young, scene.now);
    assert_eq!(scene.seen(&web), format!(r#"{{{NAMES},"namespace_id":"n2"}}"#));

    let mut scene = Scene::new("watch false\nallow_orphans false", None);
    assert_eq!(scene.seen(&web), format!("?{{{NAMES}}} pod shop/web namespace shop"));
    let mut scene = Scene::new("watch false\norphaned_namespace_name lost\norphaned_namespace_id l", None);
    let lost = r#"{"container_name":"app","namespace_name":"lost","pod_name":"web","orphaned_namespace":"shop","namespace_id":"l"}"#;
    assert_eq!(scene.seen(&web), format!("?{lost} pod shop/web namespace shop"));
    let mut scene = Scene::new("watch false\nskip_namespace_metadata true", None);
    assert_eq!(scene.seen(&web), format!("?{{{NAMES}}} pod shop/web"));
}

#[test]
fn what_is_left_out_and_what_is_added() {
    let of = |text: &str| {
        let mut scene = Scene::new(text, Some("node-1"));
        scene.list(vec![scene.pod("web", "u1", ID, "1")], vec![scene.namespace("n1", "x")]);
        scene.seen(&tag("web", "shop", "app", ID))
    };
    let whole = whole("u1", "1", "n1");
    let (pod_labels, namespace_labels) = (r#","labels":{"v":"1"}"#, r#","namespace_labels":{"v":"x"}"#);
    assert_eq!(of("skip_labels true"), whole.replace(pod_labels, "").replace(namespace_labels, ""));
    assert_eq!(of("skip_pod_labels true"), whole.replace(pod_labels, ""));
    assert_eq!(of("skip_namespace_labels true"), whole.replace(namespace_labels, ""));
    assert_eq!(of("skip_container_metadata true"), whole.replace(&format!(",{IMAGE}"), ""));
    assert_eq!(
        of("skip_namespace_metadata true"),
        whole.replace(r#","namespace_id":"n1""#, "").replace(namespace_labels, "")
    );
    assert_eq!(
        of("include_ownerrefs_metadata true"),
        whole.replace(
            pod_labels,
            &format!(r#","ownerrefs":[{{"kind":"ReplicaSet","name":"owner"}}]{pod_labels}"#)
        )
    );
    assert_eq!(
        of(r#"annotation_match ["^example"]"#),
        whole
            .replace(pod_labels, &format!(r#"{pod_labels},"annotations":{{"example.com/team":"a"}}"#))
            .replace(
                namespace_labels,
                &format!(r#"{namespace_labels},"namespace_annotations":{{"example.com/owner":"b"}}"#)
            )
    );
    assert_eq!(
        of("skip_master_url false"),
        whole.replace(pod_labels, &format!(r#"{pod_labels},"master_url":"https://api""#))
    );
}

#[test]
fn memory_is_bounded_by_cache_size() {
    let mut scene = Scene::new("cache_size 20", Some("node-1"));
    scene.list(vec![], vec![scene.namespace("n1", "x")]);
    for n in 0..500 {
        let (name, uid, id) = (format!("web-{n}"), format!("u{n}"), format!("{n:064x}"));
        scene.store.pod_changed(scene.pod(&name, &uid, &id, "1"), true, scene.now);
        let seen = scene.seen(&tag(&name, "shop", "app", &id));
        assert!(seen.contains(&format!(r#""pod_id":"{uid}""#)), "{seen}");
        assert!(scene.store.sizes().0 <= 20 && scene.store.containers() <= 20);
    }
    // Names that cannot be are neither asked for nor kept.
    let before = scene.store.containers();
    let seen = scene.seen(&tag("web", "sh op", "app", ID));
    assert!(seen.starts_with('{') && !seen.contains(" pod "), "{seen}");
    assert_eq!(scene.store.containers(), before);
}

#[test]
fn pods_of_other_nodes_push_out_none_that_are_asked_for() {
    let mut scene = Scene::new("cache_size 2", None);
    let list = ["a", "b", "c", "d"].map(|name| scene.pod(name, name, name, "1"));
    scene.list(list.into(), vec![scene.namespace("n1", "x")]);
    assert_eq!(scene.store.sizes(), (2, 1));
    scene.store.pod_changed(scene.pod("e", "e", "e", "1"), true, scene.now);
    assert!(!scene.seen(&tag("a", "shop", "app", &"a".repeat(64))).contains(" pod "));
    assert!(scene.seen(&tag("e", "shop", "app", &"e".repeat(64))).contains(" pod shop/e"));
}

#[test]
fn a_watch_that_is_lost_leaves_what_ages() {
    let mut scene = Scene::new("cache_ttl 60", Some("node-1"));
    let web = tag("web", "shop", "app", ID);
    scene.list(vec![scene.pod("web", "u1", ID, "1")], vec![scene.namespace("n1", "x")]);
    scene.now += Duration::from_secs(1000);
    assert_eq!(scene.seen(&web), whole("u1", "1", "n1"));
    scene.store.watch_lost(Resource::Pods, scene.now);
    assert_eq!(scene.seen(&web), whole("u1", "1", "n1"));
    scene.now += Duration::from_secs(61);
    assert_eq!(scene.seen(&web), format!("{} pod shop/web", whole("u1", "1", "n1")));
}
