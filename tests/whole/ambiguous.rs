//! Inserts of which Logweir does not learn whether they were stored: a proxy cuts the connection while the body is sent, behind
//! it, before the answer and within it, answers too late, and hands a whole insert on long after its connection was cut. Logweir
//! is killed while it is in doubt. Each record is there once.
//!
//! `LOGWEIR_AMBIGUOUS=n` (`make soak AMBIGUOUS=n`) cuts that many inserts; `LOGWEIR_SEED=n` repeats a run.

use crate::kills::arrive;
use crate::load::{Client, Dice, Load, Options, Rotation, Server, config};
use crate::logweir::Logweir;
use logweir_testing::{Cut, Proxy, free_port};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Cut inserts in `make test`.
const AMBIGUOUS: u64 = 30;
/// Logweir waits for an answer so long.
const ANSWER_MAX: &str = "5s";
/// And this is longer.
const LATE: Duration = Duration::from_secs(6);
/// Some inserts get to the server so much later: before their sessions are over, about then, and afterwards.
const DELAYS_MS: [u64; 4] = [300, 1500, 3000, 8000];

#[test]
fn into_a_server_that_recognises_no_repeated_insert() {
    run(Server::clickhouse());
}

#[test]
fn into_the_store_which_does() {
    if let Some(server) = Server::store() {
        run(server);
    }
}

/// A server stores a chunk, nobody hears of it, and the server is killed. The secondary gets what comes after, but not that chunk;
/// when the server is back, it is found to have it.
#[test]
fn what_a_server_may_have_does_not_go_to_the_secondary() {
    let mut server = Server::clickhouse();
    let is_silent = Arc::new(AtomicBool::new(false));
    let proxy = {
        let is_silent = Arc::clone(&is_silent);
        let is_first = AtomicBool::new(true);
        Proxy::start(server.port(), move |head| {
            if head.contains("query=INSERT") && head.contains("default") && is_first.swap(false, Relaxed) {
                is_silent.store(true, Relaxed);
            }
            if is_silent.load(Relaxed) { Cut::BeforeAnswer } else { Cut::Nothing }
        })
    };
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let secondary = format!(
        "<secondary>\n    @type secondary_file\n    directory {}\n  </secondary>",
        dir.path().join("2").display()
    );
    let output = format!("{}\n  {secondary}", config::clickhouse(proxy.port(), "default"));
    let matched = config::matched(dir.path(), &output, "retry_max_times 3\n    retry_randomize false");
    let mut logweir = Logweir::start(dir.path(), &(config::inputs(dir.path(), port) + &matched));
    let mut client = Client::new("client", port);
    client.deliver("app.a", 10);
    logweir.wait("an insert without an answer", |_| proxy.cuts().contains_key(&Cut::BeforeAnswer));
    logweir.wait("the rows of that insert", |_| server.found().len() == 10);
    server.kill();
    client.deliver("app.b", 10);
    let in_secondary = |text: &str| {
        let files = std::fs::read_dir(dir.path().join("2")).into_iter().flatten().flatten();
        files
            .map(|file| std::fs::read(file.path()).unwrap())
            .any(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    };
    logweir.wait("the chunk behind it in the secondary", |_| in_secondary("Nr. 15"));
    logweir.wait("the chunk to be set aside", |logweir| logweir.log().contains("set a chunk aside"));
    server.start_again();
    is_silent.store(false, Relaxed);
    logweir.wait("an empty buffer", |_| crate::kills::chunks(dir.path()).is_empty());
    let mut found = server.found();
    found.sort();
    let expected: Vec<_> = (0..10).map(|n| ("client".to_owned(), n)).collect();
    assert_eq!(found, expected, "once, and nothing of the other");
    assert!(!in_secondary("Nr. 5"), "it is in one place only");
    assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
}

fn run(server: Server) {
    let wanted = std::env::var("LOGWEIR_AMBIGUOUS").map_or(AMBIGUOUS, |text| text.parse().unwrap());
    let mut dice = Dice::new();
    let (calm, doubtful) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let delayed = Arc::new(AtomicU64::new(0));
    let proxy = {
        let (calm, doubtful, delayed) = (Arc::clone(&calm), Arc::clone(&doubtful), Arc::clone(&delayed));
        let dice = Mutex::new(dice.another());
        Proxy::start(server.port(), move |head| {
            if calm.load(Relaxed) {
                return Cut::Nothing;
            }
            // Not one into the temporary table in which the rows of a doubtful insert are compared.
            let is_insert = head.contains("query=INSERT") && head.contains("default");
            let cut = decide(is_insert, &mut dice.lock().unwrap());
            if is_insert && cut != Cut::Nothing {
                doubtful.fetch_add(1, Relaxed);
            }
            if matches!(cut, Cut::Delayed(_)) {
                delayed.fetch_add(1, Relaxed);
            }
            cut
        })
    };
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let output = format!("{}\n  http_timeout {ANSWER_MAX}", config::clickhouse(proxy.port(), "default"));
    let matched = config::matched(dir.path(), &output, "flush_thread_count 3");
    let mut logweir = Logweir::start(dir.path(), &(config::inputs(dir.path(), port) + &matched));
    let options =
        Options { clients: 2, services: 0, records_max: 30, pause_max_ms: 200, rotation: Rotation::Never };
    let load = Load::start(dir.path(), port, options, &mut dice);
    let (mut restarts, mut next_kill) = (0, 3);
    while doubtful.load(Relaxed) < wanted {
        let seen = doubtful.load(Relaxed);
        if seen >= next_kill {
            // In doubt about the insert that was cut last, if not about several.
            next_kill = seen + 1 + dice.below(8) as u64;
            if dice.below(4) == 0 {
                assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
            } else {
                logweir.kill();
            }
            restarts += 1;
            logweir.start_again();
        }
        assert!(logweir.ended().is_none(), "it has ended:\n{}", logweir.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    let promised = load.finish();
    calm.store(true, Relaxed);
    let arrived =
        || proxy.cuts().iter().filter(|(cut, _)| matches!(cut, Cut::Delayed(_))).map(|(_, n)| n).sum();
    while delayed.load(Relaxed) > arrived() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let records = arrive(&server, &mut logweir, dir.path(), &promised);
    let doubtful = doubtful.load(Relaxed);
    eprintln!("{records} records, {doubtful} doubtful inserts, {restarts} restarts, {:?}", proxy.cuts());
    assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
}

/// Half of the inserts are cut, and some of the questions that follow.
fn decide(is_insert: bool, dice: &mut Dice) -> Cut {
    match dice.below(if is_insert { 12 } else { 120 }) {
        0 => Cut::MidBody,
        1 => Cut::AfterBody,
        2 => Cut::BeforeAnswer,
        3 => Cut::AfterFirstByte,
        4 => Cut::MidAnswer,
        5 if dice.below(4) == 0 => Cut::Late(LATE),
        5 => Cut::BeforeAnswer,
        6 if is_insert => Cut::Delayed(Duration::from_millis(DELAYS_MS[dice.below(DELAYS_MS.len())])),
        _ => Cut::Nothing,
    }
}
