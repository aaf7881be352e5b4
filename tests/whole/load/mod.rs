//! Clients and services that send without a pause to a Logweir that ends and comes back, and what it owes them.
//!
//! A record says who sent it (`source`) and is numbered (`n`, from 0). A client sends a chunk again, under the same id, until
//! it is acknowledged; what a service has written to its file counts as promised at once.

mod account;
mod client;
pub(crate) mod config;
mod dice;
mod server;
mod service;

pub(crate) use account::{Found, Promised, account};
pub(crate) use client::Client;
pub(crate) use dice::Dice;
pub(crate) use server::Server;
pub(crate) use service::Rotation;

use serde_json::{Value, json};
use service::Service;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// Columns for the records, in two partitions.
pub(crate) const COLUMNS: &str = "(timestamp DateTime, source String, n UInt32, text String)";
/// The engine that goes with them.
pub(crate) const ENGINE: &str = "ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (source, n)";

/// How many send, and how much.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) clients: usize,
    pub(crate) services: usize,
    /// Most records of one chunk; a service writes a fifth of that at a time.
    pub(crate) records_max: usize,
    /// Longest pause between two chunks of a client, and two writes of a service.
    pub(crate) pause_max_ms: usize,
    pub(crate) rotation: Rotation,
}

impl Default for Options {
    fn default() -> Self {
        Self { clients: 2, services: 1, records_max: 60, pause_max_ms: 150, rotation: Rotation::Often }
    }
}

/// All of them at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    abandoned: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<(String, u64)>>,
}

impl Load {
    /// Clients send to `port`; services write into `dir/log/*.log`, whose positions are in `dir/pos`. All tags begin with `app.`.
    pub(crate) fn start(dir: &Path, port: u16, options: Options, dice: &mut Dice) -> Self {
        std::fs::create_dir_all(dir.join("log")).expect("a folder for logs");
        let (stop, abandoned, sent) = <(Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let mut threads = Vec::new();
        for number in 0..options.clients {
            let (stop, sent, mut dice) = (Arc::clone(&stop), Arc::clone(&sent), dice.another());
            let mut client = Client::new(&format!("client{number}"), port).until(Arc::clone(&abandoned));
            threads.push(std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let tag = ["app.a", "app.b"][dice.below(2)];
                    client.deliver(tag, 1 + dice.below(options.records_max));
                    sent.fetch_add(1, Relaxed);
                    std::thread::sleep(Duration::from_millis(dice.below(options.pause_max_ms) as u64));
                }
                client.promised()
            }));
        }
        for number in 0..options.services {
            let (stop, sent, mut dice) = (Arc::clone(&stop), Arc::clone(&sent), dice.another());
            let mut service = Service::new(dir, &format!("service{number}"), options.rotation);
            threads.push(std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    service.write(1 + dice.below(options.records_max / 5), &mut dice);
                    sent.fetch_add(1, Relaxed);
                    std::thread::sleep(Duration::from_millis(dice.below(options.pause_max_ms) as u64));
                }
                service.promised()
            }));
        }
        Self { stop, abandoned, sent, threads }
    }

    /// Chunks that were acknowledged, and writes to files.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// No more, once what is under way is acknowledged.
    pub(crate) fn finish(mut self) -> Promised {
        self.stop.store(true, Relaxed);
        let threads = std::mem::take(&mut self.threads);
        threads.into_iter().map(|thread| thread.join().expect("a sender")).collect()
    }
}

impl Drop for Load {
    /// A test that failed leaves nobody behind that sends on.
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.abandoned.store(!self.threads.is_empty(), Relaxed);
    }
}

/// The `n`th record of `source`.
pub(crate) fn record(source: &str, n: u64) -> Value {
    let (month, minute, second) = (1 + n % 2, n / 60 % 60, n % 60);
    json!({
        "timestamp": format!("2024-{month:02}-10T00:{minute:02}:{second:02}Z"),
        "source": source,
        "n": n,
        "text": format!("Something \"happened\" in {source}: grün\tNr. {n}"),
    })
}
