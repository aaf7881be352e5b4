//! The questions of conf/servio/queries.sql, asked of known records that came the whole way.

use super::*;

/// One of these, so many minutes ago.
fn at(minutes: i64, service: &str, level: &str, message: &str, context: &Value) -> Value {
    let seconds = jiff::Timestamp::now().as_second() - 60 * minutes;
    let timestamp = jiff::Timestamp::from_second(seconds).unwrap();
    json!({"timestamp": timestamp.to_string(), "level": level, "service": service, "message": message, "context": context})
}

#[test]
fn every_question_is_answered() {
    let none = json!({});
    let errors = ["Payment failed", "Order fulfillment failed", "Failed to create order"];
    let records = [
        // Errors: two of the last hour, two of the last day, one older.
        at(
            10,
            "app",
            "error",
            errors[0],
            &json!({"orderId": "456", "error": "Insufficient funds", "amount": 100}),
        ),
        at(20, "api", "error", errors[2], &json!({"error": "timeout", "duration": 30_000})),
        at(120, "worker", "error", errors[1], &none),
        at(180, "worker", "error", errors[1], &none),
        at(26 * 60, "db", "error", "Database connection lost", &none),
        // Slow requests: two of the API (the older one is an error), and what is slow but not the API's.
        at(
            5,
            "api",
            "info",
            "API request",
            &json!({"endpoint": "/api/orders", "duration": 1500.5, "status": 200}),
        ),
        at(
            6,
            "api",
            "info",
            "API request",
            &json!({"endpoint": "/api/orders", "duration": 1000, "status": 200}),
        ),
        at(7, "api", "info", "API request", &none),
        at(8, "worker", "info", "Order fulfillment completed", &json!({"duration": 90_000})),
        // Failed payments: those of the last day, whatever their level.
        at(90, "app", "warn", "Payment failed, trying again", &none),
        at(25 * 60, "app", "error", errors[0], &none),
    ];
    let dir = tempfile::tempdir().unwrap();
    let server = ClickHouse::start();
    make_table(&server);
    let logs = dir.path().join("servio");
    make_logs(&logs);
    let config = substituted("fluent.conf", dir.path(), server.port());
    let mut logweir = Logweir::start(dir.path(), &config);
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    wait_for_files(&mut logweir, SERVICES.len());
    append(&logs.join("app.log"), &lines);
    logweir.wait("the rows", |_| rows(&server) == records.len());
    assert_eq!(logweir.stop().code(), Some(0));

    let answers: Vec<Value> = statements("queries.sql")
        .iter()
        .map(|sql| serde_json::from_str(&server.query(&format!("{sql} FORMAT JSON"))).unwrap())
        .collect();
    let [last_hour, slow, by_service, payments] = &answers[..] else { panic!("four questions: {answers:?}") };
    let column = |answer: &Value, name: &str| -> Vec<Value> {
        answer["data"].as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(column(last_hour, "message"), [errors[0], errors[2]]);
    assert_eq!(
        last_hour["data"][0]["context"],
        r#"{"orderId":"456","error":"Insufficient funds","amount":100}"#
    );
    assert_eq!(last_hour["data"][0]["hostname"], hostname());
    assert_eq!(column(slow, "message"), ["API request", errors[2]]);
    assert_eq!(column(slow, "duration"), [json!(1500.5), json!(30_000)]);
    assert_eq!(column(by_service, "service")[0], "worker");
    assert_eq!(column(by_service, "error_count"), ["2", "1", "1"]);
    assert_eq!(column(payments, "message"), [errors[0], "Payment failed, trying again"]);
}
