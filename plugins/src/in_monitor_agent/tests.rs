//! The answers, over a real socket.

use super::*;
use crate::testing::{Pipeline, build_error, with_params};
use logweir_engine::json::{JsonStyle, from_msgpack};
use logweir_engine::plugin::{Driver, InputCounters, PluginId, PluginState};
use logweir_engine::route::{Collector, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An agent that shows an input, a filter, a buffered output and a copy with what is nested in it.
fn agent(parameters: &str) -> Arc<Agent> {
    let text = format!("port 0\nbind 127.0.0.1\n{parameters}");
    let (mut agent, _) = with_params(&PLUGIN, &text, configured).unwrap_or_else(|error| panic!("{error}"));
    agent.options.input_metrics = true;
    let mut driver = Driver::new(crate::PLUGINS);
    let id = |text: &str| PluginId { text: text.into(), configured: true };
    let counters = Arc::new(InputCounters::default());
    counters.records.store(5, Ordering::Relaxed);
    counters.bytes.store(70, Ordering::Relaxed);
    let source = "<source>\n@type dummy\n@id in\ntag t\n</source>";
    let filter = "<filter>\n@type stdout\n@id f\n</filter>";
    let mut shown = vec![
        PluginInfo::new(id("in"), &driver.params(Kind::Input, source).unwrap(), PluginState::Input(counters)),
        PluginInfo::new(
            id("f"),
            &driver.params(Kind::Filter, filter).unwrap(),
            PluginState::Filter(Arc::default()),
        ),
    ];
    let copy = "<match>\n@type copy\n@id c\n<store>\n@type null\n@id n\n</store>\n</match>";
    driver.output(copy).unwrap();
    let out = "<match>\n@type stdout\n@id out\n<buffer>\n@type memory\n</buffer>\n</match>";
    let out = driver.output(out).unwrap();
    shown.append(&mut driver.shared.shown_outputs);
    let log = PluginLog::program();
    let rules = vec![(TagPatterns::parse("app.**").unwrap(), Collector::Output(out))];
    let root = Router::new(rules, driver.errors.clone(), log, true);
    agent.plugins.complete(shown, &root);
    // The configuration that runs would keep it.
    std::mem::forget(root);
    Arc::new(agent)
}

async fn get(agent: &Arc<Agent>, path: &str) -> (u16, String) {
    let pipeline = Pipeline::new();
    let transport = Transport::new(None, None, &pipeline.context.log).unwrap();
    let options = ServerOptions {
        bind: "127.0.0.1".to_owned(),
        port: 0,
        backlog: None,
        transport,
        keepalive_packets: false,
        connections: 10,
        peer_connections: 10,
        reading: logweir_engine::net::ReadLimits::default(),
    };
    let address = listen(agent, options, &pipeline.context).unwrap();
    let mut peer = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).await.unwrap();
    drop(peer);
    pipeline.stop().await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn plugins(agent: &Arc<Agent>, query: &str) -> Vec<Value> {
    let (status, body) = get(agent, &format!("/api/plugins.json{query}")).await;
    assert_eq!(status, 200);
    let mut value: Value = serde_json::from_str(&body).unwrap();
    value["plugins"].as_array_mut().map(std::mem::take).unwrap()
}

fn ids(plugins: &[Value]) -> Vec<&str> {
    plugins.iter().map(|plugin| plugin["plugin_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn plugins_are_listed_and_chosen() {
    let agent = agent("");
    let all = plugins(&agent, "").await;
    assert_eq!(ids(&all), ["in", "f", "c", "n", "out"]);
    assert_eq!(
        all[0],
        json!({
            "plugin_id": "in", "plugin_category": "input", "type": "dummy",
            "config": {"@type": "dummy", "@id": "in", "tag": "t"},
            "output_plugin": false, "retry_count": null, "emit_records": 5, "emit_size": 0,
        })
    );
    assert_eq!((&all[1]["plugin_category"], &all[1]["output_plugin"]), (&json!("filter"), &json!(false)));
    assert_eq!((&all[2]["output_plugin"], &all[2]["retry_count"]), (&json!(false), &json!(0)));
    assert_eq!(all[2].get("emit_records"), None);
    assert_eq!((&all[3]["output_plugin"], &all[3]["retry"]), (&json!(true), &json!({})));
    assert_eq!(all[4]["write_count"], json!(0));
    for (query, expected) in [
        ("?@id=out", &["out"][..]),
        ("?id=c", &["c"]),
        ("?@type=stdout", &["f", "out"]),
        ("?type=dummy", &["in"]),
        ("?%40type=null", &["n"]),
        ("?@id=none", &[]),
        ("?tag=app.log", &["out"]),
        ("?tag=no.output.takes.it", &[]),
    ] {
        assert_eq!(ids(&plugins(&agent, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn parameters_and_retries_are_shown_or_not() {
    let agent_1 = agent("");
    let out = plugins(&agent_1, "?@id=out&with_config=false&with_retry=false").await;
    assert!(out[0].get("config").is_none() && out[0].get("retry").is_none());
    let agent_2 = agent("include_config false\ninclude_retry false\ninclude_debug_info true");
    let out = plugins(&agent_2, "?@id=out").await;
    assert!(out[0].get("config").is_none() && out[0].get("retry").is_none());
    let out = plugins(&agent_2, "?@id=out&with_config=true&with_retry=yes&debug=1").await;
    assert_eq!(out[0]["config"], json!({"@type": "stdout", "@id": "out"}));
    assert_eq!((&out[0]["retry"], &out[0]["instance_variables"]), (&json!({}), &json!({})));
}

#[tokio::test]
async fn what_is_not_counted_is_shown_as_zero() {
    let agent = agent("");
    let text = "port 0\nbind 127.0.0.1";
    let (mut plain, _) = with_params(&PLUGIN, text, configured).unwrap();
    plain.plugins = Arc::clone(&agent.plugins);
    let info = plugin_info(&agent.plugins.all()[0], &plain.options);
    assert_eq!((&info["emit_records"], &info["emit_size"]), (&json!(0), &json!(0)));
    (plain.options.input_metrics, plain.options.size_metrics) = (true, true);
    let info = plugin_info(&agent.plugins.all()[0], &plain.options);
    assert_eq!((&info["emit_records"], &info["emit_size"]), (&json!(5), &json!(70)));
}

#[tokio::test]
async fn the_process_and_what_is_not_there() {
    let agent = agent("");
    let (status, body) = get(&agent, "/api/config.json").await;
    let value: Value = serde_json::from_str(&body).unwrap();
    let names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(status, 200);
    assert_eq!(
        names,
        ["pid", "ppid", "version", "config_path", "pid_file", "plugin_dirs", "log_path", "root_dir"]
    );
    assert_eq!(value["pid"], json!(std::process::id()));
    assert!(get(&agent, "/api/config").await.1.starts_with(&format!("pid:{}\tppid:", std::process::id())));
    assert_eq!(get(&agent, "/api/nothing").await, (404, r#"{"message":"Not found"}"#.to_owned()));
    assert!(get(&agent, "/api/config.json?debug=1").await.1.starts_with("{\n  \"pid\""));
    let (_, text) = get(&agent, "/api/plugins?@id=in").await;
    assert_eq!(
        text,
        "plugin_id:in\tplugin_category:input\ttype:dummy\toutput_plugin:false\tretry_count:\temit_records:5\temit_size:0\n"
    );
}

#[tokio::test(start_paused = true)]
async fn events_for_each_plugin() {
    let agent = agent("tag mon\nemit_interval 5");
    let pipeline = Pipeline::new();
    pipeline.context.tasks.spawn(Arc::clone(&agent).emit(Tag::new("mon"), pipeline.context.clone()));
    let events = pipeline.sink.wait_for(10).await;
    assert!(events.iter().all(|(tag, _)| tag == "mon"));
    let mut text = Vec::new();
    from_msgpack(&events[0].1[11..], &mut text, JsonStyle::Oj).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        r#"{"plugin_id":"in","plugin_category":"input","type":"dummy","output_plugin":false,"retry_count":null,"emit_records":5,"emit_size":0}"#
    );
    pipeline.stop().await;
}

#[test]
fn only_this_machine_may_ask_unless_bind_says_otherwise() {
    for (text, bind) in [("", "127.0.0.1"), ("bind 0.0.0.0", "0.0.0.0"), ("token t", "127.0.0.1")] {
        let (_, server) = with_params(&PLUGIN, text, configured).unwrap();
        assert_eq!(server.bind, bind, "{text:?}");
    }
}

#[test]
fn secrets_are_masked() {
    let driver = Driver::new(crate::PLUGINS);
    let text = "<match>\n@type clickhouse\npassword geheim\ntable t\n</match>";
    let params = driver.params(Kind::Output, text).unwrap();
    let info = PluginInfo::new(PluginId::generated("x"), &params, PluginState::Filter(Arc::default()));
    assert!(info.config.contains(&("password".to_owned(), "xxxxxx".to_owned())), "{:?}", info.config);
}

#[test]
fn mistakes() {
    let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
    assert!(error("").is_empty());
    assert!(error("emit_interval 0").contains("'emit_interval' must be more than 0"));
    assert!(error("port 99999").contains("'port' must be a number"));
}

#[test]
fn each_worker_has_a_port_of_its_own() {
    let mut driver = Driver::new(crate::PLUGINS);
    let port = |driver: &mut Driver, text: &str| {
        let text = format!("<source>\n@type monitor_agent\nbind 127.0.0.1\n{text}\n</source>");
        let params = driver.params(Kind::Input, &text).unwrap();
        configured(&params, &mut driver.context()).map(|(_, server)| server.port).map_err(|e| e.to_string())
    };
    assert_eq!(port(&mut driver, ""), Ok(24220));
    driver.system = driver.system.in_workers(2..=3);
    assert_eq!(port(&mut driver, ""), Ok(24222));
    assert!(port(&mut driver, "port 65535").unwrap_err().contains("'port' is too high"));
}
