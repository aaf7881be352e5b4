//! ClickHouse's error numbers, and what is done about each.
//!
//! | action | what a chunk meets |
//! |---|---|
//! | [`Wait`](Action::Wait) | it stays in the buffer and is sent again: the same bytes under the same name |
//! | [`Mend`](Action::Mend) | the same, without a limit, and the message says what is to be done |
//! | [`Describe`](Action::Describe) | the table's columns are read anew; if they are others, it is encoded anew and sent at once, else it waits |
//! | [`Divide`](Action::Divide) | it is divided until the rows are found that the server refuses: these go to `@ERROR` |
//! | [`DescribeOrDivide`](Action::DescribeOrDivide) | the table's columns are read anew; if they are others, it is encoded anew, else it is divided |

use super::misbehaving::{Answer, Scripted, described, parameter, rows};
use super::plugin::{chunk, plugin};
use logweir_engine::plugin::WriteError;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Wait,
    Mend,
    Describe,
    Divide,
    DescribeOrDivide,
}

use Action::{Describe, DescribeOrDivide, Divide, Mend, Wait};

/// 252 and 115 have tests of their own: what they ask for depends on the text.
const CODES: &[(Action, &[(u32, &str)])] = &[
    // The server is busy, read-only, short of something, or has lost sight of others. In those cases in which it may have
    // stored the insert all the same, the name keeps it from being stored twice.
    (
        Wait,
        &[
            (3, "UNEXPECTED_END_OF_FILE"),
            (76, "CANNOT_OPEN_FILE"),
            (159, "TIMEOUT_EXCEEDED"),
            (160, "TOO_SLOW"),
            (164, "READONLY"),
            (202, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            (203, "NO_FREE_CONNECTION"),
            (209, "SOCKET_TIMEOUT"),
            (210, "NETWORK_ERROR"),
            (225, "NO_ZOOKEEPER"),
            (236, "ABORTED"),
            (241, "MEMORY_LIMIT_EXCEEDED"),
            (242, "TABLE_IS_READ_ONLY"),
            (243, "NOT_ENOUGH_SPACE"),
            (285, "TOO_FEW_LIVE_REPLICAS"),
            (319, "UNKNOWN_STATUS_OF_INSERT"),
            (372, "SESSION_NOT_FOUND"),
            (373, "SESSION_IS_LOCKED"),
            (394, "QUERY_WAS_CANCELLED"),
            (425, "SYSTEM_ERROR"),
            (439, "CANNOT_SCHEDULE_TASK"),
            (473, "DEADLOCK_AVOIDED"),
            (999, "KEEPER_EXCEPTION"),
            (1000, "POCO_EXCEPTION"),
            (1002, "UNKNOWN_EXCEPTION"),
            (9999, "A_CODE_OF_LATER_SERVERS"),
        ],
    ),
    // The operator has to do something. The data waits.
    (
        Mend,
        &[
            (62, "SYNTAX_ERROR"),
            (73, "UNKNOWN_FORMAT"),
            (192, "UNKNOWN_USER"),
            (193, "WRONG_PASSWORD"),
            (194, "REQUIRED_PASSWORD"),
            (195, "IP_ADDRESS_NOT_ALLOWED"),
            (291, "DATABASE_ACCESS_DENIED"),
            (446, "FUNCTION_NOT_ALLOWED"),
            (452, "SETTING_CONSTRAINT_VIOLATION"),
            (497, "ACCESS_DENIED"),
            (516, "AUTHENTICATION_FAILED"),
        ],
    ),
    // The table is not there, or not as it was.
    (
        Describe,
        &[
            (60, "UNKNOWN_TABLE"),
            (81, "UNKNOWN_DATABASE"),
            (8, "THERE_IS_NO_COLUMN"),
            (10, "NOT_FOUND_COLUMN_IN_BLOCK"),
            (16, "NO_SUCH_COLUMN_IN_TABLE"),
            (36, "BAD_ARGUMENTS"),
            (44, "ILLEGAL_COLUMN"),
            (47, "UNKNOWN_IDENTIFIER"),
            (50, "UNKNOWN_TYPE"),
            (53, "TYPE_MISMATCH"),
            (122, "INCOMPATIBLE_COLUMNS"),
        ],
    ),
    // The table is not as it was, or rows hold what it cannot convert.
    (DescribeOrDivide, &[(70, "CANNOT_CONVERT_TYPE")]),
    // Rows that the server does not take, although each column holds them.
    (
        Divide,
        &[
            (6, "CANNOT_PARSE_TEXT"),
            (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
            (33, "CANNOT_READ_ALL_DATA"),
            (38, "CANNOT_PARSE_DATE"),
            (41, "CANNOT_PARSE_DATETIME"),
            (43, "ILLEGAL_TYPE_OF_ARGUMENT"),
            (69, "ARGUMENT_OUT_OF_BOUND"),
            (72, "CANNOT_PARSE_NUMBER"),
            (117, "INCORRECT_DATA"),
            (130, "CANNOT_READ_ARRAY_FROM_TEXT"),
            (131, "TOO_LARGE_STRING_SIZE"),
            (190, "SIZES_OF_ARRAYS_DONT_MATCH"),
            (321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"),
            (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"),
            (467, "CANNOT_PARSE_BOOL"),
            (469, "VIOLATED_CONSTRAINT"),
            (691, "UNKNOWN_ELEMENT_OF_ENUM"),
        ],
    ),
];

/// How old and how new servers say it, with the statuses that they have used for it.
fn answers(code: u32, name: &str) -> [Answer; 2] {
    [
        (
            500,
            format!(
                "Code: {code}, e.displayText() = DB::Exception: Something ({name}), e.what() = DB::Exception\n"
            ),
        ),
        (
            400,
            format!("Code: {code}. DB::Exception: Something. ({name}) (version 25.8.1.1 (official build))\n"),
        ),
    ]
}

#[tokio::test]
async fn each_code_has_its_action() {
    let mut seen = BTreeSet::new();
    for (action, codes) in CODES {
        for (code, name) in *codes {
            assert!(seen.insert(*code), "{code} stands twice");
            for answer in answers(*code, name) {
                match action {
                    Wait | Mend => waits(answer, &format!("Code: {code}"), *action == Mend).await,
                    Describe => {
                        is_described_anew(answer.clone(), true).await;
                        is_described_anew(answer, false).await;
                    }
                    Divide => is_divided(answer, 1).await,
                    DescribeOrDivide => {
                        is_described_anew(answer.clone(), true).await;
                        is_divided(answer, 2).await;
                    }
                }
            }
        }
    }
}

/// Proxies and load balancers answer without a code.
#[tokio::test]
async fn statuses_without_a_code_are_waited_for() {
    for status in [301, 307, 400, 404, 408, 413, 429, 500, 502, 503, 504, 520] {
        for text in ["<html>Something</html>", ""] {
            waits((status, text.to_owned()), if text.is_empty() { "" } else { "Something" }, false).await;
        }
    }
}

/// A server that answers so to the first insert, and takes the next.
fn refusing(answer: Answer) -> Scripted {
    let is_first = AtomicBool::new(true);
    Scripted::start(move |query, _| {
        let refused = || match query.contains("INSERT") && is_first.swap(false, Ordering::Relaxed) {
            true => answer.clone(),
            false => (200, String::new()),
        };
        described(query).unwrap_or_else(refused)
    })
}

async fn waits(answer: Answer, words: &str, is_to_be_mended: bool) {
    let said = format!("{answer:?}");
    let server = refusing(answer);
    let (plugin, driver) = plugin(&format!("port {}\ntable t", server.port));
    let chunk = chunk(&[json!({"n": 1, "day": "2024-01-15"}), json!({"n": 2, "day": "2024-01-16"})]);
    match plugin.write(&chunk).await {
        Err(WriteError::Operator { message, .. }) if is_to_be_mended => {
            let is_said =
                ["correct", "grant", "allow", "let that user"].iter().any(|hint| message.contains(hint));
            assert!(is_said && message.contains(words) && message.contains("waits"), "{said}: {message}");
        }
        Err(WriteError::Retry { message, .. }) if !is_to_be_mended => {
            let url = format!("http://localhost:{}: ", server.port);
            let words_are_there = message.starts_with(&url) && message.contains(words);
            assert!(words_are_there && message.len() > url.len(), "{said}: {message}");
        }
        other => panic!("{said}: {other:?}"),
    }
    plugin.write(&chunk).await.unwrap_or_else(|error| panic!("{said}: {error:?}"));
    let [(first, body), (second, again)] = &server.inserts()[..] else { panic!("{said}: two inserts") };
    assert_eq!(body, again, "{said}");
    let token = |target| parameter(target, "insert_deduplication_token").map(str::to_owned);
    assert!(token(first).is_some() && token(first) == token(second), "{said}");
    assert_eq!(driver.errors.count(), 0, "{said}");
}

async fn is_described_anew(answer: Answer, has_changed: bool) {
    let said = format!("{answer:?}");
    let (described_times, is_first) = (Arc::new(AtomicU64::new(0)), AtomicBool::new(true));
    let times = Arc::clone(&described_times);
    let server = Scripted::start(move |query, _| {
        if query.contains("system.columns") && times.fetch_add(1, Ordering::Relaxed) > 0 && has_changed {
            return (200, json!({"data": [["n", "UInt32", ""]]}).to_string());
        }
        let refused = || match query.contains("INSERT") && is_first.swap(false, Ordering::Relaxed) {
            true => answer.clone(),
            false => (200, String::new()),
        };
        described(query).unwrap_or_else(refused)
    });
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
    let chunk = chunk(&[json!({"n": 1, "day": "2024-01-15"})]);
    let outcome = plugin.write(&chunk).await;
    assert_eq!(described_times.load(Ordering::Relaxed), 2, "{said}");
    let columns: Vec<bool> = server.inserts().iter().map(|(target, _)| target.contains("`day`")).collect();
    if has_changed {
        assert!(outcome.is_ok(), "{said}: {outcome:?}");
        assert_eq!(columns, [true, false], "{said}");
    } else {
        assert!(matches!(outcome, Err(WriteError::Retry { .. })), "{said}: {outcome:?}");
        plugin.write(&chunk).await.unwrap_or_else(|error| panic!("{said}: {error:?}"));
        assert_eq!(columns, [true], "{said}");
    }
}

/// `descriptions`: how often the table is described before.
async fn is_divided(answer: Answer, descriptions: u64) {
    let said = format!("{answer:?}");
    let described_times = Arc::new(AtomicU64::new(0));
    let times = Arc::clone(&described_times);
    let server = Scripted::start(move |query, body| {
        times.fetch_add(u64::from(query.contains("system.columns")), Ordering::Relaxed);
        let is_refused = || rows(body).iter().any(|(n, _)| *n == 3);
        described(query).unwrap_or_else(|| if is_refused() { answer.clone() } else { (200, String::new()) })
    });
    let (plugin, driver) = plugin(&format!("port {}\ntable t", server.port));
    let records: Vec<Value> = (0..6).map(|n| json!({"n": n, "day": "2024-01-15"})).collect();
    plugin.write(&chunk(&records)).await.unwrap_or_else(|error| panic!("{said}: {error:?}"));
    assert_eq!(driver.errors.count(), 1, "{said}");
    let taken = server
        .inserts()
        .into_iter()
        .map(|(_, body)| rows(&body))
        .filter(|rows| rows.iter().all(|(n, _)| *n != 3));
    let mut taken: Vec<u32> = taken.flatten().map(|(n, _)| n).collect();
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2, 4, 5], "{said}");
    assert_eq!(described_times.load(Ordering::Relaxed), descriptions, "{said}");
}
