//! Code reads each parameter that a table declares.
//!
//! [`Params`] notes which values it is asked for. Each plugin is built from its example in `docs/reference/examples`, and then
//! from variants: each parameter with several values, alone beside the example and together with all the others that it goes with.
//! A parameter that none of these builds asks for, and that no value makes one refuse, is one that users set in vain. What is
//! understood and not needed says so: [`Status::WithoutEffect`].

use crate::PLUGINS;
use crate::testing::Sink;
use logweir_engine::config::{
    Attr, Checker, Diagnostic, Diagnostics, Element, Evaluated, Params, RawValue, Session, kind_word,
    parse_text,
};
use logweir_engine::output::{BUFFER_SECTION, ChunkKeys, OUTPUT_PARAMS};
use logweir_engine::plugin::{
    Build, BuildContext, DefaultValue, Descriptor, Driver, Kind, OutputPlugin, Param, ParamKind, Registry,
    SectionSpec, Status,
};
use logweir_engine::telemetry::{Level, PluginLog};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[test]
fn code_reads_every_parameter_of_every_plugin() {
    let problems: Vec<String> = PLUGINS.iter().flat_map(|plugin| unread(plugin)).collect();
    assert!(
        problems.is_empty(),
        "{} parameters or plugins:\n{}\nRead the parameter, or give it Status::WithoutEffect with the reason. If it is read only \
         beside another parameter that the test does not think of, write that one into the example.",
        problems.len(),
        problems.join("\n")
    );
}

static BUFFER: &[SectionSpec] = &[BUFFER_SECTION];

#[test]
fn code_reads_every_parameter_of_buffers() {
    let null = PLUGINS.iter().find(|plugin| plugin.kind == Kind::Output && plugin.name == "null").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let mut probe = Probe::new(null);
    let mut tried = BTreeSet::new();
    for (keys, buffer) in [
        ("tag", "@type memory\nflush_interval 5".to_owned()),
        ("tag,time", format!("@type file\npath {here}/a\ntimekey 5\npath_suffix .x")),
        ("tag", format!("@type file_single\npath {here}/b")),
    ] {
        let base =
            directive(&format!("<match **>\n@type null\n<buffer {keys}>\n{buffer}\n</buffer>\n</match>"));
        assert!(probe.build(&base), "a <buffer {keys}> with {buffer}");
        let declared = declared(OUTPUT_PARAMS, BUFFER);
        tried.extend(declared.iter().map(Place::name));
        probe.vary(&base, &declared);
    }
    let unread: Vec<&String> = tried.iter().filter(|name| !probe.is_read(name)).collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// The test's own eyes: it sees a parameter that is not read, and one that is only asked whether it is set.
#[test]
fn what_is_not_read_is_found() {
    static CARELESS: Descriptor = Descriptor {
        params: &[
            Param::new("read", ParamKind::String, "Read"),
            Param::new("beside", ParamKind::Integer, "Read beside a `mode` of b"),
            Param::new("mode", ParamKind::Enum(&["a", "b"]), "Read").default("a"),
            Param::new("refused", ParamKind::Bool, "Refused"),
            Param::new("forgotten", ParamKind::String, "Not read"),
            Param::new("looked_at", ParamKind::String, "Asked whether it is set"),
        ],
        sections: &[SectionSpec {
            params: &[
                Param::new("inner", ParamKind::Bool, "Read"),
                Param::new("forgotten", ParamKind::Bool, "Not read"),
            ],
            ..SectionSpec::new("part", "A section")
        }],
        ..Descriptor::new(Kind::Output, "careless", "For tests", Build::Output(careless))
    };
    fn careless(params: &Params, _: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
        let (_, _) = (params.str("read"), params.is_set("looked_at"));
        if params.word("mode") == Some("b") {
            let _ = params.int("beside");
        }
        if let Some(part) = params.section("part") {
            let _ = part.bool("inner");
        }
        match params.is_set("refused") {
            true => Err(params.error("refused", "not here")),
            false => Ok(OutputPlugin::Direct(Box::new(Sink::default()))),
        }
    }
    let mut probe = Probe::new(&CARELESS);
    let base = directive("<match **>\n@type careless\n</match>");
    assert_eq!(probe.unread(&[base]), ["forgotten", "looked_at", "part.forgotten"]);
}

/// What is wrong with the parameters of a plugin, or with its example.
fn unread(plugin: &'static Descriptor) -> Vec<String> {
    let file = example(plugin);
    let name = format!("{}:{}", kind_word(plugin.kind), plugin.name);
    let Ok(text) = std::fs::read_to_string(&file) else {
        return vec![format!(
            "{name}: there is no example; write a configuration that uses it into {}",
            file.display()
        )];
    };
    let mut bases = Vec::new();
    find(&root(&text), plugin, &mut bases);
    if bases.is_empty() {
        return vec![format!("{name}: {} does not use it", file.display())];
    }
    let mut probe = Probe::new(plugin);
    for base in &bases {
        if !probe.build(base) {
            return vec![format!(
                "{name}: it cannot be built as {} has it: {}",
                file.display(),
                probe.problem
            )];
        }
    }
    probe.unread(&bases).into_iter().map(|parameter| format!("{name}: nothing reads {parameter}")).collect()
}

fn example(plugin: &Descriptor) -> PathBuf {
    let name = format!("{}_{}.conf", kind_word(plugin.kind), plugin.name);
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/examples").join(name)
}

fn root(text: &str) -> Element {
    let mut diagnostics = Diagnostics::new();
    let document =
        parse_text("example", text, &|_: &str| Ok(Evaluated::Text("x".to_owned())), &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    document.root
}

fn directive(text: &str) -> Element {
    root(text).elements.remove(0)
}

/// The directives and sections that configure `plugin`.
fn find(element: &Element, plugin: &Descriptor, found: &mut Vec<Element>) {
    let is_place = match plugin.kind {
        Kind::Input => element.name == "source",
        Kind::Filter => element.name == "filter",
        Kind::Output => ["match", "store", "secondary"].contains(&element.name.as_str()),
        Kind::Parser => element.name == "parse",
        Kind::Formatter => element.name == "format",
    };
    if is_place && element.plugin_type() == Some(plugin.name) {
        let mut quiet = element.clone();
        quiet.set(attr(&quiet, "@log_level", "fatal"));
        found.push(quiet);
    }
    element.elements.iter().for_each(|inner| find(inner, plugin, found));
}

/// `(plugin, parameters)` that are moved into sections before the plugin is built, which tests beside the plugin look at.
const CONVERTED: &[(&str, &[&str])] = &[("exec_filter", &["tag_key", "time_key", "time_format"])];

/// A parameter, and the sections that lead to it.
#[derive(Clone)]
struct Place {
    sections: Vec<SectionSpec>,
    param: &'static Param,
}

impl Place {
    /// `name`, or `section.name`.
    fn name(&self) -> String {
        let sections = self.sections.iter().map(|section| section.name);
        sections.chain([self.param.name]).collect::<Vec<_>>().join(".")
    }
}

/// All parameters of a table that should be read.
fn declared(params: &'static [Param], sections: &'static [SectionSpec]) -> Vec<Place> {
    // Where there is only one word, the check of the configuration has refused all others.
    let is_live = |param: &&Param| {
        !matches!(param.status, Status::Removed(_) | Status::WithoutEffect(_))
            && !matches!(param.kind, ParamKind::Enum([_]))
    };
    let own = params.iter().filter(is_live).map(|param| Place { sections: Vec::new(), param });
    let mut places: Vec<Place> = own.collect();
    for section in sections {
        for mut place in declared(section.params, section.sections) {
            place.sections.insert(0, *section);
            places.push(place);
        }
    }
    places
}

/// Builds variants of a plugin, and keeps in mind which parameters were asked for.
struct Probe {
    plugin: &'static Descriptor,
    asked: BTreeSet<String>,
    /// Parameters that no value of is accepted: they are read, in order to be refused.
    refused: BTreeSet<String>,
    /// Why the last build failed.
    problem: String,
    runtime: tokio::runtime::Runtime,
}

impl Probe {
    fn new(plugin: &'static Descriptor) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { plugin, asked: BTreeSet::new(), refused: BTreeSet::new(), problem: String::new(), runtime }
    }

    fn is_read(&self, name: &str) -> bool {
        self.asked.contains(name) || self.refused.contains(name)
    }

    /// The parameters of the plugin's table that nothing reads.
    fn unread(&mut self, bases: &[Element]) -> Vec<String> {
        let mut declared = declared(self.plugin.params, self.plugin.sections);
        let converted = CONVERTED.iter().filter(|(plugin, _)| *plugin == self.plugin.name);
        let converted: Vec<&str> = converted.flat_map(|(_, names)| *names).copied().collect();
        declared.retain(|place| !converted.contains(&&*place.name()));
        bases.iter().for_each(|base| {
            self.build(base);
        });
        bases.iter().for_each(|base| self.vary(base, &declared));
        declared.iter().map(Place::name).filter(|name| !self.is_read(name)).collect()
    }

    /// Builds variants until all that is declared is read, or there are no more.
    fn vary(&mut self, base: &Element, declared: &[Place]) {
        self.build(base);
        for place in declared {
            self.try_alone(base, place);
        }
        // What is read only beside others: everything that goes together.
        let mut grown = base.clone();
        // Deprecated parameters often override what others say.
        let current = |place: &&Place| !matches!(place.param.status, Status::Deprecated(_));
        for _ in 0..2 {
            for place in declared.iter().filter(current) {
                for value in values(place.param.kind) {
                    if declared.iter().all(|place| self.is_read(&place.name())) {
                        return;
                    }
                    let more = with(&grown, place, value);
                    if self.build(&more) {
                        grown = more;
                    }
                }
            }
        }
    }

    /// The parameter with several values, unless it is known to be read.
    fn try_alone(&mut self, base: &Element, place: &Place) {
        let name = place.name();
        if self.is_read(&name) || !self.build(&with_section(base, &place.sections)) {
            return;
        }
        let mut is_accepted = false;
        for value in values(place.param.kind) {
            if self.is_read(&name) {
                return;
            }
            is_accepted |= self.build(&with(base, place, value));
        }
        if !is_accepted {
            self.refused.insert(name);
        }
    }

    /// Whether it can be built from `element`.
    fn build(&mut self, element: &Element) -> bool {
        let mut plugins = PLUGINS.to_vec();
        plugins.push(self.plugin);
        let (registry, session) = (Registry::new(&plugins), Session::new(false));
        let mut checker = Checker::new(&registry, &session);
        let params = checker.plugin(element, self.plugin.kind, None);
        let found = checker.finish();
        if let Some(error) = found.errors().next() {
            self.problem = error.to_string();
            return false;
        }
        let Some(params) = params else { return false };
        let _runtime = self.runtime.enter();
        let mut driver = Driver::new(&plugins);
        let mut context = driver.context();
        context.log = PluginLog::new(None, Some(Level::Fatal));
        let result = match self.plugin.build {
            Build::Input(build) => build(&params, &mut context).map(drop),
            Build::Filter(build) => build(&params, &mut context).map(drop),
            Build::Parser(build) => build(&params, &mut context).map(drop),
            Build::Formatter(build) => build(&params, &mut context).map(drop),
            Build::Output(build) if element.name == "secondary" => {
                context.secondary_of = Some(Arc::new(ChunkKeys { tag: true, ..ChunkKeys::default() }));
                build(&params, &mut context).map(drop)
            }
            Build::Output(_) => context.output(&params).map(drop),
        };
        self.asked.extend(params.asked());
        if let Err(error) = &result {
            self.problem = error.to_string();
        }
        result.is_ok()
    }
}

/// `element` with the parameter set.
fn with(element: &Element, place: &Place, value: &str) -> Element {
    let mut changed = with_section(element, &place.sections);
    let mut inner = &mut changed;
    for section in &place.sections {
        let at = inner.elements.iter().position(|e| is_it(e, section)).expect("it was added");
        inner = &mut inner.elements[at];
    }
    for alias in place.param.aliases {
        inner.attrs.retain(|attr| attr.name != *alias);
    }
    inner.set(attr(inner, place.param.name, value));
    changed
}

/// `element` with the sections, the first of each where there are several.
fn with_section(element: &Element, sections: &[SectionSpec]) -> Element {
    let mut changed = element.clone();
    let mut inner = &mut changed;
    for section in sections {
        if !inner.elements.iter().any(|e| is_it(e, section)) {
            let mut added = Element::new(section.name, "", inner.span.clone());
            let kind = match section.plugin {
                Some(Kind::Parser) => Some("none"),
                Some(Kind::Formatter) => Some("json"),
                Some(Kind::Output) => Some("null"),
                _ => None,
            };
            if let Some(plugin_type) = section.default_type.or(kind).filter(|_| section.plugin.is_some()) {
                added.set(attr(&added, "@type", plugin_type));
            }
            for param in section.params.iter().filter(|param| param.default == DefaultValue::Required) {
                let value = if param.name == "@type" { "static" } else { values(param.kind)[0] };
                added.set(attr(&added, param.name, value));
            }
            inner.elements.push(added);
        }
        let at = inner.elements.iter().position(|e| is_it(e, section)).expect("it was added");
        inner = &mut inner.elements[at];
        if is_tls(section) {
            // Most of it is read for TLS only, which needs a certificate.
            inner.arg = "tls".to_owned();
            inner.set(attr(inner, "insecure", "true"));
        }
    }
    changed
}

/// Whether it is a `<transport>` that can be TLS.
fn is_tls(section: &SectionSpec) -> bool {
    section.params.iter().any(|param| param.name == "cert_path")
}

fn is_it(element: &Element, section: &SectionSpec) -> bool {
    element.name == section.name || section.aliases.contains(&element.name.as_str())
}

fn attr(element: &Element, name: &str, value: &str) -> Attr {
    Attr::new(name, RawValue::Text(value.to_owned()), element.span.clone(), element.span.clone())
}

/// Values of a type, of which some parameter takes one or the other.
fn values(kind: ParamKind) -> Vec<&'static str> {
    match kind {
        ParamKind::String => vec!["a", "$.a", "UTC", "127.0.0.1", "0644", "/a/", "%Y"],
        ParamKind::Integer => vec!["1", "5"],
        ParamKind::Float => vec!["0.5", "2"],
        ParamKind::Bool => vec!["true", "false"],
        ParamKind::Size => vec!["64k"],
        ParamKind::Time => vec!["5s"],
        ParamKind::Array => vec!["a", "$.a"],
        ParamKind::Hash => vec![r#"{"a":"b"}"#, r#"{"a":"integer"}"#],
        ParamKind::Enum(words) => words.to_vec(),
        ParamKind::Regexp => vec!["/(?<a>x)/"],
    }
}
