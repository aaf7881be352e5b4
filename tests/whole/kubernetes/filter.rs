//! filter kubernetes_metadata in the program, and what an API server may do to it.

use super::Node;
use super::node::Container;
use crate::logweir::Logweir;
use logweir_testing::{KubernetesApi, Pod, namespace};
use serde_json::Value;
use std::fs;
use std::path::Path;

const WEB: (&str, &str, &str) = ("shop", "web-0", "u1");
const ID: &str = "49095a2894da899d3b327c5fde1e056a81376cc9a8f8b09a195f2a92bceed459";
const OTHER_ID: &str = "5a095a2894da899d3b327c5fde1e056a81376cc9a8f8b09a195f2a92bceed45a";

/// A node with one container, an API server that knows it, and a Logweir between.
struct Scene {
    dir: tempfile::TempDir,
    node: Node,
    api: KubernetesApi,
    web: Container,
    logweir: Logweir,
}

fn web() -> Pod<'static> {
    Pod {
        namespace: "shop",
        name: "web-0",
        uid: "u1",
        node: "node-1",
        containers: &[("app", ID)],
        labels: &[("v", "1")],
    }
}

impl Scene {
    /// `more` is added to the filter's parameters.
    fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::new(dir.path());
        let web_container = node.start(WEB, "app", 0, ID);
        let api = KubernetesApi::start();
        api.put(namespace("shop", "n1", &[("tenant", "x")]));
        api.put(web().json());
        let logweir = Logweir::not_started(dir.path(), &config(dir.path(), &node, &api, more));
        Self { dir, node, api, web: web_container, logweir }
    }

    fn start(&mut self) {
        self.logweir.spawn(&[("K8S_NODE_NAME", "node-1")]);
        self.logweir.wait_until_running();
    }

    /// Writes a line and waits for its record.
    fn say(&mut self, text: &str) -> Value {
        self.web.say(text);
        self.record(text)
    }

    fn record(&mut self, text: &str) -> Value {
        let dir = self.dir.path().to_owned();
        self.logweir.wait(&format!("the line {text:?}"), |_| find(&dir, text).is_some());
        find(&dir, text).unwrap()
    }

    /// Writes lines until one of them has this.
    fn say_until(&mut self, is_there: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for n in 0..1000 {
            last = self.say(&format!("line {} {n}", self.web_lines()));
            if is_there(&last) {
                return last;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("it does not come: {last}\n{}", self.logweir.log());
    }

    fn web_lines(&self) -> usize {
        fs::read_to_string(self.dir.path().join("out.log")).map_or(0, |text| text.lines().count())
    }

    fn count(&self, text: &str) -> usize {
        self.logweir.log().matches(text).count()
    }
}

fn config(dir: &Path, node: &Node, api: &KubernetesApi, more: &str) -> String {
    let (here, var_log) = (dir.display(), node.var_log().display().to_string());
    format!(
        "<source>
  @type tail
  path {var_log}/containers/*.log
  pos_file {here}/pos
  tag kubernetes.*
  read_from_head true
  refresh_interval 1s
  <parse>
    @type cri
  </parse>
</source>
<filter kubernetes.**>
  @type kubernetes_metadata
  @id metadata
  @log_level debug
  kubernetes_url {}
  secret_dir {}
  {more}
</filter>
<match kubernetes.**>
  @type file
  path {here}/out
  append true
  <format>
    @type json
  </format>
  <buffer []>
    path {here}/buffer
    flush_interval 0.1
  </buffer>
</match>
<label @FLUENT_LOG>
  <match **>
    @type null
  </match>
</label>
",
        api.url(),
        api.secrets().display()
    )
}

/// The record of a line.
fn find(dir: &Path, message: &str) -> Option<Value> {
    let text = fs::read_to_string(dir.join("out.log")).ok()?;
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.into_iter().find(|record| record["message"] == message)
}

#[test]
fn labels_change_tokens_rotate_and_a_deleted_pods_last_lines_are_its_own() {
    let mut scene = Scene::new("");
    scene.start();
    let first = scene.say("first");
    assert_eq!(first["docker"]["container_id"], ID);
    let url = scene.api.url();
    assert_eq!(
        first["kubernetes"],
        serde_json::json!({
            "container_name": "app", "namespace_name": "shop", "pod_name": "web-0",
            "container_image": "registry/app:1", "container_image_id": "registry/app@sha256:1",
            "pod_id": "u1", "pod_ip": "10.0.0.7", "host": "node-1", "labels": {"v": "1"}, "master_url": url,
            "namespace_id": "n1", "namespace_labels": {"tenant": "x"},
        })
    );
    scene.api.wait_for_watches(2);
    scene.api.put(Pod { labels: &[("v", "2")], ..web() }.json());
    scene.say_until(|record| record["kubernetes"]["labels"]["v"] == "2");

    // A new token: the old one is refused until the file has the new one.
    scene.api.take_tokens(&["token-2"]);
    scene.api.end_watches();
    scene.logweir.wait("the refusal", |process| process.log().contains("does not accept the token"));
    fs::write(scene.api.secrets().join("token"), "token-2\n").unwrap();
    scene.api.wait_for_watches(2);
    scene.api.put(Pod { labels: &[("v", "3")], ..web() }.json());
    scene.say_until(|record| record["kubernetes"]["labels"]["v"] == "3");
    assert_eq!(scene.count("does not accept the token"), 1, "{}", scene.logweir.log());

    // Deleted while its last lines are written, and another of its name.
    scene.api.delete("Pod", "shop", "web-0");
    scene.api.put(Pod { uid: "u2", containers: &[("app", OTHER_ID)], ..web() }.json());
    let mut successor = scene.node.start(("shop", "web-0", "u2"), "app", 0, OTHER_ID);
    successor.say("of the successor");
    assert_eq!(scene.record("of the successor")["kubernetes"]["pod_id"], "u2");
    let last = scene.say("last words");
    assert_eq!((&last["kubernetes"]["pod_id"], &last["docker"]["container_id"]), (&"u1".into(), &ID.into()));

    // A file of a pod that the server has never heard of, in a namespace that it knows, and in one that it does not.
    scene.node.start(("shop", "ghost", "u8"), "app", 0, &"8".repeat(64)).say("of a ghost");
    let ghost = scene.record("of a ghost");
    assert_eq!(ghost["kubernetes"]["pod_id"], "8".repeat(64));
    assert_eq!(ghost["kubernetes"]["namespace_id"], "n1");
    scene.node.start(("lost", "ghost", "u9"), "app", 0, &"9".repeat(64)).say("of an orphan");
    let orphan = scene.record("of an orphan");
    assert_eq!(
        orphan["kubernetes"],
        serde_json::json!({
            "container_name": "app", "namespace_name": ".orphaned", "pod_name": "ghost",
            "orphaned_namespace": "lost", "namespace_id": "orphaned",
        })
    );
    assert!(scene.logweir.stop().success());
    assert!(!scene.logweir.log().contains("token-2"), "{}", scene.logweir.log());
}

#[test]
fn a_server_that_is_down_at_the_start_and_comes_later() {
    let mut scene = Scene::new("");
    scene.api.stop();
    scene.start();
    for n in 0..50 {
        scene.web.say(&format!("early {n}"));
    }
    let early = scene.record("early 49");
    assert_eq!(early["kubernetes"]["orphaned_namespace"], "shop", "{early}");
    assert_eq!(early["docker"]["container_id"], ID);
    let again = "the Kubernetes API server fails again";
    scene.logweir.wait("more attempts", |process| process.log().matches(again).count() >= 2);
    assert_eq!(scene.count("cannot be reached"), 1, "{}", scene.logweir.log());
    scene.api.start_again();
    scene.say_until(|record| record["kubernetes"]["pod_id"] == "u1");
    assert_eq!(scene.count("answers again"), 1, "{}", scene.logweir.log());
    // Away again: what is known stays known.
    scene.api.wait_for_watches(2);
    scene.api.stop();
    scene.logweir.wait("the second outage", |process| process.log().matches(again).count() >= 4);
    let known = scene.say("known");
    assert_eq!(known["kubernetes"]["labels"]["v"], "1");
    // Back, without a memory of what was: everything is listed again.
    scene.api.put(Pod { labels: &[("v", "2")], ..web() }.json());
    scene.api.forget_history(false);
    scene.api.start_again();
    scene.say_until(|record| record["kubernetes"]["labels"]["v"] == "2");
    assert!(scene.logweir.log().contains("410 Gone"), "{}", scene.logweir.log());
    assert!(scene.logweir.stop().success());
}

#[test]
fn a_certificate_that_is_not_trusted_is_one_clear_message() {
    let mut scene = Scene::new("watch_retry_exponential_backoff_base 1");
    let ours = fs::read(scene.api.secrets().join("ca.crt")).unwrap();
    let other = KubernetesApi::start();
    fs::copy(other.secrets().join("ca.crt"), scene.api.secrets().join("ca.crt")).unwrap();
    scene.start();
    for n in 0..20 {
        scene.web.say(&format!("early {n}"));
    }
    let early = scene.record("early 19");
    assert_eq!(early["kubernetes"]["pod_name"], "web-0");
    let again = "the Kubernetes API server fails again";
    scene.logweir.wait("more attempts", |process| process.log().matches(again).count() >= 5);
    let log = scene.logweir.log();
    assert_eq!(log.matches("is not trusted").count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains("is not trusted")).unwrap();
    for says in ["[warn]", "[metadata]", "ca_file", &scene.api.url(), "invalid peer certificate"] {
        assert!(line.contains(says), "{says} is not in {line}");
    }
    assert!(scene.api.requests().is_empty());
    // The right CA in its place is read without a restart.
    fs::write(scene.api.secrets().join("ca.crt"), ours).unwrap();
    scene.say_until(|record| record["kubernetes"]["pod_id"] == "u1");
    assert!(scene.logweir.stop().success());
}

#[test]
fn a_role_that_allows_nothing_is_named() {
    let mut scene = Scene::new("watch_retry_exponential_backoff_base 1");
    let all =
        ["pods", "namespaces"].map(|what| ["get", "list", "watch"].map(|verb| format!("{verb} {what}")));
    let all: Vec<&str> = all.iter().flatten().map(String::as_str).collect();
    scene.api.forbid(&all);
    scene.start();
    scene.say("one");
    let again = "the Kubernetes API server fails again";
    scene.logweir.wait("more attempts", |process| process.log().matches(again).count() >= 6);
    let log = scene.logweir.log();
    // Once for pods, once for namespaces, once for what is asked for by name.
    assert_eq!(log.matches("needs a ClusterRole").count(), 3, "{log}");
    assert!(log.contains("pods is forbidden: User"), "{log}");
    scene.api.forbid(&[]);
    scene.say_until(|record| record["kubernetes"]["pod_id"] == "u1");
    assert!(scene.logweir.stop().success());
}
