//! The law of `telemetry/ledger.rs` over several lives of one output, whatever happens in them: outputs that fail in every way, a
//! secondary or none, full buffers, limits of retries, stops and power cuts. A life opens with what the one before it had in its
//! buffer.

use super::harness::{Act, Rig, Setup, pass, stream};
use crate::delivery::{Origin, Receipt};
use crate::io::Fs;
use crate::io::sim::{Choices, Dice, SimFs};
use crate::output::settings::OverflowAction;
use crate::plugin::Output;
use crate::telemetry::{Account, Balance};
use std::collections::BTreeSet;
use std::path::Path;

const SEEDS: u64 = 40;
const LIVES: u64 = 5;

/// What an output does in a life, by chance; in the last one it works.
fn setup(dice: &mut Dice, disk: &SimFs, is_last: bool) -> Setup {
    let mut setup = Setup { disk: Some(disk.clone()), random: dice.roll(), ..Setup::default() };
    if is_last {
        return setup;
    }
    let act = |dice: &mut Dice| match dice.below(10) {
        0..3 => Act::Succeed,
        3..5 => Act::Fail,
        5 => Act::FailAfter(dice.below(500)),
        6 => Act::Later(dice.below(3000)),
        7 => Act::Operator,
        8 => Act::Reject,
        _ => Act::Take(dice.below(500)),
    };
    setup.acts = (0..30).map(|_| act(dice)).collect();
    setup.then = act(dice);
    setup.secondary = [None, Some((Act::Succeed, false)), Some((Act::Fail, false))][dice.below(3) as usize];
    setup.flush.retry.max_times = [None, Some(0), Some(3)][dice.below(3) as usize];
    setup.flush.thread_count = 1 + dice.below(3) as usize;
    setup.flush.disable_chunk_backup = dice.once_in(3);
    setup.flush.at_shutdown = dice.once_in(2);
    setup.flush.overflow =
        [OverflowAction::ThrowException, OverflowAction::DropOldestChunk][dice.below(2) as usize];
    setup.limits.total_bytes = [100, 1 << 20][dice.below(2) as usize];
    setup.limits.chunk_records = Some(1 + dice.below(5));
    setup
}

/// A moment at which the ledger, the buffer and the disk say the same.
struct Rest {
    balance: Balance,
    /// In the buffer.
    records: u64,
    /// What is there after a power cut at that moment.
    disk: SimFs,
}

impl Rig {
    /// Waits for such a moment. A write may be under way, and ends a little later, on another thread.
    async fn rest(&self, disk: &SimFs) -> Rest {
        let look = || {
            let status = self.status();
            let chunks = self.output.runtime.buffer().unwrap().chunk_ids();
            (status.balance(), status.buffer.unwrap().records, chunks)
        };
        for _ in 0..10_000 {
            let before = look();
            let after_cut = disk.power_cut_keeping_nothing();
            let names = after_cut.list(Path::new("/spool")).unwrap_or_default();
            let files: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
            let files: BTreeSet<&str> =
                files.iter().filter_map(|name| name.strip_prefix("buffer.")?.get(1..33)).collect();
            let (balance, records, chunks) = &before;
            let chunks: Vec<String> = chunks.iter().map(ToString::to_string).collect();
            if balance.expected_in_buffer() == *records as i64
                && files.into_iter().eq(&chunks)
                && before == look()
            {
                return Rest { balance: *balance, records: *records, disk: after_cut };
            }
            tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(1)))
                .await
                .unwrap();
        }
        panic!(
            "it does not come to rest: {:?}, on the disk: {:?} of {:?}",
            self.status(),
            disk.list(Path::new("/spool")),
            disk.power_cut_keeping_nothing().list(Path::new("/spool"))
        );
    }
}

async fn lives(seed: u64) {
    let (mut dice, mut disk) = (Dice(seed), SimFs::new(seed));
    let (mut next, mut carried, mut all) = (0, 0, Balance::default());
    for life in 0..LIVES {
        let is_last = life == LIVES - 1;
        let rig = setup(&mut dice, &disk, is_last).run().await;
        let opening = rig.status().counters.ledger.get(Account::Opening);
        assert_eq!(opening, carried, "seed {seed}, life {life}: what the last one had");
        for _ in 0..if is_last { 0 } else { 12 } {
            match dice.below(4) {
                0 | 1 => {
                    let records: Vec<_> = (next..next + 1 + dice.below(4) as i64).map(|i| (0, i)).collect();
                    next += records.len() as i64;
                    let mut receipt = Receipt::durable(Origin::None);
                    if rig.output.emit(stream("t", &records), &mut receipt).await.is_ok() {
                        receipt.committed().await.unwrap();
                    }
                }
                2 => pass(dice.below(4000)).await,
                _ => rig.output.flush(),
            }
            rig.rest(&disk).await;
        }
        if is_last {
            rig.output.flush();
            pass(60_000).await;
        }
        if dice.once_in(2) {
            rig.output.shutdown().await;
        }
        let rest = rig.rest(&disk).await;
        all += rest.balance;
        (carried, disk) = (rest.records, rest.disk);
        // The old life goes on with a disk of its own, on which nobody looks any more.
        drop(rig);
    }
    assert_eq!(carried, 0, "seed {seed}: {all:?}");
    let openings = all.get(Account::Opening);
    // What a life opens with is what another one had: it cancels out.
    assert_eq!(all.get(Account::Received), next as u64, "seed {seed}");
    let came = all.get(Account::Received) as i64;
    let went = all.ended() + all.get(Account::Reported) + all.sum("logweir_records_refused_total");
    assert_eq!(came, went as i64, "seed {seed}, {openings} carried over: {all:?}");
}

#[tokio::test(start_paused = true)]
async fn the_law_holds_over_stops_and_power_cuts_whatever_the_output_does() {
    for seed in 0..SEEDS {
        lives(seed).await;
    }
}
