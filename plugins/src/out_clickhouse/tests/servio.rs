//! Servio's table, records and queries, as conf/servio has them.

use super::engines::{Engine, encode, insert_sql, layout};
use super::plugin::{chunk, plugin};
use logweir_engine::msgpack::{Time, write_entry};
use logweir_testing::ClickHouse;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../../conf/servio/schema.sql");
const QUERIES: &str = include_str!("../../../../conf/servio/queries.sql");

/// The statements of a file, without comments.
fn statements(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let statements = lines.join("\n");
    statements.split(';').map(str::trim).filter(|sql| !sql.is_empty()).map(str::to_owned).collect()
}

/// The records of an hour: what the guide shows, and one for each query.
fn records() -> Vec<Value> {
    let now = jiff::Timestamp::now();
    let at = |minutes: i64| (now - jiff::SignedDuration::from_mins(minutes)).to_string();
    vec![
        json!({
            "timestamp": "2024-01-15T10:30:45.123Z", "level": "info", "service": "app", "environment": "production",
            "venueId": "venue_123", "userId": "user_456", "message": "User logged in",
            "context": {"email": "user@example.com", "ip": "192.168.1.1", "userAgent": "Mozilla/5.0"},
            "metadata": {"requestId": "req_789", "traceId": "trace_abc", "spanId": "span_def"}
        }),
        json!({"timestamp": at(10), "level": "error", "service": "app", "message": "Payment failed",
               "context": {"orderId": "456", "error": "Insufficient funds", "amount": 100}}),
        json!({"timestamp": at(120), "level": "error", "service": "worker", "message": "Order fulfillment failed"}),
        json!({"timestamp": at(180), "level": "error", "service": "worker", "message": "Order fulfillment failed"}),
        json!({"timestamp": at(5), "level": "info", "service": "api", "message": "Order created successfully",
               "context": {"orderId": "456", "duration": 1500.5}, "hostname": "web-1"}),
        json!({"timestamp": at(5), "level": "info", "service": "api", "message": "API request",
               "context": {"endpoint": "/api/orders", "duration": 150, "status": 200}}),
    ]
}

fn check_queries(query: &dyn Fn(&str) -> String) {
    let answers: Vec<String> = statements(QUERIES).iter().map(|sql| query(sql)).collect();
    let [errors, slow, by_service, payments] = &answers[..] else { panic!("four queries") };
    assert_eq!(errors.lines().count(), 1);
    assert!(errors.contains("Payment failed") && errors.contains("\"amount\":100"), "{errors}");
    assert!(
        slow.ends_with("\tapi\tOrder created successfully\t1500.5") && slow.lines().count() == 1,
        "{slow}"
    );
    assert_eq!(by_service, "worker\t2\napp\t1");
    assert_eq!(payments, errors);
}

#[tokio::test]
async fn servio_on_debians_server() {
    let server = ClickHouse::shared();
    for statement in statements(SCHEMA) {
        // This server knows no TTL.
        server.query(statement.split("\nTTL").next().unwrap_or_default());
    }
    let (plugin, driver) = plugin(&format!("port {}\ndatabase servio_logs\ntable logs", server.port()));
    plugin.write(&chunk(&records())).await.unwrap();
    assert_eq!(driver.errors.count(), 0);
    assert_eq!(
        server.query(
            "SELECT toString(timestamp), level, service, environment, venueId, userId, message, context, metadata, hostname, \
             toString(date) FROM servio_logs.logs WHERE userId != '' FORMAT TabSeparatedRaw"
        ),
        "2024-01-15 10:30:45\tinfo\tapp\tproduction\tvenue_123\tuser_456\tUser logged in\t\
         {\"email\":\"user@example.com\",\"ip\":\"192.168.1.1\",\"userAgent\":\"Mozilla/5.0\"}\t\
         {\"requestId\":\"req_789\",\"traceId\":\"trace_abc\",\"spanId\":\"span_def\"}\t\t2024-01-15"
    );
    check_queries(&|sql| server.query(sql));
}

#[test]
fn servio_on_the_current_engine() {
    let Some(engine) = Engine::current() else { return };
    for statement in statements(SCHEMA) {
        engine.query(&statement);
    }
    let table = engine.description("servio_logs", "logs");
    let layout = layout(&table);
    let mut entries = Vec::new();
    for record in records() {
        write_entry(&mut entries, Time::Int(1_705_314_645), None, &rmp_serde::to_vec(&record).unwrap());
    }
    let (block, faults) = encode(&layout, &entries, 0, engine.compression());
    assert_eq!(faults, []);
    let sql = insert_sql("servio_logs.logs", &layout, &block);
    engine.insert(&sql, &block.body.concat(), engine.compression()).unwrap();
    check_queries(&|sql| engine.query(sql));
}

#[test]
fn an_insert_that_is_repeated_with_its_name_is_stored_once_by_the_current_engine() {
    let Some(engine) = Engine::current() else { return };
    engine.query("CREATE DATABASE once");
    engine.query(
        "CREATE TABLE once.t (n UInt32) ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100",
    );
    let layout = layout(&engine.description("once", "t"));
    let mut entries = Vec::new();
    for n in 0..1000 {
        write_entry(&mut entries, Time::Int(0), None, &rmp_serde::to_vec(&json!({ "n": n % 10 })).unwrap());
    }
    let (block, _) = encode(&layout, &entries, 0, engine.compression());
    let (again, _) = encode(&layout, &entries, 0, engine.compression());
    assert_eq!(block.body, again.body);
    for (token, rows) in [("a", "1000"), ("a", "1000"), ("b", "2000"), ("a", "2000")] {
        let sql = insert_sql("once.t", &layout, &block);
        let sql = format!("{sql} SETTINGS insert_deduplication_token = '{token}'");
        engine.insert(&sql, &block.body.concat(), engine.compression()).unwrap();
        assert_eq!(engine.query("SELECT count() FROM once.t"), rows);
    }
}
