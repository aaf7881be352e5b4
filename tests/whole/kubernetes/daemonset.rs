//! conf/kubernetes as the DaemonSet runs it: a node's files, an API server of ours, and a real ClickHouse.

use super::node::Container;
use super::{Node, conf};
use crate::logweir::{BINARY, Logweir};
use crate::store::Store;
use logweir_testing::{ClickHouse, KubernetesApi, Pod, free_port, http_request, namespace};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const IDS: [&str; 4] = [
    "1111111111111111111111111111111111111111111111111111111111111111",
    "2222222222222222222222222222222222222222222222222222222222222222",
    "3333333333333333333333333333333333333333333333333333333333333333",
    "4444444444444444444444444444444444444444444444444444444444444444",
];
const WEB: (&str, &str, &str) = ("shop", "web-7d9f-x2x4b", "uid-web");
const DB: (&str, &str, &str) = ("data", "db-0", "uid-db");

/// What an old server can have of the table.
const OLD_TABLE: &str = "CREATE TABLE logs.kubernetes (timestamp DateTime, tag String, namespace String, pod String, \
    container String, node String, stream String, message String, labels String, kubernetes String, fields String) \
    ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (namespace, pod, timestamp)";

struct Cluster {
    dir: tempfile::TempDir,
    node: Node,
    api: KubernetesApi,
    monitor: u16,
    clickhouse: u16,
}

impl Cluster {
    /// `clickhouse` is the port of its HTTP interface.
    fn new(clickhouse: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let api = KubernetesApi::start();
        api.put(namespace("shop", "ns-shop", &[("tenant", "a")]));
        api.put(namespace("data", "ns-data", &[("tenant", "b")]));
        let labels = [("app", "web"), ("app.kubernetes.io/version", "1.2")];
        let containers = [("app", IDS[0]), ("sidecar", IDS[1])];
        let web = Pod {
            namespace: WEB.0,
            name: WEB.1,
            uid: WEB.2,
            node: "node-1",
            containers: &containers,
            labels: &labels,
        };
        api.put(web.json());
        let containers = [("postgres", IDS[2])];
        api.put(
            Pod {
                namespace: DB.0,
                name: DB.1,
                uid: DB.2,
                containers: &containers,
                labels: &[("app", "db")],
                ..web
            }
            .json(),
        );
        // One of another node.
        api.put(Pod { name: "elsewhere", uid: "uid-2", node: "node-2", ..web }.json());
        Self { node: Node::new(dir.path()), dir, api, monitor: free_port(), clickhouse }
    }

    /// The command of the manifest, with other paths and ports.
    fn run(&self, more: &[(&str, &str)]) -> Logweir {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("logweir.log"))
            .unwrap();
        let mut command = Command::new(BINARY);
        command.arg("-c").arg(conf("fluent.conf")).stdin(Stdio::null());
        command.env("FLUENTD_SYSTEMD_CONF", "disable").env("FLUENTD_PROMETHEUS_CONF", "disable");
        command.env("FLUENT_LOG_ROOT", self.node.var_log()).env("FLUENT_STATE_ROOT", self.node.state());
        command.env("K8S_NODE_NAME", "node-1").env("FLUENT_FILTER_KUBERNETES_URL", self.api.url());
        command.env("KUBERNETES_SECRET_DIR", self.api.secrets());
        command.env("FLUENT_MONITOR_BIND", "127.0.0.1").env("FLUENT_MONITOR_PORT", self.monitor.to_string());
        command.env("FLUENT_CLICKHOUSE_HOST", "127.0.0.1");
        command.env("FLUENT_CLICKHOUSE_PORT", self.clickhouse.to_string());
        command
            .env("FLUENT_CLICKHOUSE_BUFFER_FLUSH_INTERVAL", "1s")
            .env("FLUENT_CONTAINER_TAIL_REFRESH_INTERVAL", "1s");
        command.envs(more.iter().copied());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Logweir::adopt(self.dir.path(), child)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.node.var_log().join(name), text).unwrap();
    }
}

/// Lines `from..to` of a container.
fn say(container: &mut Container, name: &str, lines: std::ops::Range<usize>) {
    for n in lines {
        container.say(&format!("{name} {n:04}"));
    }
}

#[test]
fn each_line_is_found_with_its_pod() {
    let server = ClickHouse::start();
    server.query("CREATE DATABASE logs");
    server.query(OLD_TABLE);
    let count = |filter: &str| -> usize {
        server.query(&format!("SELECT count() FROM logs.kubernetes WHERE {filter}")).parse().unwrap()
    };
    let cluster = Cluster::new(server.port());
    let mut app = cluster.node.start(WEB, "app", 0, IDS[0]);
    let mut sidecar = cluster.node.start(WEB, "sidecar", 0, IDS[1]);
    // What was written before Logweir came.
    say(&mut app, "app", 0..100);
    cluster.write("kubelet.log", "");
    let mut logweir = cluster.run(&[]);
    // What is in this one when it is first seen would be passed over, as with the image.
    let kubelet = format!("following tail of {}", cluster.node.var_log().join("kubelet.log").display());
    logweir.wait("the kubelet's file", |logweir| logweir.log().contains(&kubelet));
    say(&mut app, "app", 100..200);
    say(&mut sidecar, "sidecar", 0..200);
    // A pod that comes later.
    let mut db = cluster.node.start(DB, "postgres", 0, IDS[2]);
    say(&mut db, "db", 0..100);
    // Rotated, and written on.
    app.rotate();
    say(&mut app, "app", 200..300);
    app.rotate();
    say(&mut app, "app", 300..400);
    // A line in parts, with a line of the other stream in between.
    let part = "x".repeat(16 << 10);
    app.write("stdout", "P", &part);
    app.write("stderr", "F", "in between");
    app.write("stdout", "P", &part);
    app.write("stdout", "F", "end");
    // The container is started again: another file, another id, which the server learns of.
    let restarted = [("app", IDS[3]), ("sidecar", IDS[1])];
    let labels = [("app", "web")];
    let web = Pod {
        namespace: WEB.0,
        name: WEB.1,
        uid: WEB.2,
        node: "node-1",
        containers: &restarted,
        labels: &labels,
    };
    cluster.api.put(web.json());
    let mut app = cluster.node.start(WEB, "app", 1, IDS[3]);
    say(&mut app, "again", 0..100);
    // Its own log, and a component of Kubernetes.
    let own = ("logging", "logweir-abcde", "uid-own");
    cluster.node.start(own, "logweir", 0, &"5".repeat(64)).say("not to be read");
    let glog: String =
        (0..10).map(|n| format!("I0201 10:30:45.{n:06}    1 kubelet.go:116] synced {n}\n")).collect();
    append(&cluster.node.var_log().join("kubelet.log"), &glog);

    logweir.wait("all rows", |_| count("1 = 1") >= 400 + 200 + 100 + 2 + 100 + 10);
    let rows = |name: &str, pod: (&str, &str, &str), container: &str| {
        let lines = format!("message LIKE '{name} %'");
        let right = format!(
            "namespace = '{}' AND pod = '{}' AND container = '{container}' AND node = 'node-1' AND stream = 'stdout'",
            pod.0, pod.1
        );
        let unique = server
            .query(&format!("SELECT uniqExact(message) FROM logs.kubernetes WHERE {lines} AND {right}"));
        (count(&lines), unique.parse::<usize>().unwrap())
    };
    assert_eq!(rows("app", WEB, "app"), (400, 400));
    assert_eq!(rows("sidecar", WEB, "sidecar"), (200, 200));
    assert_eq!(rows("db", DB, "postgres"), (100, 100));
    assert_eq!(rows("again", WEB, "app"), (100, 100));
    assert_eq!(
        server.query("SELECT length(message), stream, pod, substring(message, 32767) FROM logs.kubernetes WHERE length(message) > 1000"),
        format!("{}\tstdout\t{}\txxend", (32 << 10) + 3, WEB.1)
    );
    assert_eq!(count("message = 'in between' AND stream = 'stderr' AND container = 'app'"), 1);
    assert_eq!(count("message LIKE 'not to be%'"), 0);
    assert_eq!(count("tag = 'kubelet' AND message LIKE 'synced %' AND pod = ''"), 10);
    assert_eq!(count("message LIKE 'db %' AND labels = '{\"app\":\"db\"}'"), 100);
    let tenants = "visitParamExtractString(visitParamExtractRaw(kubernetes, 'namespace_labels'), 'tenant')";
    assert_eq!(count(&format!("message LIKE 'db %' AND {tenants} = 'b'")), 100);
    let ids = "visitParamExtractString(visitParamExtractRaw(fields, 'docker'), 'container_id')";
    assert_eq!(count(&format!("message LIKE 'again %' AND {ids} = '{}'", IDS[3])), 100);
    assert_eq!(count(&format!("message LIKE 'app %' AND {ids} = '{}'", IDS[0])), 400);
    assert_eq!(count("1 = 1"), 812);
    assert_eq!(
        server.query("SELECT min(timestamp), max(timestamp) FROM logs.kubernetes WHERE pod != ''"),
        "2026-02-01 10:30:45\t2026-02-01 10:30:45"
    );

    // What the probes of the manifest ask.
    let probe = http_request(cluster.monitor, "GET", "/api/plugins.json", &[], b"").unwrap();
    assert_eq!(probe.status, 200);
    assert!(probe.text().contains("filter_kube_metadata"), "{}", probe.text());

    // Once more: nothing is read again, and lines of the time between are. The pod is deleted with its last lines unread.
    assert!(logweir.stop().success());
    say(&mut db, "db", 100..200);
    cluster.api.delete("Pod", DB.0, DB.1);
    let mut logweir = cluster.run(&[]);
    logweir.wait("the rest", |_| count("message LIKE 'db %'") >= 200);
    cluster.node.remove(DB);
    assert!(logweir.stop().success());
    assert_eq!(count("1 = 1"), 912);
    // The server had forgotten the pod: names are the tag's, the namespace is known.
    assert_eq!(
        count("message LIKE 'db %' AND namespace = 'data' AND pod = 'db-0' AND container = 'postgres'"),
        200
    );
    let lists =
        cluster.api.requests().iter().filter(|request| request.contains("/pods?resourceVersion=0")).count();
    assert_eq!(lists, 2, "one list a start: {:#?}", cluster.api.requests());
}

#[test]
fn stack_traces_are_joined_and_the_table_is_made() {
    let Some(store) = Store::start() else { return };
    let cluster = Cluster::new(store.port());
    let mut app = cluster.node.start(WEB, "app", 0, IDS[0]);
    let more = [
        ("FLUENT_CONTAINER_EXCEPTIONS_CONF", "exceptions"),
        ("FLUENT_CONTAINER_TAIL_TAG", "raw.kubernetes.*"),
        // The lines are of the past, which the default of 30 days would take for old.
        ("FLUENT_CLICKHOUSE_TTL", "3650d"),
    ];
    let mut logweir = cluster.run(&more);
    app.say("before");
    let trace = [
        "Exception in thread \"main\" java.lang.IllegalStateException: out of beer",
        "    at com.example.Bar.serve(Bar.java:12)",
        "    at com.example.Bar.main(Bar.java:3)",
    ];
    for line in trace {
        app.write("stderr", "F", line);
    }
    app.say("after");
    let count = || {
        let answer = store.post("", "SELECT count() FROM logs.kubernetes");
        if answer.status == 200 { answer.text().trim().parse().unwrap_or(0) } else { 0 }
    };
    logweir.wait("three rows", |_| count() >= 3);
    assert_eq!(
        store.query(
            "SELECT namespace, pod, container, node, stream, length(message), labels['app'], kubernetes['namespace_labels.tenant'] \
             FROM logs.kubernetes WHERE message LIKE 'Exception%'"
        ),
        format!("shop\t{}\tapp\tnode-1\tstderr\t{}\tweb\ta", WEB.1, trace.join("\n").len())
    );
    assert_eq!(
        store.query("SELECT message, toUnixTimestamp64Nano(timestamp) % 1000000000 FROM logs.kubernetes WHERE stream = 'stdout' ORDER BY timestamp"),
        "before\t0\nafter\t4"
    );
    assert_eq!(store.query("SELECT uniqExact(tag) FROM logs.kubernetes WHERE tag LIKE 'kubernetes.%'"), "1");
    assert!(logweir.stop().success());
    assert_eq!(count(), 3);
}

fn append(file: &Path, text: &str) {
    use std::io::Write;
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}
