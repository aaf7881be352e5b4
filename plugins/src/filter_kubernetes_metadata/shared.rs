//! What the parts of the filter share: records that ask, tasks that tell.

use super::health::Health;
use super::identity::Identity;
use super::plan::Plan;
use super::questions::Question;
use super::settings::Settings;
use super::stats::Stats;
use super::store::Store;
use logweir_engine::event::EventTime;
use logweir_engine::telemetry::PluginLog;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How long the records of a stream wait for what is not known of their containers. It is a pause of the input, so it is short;
/// and once it was in vain, no record waits until the server answers.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(3);

/// How many questions may wait to be asked.
const QUESTIONS_MAX: usize = 1024;

/// See the module.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) stats: Arc<Stats>,
    pub(super) log: PluginLog,
    /// `None` without a server.
    pub(super) health: Option<Health>,
    store: Mutex<Store>,
    /// Counts what the store was told, for those who wait.
    told: watch::Sender<u64>,
    questions: mpsc::Sender<Question>,
}

impl Shared {
    /// The other end of the questions is for the task that asks them.
    pub(super) fn new(settings: Settings, log: PluginLog) -> (Arc<Self>, mpsc::Receiver<Question>) {
        let stats = Arc::<Stats>::default();
        let (questions, receiver) = mpsc::channel(QUESTIONS_MAX);
        let health = settings.server.as_ref().map(|server| Health::new(log.clone(), server));
        let store = Mutex::new(Store::new(&settings, Arc::clone(&stats)));
        let shared = Self { settings, stats, log, health, store, told: watch::Sender::new(0), questions };
        (Arc::new(shared), receiver)
    }

    /// Looks into the store.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the store something, and those who wait for it.
    pub(super) fn tell<T>(&self, what: impl FnOnce(&mut Store) -> T) -> T {
        let result = what(&mut self.store());
        self.told.send_modify(|count| *count += 1);
        result
    }

    /// What records of a container get. Waits for what is not known yet, but not beyond the deadline that `wait` has or gets.
    pub(super) async fn plan(
        &self,
        identity: &Identity,
        time: Option<EventTime>,
        wait: &mut Option<Instant>,
    ) -> Arc<Plan> {
        let mut told = self.told.subscribe();
        loop {
            told.mark_unchanged();
            let now = Instant::now();
            let found = self.store().find(identity, time, now);
            for question in found.ask {
                if let Err(error) = self.questions.try_send(question) {
                    self.store().not_asked(&error.into_inner(), now);
                }
            }
            let Some(health) = self.health.as_ref().filter(|health| found.is_pending && health.is_well())
            else {
                return found.plan;
            };
            let deadline = *wait.get_or_insert(now + WAIT_MAX);
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() || tokio::time::timeout(left, told.changed()).await.is_err() {
                health.waited_in_vain(WAIT_MAX);
                return found.plan;
            }
        }
    }
}
