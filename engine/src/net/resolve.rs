//! Names of peers, for parameters that ask for them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Names are asked for again after this long.
const KEPT: Duration = Duration::from_secs(300);
/// At most this many names are kept; then all are forgotten.
const NAMES_MAX: usize = 4096;
/// A name server that does not answer within this time counts as one that knows no name.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Lookups block a thread each.
const LOOKUPS_MAX: usize = 8;

/// A name, and when it was found.
type Known = (Arc<str>, Instant);

/// Reverse lookups with a memory.
#[derive(Clone, Debug)]
pub struct HostNames {
    names: Arc<Mutex<HashMap<IpAddr, Known>>>,
    lookups: Arc<Semaphore>,
}

impl Default for HostNames {
    fn default() -> Self {
        Self { names: Arc::default(), lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl HostNames {
    /// The host name of `address`, or the address itself if it has none.
    pub async fn of(&self, address: IpAddr) -> Arc<str> {
        if let Some(name) = self.known(address) {
            return name;
        }
        let name: Arc<str> = match tokio::time::timeout(WAIT_MAX, self.look_up(address)).await {
            Ok(Some(name)) => name.into(),
            _ => address.to_string().into(),
        };
        let mut names = self.names();
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(address, (name.clone(), Instant::now()));
        name
    }

    /// What [`HostNames::of`] found lately.
    pub fn known(&self, address: IpAddr) -> Option<Arc<str>> {
        self.names().get(&address).filter(|(_, at)| at.elapsed() < KEPT).map(|(name, _)| name.clone())
    }

    async fn look_up(&self, address: IpAddr) -> Option<String> {
        let permit = self.lookups.clone().acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            // Held by the thread: a lookup goes on after its caller has stopped waiting.
            let _permit = permit;
            dns_lookup::lookup_addr(&address).ok()
        })
        .await
        .ok()?
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Known>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All addresses of `host` for TCP. Answers an error if there is none.
pub async fn addresses(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("{host} has no address")));
    }
    Ok(found)
}
