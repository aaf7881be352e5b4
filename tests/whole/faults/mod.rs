//! Logweir ends at each of its fault points (`engine::io::fault`), and comes back: every record that was acknowledged is
//! where it was to go, once.
//!
//! `LOGWEIR_FAULTS=word,word` runs only the points with such a word in their names; `LOGWEIR_FAULT_REPEATS=n` runs each n times.

mod cases;
mod scene;
mod source;

use crate::load::{Dice, Load, Options, Promised, account};
use crate::logweir::Logweir;
use cases::{CASES, Case};
use logweir_testing::{ClickHouse, free_port};
use rustix::process::{Resource, Rlimit, setrlimit};
use scene::{Place, Scene};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs at a time. Most of one is waiting.
const AT_A_TIME: usize = 4;
/// A point that is not passed within this time is never passed.
const PASS_MAX: Duration = Duration::from_secs(90);
/// Records that are not there after this time never come.
const ARRIVE_MAX: Duration = Duration::from_secs(180);
/// Chunks and writes after which a scene is nudged, and after which the load ends once Logweir is back.
const SOME: u64 = 8;

#[test]
fn every_fault_point_is_in_the_table_and_the_other_way_round() {
    let tested: BTreeSet<&str> = CASES.iter().map(|case| case.point).collect();
    let points = source::points();
    let is_tested = |point: &str| tested.contains(point) || crate::systemd::POINTS.contains(&point);
    let untested: Vec<&String> = points.iter().filter(|point| !is_tested(point)).collect();
    assert!(untested.is_empty(), "no case ends Logweir at {untested:?}");
    let unknown: Vec<&&str> = tested.iter().filter(|point| !points.contains(**point)).collect();
    assert!(unknown.is_empty(), "no point is called {unknown:?}");
    assert!(points.len() >= 24, "{points:?}");
}

#[test]
fn what_is_acknowledged_is_stored_once_wherever_logweir_ends() {
    let wanted = std::env::var("LOGWEIR_FAULTS").unwrap_or_default();
    let words: Vec<&str> = wanted.split(',').filter(|word| !word.is_empty()).collect();
    let repeats: u32 = std::env::var("LOGWEIR_FAULT_REPEATS").map_or(1, |text| text.parse().unwrap());
    // Hundreds of processes abort here: none is to leave its memory behind.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    let seed = Dice::seed();
    eprintln!("LOGWEIR_SEED={seed}");
    let mut runs = Vec::new();
    for case in
        CASES.iter().filter(|case| words.is_empty() || words.iter().any(|word| case.point.contains(word)))
    {
        for passes in case.passes {
            runs.extend((0..repeats).map(|_| (case, *passes)));
        }
    }
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((case, passes)) = runs.get(number) else { return };
                    let started = Instant::now();
                    let dice = Dice::of(seed.wrapping_add(number as u64 * 7919));
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(case, *passes, number, dice)));
                    let name = format!("{}:{passes} ({:?})", case.point, case.scene);
                    eprintln!("{name}: {:.1} s", started.elapsed().as_secs_f64());
                    if outcome.is_err() {
                        failures.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} runs failed: {failures:?}", failures.len(), runs.len());
    eprintln!("{} runs at {} points", runs.len(), CASES.len());
}

/// One Logweir that ends on the pass `passes` of a point, and what it owes.
fn run(case: &Case, passes: u32, number: usize, mut dice: Dice) {
    let mut place = Place::new(ClickHouse::shared(), format!("faults_{number}"));
    let found_before = case.scene.set_up(&mut place, &mut dice);
    let port = free_port();
    let mut logweir = Logweir::not_started(place.dir(), &case.scene.config(&place, port));
    let options = Options { rotation: case.scene.rotation(), ..Options::default() };
    let load = Load::start(place.dir(), port, options, &mut dice);
    if let Some((point, passes)) = case.before {
        end_at(&mut logweir, &load, case.scene, point, passes);
    }
    end_at(&mut logweir, &load, case.scene, case.point, passes);
    logweir.start_again();
    let sent = load.sent();
    logweir.wait("more to be sent", |_| load.sent() >= sent + SOME);
    let mut promised = load.finish();
    promised.extend(found_before);
    arrive(&mut logweir, &place, case, &promised);
    assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
}

/// Runs Logweir until it ends at this point.
fn end_at(logweir: &mut Logweir, load: &Load, scene: Scene, point: &str, passes: u32) {
    let started = Instant::now();
    let sent = load.sent();
    logweir.spawn(&[("LOGWEIR_FAULT", &format!("{point}:{passes}"))]);
    let mut nudge = scene.nudge();
    loop {
        if let Some(status) = logweir.ended() {
            let at_point = logweir.log().contains(&format!("ended by LOGWEIR_FAULT at {point}\n"));
            assert!(status.signal().is_some() && at_point, "{status}, not at {point}:\n{}", logweir.log());
            return;
        }
        if load.sent() >= sent + SOME
            && let Some(signal) = nudge.take()
        {
            logweir.signal(signal);
        }
        assert!(started.elapsed() < PASS_MAX, "{point} is not passed {passes} times:\n{}", logweir.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until everything has arrived, and accounts for it.
fn arrive(logweir: &mut Logweir, place: &Place, case: &Case, promised: &Promised) {
    let started = Instant::now();
    loop {
        let account = account(promised, case.scene.found(place));
        let is_well = if case.scene.may_repeat() { account.is_complete() } else { account.is_exact() };
        if is_well && place.buffered().is_empty() {
            return;
        }
        assert!(logweir.ended().is_none(), "it has ended:\n{}", logweir.log());
        // What is there twice does not go away.
        let never = started.elapsed() > ARRIVE_MAX || !account.foreign.is_empty();
        let twice = !case.scene.may_repeat() && !account.repeated.is_empty();
        assert!(!never && !twice, "{account}; in the buffer: {:?}\n{}", place.buffered(), logweir.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
