//! conf/kubernetes/daemonset.yaml, as far as it can be checked without a cluster.

use super::conf;
use std::fs;
use yaml_rust2::{Yaml, YamlLoader};

fn documents() -> Vec<Yaml> {
    let text = fs::read_to_string(conf("daemonset.yaml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap()
}

fn of_kind(kind: &str) -> Yaml {
    let found: Vec<Yaml> =
        documents().into_iter().filter(|document| document["kind"].as_str() == Some(kind)).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found.into_iter().next().unwrap()
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_role_allows_what_the_filter_does_and_no_more() {
    let kinds: Vec<String> =
        documents().iter().map(|document| document["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"]);
    let role = of_kind("ClusterRole");
    let rules = role["rules"].as_vec().unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!(texts(&rules[0]["apiGroups"]), [""]);
    assert_eq!(texts(&rules[0]["resources"]), ["pods", "namespaces"]);
    assert_eq!(texts(&rules[0]["verbs"]), ["get", "list", "watch"]);
    let (binding, account) = (of_kind("ClusterRoleBinding"), of_kind("ServiceAccount"));
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    for key in ["name", "namespace"] {
        assert_eq!(binding["subjects"][0][key], account["metadata"][key]);
    }
    assert_eq!(
        of_kind("DaemonSet")["spec"]["template"]["spec"]["serviceAccountName"],
        account["metadata"]["name"]
    );
}

#[test]
fn the_container_is_locked_down_and_everything_that_it_names_is_there() {
    let daemon_set = of_kind("DaemonSet");
    let spec = &daemon_set["spec"]["template"]["spec"];
    assert_eq!(
        daemon_set["spec"]["selector"]["matchLabels"],
        daemon_set["spec"]["template"]["metadata"]["labels"]
    );
    assert_eq!(spec["containers"].as_vec().unwrap().len(), 1);
    let container = &spec["containers"][0];
    let context = &container["securityContext"];
    assert_eq!(context["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(context["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"]);
    assert!(context["privileged"].is_badvalue() && spec["hostNetwork"].is_badvalue());
    assert!(container["resources"]["limits"]["memory"].as_str().is_some());
    assert!(container["resources"]["requests"]["cpu"].as_str().is_some());

    // A volume for each mount and the other way round; the node's logs cannot be changed, the state can.
    let names = |list: &Yaml| -> Vec<String> {
        let mut names: Vec<String> =
            list.as_vec().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&container["volumeMounts"]), names(&spec["volumes"]));
    for mount in container["volumeMounts"].as_vec().unwrap() {
        let is_log = mount["mountPath"].as_str() == Some("/var/log");
        assert_eq!(mount["readOnly"].as_bool().unwrap_or(false), is_log, "{mount:?}");
    }

    // Probes ask a port that has a name, and a path that monitor_agent has.
    let ports = names(&container["ports"]);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert!(ports.iter().any(|port| Some(port.as_str()) == get["port"].as_str()), "{probe}");
        assert_eq!(get["path"].as_str(), Some("/api/plugins.json"));
    }

    // Each variable is one that the configuration reads, or the filter.
    let mut read = String::new();
    for dir in [conf(""), conf("kubernetes")] {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.path().extension().is_some_and(|end| end == "conf") {
                read.push_str(&fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    for variable in names(&container["env"]) {
        let is_read = variable == "K8S_NODE_NAME" || read.contains(&format!("ENV['{variable}']"));
        assert!(is_read, "nothing reads {variable}");
    }
    assert_eq!(texts(&container["args"]), ["-c", "/fluentd/etc/fluent.conf"]);
}

#[test]
fn the_readme_has_each_variable_of_the_configuration() {
    let readme = fs::read_to_string(conf("README.md")).unwrap();
    let mut read = String::new();
    for dir in [conf(""), conf("kubernetes")] {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.path().extension().is_some_and(|end| end == "conf") {
                read.push_str(&fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    for piece in read.split("ENV['").skip(1).chain(read.split("ENV.fetch('").skip(1)) {
        let name = piece.split('\'').next().unwrap();
        // A table names a family once: `FLUENT_CLICKHOUSE_HOST`, `_PORT`.
        let is_there = readme.contains(&format!("`{name}`"))
            || (1..name.len()).any(|at| {
                name.is_char_boundary(at)
                    && name[at..].starts_with('_')
                    && readme.contains(&format!("`{}`", &name[at..]))
            });
        assert!(is_there, "README.md does not have {name}");
    }
}
