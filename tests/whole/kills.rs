//! SIGKILL and SIGTERM, at moments that a seed decides, for Logweir, for ClickHouse, and for both, while clients and services
//! send without a pause: what was acknowledged is in the table, once.
//!
//! `LOGWEIR_KILLS=n` (`make soak KILLS=n`) makes that many, in rounds of [`ROUND`], each with a seed, a table and a directory of its own;
//! `LOGWEIR_SEED=n` repeats a round.

use crate::load::{Dice, Load, Options, Promised, Server, account, config};
use crate::logweir::Logweir;
use logweir_testing::free_port;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kills of a round.
const ROUND: usize = 50;
/// Kills in `make test`.
const KILLS: usize = 20;
/// Records that are not there after this time never come.
const ARRIVE_MAX: Duration = Duration::from_secs(240);

#[test]
fn into_a_server_that_recognises_no_repeated_insert() {
    soak(|| Some(Server::clickhouse()), KILLS);
}

#[test]
fn into_the_store_which_does() {
    soak(Server::store, KILLS / 2);
}

/// Rounds until so many kills were made.
fn soak(server: fn() -> Option<Server>, default: usize) {
    let kills = std::env::var("LOGWEIR_KILLS").map_or(default, |text| text.parse().unwrap());
    let first = Dice::seed();
    let mut done = Figures::default();
    while done.kills < kills {
        let seed = first + done.rounds as u64;
        eprintln!("LOGWEIR_SEED={seed}");
        let Some(mut server) = server() else { return };
        done.rounds += 1;
        round(&mut server, ROUND.min(kills - done.kills), Dice::of(seed), &mut done);
        eprintln!("so far: {done:?}");
    }
}

#[derive(Debug, Default)]
struct Figures {
    rounds: usize,
    kills: usize,
    stops: usize,
    records: u64,
    slowest_start: Duration,
}

/// Kills, and accounts for what was promised meanwhile.
fn round(server: &mut Server, kills: usize, mut dice: Dice, figures: &mut Figures) {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    // Fewer and larger chunks than elsewhere: after each kill the server is asked about every one of them.
    let output = config::clickhouse(server.port(), "default");
    let matched = config::matched(dir.path(), &output, "flush_thread_count 2");
    let matched = matched.replace("flush_interval 0.1", "flush_interval 0.4");
    let matched = matched.replace("max_insert_rows 25", "max_insert_rows 60");
    let matched = matched.replace("chunk_limit_records 40", "chunk_limit_records 400");
    let mut logweir = Logweir::not_started(dir.path(), &(config::inputs(dir.path(), port) + &matched));
    logweir.start_again();
    let options = Options { pause_max_ms: 400, ..Options::default() };
    let load = Load::start(dir.path(), port, options, &mut dice);
    let mut made = 0;
    while made < kills {
        std::thread::sleep(Duration::from_millis(dice.below(350) as u64));
        if dice.below(2) == 0 {
            wait_for_a_queued_chunk(dir.path());
            std::thread::sleep(Duration::from_micros(dice.below(20_000) as u64));
        }
        match dice.below(20) {
            0 => {
                figures.stops += 1;
                assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
            }
            1 => {
                figures.stops += 1;
                server.stop();
                server.start_again();
                continue;
            }
            2 | 3 => {
                server.kill();
                server.start_again();
                made += 1;
                continue;
            }
            4 => {
                logweir.kill();
                server.kill();
                server.start_again();
                made += 2;
            }
            5 => {
                server.kill();
                logweir.kill();
                server.start_again();
                made += 2;
            }
            _ => {
                logweir.kill();
                made += 1;
            }
        }
        // A process that has just been started is as good to kill as any other.
        while dice.below(5) == 0 {
            logweir.spawn(&[]);
            std::thread::sleep(Duration::from_millis(dice.below(200) as u64));
            logweir.kill();
            made += 1;
        }
        let started = Instant::now();
        logweir.start_again();
        figures.slowest_start = figures.slowest_start.max(started.elapsed());
    }
    let promised = load.finish();
    figures.kills += made;
    figures.records += arrive(server, &mut logweir, dir.path(), &promised);
    assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
}

/// Waits until everything has arrived, and accounts for it; answers how many records that are.
pub(crate) fn arrive(server: &Server, logweir: &mut Logweir, dir: &Path, promised: &Promised) -> u64 {
    let total: u64 = promised.values().sum();
    let started = Instant::now();
    while (server.count() < total || !chunks(dir).is_empty()) && started.elapsed() < ARRIVE_MAX {
        assert!(logweir.ended().is_none(), "it has ended:\n{}", logweir.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let account = account(promised, server.found());
    assert!(account.is_exact(), "{account}; in the buffer: {:?}\n{}", chunks(dir), logweir.log());
    total
}

fn wait_for_a_queued_chunk(dir: &Path) {
    for _ in 0..400 {
        if chunks(dir).iter().any(|name| name.starts_with("buffer.q")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn chunks(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir.join("buffer")).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}
