//! conf/kubernetes as files: what they come to, with the image's variables.

use super::conf;
use crate::logweir::{BINARY, words};
use serde_json::Value;
use std::process::{Command, Output, Stdio};

fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(args).arg(conf("fluent.conf")).stdin(Stdio::null());
    command.envs(variables.iter().copied()).output().expect("logweir")
}

const ALONE: [(&str, &str); 2] =
    [("FLUENTD_SYSTEMD_CONF", "disable"), ("FLUENTD_PROMETHEUS_CONF", "disable")];

/// `check` of the configuration; `None` if it has a plugin that this build lacks.
fn check(variables: &[(&str, &str)]) -> Option<String> {
    let state = tempfile::tempdir().unwrap();
    let state = state.path().display().to_string();
    let variables: Vec<(&str, &str)> =
        variables.iter().copied().chain([("FLUENT_STATE_ROOT", state.as_str())]).collect();
    let output = run(&["check"], &variables);
    let text = words(&output);
    if text.contains("Unknown input plugin") {
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{text}");
    Some(text)
}

#[test]
fn it_is_without_errors_and_warnings() {
    let text = check(&ALONE).unwrap();
    let troubles: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("[warn]") || line.contains("[error]"))
        // Where the test runs there is no node.
        .filter(|line| !line.contains("K8S_NODE_NAME"))
        .collect();
    assert!(troubles.is_empty(), "{troubles:#?}");
}

#[test]
fn with_everything_that_can_be_switched_on() {
    check(&[
        ALONE[0],
        ALONE[1],
        ("FLUENT_CONTAINER_EXCEPTIONS_CONF", "exceptions"),
        ("FLUENT_CONTAINER_TAIL_TAG", "raw.kubernetes.*"),
        ("FLUENT_CONTAINER_TAIL_PARSER_TYPE", "json"),
        ("FLUENT_POS_EXTRA_DIR", "second"),
        ("FLUENT_CLICKHOUSE_SCHEME", "https"),
        ("FLUENT_FILTER_KUBERNETES_URL", "https://10.0.0.1:443/api"),
        ("KUBERNETES_VERIFY_SSL", "false"),
        ("K8S_NODE_NAME", "node-1"),
    ])
    .expect("all plugins");
}

/// With the inputs of other plugins, as soon as this build has them.
#[test]
fn the_journal_and_the_metrics() {
    for variables in [&ALONE[..1], &ALONE[1..], &[]] {
        if check(variables).is_none() {
            eprintln!("not checked: this build lacks a plugin for {variables:?} set to disable");
        }
    }
}

#[test]
fn ids_labels_and_order_are_those_of_the_image() {
    let output = run(&["config", "--json"], &ALONE);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let tree: Value = serde_json::from_slice(&output.stdout).unwrap();
    let elements = tree["elements"].as_array().unwrap();
    let of = |name: &str| -> Vec<String> {
        let found = elements.iter().filter(|element| element["name"] == name);
        found.map(|element| element["attrs"]["@id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let tails = [
        "cluster_autoscaler",
        "container_logs",
        "docker",
        "etcd",
        "glbc",
        "kube_apiserver_audit",
        "kube_apiserver",
        "kube_controller_manager",
        "kube_proxy",
        "kube_scheduler",
        "kubelet",
        "rescheduler",
        "minion",
        "startupscript",
    ];
    let mut sources = vec!["in_monitor_agent".to_owned()];
    sources.extend(tails.map(|name| format!("in_tail_{name}")));
    assert_eq!(of("source"), sources);
    assert_eq!(of("filter"), ["filter_kube_partial", "filter_kube_metadata"]);
    let labels = elements.iter().filter(|element| element["name"] == "label");
    let labels: Vec<&str> = labels.map(|element| element["arg"].as_str().unwrap()).collect();
    assert_eq!(labels, ["@FLUENT_LOG", "@KUBERNETES_PARTIAL", "@ERROR"]);
    let containers =
        elements.iter().find(|element| element["attrs"]["@id"] == "in_tail_container_logs").unwrap();
    assert_eq!(containers["attrs"]["path"], "/var/log/containers/*.log");
    assert_eq!(containers["attrs"]["pos_file"], "/var/log/fluentd-containers.log.pos");
    assert_eq!(containers["attrs"]["tag"], "kubernetes.*");
}
