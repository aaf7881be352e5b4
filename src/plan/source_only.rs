//! `with_source_only` (Fluentd 1.18): inputs run alone and what they take waits in file buffers, until SIGWINCH starts the rest.
//!
//! Each place that inputs emit to (the top level, a label) has a buffer of its own, so that events go on where they would have
//! gone. They lie in `path` of `<source_only_buffer>`, which is by default a folder named after the configuration in
//! `source-only-buffer` of root_dir (else of `$FLUENT_BACKUP_DIR`, else of `/tmp/fluent`). What is left there, by a crash or by a
//! stop before SIGWINCH, is taken out by the next start, also by one without this mode.

use logweir_engine::buffer::inspect::Place;
use logweir_engine::config::{
    Checker, Diagnostic, Diagnostics, Evaluated, Params, Session, System, parse_text,
};
use logweir_engine::io::RealFs;
use logweir_engine::log_info;
use logweir_engine::output::{Buffered, Reemit};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, Build, BuildContext, Descriptor, Kind, LabelRef, Output, PluginId,
    PluginInfo, PluginState, Registry, Shared, StartError,
};
use logweir_engine::route::{ErrorEvents, Router, Workers};
use logweir_engine::telemetry::PluginLog;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A buffer in front of the top level or a label.
pub(crate) struct Held {
    router: Arc<Router>,
    buffer: Arc<Buffered>,
}

impl Held {
    /// Takes all events of inputs from now on.
    pub(crate) async fn hold(&self) -> Result<(), StartError> {
        self.buffer.start_holding().await?;
        self.router.hold(Arc::clone(&self.buffer) as Arc<dyn Output>);
        Ok(())
    }

    /// Events pass it by from now on, and those in it follow.
    pub(crate) fn release(&self) {
        self.router.release();
        self.buffer.start_flushing();
        self.buffer.flush();
    }

    /// Sends on what an earlier run has left, without taking anything.
    pub(crate) async fn take_out(&self) -> Result<(), StartError> {
        self.buffer.start_holding().await?;
        self.buffer.start_flushing();
        self.buffer.flush();
        Ok(())
    }

    /// An emit that waits for room gives up.
    pub(crate) fn stopping(&self) {
        self.buffer.stopping();
    }

    /// After the inputs have ended, before the outputs do.
    pub(crate) async fn shutdown(&self) {
        self.buffer.shutdown().await;
    }
}

/// What the buffer of a place that inputs emit to is called; nothing for the top level.
pub(super) fn target_name(label: Option<&str>, workers: Workers) -> String {
    match (label, workers) {
        (Some(label), _) => format!("label-{}", file_name(label)),
        (None, Workers::ALL) => String::new(),
        (None, workers) => format!("worker-{workers}"),
    }
}

/// The buffers of `targets`: all of them with `with_source_only`, else those in which something was left.
pub(super) fn build(
    targets: BTreeMap<String, Arc<Router>>,
    system: &System,
    errors: ErrorEvents,
    shared: &mut Shared,
) -> Result<Vec<Held>, Diagnostic> {
    let base = base_dir(system);
    let mut held = Vec::new();
    for (name, router) in targets {
        let dir = base.join(&name);
        if system.with_source_only || has_chunks(&dir) {
            let id = PluginId::generated(&format!(
                "source_only_buffer{}{name}",
                if name.is_empty() { "" } else { ":" }
            ));
            let buffer = build_one(id, &dir, &router, system, errors.clone(), shared)?;
            held.push(Held { router, buffer });
        }
    }
    if system.with_source_only {
        log_info!(
            PluginLog::program(),
            format!(
                "with-source-only: the emitted data will be stored in the buffer files under {}. You can send SIGWINCH \
                 to this process to cancel with-source-only mode and process data.",
                base.display()
            )
        );
    }
    Ok(held)
}

fn build_one(
    id: PluginId,
    dir: &Path,
    router: &Arc<Router>,
    system: &System,
    errors: ErrorEvents,
    shared: &mut Shared,
) -> Result<Arc<Buffered>, Diagnostic> {
    let registry = Registry::new(&[&DIRECTIVE]);
    let params = params(&directive(dir, &system.source_only_buffer), &registry)?;
    let to = LabelRef::default();
    to.connect(router);
    let log = PluginLog::program();
    let mut context =
        BuildContext { id: id.clone(), log, system, registry: &registry, errors, shared, secondary_of: None };
    let output = Box::new(Reemit::new(to, &context));
    let buffer = Arc::new(Buffered::build(&params, DIRECTIVE.buffer, output, &mut context)?);
    let state = PluginState::Output(Arc::clone(&buffer) as Arc<dyn Output>);
    context.shared.shown_outputs.push(PluginInfo::new(id, &params, state));
    Ok(buffer)
}

/// The table that the directive is checked against.
static DIRECTIVE: Descriptor = Descriptor {
    buffer: BufferSupport::Always(BufferDefaults::STANDARD),
    ..Descriptor::new(
        Kind::Output,
        "buffer",
        "What with_source_only keeps",
        Build::Output(|params, _| Err(params.error_here("it is built by its owner"))),
    )
};

/// As if it were written in the configuration. What the user sets wins, being last.
fn directive(dir: &Path, settings: &[(String, String)]) -> String {
    let mut text = format!(
        "<match **>\n@type buffer\n<buffer tag>\n@type file\npath {}\nflush_mode interval\nflush_interval 10\n\
         flush_at_shutdown false\nretry_forever true\nretry_max_interval 30\n",
        quoted(&dir.to_string_lossy())
    );
    for (name, value) in settings.iter().filter(|(name, _)| name != "path") {
        text.push_str(&format!("{name} {}\n", quoted(value)));
    }
    text + "</buffer>\n</match>\n"
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn params(text: &str, registry: &Registry) -> Result<Params, Diagnostic> {
    let mut diagnostics = Diagnostics::new();
    let nothing = |_: &str| Ok(Evaluated::Nil);
    let mut document = parse_text("<source_only_buffer>", text, &nothing, &mut diagnostics);
    let session = Session::new(false);
    let mut checker = Checker::new(registry, &session);
    let params =
        document.root.elements.first_mut().and_then(|element| checker.plugin(element, Kind::Output, None));
    diagnostics.extend(checker.finish());
    match (diagnostics.errors().next(), params) {
        (None, Some(params)) => Ok(params),
        (error, _) => {
            Err(error.cloned().unwrap_or_else(|| Diagnostic::error("<source_only_buffer> is not read")))
        }
    }
}

fn base_dir(system: &System) -> PathBuf {
    if let Some((_, path)) = system.source_only_buffer.iter().find(|(name, _)| name == "path") {
        return PathBuf::from(path);
    }
    let root = system.root_dir.clone().unwrap_or_else(|| {
        std::env::var_os("FLUENT_BACKUP_DIR").map_or_else(|| "/tmp/fluent".into(), PathBuf::from)
    });
    root.join("source-only-buffer").join(file_name(&system.program.config_path.to_string_lossy()))
}

/// Whether chunks lie there. What cannot be looked at is reported when it is opened.
fn has_chunks(dir: &Path) -> bool {
    let places = Place::at(&RealFs, dir).unwrap_or_default();
    places.iter().any(|place| place.chunks(&RealFs).is_ok_and(|chunks| !chunks.is_empty()))
}

/// A name that a file can have, another one for each text.
fn file_name(text: &str) -> String {
    let mut name = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'@' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.is_empty() { "logweir".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_name_of_its_own() {
        assert_eq!(target_name(None, Workers::ALL), "");
        assert_eq!(target_name(Some("@A/b"), Workers::ALL), "label-@A%2Fb");
        assert_eq!(target_name(None, Workers::only(1, 2)), "worker-1-2");
        assert_eq!(file_name("/etc/fluent/fluent.conf"), "%2Fetc%2Ffluent%2Ffluent.conf");
        assert_eq!(file_name("../x"), "%2E.%2Fx");
    }

    #[test]
    fn the_section_sets_the_buffer() {
        let registry = Registry::new(&[&DIRECTIVE]);
        let settings = [("overflow_action", "block"), ("path", "/other"), ("chunk_limit_size", "1m")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let params = params(&directive(Path::new("/d/it's"), &settings), &registry).unwrap();
        let buffer = params.section("buffer").unwrap();
        assert_eq!(buffer.str("path"), Some("/d/it's"));
        assert_eq!(
            (buffer.word("overflow_action"), buffer.size("chunk_limit_size")),
            (Some("block"), Some(1 << 20))
        );
    }

    #[test]
    fn what_is_left_is_found_and_nothing_is_built_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Some(dir.path().to_owned());
        let system = System { root_dir: root, ..System::default() };
        let router = || {
            let errors = ErrorEvents::new(PluginLog::program(), std::time::Duration::ZERO);
            Router::new(Vec::new(), errors, PluginLog::program(), false)
        };
        let build_with = |system: &System| {
            let targets = BTreeMap::from([(String::new(), router()), ("label-@X".to_owned(), router())]);
            let errors = ErrorEvents::new(PluginLog::program(), std::time::Duration::ZERO);
            build(targets, system, errors, &mut Shared::default()).unwrap().len()
        };
        assert_eq!(build_with(&system), 0);
        assert_eq!(build_with(&System { with_source_only: true, ..system.clone() }), 2);
        let left = base_dir(&system).join("label-@X");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("buffer.b660ea087c069c0156a206a7dfc7d9983.log"), b"\x92\x01\x80").unwrap();
        assert_eq!(build_with(&system), 1);
    }
}
