//! Where messages come from, and what of that goes into records.

use logweir_engine::config::Params;
use logweir_engine::msgpack::{Splicer, write_str};
use logweir_engine::net::HostNames;
use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection, or the sender of a datagram.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Its name if names are looked up, else its address.
    pub(crate) host: Arc<str>,
    /// Adds its address and name to records; `None` if that is not wanted.
    source: Option<Arc<Splicer>>,
}

impl Peer {
    /// What adds its address and name to records, if that is wanted.
    pub(crate) fn source(&self) -> Option<&Splicer> {
        self.source.as_deref()
    }
}

/// The fields that get the peer's address and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceKeys {
    pub(crate) address: Option<String>,
    pub(crate) hostname: Option<String>,
    /// Whether names are looked up.
    pub(crate) resolve: bool,
}

impl SourceKeys {
    /// From the parameters [`super::SOURCE_PARAMS`]: names are looked up if a field wants them.
    pub(crate) fn new(params: &Params) -> Self {
        let text = |name: &str| params.str(name).map(str::to_owned);
        let hostname = text("source_hostname_key").or_else(|| text("source_host_key"));
        Self { address: text("source_address_key"), resolve: hostname.is_some(), hostname }
    }

    /// A peer with this name.
    pub(crate) fn peer(&self, address: SocketAddr, host: Arc<str>) -> Peer {
        let text = |value: &str| {
            let mut raw = Vec::new();
            write_str(&mut raw, value.as_bytes());
            raw
        };
        let mut source = Splicer::new();
        if let Some(key) = &self.address {
            source = source.set(key.as_bytes(), &text(&address.ip().to_canonical().to_string()));
        }
        if let Some(key) = &self.hostname {
            source = source.set(key.as_bytes(), &text(&host));
        }
        Peer { address, host, source: (!source.is_empty()).then(|| Arc::new(source)) }
    }

    /// A peer whose name is known without waiting: its address if names are not looked up.
    pub(crate) fn known_peer(&self, address: SocketAddr, names: &HostNames) -> Option<Peer> {
        match self.resolve {
            true => names.known(address.ip()).map(|host| self.peer(address, host)),
            false => Some(self.nameless_peer(address)),
        }
    }

    /// A peer that is known by its address.
    pub(crate) fn nameless_peer(&self, address: SocketAddr) -> Peer {
        self.peer(address, address.ip().to_canonical().to_string().into())
    }

    /// A peer, with its name if names are looked up, which may take some seconds.
    pub(crate) async fn resolved_peer(&self, address: SocketAddr, names: &HostNames) -> Peer {
        match self.resolve {
            true => self.peer(address, names.of(address.ip()).await),
            false => self.nameless_peer(address),
        }
    }
}
