//! From a checked directive to a plugin: the registry and what a build function may ask for.

use super::{
    BufferSupport, Build, Descriptor, Formatter, Kind, Output, OutputPlugin, Parser, PluginInfo, PluginState,
    Plugins,
};
use crate::buffer::ChunkFiles;
use crate::config::{Diagnostic, Params, System};
use crate::delivery::{EmitError, Receipt};
use crate::event::EventStream;
use crate::output::ChunkKeys;
use crate::route::{ErrorEvents, Router, Workers};
use crate::telemetry::PluginLog;
use crate::telemetry::prometheus::MetricRegistry;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The `@id` of a plugin, or a generated one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginId {
    /// The text.
    pub text: Arc<str>,
    /// Whether the user wrote it; a generated one is not shown in logs.
    pub configured: bool,
}

impl PluginId {
    /// One that the user did not write.
    pub fn generated(text: &str) -> Self {
        Self { text: Arc::from(text), configured: false }
    }
}

/// All plugins of this binary: a plain list, in which the first of a kind and name wins.
#[derive(Clone)]
pub struct Registry {
    plugins: Vec<&'static Descriptor>,
}

impl Registry {
    /// A registry of these plugins.
    pub fn new(plugins: &[&'static Descriptor]) -> Self {
        Self { plugins: plugins.to_vec() }
    }

    /// Adds a plugin of the user's own.
    pub fn with(mut self, plugin: &'static Descriptor) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// The plugin of that kind and `@type`.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&'static Descriptor> {
        self.plugins.iter().copied().find(|p| p.kind == kind && (p.name == name || p.aliases.contains(&name)))
    }

    /// All plugins.
    pub fn iter(&self) -> impl Iterator<Item = &'static Descriptor> + '_ {
        self.plugins.iter().copied()
    }
}

/// The top level, where a label is expected.
pub const ROOT_LABEL: &str = "@ROOT";

/// What a build function may ask for.
pub struct BuildContext<'a> {
    /// The identity of the plugin that is being built.
    pub id: PluginId,
    /// Its logger.
    pub log: PluginLog,
    /// Process-wide settings.
    pub system: &'a System,
    /// All plugins.
    pub registry: &'a Registry,
    /// Where a plugin sends records that it cannot handle.
    pub errors: ErrorEvents,
    /// What the plugins of one configuration share while they are built.
    pub shared: &'a mut Shared,
    /// For an output in `<secondary>`: the chunk keys of its primary, whose chunks it will be given.
    pub secondary_of: Option<Arc<ChunkKeys>>,
}

/// What the plugins of one configuration share while they are built.
#[derive(Default)]
pub struct Shared {
    /// The labels that are referred to; connected after all plugins are built.
    pub labels: HashMap<String, LabelRef>,
    /// Those that plugins in a `<worker>` refer to, which see what runs in these workers.
    pub worker_labels: HashMap<(Workers, String), LabelRef>,
    /// The `<worker>` whose plugins are being built.
    pub workers: Workers,
    /// The label whose plugins are being built; `None` at the top level.
    pub label: Option<String>,
    /// Every output that was built, those of nested sections included, in the order in which they were built.
    pub outputs: Vec<BuiltOutput>,
    /// The outputs as monitoring shows them: each before those that are nested in it.
    pub shown_outputs: Vec<PluginInfo>,
    /// All plugins, for those that show them; known after the last is built.
    pub plugins: Arc<Plugins>,
    /// The metrics that the configuration declares.
    pub metrics: Arc<MetricRegistry>,
    /// The paths of file buffers, with the `@type` of the output that each belongs to.
    pub buffer_paths: HashMap<String, String>,
    /// Every file buffer, for who wants to look at them.
    pub file_buffers: Vec<FileBuffer>,
    /// The `@id`s that are taken.
    ids: HashSet<String>,
    /// Files and folders that only one plugin may use, by what they are.
    paths: HashMap<(&'static str, PathBuf), PluginId>,
    generated_ids: u64,
}

/// A file buffer of the configuration.
#[derive(Clone, Debug)]
pub struct FileBuffer {
    /// The output that it belongs to.
    pub id: PluginId,
    /// The `@type` of that output.
    pub type_name: String,
    /// Its files.
    pub files: ChunkFiles,
    /// Whether its chunks hold the bytes of a formatter rather than entries.
    pub formatted: bool,
}

/// An output of the configuration, for starting, stopping and monitoring.
#[derive(Clone)]
pub struct BuiltOutput {
    /// Its identity.
    pub id: PluginId,
    /// Its `@type`.
    pub type_name: &'static str,
    /// The output, buffer included.
    pub output: Arc<dyn Output>,
}

/// The output of a `<store>` section.
pub struct Store {
    /// The section.
    pub params: Params,
    /// The output, buffer included.
    pub output: Arc<dyn Output>,
    /// Its id, for messages.
    pub id: Arc<str>,
}

impl Shared {
    /// Nothing is built yet; metrics are declared in `metrics`.
    pub fn new(metrics: Arc<MetricRegistry>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Takes a file or folder for one plugin; `kind` says what it is (`pos_file`, `buffer`). The error is the plugin that
    /// has it.
    pub fn take_path(&mut self, kind: &'static str, path: &Path, id: &PluginId) -> Result<(), PluginId> {
        match self.paths.entry((kind, path.to_owned())) {
            Entry::Occupied(taken) => Err(taken.get().clone()),
            Entry::Vacant(free) => {
                free.insert(id.clone());
                Ok(())
            }
        }
    }

    /// The identity of the plugin that `params` configures: its `@id`, or a generated one.
    pub fn identify(&mut self, params: &Params) -> Result<PluginId, Diagnostic> {
        let Some(id) = params.plugin_id() else {
            self.generated_ids += 1;
            let text = Arc::from(format!("object:{:x}", self.generated_ids));
            return Ok(PluginId { text, configured: false });
        };
        if !self.ids.insert(id.to_owned()) {
            let message = format!("Duplicated plugin id `{id}`. Check whole configuration and fix it.");
            return Err(params.error("@id", message));
        }
        Ok(PluginId { text: Arc::from(id), configured: true })
    }
}

impl BuildContext<'_> {
    /// Builds the parser of the `<parse>` section of `owner`; `default` is its `@type` when none is written.
    /// With neither, the error says that a `<parse>` section is required.
    pub fn parser(&mut self, owner: &Params, default: Option<&str>) -> Result<Arc<dyn Parser>, Diagnostic> {
        let (descriptor, params) = self.text_plugin(owner, "parse", Kind::Parser, default)?;
        match descriptor.build {
            Build::Parser(build) => build(&params, self),
            _ => Err(params.error_here("not a parser")),
        }
    }

    /// Builds the formatter of the `<format>` section of `owner`.
    pub fn formatter(
        &mut self,
        owner: &Params,
        default: Option<&str>,
    ) -> Result<Arc<dyn Formatter>, Diagnostic> {
        let (descriptor, params) = self.text_plugin(owner, "format", Kind::Formatter, default)?;
        match descriptor.build {
            Build::Formatter(build) => build(&params, self),
            _ => Err(params.error_here("not a formatter")),
        }
    }

    /// Builds the output that `section` (`<match>`, `<store>`, `<secondary>`) configures, with its own identity and
    /// logger, and with a buffer in front of it where it has one.
    pub fn output(&mut self, section: &Params) -> Result<Arc<dyn Output>, Diagnostic> {
        let Some(descriptor) = self.registry.find(Kind::Output, section.plugin_type()) else {
            return Err(section.unknown_plugin(Kind::Output, self.registry));
        };
        let Build::Output(build) = descriptor.build else {
            return Err(section.error_here("not an output"));
        };
        let id = self.shared.identify(section)?;
        let shown_at = self.shared.shown_outputs.len();
        let log = PluginLog::new(id.configured.then(|| id.text.clone()), section.log_level())
            .in_worker(self.system.worker_id);
        let mut context = BuildContext {
            id: id.clone(),
            log,
            system: self.system,
            registry: self.registry,
            errors: self.errors.clone(),
            shared: &mut *self.shared,
            secondary_of: None,
        };
        let output: Arc<dyn Output> = match build(section, &mut context)? {
            OutputPlugin::Direct(output) => crate::output::without_buffer(section, output, &id)?,
            OutputPlugin::Buffered(output) => {
                crate::output::with_buffer(section, descriptor.buffer, output, &mut context)?
            }
        };
        let state = match descriptor.sections.iter().any(|spec| spec.plugin == Some(Kind::Output)) {
            true => PluginState::MultiOutput(Arc::clone(&output)),
            false => PluginState::Output(Arc::clone(&output)),
        };
        self.shared.shown_outputs.insert(shown_at, PluginInfo::new(id.clone(), section, state));
        let built = BuiltOutput { id, type_name: descriptor.name, output: Arc::clone(&output) };
        self.shared.outputs.push(built);
        Ok(output)
    }

    /// Builds the outputs of the `<store>` sections of `owner`, in order.
    pub fn stores(&mut self, owner: &Params) -> Result<Vec<Store>, Diagnostic> {
        let mut stores = Vec::new();
        for section in owner.sections("store") {
            let output = self.output(section)?;
            let id = self.shared.outputs.last().map_or_else(|| Arc::from(""), |built| built.id.text.clone());
            stores.push(Store { params: section.clone(), output, id });
        }
        Ok(stores)
    }

    /// The chunk keys that an output's parameters may refer to: those of its own `<buffer>`, or those of its primary.
    pub fn chunk_keys(&self, params: &Params, support: BufferSupport) -> Result<Arc<ChunkKeys>, Diagnostic> {
        match &self.secondary_of {
            Some(keys) => Ok(Arc::clone(keys)),
            None => ChunkKeys::of(params, support),
        }
    }

    /// Whether an output that can do both is to be buffered: a `<buffer>` is written, or it is a secondary.
    pub fn wants_buffer(&self, params: &Params) -> bool {
        self.secondary_of.is_some() || params.element().sections("buffer").next().is_some()
    }

    /// A reference to a label, which is checked and connected once the whole configuration is read.
    pub fn label(&mut self, name: &str) -> LabelRef {
        match self.shared.workers {
            Workers::ALL => self.shared.labels.entry(name.to_owned()).or_default().clone(),
            workers => self.shared.worker_labels.entry((workers, name.to_owned())).or_default().clone(),
        }
    }

    /// Where an output or filter sends events on: into its own `@label`, else into the label that it stands in, else into
    /// the top level.
    pub fn router(&mut self, params: &Params) -> LabelRef {
        let name = params.label().map(str::to_owned).or_else(|| self.shared.label.clone());
        self.label(name.as_deref().unwrap_or(ROOT_LABEL))
    }

    fn text_plugin(
        &mut self,
        owner: &Params,
        section: &'static str,
        kind: Kind,
        default: Option<&str>,
    ) -> Result<(&'static Descriptor, Params), Diagnostic> {
        let params = owner.plugin_section(section, kind, default, self.registry)?;
        match self.registry.find(kind, params.plugin_type()) {
            Some(descriptor) => Ok((descriptor, params)),
            None => Err(params.unknown_plugin(kind, self.registry)),
        }
    }
}

/// A label's router, known once the configuration is complete. Labels may lead to each other in circles, so the
/// reference is a weak one; the running configuration owns the routers.
#[derive(Clone, Default)]
pub struct LabelRef(Arc<OnceLock<std::sync::Weak<Router>>>);

impl LabelRef {
    /// Connects it; later calls are ignored.
    pub fn connect(&self, router: &Arc<Router>) {
        let _ = self.0.set(Arc::downgrade(router));
    }

    /// Emits into the label.
    pub async fn emit(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        match self.0.get().and_then(std::sync::Weak::upgrade) {
            Some(router) => router.emit(stream, receipt).await,
            None => {
                receipt.refuse(stream.count as u64);
                Err(EmitError::Shutdown)
            }
        }
    }
}
