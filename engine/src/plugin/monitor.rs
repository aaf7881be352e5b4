//! The plugins of a configuration as monitoring shows them.

use super::{FilterCounters, InputCounters, Kind, Output, PluginId};
use crate::config::{MASKED, Params, without_credentials};
use crate::event::Tag;
use crate::route::Router;
use crate::telemetry::{Balance, Totals};
use std::sync::{Arc, OnceLock, Weak};

/// All plugins of one configuration, known once the last of them is built.
#[derive(Default)]
pub struct Plugins {
    all: OnceLock<Vec<PluginInfo>>,
    root: OnceLock<Weak<Router>>,
}

/// A plugin.
pub struct PluginInfo {
    /// Its identity.
    pub id: PluginId,
    /// Its `@type`, as it is written.
    pub type_name: String,
    /// Its own parameters as they are written, without those of its sections; the values of secrets are masked.
    pub config: Vec<(String, String)>,
    /// What it is, and what it has done so far.
    pub state: PluginState,
}

/// See [`PluginInfo::state`].
#[allow(missing_docs)]
pub enum PluginState {
    Input(Arc<InputCounters>),
    Filter(Arc<FilterCounters>),
    Output(Arc<dyn Output>),
    /// An output that hands what it is given to outputs of its own.
    MultiOutput(Arc<dyn Output>),
}

impl PluginInfo {
    /// The plugin that `params` configures.
    pub fn new(id: PluginId, params: &Params, state: PluginState) -> Self {
        let secret = |name: &str| {
            let attr = params.element().attrs.iter().find(|attr| attr.name == name);
            attr.and_then(|attr| attr.declared).is_some_and(|param| param.secret)
        };
        let shown = |(name, text): (&str, &str)| {
            let text = if secret(name) { MASKED.into() } else { without_credentials(text) };
            (name.to_owned(), text.into_owned())
        };
        Self {
            id,
            type_name: params.plugin_type().to_owned(),
            config: params.attrs().map(shown).collect(),
            state,
        }
    }

    /// What it is used as.
    pub fn kind(&self) -> Kind {
        match self.state {
            PluginState::Input(_) => Kind::Input,
            PluginState::Filter(_) => Kind::Filter,
            PluginState::Output(_) | PluginState::MultiOutput(_) => Kind::Output,
        }
    }

    fn output(&self) -> Option<&Arc<dyn Output>> {
        match &self.state {
            PluginState::Output(output) | PluginState::MultiOutput(output) => Some(output),
            _ => None,
        }
    }
}

impl Plugins {
    /// Makes the plugins known, in the order in which they are shown. `root` is the top level. Later calls are ignored.
    pub fn complete(&self, all: Vec<PluginInfo>, root: &Arc<Router>) {
        let _ = self.all.set(all);
        let _ = self.root.set(Arc::downgrade(root));
    }

    /// All of them; none before the last is built.
    pub fn all(&self) -> &[PluginInfo] {
        self.all.get().map_or(&[], Vec::as_slice)
    }

    /// The records of the whole configuration, and of each plugin that has any.
    pub fn records(&self) -> (Totals, Vec<(&PluginInfo, Balance)>) {
        let mut totals = Totals::default();
        let mut plugins = Vec::new();
        for info in self.all() {
            let balance = match &info.state {
                PluginState::Input(counters) => {
                    let balance = counters.ledger.balance();
                    totals.add_input(balance);
                    balance
                }
                PluginState::Filter(_) => continue,
                PluginState::Output(output) | PluginState::MultiOutput(output) => {
                    let Some(status) = output.status() else { continue };
                    let balance = status.balance();
                    totals.add_output(balance, status.buffer.map_or(0, |buffer| buffer.records));
                    balance
                }
            };
            plugins.push((info, balance));
        }
        if let Some(root) = self.root.get().and_then(Weak::upgrade) {
            totals.add_pipelines(root.ledger().balance());
        }
        (totals, plugins)
    }

    /// The output of the top level that takes events with that tag.
    pub fn output_of(&self, tag: &str) -> Option<&PluginInfo> {
        let output = self.root.get()?.upgrade()?.output_of(&Tag::new(tag))?;
        self.all().iter().find(|info| info.output().is_some_and(|other| Arc::ptr_eq(other, &output)))
    }
}
