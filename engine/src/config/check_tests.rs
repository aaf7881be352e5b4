//! What the check of directives against tables answers, in Fluentd's words.

use super::*;
use crate::plugin::{
    BufferDefaults, BufferSupport, Build, Compat, Descriptor, Kind, Param, ParamKind, Registry,
    SectionDefault, SectionSpec, Status,
};

static FILTER: Descriptor = Descriptor {
    params: &[
        Param::new("key", ParamKind::String, "A key").required(),
        Param::new("renew_record", ParamKind::Bool, "Whether").default("false"),
        Param::new("limit", ParamKind::Size, "Bytes").default("8m").aliases(&["max"]),
        Param::new("password", ParamKind::String, "Secret").secret(),
        Param::new("mode", ParamKind::Enum(&["lazy", "eager"]), "How").default("lazy"),
        Param::new("old", ParamKind::String, "Old").status(Status::Deprecated("use key")),
        Param::new("gone", ParamKind::String, "Gone").status(Status::Removed("use key")),
        Param::new("every", ParamKind::Time, "Interval"),
        Param::new("pattern", ParamKind::Regexp, "Pattern"),
        Param::new("names", ParamKind::Array, "Names"),
        Param::new("map", ParamKind::Hash, "Map"),
        Param::new("count", ParamKind::Integer, "Count"),
        Param::new("share", ParamKind::Float, "Share"),
    ],
    sections: &[
        SectionSpec { free: true, ..SectionSpec::new("record", "Fields") },
        SectionSpec {
            params: &[
                Param::new("host", ParamKind::String, "Host").required(),
                Param::new("weight", ParamKind::Integer, "Weight").default("60"),
            ],
            repeated: true,
            ..SectionSpec::new("server", "A server")
        },
        SectionSpec::PARSE,
    ],
    compat: &[Compat::Parser],
    ..Descriptor::new(
        Kind::Filter,
        "probe",
        "For tests",
        Build::Filter(|params, _| Err(params.error_here(""))),
    )
};

static OUTPUT: Descriptor = Descriptor {
    params: &[Param::new("path", ParamKind::String, "Path").required()],
    compat: &[Compat::Buffer],
    buffer: BufferSupport::Always(BufferDefaults {
        chunk_keys: &["time"],
        params: &[("timekey", "1d"), ("@type", "file")],
    }),
    ..Descriptor::new(
        Kind::Output,
        "store",
        "For tests",
        Build::Output(|params, _| Err(params.error_here(""))),
    )
};

static JSON: Descriptor = Descriptor {
    params: &[Param::new("time_key", ParamKind::String, "Time key").default("time")],
    ..Descriptor::new(
        Kind::Parser,
        "json",
        "For tests",
        Build::Parser(|params, _| Err(params.error_here(""))),
    )
};

static REGEXP: Descriptor = Descriptor {
    params: &[
        Param::new("expression", ParamKind::Regexp, "Pattern").required(),
        Param::new("types", ParamKind::Hash, "Types"),
        Param::new("localtime", ParamKind::Bool, "Zone").default("true"),
    ],
    ..Descriptor::new(
        Kind::Parser,
        "regexp",
        "For tests",
        Build::Parser(|params, _| Err(params.error_here(""))),
    )
};

static INPUT: Descriptor = Descriptor {
    sections: &[SectionSpec {
        default_type: Some("regexp"),
        defaults: &[
            SectionDefault::new("types", Some("a:integer")),
            SectionDefault::new("localtime", Some("false")).unless("types"),
            SectionDefault::new("time_key", None),
        ],
        ..SectionSpec::PARSE
    }],
    ..Descriptor::new(
        Kind::Input,
        "listen",
        "For tests",
        Build::Input(|params, _| Err(params.error_here(""))),
    )
};

fn registry() -> Registry {
    Registry::new(&[&FILTER, &OUTPUT, &JSON, &REGEXP, &INPUT])
}

fn evaluate(code: &str) -> Result<Evaluated, String> {
    match code {
        "use_nil" => Ok(Evaluated::UseNil),
        "use_default" => Ok(Evaluated::UseDefault),
        other => Err(format!("undefined `{other}'")),
    }
}

struct Checked {
    params: Option<Params>,
    diagnostics: Diagnostics,
    element: Element,
}

fn check_in(kind: Kind, tag: &str, body: &str, strict: bool) -> Checked {
    let mut diagnostics = Diagnostics::new();
    let text = format!("<{tag}>\n{body}\n</{tag}>\n");
    let mut document = parse_text("t", &text, &evaluate, &mut diagnostics);
    let (registry, session) = (registry(), Session::new(strict));
    let mut checker = Checker::new(&registry, &session);
    let mut element = document.root.elements.remove(0);
    let params = checker.plugin_in(&mut element, kind, None);
    diagnostics.extend(checker.finish());
    Checked { params, diagnostics, element }
}

fn filter(body: &str) -> Checked {
    check_in(Kind::Filter, "filter", &format!("@type probe\n{body}"), false)
}

fn output(body: &str) -> Checked {
    check_in(Kind::Output, "match", &format!("@type store\n{body}"), false)
}

impl Checked {
    fn params(self) -> Params {
        assert!(self.diagnostics.is_empty(), "{}", self.diagnostics.render(false));
        self.params.unwrap()
    }

    fn errors(&self) -> Vec<&str> {
        self.diagnostics.errors().map(Diagnostic::message).collect()
    }

    fn warnings(&self) -> Vec<&str> {
        self.diagnostics.warnings().map(Diagnostic::message).collect()
    }
}

#[test]
fn values_have_the_types_of_the_table() {
    let params = filter(
        "key k\nrenew_record\nmax 10k\nmode eager\nevery 30m\npattern /a/i\nnames a, b\nmap x:1\ncount 3\nshare .5",
    )
    .params();
    assert_eq!((params.str("key"), params.string("password").as_str()), (Some("k"), ""));
    assert!(params.bool("renew_record") && params.opt_bool("renew_record") == Some(true));
    assert_eq!(params.size("limit"), Some(10_240));
    assert_eq!(params.word("mode"), Some("eager"));
    assert_eq!(params.time("every"), Some(std::time::Duration::from_secs(1800)));
    assert!(params.regexp("pattern").unwrap().is_match(b"xAx"));
    assert_eq!(params.array("names"), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(params.hash("map"), Some(vec![("x".to_owned(), "1".into())]));
    assert_eq!((params.int("count"), params.float("share")), (Some(3), Some(0.5)));
    assert!(params.is_set("limit") && !params.is_set("password"));
    assert_eq!((params.plugin_type(), params.name()), ("probe", "filter"));
}

#[test]
fn defaults_stand_for_what_is_not_written() {
    let params = filter("key k\nlimit \"#{use_default}\"").params();
    assert_eq!(params.size("limit"), Some(8 << 20));
    assert!(!params.is_set("limit"));
    assert_eq!(params.word("mode"), Some("lazy"));
    assert_eq!(params.time("every"), None);
    assert!(!params.bool("renew_record"));
}

#[test]
fn what_is_required_must_be_there_and_not_nil() {
    assert_eq!(filter("").errors(), ["'key' parameter is required"]);
    assert_eq!(filter("key \"#{use_nil}\"").errors(), ["'key' parameter is required but nil is specified"]);
    assert_eq!(filter("key \"#{use_default}\"").errors(), ["'key' doesn't have default value"]);
    assert_eq!(
        filter("key k\nrenew_record maybe").errors(),
        ["'renew_record' parameter is required but nil is specified"]
    );
    assert!(filter("key k\npassword \"#{use_nil}\"").params().str("password").is_none());
    assert_eq!(
        filter("key k\n<server>\n</server>").errors(),
        ["'host' parameter is required, in section server"]
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let checked = filter("mode sometimes\nrenew_record on\npattern /(/\ngone x\n@log_level loud");
    assert_eq!(
        checked.errors()[..3],
        [
            "'key' parameter is required",
            "'renew_record' parameter is required but nil is specified",
            "valid options are lazy,eager but got sometimes",
        ]
    );
    assert!(
        checked.errors()[4].contains("end pattern") || checked.errors()[4].contains('('),
        "{:?}",
        checked.errors()
    );
    assert_eq!(checked.errors()[3], "'gone' parameter is already removed: use key");
    assert_eq!(checked.errors()[5], "Unknown log level: level = loud");
    let text = checked.diagnostics.render(false);
    assert!(text.contains("help: write true"), "{text}");
    assert!(text.contains("t:3:6"), "{text}");
}

#[test]
fn strict_values_are_checked_wholly() {
    let checked = check_in(Kind::Filter, "filter", "@type probe\nkey k\ncount 3x\nrenew_record on", true);
    assert_eq!(
        checked.errors(),
        ["renew_record: invalid bool value: on", "count: invalid value for Integer(): \"3x\""]
    );
}

#[test]
fn surprising_readings_are_warned_about() {
    assert_eq!(
        filter("key k\nevery 100ms\nlimit 1.5g\ncount 3x\nshare x").warnings(),
        [
            "'limit 1.5g' is read as 5368709120 bytes, as Fluentd reads it",
            "'every 100ms' is read as 6000 seconds, as Fluentd reads it",
            "'count 3x' is read as 3, as Fluentd reads it",
            "'share x' is read as 0, as Fluentd reads it",
        ]
    );
}

#[test]
fn a_dump_is_fluentds() {
    let text = "<system>\n  root_dir /x\n</system>\n<filter a.**>\n  @type probe\n  @id i\n  @log_level warn\n  key 'a\\'\"b'\n  \
                max 1k\n  password x\n  old \"#{use_nil}\"\n  mode \"#{use_default}\"\n  <parse>\n    @type json\n    odd [1, 2]\n  \
                </parse>\n</filter>\n<label @L>\n  <match>\n    @type store\n    path p\n    flush_interval 3s\n  </match>\n</label>\n\
                <odd>\n</odd>\n";
    let document = parse_text("t", text, &evaluate, &mut Diagnostics::new());
    let expected = r#"<ROOT>
  <system>
    root_dir "/x"
  </system>
  <filter a.**>
    @type probe
    @id i
    @log_level "warn"
    key "a\'\"b"
    max 1k
    password xxxxxx
    old 
    mode lazy
    <parse>
      @type "json"
      odd [1,2]
    </parse>
  </filter>
  <label @L>
    <match>
      @type store
      path "p"
      flush_interval 3s
      <buffer time>
        flush_interval 3s
        timekey 86400
      </buffer>
    </match>
  </label>
  <odd>
  </odd>
</ROOT>"#;
    assert_eq!(document.root.dump(&registry()), expected);
}

#[test]
fn what_nobody_reads_is_warned_about() {
    let checked = filter("key k\nrenew_recrod true\ncolour blue\nold x\n<sever>\nhost a\n</sever>");
    assert_eq!(
        checked.warnings(),
        [
            "'old' parameter is deprecated: use key",
            "parameter 'renew_recrod' in <filter>\n  @type probe\n  key \"k\"\n  renew_recrod true\n  colour blue\n  old \"x\"\n  \
         <sever>\n    host a\n  </sever>\n</filter> is not used.",
            "parameter 'colour' in <filter>\n  @type probe\n  key \"k\"\n  renew_recrod true\n  colour blue\n  old \"x\"\n  \
         <sever>\n    host a\n  </sever>\n</filter> is not used.",
            "section <sever> is not used in <filter> of probe plugin",
        ]
    );
    let text = checked.diagnostics.render(false);
    assert!(text.contains("parameter 'colour' in <filter> is not used"), "{text}");
    assert!(
        text.contains("did you mean 'renew_record'?") && text.contains("did you mean <server>?"),
        "{text}"
    );
}

#[test]
fn sections_are_checked_too() {
    let params = filter(
        "key k\n<record>\n@timestamp x\na b\n</record>\n<server>\nhost a\n</server>\n<server>\nhost b\nweight 1\n</server>",
    );
    assert!(params.errors().is_empty());
    let params = params.params.unwrap();
    let record: Vec<(&str, &str)> = params.section("record").unwrap().attrs().collect();
    assert_eq!(record, [("@timestamp", "x"), ("a", "b")]);
    let servers = params.sections("server");
    assert_eq!((servers[0].int("weight"), servers[1].int("weight")), (Some(60), Some(1)));
    assert_eq!(
        filter("key k\n<record>\n</record>\n<record>\n</record>").errors(),
        ["'<record>' section cannot be written twice or more"]
    );
}

#[test]
fn a_section_that_is_a_plugin_has_that_plugins_table() {
    let params = filter("key k\n<parse>\n@type json\ntime_key t\n</parse>").params();
    let parse = params.plugin_section("parse", Kind::Parser, None, &registry()).unwrap();
    assert_eq!((parse.plugin_type(), parse.str("time_key")), ("json", Some("t")));
    let checked = filter("key k\n<parse>\n@type jsom\n</parse>");
    assert_eq!(
        checked.errors(),
        ["Unknown parser plugin 'jsom'. Run 'gem search -rd fluent-plugin' to find plugins"]
    );
    assert_eq!(checked.diagnostics.errors().next().unwrap().class(), "Fluent::NotFoundPluginError");
    assert_eq!(checked.diagnostics.errors().next().unwrap().help_text(), Some("did you mean 'json'?"));
}

#[test]
fn a_default_type_is_known_when_the_plugin_is_built() {
    let registry = registry();
    let params = filter("key k").params();
    let parse = params.plugin_section("parse", Kind::Parser, Some("json"), &registry).unwrap();
    assert_eq!((parse.plugin_type(), parse.str("time_key")), ("json", Some("time")));
    let missing = params.plugin_section("parse", Kind::Parser, None, &registry).unwrap_err();
    assert_eq!(missing.message(), "<parse> section is required.");
    let params = filter("key k\n<parse>\ntime_key t\nodd 1\n</parse>").params();
    let parse = params.plugin_section("parse", Kind::Parser, Some("json"), &registry).unwrap();
    assert_eq!(parse.str("time_key"), Some("t"));
    let late = params.session().take_late_warnings();
    assert!(late[0].message().starts_with("parameter 'odd' in <parse>"), "{late:?}");
    let missing = params.plugin_section("parse", Kind::Parser, None, &registry).unwrap_err();
    assert_eq!(missing.message(), "@type is required in <parse>");
}

#[test]
fn the_owner_of_a_section_changes_its_defaults() {
    let parse = |body: &str| {
        let body = format!("@type listen\n<parse>\n{body}\n</parse>");
        check_in(Kind::Input, "source", &body, false).params().section("parse").unwrap().clone()
    };
    let regexp = parse("expression /x/");
    assert_eq!((regexp.opt_bool("localtime"), regexp.is_set("localtime")), (Some(false), false));
    assert_eq!(regexp.hash("types").unwrap()[0].0, "a");
    let unless = parse("expression /x/\ntypes b:float");
    assert_eq!(
        (unless.opt_bool("localtime"), unless.hash("types").unwrap()[0].0.as_str()),
        (Some(true), "b")
    );
    let written = parse("expression /x/\nlocaltime true");
    assert_eq!(written.opt_bool("localtime"), Some(true));
    assert_eq!(parse("@type json").str("time_key"), None);
    assert_eq!(parse("@type json\ntime_key t").str("time_key"), Some("t"));
}

#[test]
fn unknown_types_are_explained() {
    let unknown = |body: &str| check_in(Kind::Output, "match", body, false);
    let checked = unknown("@type stroe");
    assert_eq!(
        checked.errors(),
        ["Unknown output plugin 'stroe'. Run 'gem search -rd fluent-plugin' to find plugins"]
    );
    assert!(checked.diagnostics.render(false).contains("did you mean 'store'?"));
    assert!(
        unknown("@type probe").diagnostics.render(false).contains("'probe' is a filter here, not an output")
    );
    assert!(unknown("@type nobodys").diagnostics.render(false).contains("output plugins are: store"));
    let kafka = unknown("@type kafka2").diagnostics.render(false);
    assert!(
        kafka.contains("'kafka2' is of the gem fluent-plugin-kafka; Logweir runs no Ruby gems"),
        "{kafka}"
    );
    assert!(kafka.contains("with @type forward to a Fluent Bit with its output kafka"), "{kafka}");
    assert_eq!(unknown("path x").errors(), ["Missing '@type' parameter on <match> directive"]);
}

#[test]
fn older_spellings_of_reserved_names_work_with_a_warning() {
    let checked = check_in(Kind::Filter, "filter", "type probe\nid i\nlog_level warn\nkey k", false);
    assert_eq!(
        checked.warnings(),
        [
            "'type' is deprecated parameter name. use '@type' instead.",
            "'id' is deprecated parameter name. use '@id' instead.",
            "'log_level' is deprecated parameter name. use '@log_level' instead.",
        ]
    );
    let params = checked.params.unwrap();
    assert_eq!(params.plugin_id(), Some("i"));
    assert_eq!(params.log_level(), Some(crate::telemetry::Level::Warn));
}

#[test]
fn secrets_are_masked() {
    let checked = filter("key k\npassword \"geheim\"\nodd 1");
    let shown = format!("{}{}", checked.element, checked.element.to_json());
    assert!(!shown.contains("geheim") && shown.contains("password xxxxxx"), "{shown}");
    assert!(!checked.diagnostics.render(false).contains("geheim"));
    let unknown = filter("key k\nuser_password \"geheim\" # not mine").diagnostics.render(false);
    assert!(
        unknown.contains("user_password xxxxxxxx # not mine") && !unknown.contains("geheim"),
        "{unknown}"
    );
    assert!(!checked.warnings()[0].contains("geheim"), "{:?}", checked.warnings());
    let error = checked.params.unwrap().error("password", "too short").render(false);
    assert!(error.contains("too short") && !error.contains("geheim"), "{error}");
}

#[test]
fn secrets_are_masked_in_both_forms_of_a_whole_configuration() {
    let text = "<filter>\n@type probe\nkey k\npassword geheim\n</filter>\n<match>\n@type stranger\nuser u\naws_sec_key geheim\n\
                <security>\nshared_key geheim\n<user>\nusername u\npassword geheim\n</user>\n</security>\n</match>\n\
                <label @L>\n<filter>\n@type probe\nkey k\n<record>\ntoken ${tag}\n</record>\n</filter>\n</label>\n";
    let root = parse_text("t", text, &evaluate, &mut Diagnostics::new()).root;
    let shown = |secrets| (root.dump_with(&registry(), secrets), root.tree(&registry(), secrets).to_string());
    let (dump, tree) = shown(Secrets::Masked);
    for text in [&dump, &tree] {
        assert_eq!((text.matches("xxxxxx").count(), text.matches("geheim").count()), (4, 0), "{text}");
        assert!(text.contains("${tag}"), "a field of the user's is no secret: {text}");
    }
    assert_eq!(root.dump(&registry()), dump);
    let (dump, tree) = shown(Secrets::Shown);
    for text in [&dump, &tree] {
        assert_eq!((text.matches("xxxxxx").count(), text.matches("geheim").count()), (0, 4), "{text}");
    }
    assert!(dump.contains("password \"geheim\"\n"), "{dump}");
}

#[test]
fn an_output_with_a_buffer_has_one_with_its_defaults() {
    let params = output("path p").params();
    let buffer = params.section("buffer").unwrap();
    assert_eq!((buffer.plugin_type(), buffer.seconds("timekey")), ("file", Some(86_400.0)));
    assert_eq!(buffer.word("flush_mode"), Some("default"));
    assert!(!buffer.is_set("timekey"));
    let params = output("path p\n<buffer tag>\n@type memory\ntimekey 1h\n</buffer>").params();
    let buffer = params.section("buffer").unwrap();
    assert_eq!(
        (buffer.plugin_type(), buffer.arg(), buffer.seconds("timekey")),
        ("memory", "tag", Some(3600.0))
    );
    assert_eq!(
        output("path p\nflush_mode interval").diagnostics.warnings().next().unwrap().help_text(),
        Some("it belongs into the section <buffer>")
    );
}

#[test]
fn a_secondary_has_its_primarys_type_unless_it_names_one() {
    let params = output("path p\n<secondary>\npath q\n</secondary>").params();
    let secondary = params.section("secondary").unwrap();
    assert_eq!((secondary.plugin_type(), secondary.str("path")), ("store", Some("q")));
    assert!(secondary.section("buffer").is_none());
}

#[test]
fn flat_parameters_become_a_parse_section() {
    let params = filter("key k\nformat json\ntime_key t").params();
    let parse = params.section("parse").unwrap();
    assert_eq!((parse.plugin_type(), parse.str("time_key")), ("json", Some("t")));
    let params = filter("key k\nformat /(?<a>x)/\ntypes a:integer,b:time:%d\nutc").params();
    let parse = params.section("parse").unwrap();
    assert_eq!(parse.plugin_type(), "regexp");
    assert!(parse.regexp("expression").unwrap().is_match(b"x"));
    assert_eq!(parse.hash("types").unwrap()[1], ("b".to_owned(), "time:%d".into()));
    assert_eq!(parse.opt_bool("localtime"), Some(false));
    assert_eq!(
        filter("key k\nformat json\nutc\nlocaltime").errors(),
        ["both of utc and localtime are specified, use only one of them"]
    );
    let checked = filter("key k\nformat json\n<parse>\n@type json\n</parse>");
    assert!(checked.warnings()[0].starts_with("parameter 'format' in"), "a section that is written wins");
}

#[test]
fn flat_parameters_become_a_buffer_section() {
    let buffer = |body: &str| output(&format!("path p\n{body}")).params().section("buffer").unwrap().clone();
    let moved = buffer(
        "buffer_type memory\nbuffer_chunk_limit 2m\nretry_limit 3\nnum_threads 4\nbuffer_queue_full_action exception",
    );
    assert_eq!((moved.plugin_type(), moved.arg()), ("memory", "time"));
    assert_eq!((moved.size("chunk_limit_size"), moved.int("retry_max_times")), (Some(2 << 20), Some(3)));
    assert_eq!((moved.int("flush_thread_count"), moved.seconds("timekey")), (Some(4), Some(86_400.0)));
    assert_eq!(moved.word("overflow_action"), Some("throw_exception"));
    let sliced = buffer("time_slice_format %Y%m%d%H\ntime_slice_wait 5m\nutc");
    assert_eq!((sliced.seconds("timekey"), sliced.seconds("timekey_wait")), (Some(3600.0), Some(300.0)));
    assert_eq!(sliced.opt_bool("timekey_use_utc"), Some(true));
    assert_eq!(
        output("path p\ntime_slice_format %Y").errors(),
        ["time_slice_format only with %Y or %m is too long"]
    );
    let params = output("path p\nflush_interval 3s").params();
    assert_eq!(params.section("buffer").unwrap().seconds("flush_interval"), Some(3.0));
    assert!(params.element().has("flush_interval"), "out_file and others look at the flat one, too");
}

#[test]
fn broken_values_are_reported_once() {
    let checked = filter("key \"a\\qb\"\nmode \"#{oops}\"");
    assert_eq!(checked.errors().len(), 2, "{:?}", checked.errors());
}

#[test]
fn parameters_outside_of_directives_are_warned_about() {
    let document = parse_text("t", "a 1\n<x>\n</x>\n", &evaluate, &mut Diagnostics::new());
    let warnings = root_parameters(&document.root);
    assert_eq!(warnings[0].message(), "parameter 'a' in <ROOT>\n  a 1\n</ROOT> is not used.");
}

#[test]
fn directives_of_a_broken_file_are_checked_too() {
    let mut diagnostics = Diagnostics::new();
    let text = "<system>\nlog_level loud\n</system>\n<source>\n@type nope\n</sorce>\n<label @L>\n<match>\n@type store\n</match>\n\
                </label>\n<filter>\n@type probe\nkey \"\\q\"\nmode x\n</filter>\n";
    let document = parse_text("t", text, &evaluate, &mut diagnostics);
    diagnostics.extend(check_directives(&document.root, false, &registry()));
    let messages: Vec<&str> = diagnostics.errors().map(Diagnostic::message).collect();
    assert_eq!(
        messages,
        [
            "unmatched end tag",
            "unexpected back-slash escape character 'q'",
            "valid options are trace,debug,info,warn,error,fatal but got loud",
            "Unknown input plugin 'nope'. Run 'gem search -rd fluent-plugin' to find plugins",
            "'path' parameter is required",
            "valid options are lazy,eager but got x",
        ]
    );
}
