//! A real Prometheus server fetches the metrics of a running Logweir, and its alerts fire under the conditions that they name.

use super::*;
use logweir_testing::{Prometheus, free_port};
use std::time::Instant;

/// Only what hangs is waited for so long.
const PATIENCE: Duration = Duration::from_secs(180);

/// conf/prometheus as it is, but for times: the server asks every second, and what holds fires at once.
fn server(metrics: u16) -> Prometheus {
    let config = conf_text("prometheus.yml");
    let config = config.replace("15s", "1s").replace("127.0.0.1:24231", &format!("127.0.0.1:{metrics}"));
    assert!(config.contains("interval: 1s") && config.contains(&metrics.to_string()), "{config}");
    let alerts = conf_text("alerts.yml");
    let lines = alerts.lines().filter(|line| !line.trim_start().starts_with("for: "));
    let alerts: String = lines.flat_map(|line| [line, "\n"]).collect();
    Prometheus::start(&config, &[("alerts.yml", &alerts)])
}

fn wait(what: &str, server: &Prometheus, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        let (firing, target) = (server.firing(), server.target());
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}; firing: {firing:?}; {target}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn fires(server: &Prometheus, alert: &str, plugin: &str) -> bool {
    server.firing().iter().any(|labels| labels["alertname"] == alert && labels["plugin_id"] == plugin)
}

#[test]
fn a_prometheus_server_has_the_numbers_and_alerts_fire() {
    let dir = tempfile::tempdir().unwrap();
    let [forward, metrics, destination] = [(); 3].map(|()| free_port());
    let here = dir.path().display();
    // A destination that is away at first, and a buffer of a few hundred bytes before it.
    let config = metrics_conf(metrics)
        + &format!(
            "<source>\n @id in\n @type forward\n bind 127.0.0.1\n port {forward}\n</source>\n\
             <filter **>\n @type prometheus\n <metric>\n name orders_total\n type counter\n desc Orders\n key amount\n\
             <labels>\n venue $.venue\n </labels>\n </metric>\n</filter>\n\
             <match small.**>\n @id small\n @type forward\n <server>\n host 127.0.0.1\n port {destination}\n </server>\n\
             <buffer>\n @type file\n path {here}/small\n flush_mode immediate\n retry_wait 0.2\n retry_max_interval 1\n total_limit_size 300\n\
             overflow_action drop_oldest_chunk\n </buffer>\n</match>\n\
             <match **>\n @id out\n @type forward\n <server>\n host 127.0.0.1\n port {destination}\n </server>\n\
             <buffer>\n @type file\n path {here}/out\n flush_mode immediate\n retry_wait 0.2\n retry_max_interval 1\n </buffer>\n</match>\n{NO_OWN_LOG}"
        );
    let mut logweir = Logweir::start(dir.path(), &config);
    let server = server(metrics);
    wait("a first scrape", &server, || server.value("up{job=\"logweir\"}") == Some(1.0));
    // The counters of losses have been seen with 0, which makes the first loss a rise.
    wait("a second scrape", &server, || {
        server.value("count_over_time(logweir_records_dropped_total{plugin_id=\"small\",reason=\"drop_oldest_chunk\"}[5m])")
            >= Some(2.0)
    });
    assert!(
        !fires(&server, "LogweirRecordsDropped", "small") && !fires(&server, "LogweirOutputFailing", "out")
    );

    for n in 0..20 {
        send(forward, "app", &format!("a{n}"), &json!({"venue": "v1", "amount": 2.5}), 10);
    }
    for (expression, value) in [
        ("orders_total{venue=\"v1\"}", 500.0),
        ("logweir_records_received_total{plugin_id=\"in\"}", 200.0),
        ("logweir_records_buffered{plugin_id=\"out\"}", 200.0),
        ("sum(fluentd_output_status_emit_records{plugin_id=\"out\"})", 200.0),
        ("process_start_time_seconds{job=\"logweir\"} > bool 1.7e9", 1.0),
    ] {
        wait(expression, &server, || server.value(expression) == Some(value));
    }
    wait("LogweirOutputFailing", &server, || fires(&server, "LogweirOutputFailing", "out"));
    // The small buffer fills, and drops what is oldest.
    for n in 0..10 {
        send(forward, "small.x", &format!("s{n}"), &json!({"text": "x".repeat(40)}), 1);
    }
    wait("LogweirBufferFilling", &server, || fires(&server, "LogweirBufferFilling", "small"));
    wait("LogweirRecordsDropped", &server, || fires(&server, "LogweirRecordsDropped", "small"));
    let law = "sum(logweir_records_received_total{plugin_id=\"small\"}) - sum(logweir_records_buffered{plugin_id=\"small\"}) \
               - sum(logweir_records_dropped_total{plugin_id=\"small\"})";
    wait("the law", &server, || server.value(law) == Some(0.0));

    // The destination comes back.
    let there = tempfile::tempdir().unwrap();
    let receiver = format!(
        "<source>\n @type forward\n bind 127.0.0.1\n port {destination}\n</source>\n<match **>\n @type null\n</match>\n"
    );
    let mut receiver = Logweir::start(there.path(), &receiver);
    wait("what was buffered", &server, || {
        server.value("logweir_records_stored_total{plugin_id=\"out\"}") == Some(200.0)
    });
    wait("peace", &server, || {
        !fires(&server, "LogweirOutputFailing", "out") && !fires(&server, "LogweirBufferFilling", "small")
    });
    assert!(receiver.stop().success());

    logweir.kill();
    wait("LogweirDown", &server, || {
        server.firing().iter().any(|labels| labels["alertname"] == "LogweirDown")
    });
}
