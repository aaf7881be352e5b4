//! Where records went: one ledger a plugin, and one law for all of them.
//!
//! ```text
//! an output   opening + received = stored + buffered + dead-lettered + dropped + filtered + duplicates + reported + refused
//! the whole   opening + received (inputs) + copied
//!                                = stored + buffered + dead-lettered + dropped + filtered + duplicates + refused (inputs)
//! ```
//!
//! `reported` records went to `@ERROR` and `refused` ones back to whoever offered them, so both go on elsewhere and only
//! count for the plugin. The law holds whenever nothing is on its way through a pipeline. Counting costs a few atomic
//! additions a stream, never one a record. The numbers are also metrics (`logweir_records_*`), whose handles are made when
//! a number first changes, or is announced: by then whoever exports metrics is there.

use metrics::Counter;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// What can happen to records. Dropped ones are gone for good; dead-lettered ones lie where a person can find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Emitted by an input, or offered to an output.
    Received,
    /// Found in the buffer at the start.
    Opening,
    /// Written to the destination, which said so.
    Stored,
    /// Handed to a further output of a `copy`, or to `@ERROR` although the event itself went on.
    Copied,
    /// A filter took them out, or a formatter made nothing of them.
    Filtered,
    /// Recognised as sent again, and not stored again.
    Duplicate,
    /// Sent to `@ERROR`.
    Reported,
    /// Given back: `overflow_action throw_exception`, or a stop while it blocked.
    RefusedOverflow,
    /// Given back: larger than chunk_limit_size.
    RefusedTooLarge,
    /// Given back: the program stops.
    RefusedShutdown,
    /// Given back: the disk refused, or the output did.
    RefusedFailed,
    /// Taken, but the device refused them afterwards: the input was told that they are not stored.
    RefusedNotDurable,
    /// `overflow_action drop_oldest_chunk`.
    DroppedOverflow,
    /// The limit of retries was reached, and the chunk could not be kept or was not to be.
    DroppedRetries,
    /// No retry mends it, and disable_chunk_backup is true.
    DroppedRejected,
    /// The output was told to drop what its destination cannot hold (`on_row_error drop`).
    DroppedUnstorable,
    /// No `<match>` takes their tag.
    DroppedNoMatch,
    /// They failed, and there is no `@ERROR` label or it refused them.
    DroppedError,
    /// `ignore_error` of a `<store>`.
    DroppedIgnored,
    /// Not an event: a time or record of a wrong type.
    DroppedInvalid,
    /// In a memory buffer when the program ended.
    DroppedShutdown,
    /// Taken by `<secondary>`.
    DeadSecondary,
    /// In the backup directory, as the bytes that the output was given.
    DeadBackup,
    /// In the backup directory, as the file of their chunk.
    DeadEvacuated,
}

const ACCOUNTS: usize = Account::DeadEvacuated as usize + 1;

impl Account {
    /// All of them, in order.
    pub const ALL: [Self; ACCOUNTS] = [
        Self::Received,
        Self::Opening,
        Self::Stored,
        Self::Copied,
        Self::Filtered,
        Self::Duplicate,
        Self::Reported,
        Self::RefusedOverflow,
        Self::RefusedTooLarge,
        Self::RefusedShutdown,
        Self::RefusedFailed,
        Self::RefusedNotDurable,
        Self::DroppedOverflow,
        Self::DroppedRetries,
        Self::DroppedRejected,
        Self::DroppedUnstorable,
        Self::DroppedNoMatch,
        Self::DroppedError,
        Self::DroppedIgnored,
        Self::DroppedInvalid,
        Self::DroppedShutdown,
        Self::DeadSecondary,
        Self::DeadBackup,
        Self::DeadEvacuated,
    ];

    /// What an input may book.
    pub const OF_INPUTS: &[Self] = &[
        Self::Received,
        Self::RefusedOverflow,
        Self::RefusedTooLarge,
        Self::RefusedShutdown,
        Self::RefusedFailed,
        Self::Duplicate,
        Self::DroppedInvalid,
    ];

    /// What an output may book. Its buffer counts what the device lost ([`Account::RefusedNotDurable`]).
    pub const OF_OUTPUTS: &[Self] = &[
        Self::Received,
        Self::Opening,
        Self::Stored,
        Self::Filtered,
        Self::Duplicate,
        Self::Reported,
        Self::RefusedOverflow,
        Self::RefusedTooLarge,
        Self::RefusedShutdown,
        Self::RefusedFailed,
        Self::DroppedOverflow,
        Self::DroppedRetries,
        Self::DroppedRejected,
        Self::DroppedUnstorable,
        Self::DroppedShutdown,
        Self::DeadSecondary,
        Self::DeadBackup,
        Self::DeadEvacuated,
    ];

    /// What is booked for no single plugin.
    pub const OF_PIPELINES: &[Self] = &[
        Self::Received,
        Self::Copied,
        Self::Filtered,
        Self::DroppedNoMatch,
        Self::DroppedError,
        Self::DroppedIgnored,
    ];

    /// The metric, and the label `reason` if it has one.
    pub fn metric(self) -> (&'static str, Option<&'static str>) {
        let refused = |reason| ("logweir_records_refused_total", Some(reason));
        let dropped = |reason| ("logweir_records_dropped_total", Some(reason));
        let dead = |reason| ("logweir_records_dead_lettered_total", Some(reason));
        match self {
            Self::Received => ("logweir_records_received_total", None),
            Self::Opening => ("logweir_records_opening_total", None),
            Self::Stored => ("logweir_records_stored_total", None),
            Self::Copied => ("logweir_records_copied_total", None),
            Self::Filtered => ("logweir_records_filtered_total", None),
            Self::Duplicate => ("logweir_records_duplicate_total", None),
            Self::Reported => ("logweir_records_reported_total", None),
            Self::RefusedOverflow => refused("buffer_overflow"),
            Self::RefusedTooLarge => refused("chunk_limit_size"),
            Self::RefusedShutdown => refused("shutdown"),
            Self::RefusedFailed => refused("failed"),
            Self::RefusedNotDurable => refused("not_durable"),
            Self::DroppedOverflow => dropped("drop_oldest_chunk"),
            Self::DroppedRetries => dropped("retry_limit"),
            Self::DroppedRejected => dropped("disable_chunk_backup"),
            Self::DroppedUnstorable => dropped("unstorable"),
            Self::DroppedNoMatch => dropped("no_match"),
            Self::DroppedError => dropped("error_event"),
            Self::DroppedIgnored => dropped("ignore_error"),
            Self::DroppedInvalid => dropped("invalid_event"),
            Self::DroppedShutdown => dropped("memory_buffer_at_shutdown"),
            Self::DeadSecondary => dead("secondary"),
            Self::DeadBackup => dead("backup"),
            Self::DeadEvacuated => dead("evacuated"),
        }
    }
}

/// One plugin's records. The default belongs to nobody and is no metric.
#[derive(Default)]
pub struct Ledger {
    plugin_id: Arc<str>,
    type_name: Arc<str>,
    amounts: [AtomicU64; ACCOUNTS],
    counters: [OnceLock<Counter>; ACCOUNTS],
}

impl Ledger {
    /// For the plugin with that id and `@type`.
    pub fn new(plugin_id: &Arc<str>, type_name: &str) -> Self {
        Self { plugin_id: Arc::clone(plugin_id), type_name: type_name.into(), ..Self::default() }
    }

    /// Books `records`.
    pub fn add(&self, account: Account, records: u64) {
        if records == 0 {
            return;
        }
        let index = account as usize;
        self.amounts[index].fetch_add(records, Relaxed);
        if !self.plugin_id.is_empty() {
            self.counters[index].get_or_init(|| self.counter(account)).increment(records);
        }
    }

    /// Makes the metrics of these accounts, with what was booked so far: a counter that appears with its first loss has not
    /// risen, for Prometheus.
    pub fn announce(&self, accounts: &[Account]) {
        if !self.plugin_id.is_empty() {
            for account in accounts {
                self.counters[*account as usize].get_or_init(|| self.counter(*account)).increment(0);
            }
        }
    }

    /// What was booked so far.
    pub fn get(&self, account: Account) -> u64 {
        self.amounts[account as usize].load(Relaxed)
    }

    /// Everything that was booked so far.
    pub fn balance(&self) -> Balance {
        Balance(std::array::from_fn(|index| self.amounts[index].load(Relaxed)))
    }

    fn counter(&self, account: Account) -> Counter {
        let (name, reason) = account.metric();
        let (id, type_name) = (self.plugin_id.to_string(), self.type_name.to_string());
        match reason {
            Some(reason) => {
                metrics::counter!(name, "plugin_id" => id, "type" => type_name, "reason" => reason)
            }
            None => metrics::counter!(name, "plugin_id" => id, "type" => type_name),
        }
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("plugin_id", &self.plugin_id)
            .field("balance", &self.balance())
            .finish()
    }
}

/// The amounts of a ledger at a moment, or the sum of several.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance([u64; ACCOUNTS]);

impl Balance {
    /// One amount.
    pub fn get(&self, account: Account) -> u64 {
        self.0[account as usize]
    }

    /// The same with one amount more.
    pub fn with(mut self, account: Account, records: u64) -> Self {
        self.0[account as usize] += records;
        self
    }

    /// The sum of the amounts that share a metric.
    pub fn sum(&self, metric: &str) -> u64 {
        let same = Account::ALL.into_iter().filter(|account| account.metric().0 == metric);
        same.map(|account| self.get(account)).sum()
    }

    /// What has ended: is stored, lies in the dead letters, is dropped, filtered out or a duplicate.
    pub fn ended(&self) -> u64 {
        use Account::{Duplicate, Filtered, Stored};
        let ended = [Stored, Filtered, Duplicate].map(|account| self.get(account)).iter().sum::<u64>();
        ended + self.sum("logweir_records_dropped_total") + self.sum("logweir_records_dead_lettered_total")
    }

    /// What an output must have in its buffer, by the law above.
    pub fn expected_in_buffer(&self) -> i64 {
        let came = self.get(Account::Opening) + self.get(Account::Received);
        let went = self.ended() + self.get(Account::Reported) + self.sum("logweir_records_refused_total");
        came as i64 - went as i64
    }
}

impl std::ops::AddAssign for Balance {
    fn add_assign(&mut self, other: Self) {
        for (amount, more) in self.0.iter_mut().zip(other.0) {
            *amount += more;
        }
    }
}

impl std::fmt::Debug for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let booked = Account::ALL.into_iter().filter(|account| self.get(*account) > 0);
        f.debug_map().entries(booked.map(|account| (account, self.get(account)))).finish()
    }
}

/// The records of a whole configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What inputs emitted, and Logweir's own log lines.
    pub received: u64,
    /// What was in the buffers at the start.
    pub opening: u64,
    /// See [`Account::Copied`].
    pub copied: u64,
    /// What is in the buffers, counted there.
    pub buffered: u64,
    /// What was given back to inputs.
    pub refused: u64,
    /// Everything else by its account.
    pub ended: Balance,
}

impl Totals {
    /// An input, or what stands for one.
    pub fn add_input(&mut self, balance: Balance) {
        self.received += balance.get(Account::Received);
        self.refused += balance.sum("logweir_records_refused_total");
        self.ended += balance;
    }

    /// An output with so many records in its buffer.
    pub fn add_output(&mut self, balance: Balance, buffered: u64) {
        self.opening += balance.get(Account::Opening);
        self.copied += balance.get(Account::Copied);
        self.buffered += buffered;
        // Nobody offers these again for the output's sake: its input was told.
        self.refused += balance.get(Account::RefusedNotDurable);
        self.ended += balance;
    }

    /// The pipelines: filters, tags that nobody takes, copies.
    pub fn add_pipelines(&mut self, balance: Balance) {
        self.received += balance.get(Account::Received);
        self.copied += balance.get(Account::Copied);
        self.refused += balance.sum("logweir_records_refused_total");
        self.ended += balance;
    }

    /// Records of which nobody knows where they went (or, if negative, came from): 0 when nothing is on its way.
    pub fn unexplained(&self) -> i64 {
        let came = self.received + self.opening + self.copied;
        came as i64 - (self.ended.ended() + self.buffered + self.refused) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_listed_in_their_order_and_have_one_metric_each() {
        let mut seen = std::collections::HashSet::new();
        for (index, account) in Account::ALL.into_iter().enumerate() {
            assert_eq!(account as usize, index);
            assert!(seen.insert(account.metric()), "{account:?} shares its metric");
        }
    }

    #[test]
    fn what_came_and_did_not_go_is_in_the_buffer() {
        let ledger = Ledger::default();
        ledger.add(Account::Opening, 5);
        ledger.add(Account::Received, 100);
        ledger.add(Account::Stored, 60);
        ledger.add(Account::DroppedOverflow, 10);
        ledger.add(Account::DeadSecondary, 7);
        ledger.add(Account::Duplicate, 3);
        ledger.add(Account::Reported, 2);
        ledger.add(Account::RefusedOverflow, 1);
        ledger.add(Account::Filtered, 4);
        assert_eq!(ledger.balance().ended(), 84);
        assert_eq!(ledger.balance().expected_in_buffer(), 18);
    }
}
