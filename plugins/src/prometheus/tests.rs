//! The filter and the output: what records do to metrics, and what a configuration may say of them.

use crate::testing::{Routed, build_error};
use crate::{filter_prometheus, out_prometheus};
use logweir_engine::plugin::{Descriptor, Driver, Kind};
use logweir_engine::telemetry::prometheus::Exposition;

const BOTH: [&Descriptor; 2] = [&filter_prometheus::PLUGIN, &out_prometheus::PLUGIN];

/// The samples, without HELP and TYPE.
fn samples(routed: &Routed) -> Vec<String> {
    text(routed).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn text(routed: &Routed) -> String {
    let mut exposition = Exposition::default();
    routed.metrics.show(&mut exposition);
    exposition.into_text()
}

async fn counted(text: &str, tag: &str, records: &[&str]) -> Vec<String> {
    let routed = Routed::new(&filter_prometheus::PLUGIN, text);
    let events: Vec<(i64, &str)> = records.iter().map(|record| (1, *record)).collect();
    routed.feed(tag, &events).await;
    samples(&routed)
}

fn metric(lines: &str) -> String {
    format!("<metric>\nname m\ndesc Help.\n{lines}\n</metric>\n")
}

#[tokio::test]
async fn all_types_in_both_plugins() {
    let config = metric("type counter\nkey foo\n<labels>\nkey foo1\n</labels>")
        + "<metric>\nname g\ntype gauge\ndesc A gauge\nkey $.in.bar\n</metric>\n\
           <metric>\nname s\ntype summary\ndesc A summary\nkey baz\n</metric>\n\
           <metric>\nname h\ntype histogram\ndesc A histogram\nkey qux\nbuckets 0.10, 1, 5.0, 10\n</metric>\n\
           <metric>\nname records_total\ntype counter\ndesc Records\n</metric>\n\
           <labels>\ntest_key test_value\n</labels>";
    for plugin in BOTH {
        let routed = Routed::new(plugin, &config);
        let record = r#"{"foo":100,"in":{"bar":2.5},"baz":3,"qux":5}"#;
        routed.feed("t", &[(1, record), (2, record), (3, r#"{"other":1,"foo":null}"#)]).await;
        let on = if std::ptr::eq(plugin, BOTH[0]) { 3 } else { 0 };
        assert_eq!(routed.seen().len(), on, "the filter lets all records on, the output none");
        let text = text(&routed);
        assert!(
            text.starts_with("# HELP g A gauge\n# TYPE g gauge\ng{test_key=\"test_value\"} 2.5\n"),
            "{text}"
        );
        assert_eq!(
            samples(&routed),
            [
                "g{test_key=\"test_value\"} 2.5",
                "h_bucket{test_key=\"test_value\",le=\"0.1\"} 0",
                "h_bucket{test_key=\"test_value\",le=\"1\"} 0",
                "h_bucket{test_key=\"test_value\",le=\"5.0\"} 2",
                "h_bucket{test_key=\"test_value\",le=\"10\"} 2",
                "h_bucket{test_key=\"test_value\",le=\"+Inf\"} 2",
                "h_sum{test_key=\"test_value\"} 10",
                "h_count{test_key=\"test_value\"} 2",
                "m{key=\"foo1\",test_key=\"test_value\"} 200",
                "records_total{test_key=\"test_value\"} 3",
                "s_sum{test_key=\"test_value\"} 6",
                "s_count{test_key=\"test_value\"} 2",
            ]
        );
    }
}

#[tokio::test]
async fn a_histogram_has_the_usual_buckets() {
    let shown = counted(&metric("type histogram\nkey n"), "t", &[r#"{"n":0.3}"#]).await;
    assert_eq!(shown.len(), 11 + 1 + 2);
    assert_eq!(shown[0], "m_bucket{le=\"0.005\"} 0");
    assert_eq!(shown[6], "m_bucket{le=\"0.5\"} 1");
}

#[tokio::test]
async fn labels_of_tags_records_and_the_process() {
    let label = async |text: &str, record: &str| {
        let config = metric(&format!("type counter\n<labels>\nl {text}\n</labels>"));
        let shown = counted(&config, "a.b.c", &[record]).await;
        let value = shown[0].strip_prefix("m{l=\"").and_then(|rest| rest.strip_suffix("\"} 1"));
        value.unwrap_or_else(|| panic!("{shown:?}")).to_owned()
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for (text, expected) in [
        ("plain", "plain"),
        ("${tag}", "a.b.c"),
        ("${tag_parts[0]}-${tag_parts[-1]}", "a-c"),
        ("${tag_prefix[1]}", "a.b"),
        ("${tag_suffix[1]}", "b.c"),
        ("${hostname}", &host),
        ("x${worker_id}y", "x0y"),
        ("$.in.k", "v"),
        ("$['in']['list'][1]", "2"),
        ("$.nothing", ""),
        ("${n}", "5"),
        ("${t}/${n}", "true/5"),
        ("${nil}", ""),
        ("${list[0]}", "1"),
        ("${list[-1]}", "3"),
        ("${in[\"k\"]}", "v"),
        ("${in[\"list\"]}", "[1, 2]"),
        // What means nothing stays.
        ("${list}", "${list}"),
        ("${nothing}", "${nothing}"),
        ("${list[9]}", "${list[9]}"),
        ("${list[01]}", "${list[01]}"),
        ("${tag_parts[3]}", "${tag_parts[3]}"),
        ("${tag_prefix[-1]}", "${tag_prefix[-1]}"),
        ("${tag_suffix[3]}", "${tag_suffix[3]}"),
        ("${tag_parts}", "${tag_parts}"),
        ("${}$", "${}$"),
        ("a${", "a${"),
        // No record takes the place of the tag.
        ("${odd[7]}", "odd key"),
    ] {
        let record = r#"{"n":5,"t":true,"nil":null,"list":[1,2,3],"in":{"k":"v","list":[1,2]},"odd[7]":"odd key",
            "tag":"forged","tag_parts":["f","f","f","f"],"hostname":"forged","tag_parts[3]":"f"}"#;
        assert_eq!(label(text, record).await, expected, "{text}");
    }
    assert_eq!(label("$.text", r#"{"text":"say \"hi\"\n"}"#).await, "say \\\"hi\\\"\\n");
}

#[tokio::test]
async fn labels_of_a_metric_win_over_those_of_the_plugin() {
    let config =
        metric("type counter\n<labels>\nb own\nc own\n</labels>") + "<labels>\na outer\nb outer\n</labels>";
    assert_eq!(counted(&config, "t", &["{}"]).await, ["m{a=\"outer\",b=\"own\",c=\"own\"} 1"]);
}

#[tokio::test]
async fn what_is_no_number_goes_to_error_and_counts_elsewhere() {
    let config = metric("type counter\nkey n") + "<metric>\nname all\ntype counter\ndesc All\n</metric>";
    for plugin in BOTH {
        let routed = Routed::new(plugin, &config);
        let records = [r#"{"n":1}"#, r#"{"n":"1"}"#, r#"{"n":-1}"#, r#"{"n":false}"#, r#"{"n":{"a":1}}"#];
        routed.feed("t", &records.map(|record| (1, record))).await;
        assert_eq!(samples(&routed), ["all 5", "m 1"]);
        let seen = routed.seen();
        let failed: Vec<&String> = seen.iter().filter(|line| line.starts_with("@ERROR ")).collect();
        assert_eq!(failed.len(), 4, "{seen:?}");
        assert_eq!(failed[0], "@ERROR t 1 {\"n\":\"1\"}");
        let on = if std::ptr::eq(plugin, BOTH[0]) { 5 } else { 0 };
        assert_eq!(seen.len() - failed.len(), on, "they go on all the same");
    }
}

#[tokio::test]
async fn initialized_metrics_are_there_before_the_first_record() {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let config = metric(
        "type counter\nkey foo\ninitialized true\n\
         <labels>\nkey $.foo\ntag ${tag}\nfixed bar\nworker ${worker_id}\n</labels>\n\
         <initlabels>\nkey foo1\ntag tag1\n</initlabels>\n<initlabels>\nkey foo2\ntag tag2\n</initlabels>",
    ) + "<metric>\nname h\ntype histogram\ndesc H\nkey k\nbuckets 1\ninitialized true\n</metric>\n\
         <labels>\nhost ${hostname}\n</labels>";
    for plugin in BOTH {
        let routed = Routed::new(plugin, &config);
        let set = |n: u32| {
            format!("m{{fixed=\"bar\",host=\"{host}\",key=\"foo{n}\",tag=\"tag{n}\",worker=\"0\"}} 0")
        };
        let bucket = |le: &str| format!("h_bucket{{host=\"{host}\",le=\"{le}\"}} 0");
        let sum = ["sum", "count"].map(|what| format!("h_{what}{{host=\"{host}\"}} 0"));
        let [sum, count] = sum;
        assert_eq!(samples(&routed), [bucket("1"), bucket("+Inf"), sum, count, set(1), set(2)]);
    }
}

#[tokio::test]
async fn series_have_a_limit() {
    let config = metric("type counter\nseries_limit 2\n<labels>\nip $.ip\n</labels>");
    let routed = Routed::new(&filter_prometheus::PLUGIN, &config);
    let records: Vec<String> = (0..100).map(|n| format!(r#"{{"ip":"10.0.0.{}"}}"#, n % 50)).collect();
    let events: Vec<(i64, &str)> = records.iter().map(|record| (1, record.as_str())).collect();
    routed.feed("t", &events).await;
    assert_eq!(samples(&routed), ["m{ip=\"10.0.0.0\"} 2", "m{ip=\"10.0.0.1\"} 2"]);
    assert_eq!(routed.seen().len(), 100);
}

#[test]
fn mistakes_of_a_metric() {
    for plugin in BOTH {
        let error = |text: &str| build_error(plugin, text).unwrap_or_default();
        let named = |lines: &str| error(&metric(lines));
        assert_eq!(named("type counter"), "");
        assert_eq!(error(""), "", "a plugin without metrics does nothing");
        for (lines, message) in [
            ("", "'type' parameter is required"),
            ("type foo", "foo"),
            ("type gauge", "gauge metric requires 'key' option"),
            ("type summary", "summary metric requires 'key' option"),
            ("type counter\nkey $.", "key"),
            ("type counter\nbuckets 1,2", "a counter has no buckets"),
            ("type histogram\nkey k\nbuckets 1,x", "\"x\" is not a number"),
            ("type histogram\nkey k\nbuckets 2,1", "Unsorted buckets, typo?"),
            ("type histogram\nkey k\n<labels>\nle 1\n</labels>", "le is a reserved label of a histogram"),
            ("type counter\n<labels>\na-b 1\n</labels>", "is no label name"),
            ("type counter\nseries_limit 0", "'series_limit' must be at least 1"),
            ("type counter\nretention 0", "'retention' must be more than 0"),
            ("type counter\n<labels>\na $.a..b[x\n</labels>", "Invalid syntax"),
        ] {
            assert!(named(lines).contains(message), "{lines}: {}", named(lines));
        }
        assert!(error("<metric>\ntype counter\ndesc d\n</metric>").contains("'name' parameter is required"));
        assert!(error("<metric>\ntype counter\nname n\n</metric>").contains("'desc' parameter is required"));
        assert!(error("<metric>\ntype counter\nname a-b\ndesc d\n</metric>").contains("is no metric name"));
        let own = error("<metric>\ntype counter\nname logweir_x\ndesc d\n</metric>");
        assert!(own.contains("is a name of Logweir's own metrics"), "{own}");
    }
}

#[test]
fn mistakes_of_initlabels() {
    let labels = "<labels>\nkey $.a\nfixed f\nhost ${hostname}\n</labels>\n";
    let error = |initial: &str| {
        let lines = format!("type counter\ninitialized true\n{labels}<initlabels>\n{initial}\n</initlabels>");
        build_error(&filter_prometheus::PLUGIN, &metric(&lines)).unwrap_or_default()
    };
    assert_eq!(error("key a"), "");
    for (initial, message) in [
        ("", "has not been set in a <initlabels>"),
        ("other a", "Key other in <initlabels> is non existent in <labels> for metric m"),
        ("key $.b", "Cannot use RecordAccessor or placeholder $.b"),
        ("key ${b}", "Cannot use RecordAccessor or placeholder ${b}"),
        ("key a\nfixed b", "Cannot set <initlabels> on non RecordAccessor/Placeholder key fixed"),
        ("key a\nhost b", "Cannot set <initlabels> on non RecordAccessor/Placeholder key host"),
    ] {
        assert!(error(initial).contains(message), "{initial}: {}", error(initial));
    }
    let without = metric(&format!("type counter\ninitialized true\n{labels}"));
    let error = build_error(&filter_prometheus::PLUGIN, &without).unwrap_or_default();
    assert!(error.contains("key key with value $.a has not been set"), "{error}");
}

#[test]
fn two_declarations_of_one_metric_must_agree() {
    let mut driver = Driver::new(crate::PLUGINS);
    let mut build = |lines: &str| {
        let text = format!("<match>\n@type prometheus\n{}</match>", metric(lines));
        driver.output(&text).map(drop).map_err(|problem| problem.render(false))
    };
    build("type counter\n<labels>\na 1\nb 2\n</labels>").unwrap();
    build("type counter\n<labels>\nb 3\na ${tag}\n</labels>").unwrap();
    let refused = build("type gauge\nkey k\n<labels>\na 1\nb 2\n</labels>").unwrap_err();
    assert!(refused.contains("m has already been registered as counter type"), "{refused}");
    assert!(refused.contains("test:6:"), "it says where: {refused}");
    assert!(refused.contains("the other declaration stands at test:3:1"), "{refused}");
    let refused = build("type counter\n<labels>\na 1\n</labels>").unwrap_err();
    assert!(refused.contains("m has already been registered with other labels: a, b"), "{refused}");
}

#[test]
fn with_several_workers_metrics_say_which() {
    let mut driver = Driver::new(crate::PLUGINS);
    driver.system.all_workers = 2;
    driver.output(&format!("<match>\n@type prometheus\n{}</match>", metric("type counter"))).unwrap();
    assert_eq!(driver.shared.metrics.get("m").unwrap().spec().labels, ["worker_id"]);
    let source = "<source>\n@type prometheus_monitor\n<labels>\nzone a\n</labels>\n</source>";
    let params = driver.params(Kind::Input, source).unwrap();
    let build = crate::in_prometheus_monitor::PLUGIN.build;
    let logweir_engine::plugin::Build::Input(build) = build else { panic!("an input") };
    build(&params, &mut driver.context()).map(drop).unwrap();
    let monitor = driver.shared.metrics.get("fluentd_status_retry_count").unwrap();
    assert_eq!(monitor.spec().labels, ["worker_id", "zone", "plugin_id", "plugin_category", "type"]);
}

#[test]
fn in_a_worker_section_metrics_are_those_of_its_first_worker() {
    let mut driver = Driver::new(crate::PLUGINS);
    driver.system.all_workers = 4;
    let text = metric("type counter\ninitialized true\n<labels>\nw ${worker_id}\n</labels>");
    for workers in [1..=1, 2..=3] {
        driver.system = driver.system.in_workers(workers);
        driver.output(&format!("<match>\n@type prometheus\n{text}</match>")).unwrap();
    }
    let mut exposition = Exposition::default();
    driver.shared.metrics.show(&mut exposition);
    let shown = exposition.into_text();
    for sample in ["m{w=\"1\",worker_id=\"1\"} 0\n", "m{w=\"2\",worker_id=\"2\"} 0\n"] {
        assert!(shown.contains(sample), "{sample}{shown}");
    }
}
