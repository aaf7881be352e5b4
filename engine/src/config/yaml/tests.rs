use crate::config::{Diagnostic, Diagnostics, Document, Evaluated, ParseOptions, RawValue, parse_file};
use serde_json::json;

fn evaluate(code: &str) -> Result<Evaluated, String> {
    match code {
        "1+1" => Ok(Evaluated::Text("2".to_owned())),
        "use_nil" => Ok(Evaluated::UseNil),
        "use_default" => Ok(Evaluated::UseDefault),
        other => Err(format!("undefined `{other}'")),
    }
}

/// Parses the first of these files.
fn parse(files: &[(&str, &str)]) -> (Document, Diagnostics) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut diagnostics = Diagnostics::new();
    let path = folder.path().join(files[0].0);
    let document = parse_file(&path, &ParseOptions::default(), &evaluate, &mut diagnostics);
    (document, diagnostics)
}

fn errors(text: &str) -> Vec<String> {
    let (_, diagnostics) = parse(&[("a.yaml", text)]);
    diagnostics.errors().map(|error| error.message().to_owned()).collect()
}

const FULL: &str = "\
system:
  log_level: debug
  workers: 2
config:
  - source:
      $type: tail
      $id: in
      $label: '@L'
      path: /var/log/*.log
      read_from_head: yes
      port: 0644
      nothing: ~
      parse:
        $type: json
        time_key: \"t\"
  - filter:
      $tag: [a.**, b]
      $type: record_transformer
      record:
        - host: !fluent/s \"x#{1+1}\"
        - other: !fluent/s \"#{use_default}\"
      remove_keys: [a, b]
      map: !fluent/json {a: 1, b: [true, x]}
  - label:
      $name: '@L'
      config:
        - match:
            $tag: '**'
            $type: stdout
            buffer:
              $arg: [tag, time]
              timekey: 1h
  - worker:
      $arg: 0-1
      config:
        - source:
            $type: forward
";

#[test]
fn every_form_becomes_its_directive() {
    let (document, diagnostics) = parse(&[("a.yaml", FULL)]);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
    let json = document.root.to_json();
    assert_eq!(json["name"], "ROOT");
    let elements = json["elements"].as_array().unwrap();
    assert_eq!(elements[0]["attrs"], json!({"log_level": "debug", "workers": "2"}));
    assert_eq!(
        elements[1],
        json!({"name": "source", "arg": "", "attrs": {"@type": "tail", "@label": "@L", "@id": "in",
            "path": "/var/log/*.log", "read_from_head": "true", "port": "420", "nothing": null},
            "elements": [{"name": "parse", "arg": "", "attrs": {"@type": "json", "time_key": "t"}, "elements": []}]})
    );
    assert_eq!(elements[2]["arg"], "a.**,b");
    assert_eq!(
        elements[2]["attrs"],
        json!({"@type": "record_transformer", "remove_keys": "[\"a\",\"b\"]",
        "map": "{\"a\":1,\"b\":[true,\"x\"]}"})
    );
    assert_eq!(elements[2]["elements"][0]["attrs"], json!({"host": "x2"}));
    assert_eq!(elements[2]["elements"][1]["attrs"], json!({"other": ":default"}));
    assert_eq!(elements[3]["arg"], "@L");
    assert_eq!(elements[3]["elements"][0]["elements"][0]["arg"], "tag,time");
    assert_eq!(elements[4]["name"], "worker");
    assert_eq!(elements[4]["elements"][0]["attrs"], json!({"@type": "forward"}));
}

#[test]
fn places_are_those_of_the_file() {
    let (document, _) = parse(&[("a.yaml", FULL)]);
    let source = &document.root.elements[1];
    let attr = source.attr("path").unwrap();
    assert_eq!((attr.name_span.position(), attr.value_span.position()), ((9, 7), (9, 13)));
    assert_eq!((attr.name_span.text(), attr.value_span.text()), ("path", "/var/log/*.log"));
    assert_eq!(source.attr("@label").unwrap().value_span.text(), "'@L'");
    assert_eq!(source.span.text(), "source");
}

#[test]
fn lists_of_files_are_spliced() {
    let (document, diagnostics) = parse(&[
        ("a.yml", "config:\n  - !include conf.d/*.yaml\n  - match: {$tag: x, $type: \"null\"}\n"),
        ("conf.d/b.yaml", "- source: {$type: b}\n- source: {$type: c}\n"),
        ("conf.d/a.yaml", "- source: {$type: a}\n"),
    ]);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
    let types: Vec<&str> =
        document.root.elements.iter().filter_map(|element| element.plugin_type()).collect();
    assert_eq!(types, ["a", "b", "c", "null"]);
    assert_eq!(document.sources.len(), 3);
    let (document, _) =
        parse(&[("a.yml", "config: !include b.yaml\n"), ("b.yaml", "- source: {$type: b}\n")]);
    assert_eq!(document.root.elements.len(), 1);
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let (document, diagnostics) = parse(&[(
        "a.yaml",
        "config:\n  - source: &s {$type: a, port: 1}\n  - source:\n      <<: *s\n      port: 2\n",
    )]);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(false));
    let second = &document.root.elements[1];
    assert_eq!((second.plugin_type(), second.text("port")), (Some("a"), Some("2")));
}

#[test]
fn mistakes_have_a_place() {
    assert_eq!(errors("- a\n"), ["expected a map with the keys system and config"]);
    assert_eq!(errors("config: {}\n"), ["expected a list of directives"]);
    assert_eq!(
        errors("config:\n  - source: x\n  - 5\n"),
        ["expected a map of the parameters of source", "expected a directive"]
    );
    assert_eq!(errors("config:\n  - label: {$name: '@x'}\n"), ["label has no config"]);
    assert!(errors("config: [\n")[0].starts_with("invalid YAML: "));
    assert!(errors("config:\n  - source:\n      a: !fluent/s \"#{oops}\"\n")[0].contains("undefined `oops'"));
    assert!(errors("config: &a\n  - *a\n")[0].contains("contains it"));
    assert!(errors("config: !include http://x/y\n")[0].contains("http is not supported"));
    let (_, diagnostics) = parse(&[("a.yaml", "config: []\nconfg: []\n")]);
    let warning: Vec<&Diagnostic> = diagnostics.warnings().collect();
    assert_eq!(warning[0].message(), "section <confg> is not used in the top level");
    assert_eq!(warning[0].span().unwrap().position(), (2, 1));
}

#[test]
fn hostile_files_end() {
    let deep = format!("config: {}", "[".repeat(10_000));
    assert_eq!(errors(&deep).len(), 1);
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let before = level - 1;
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
    }
    assert_eq!(errors(&laughs), ["the YAML is too large or nested too deeply"]);
    assert_eq!(errors(""), [""; 0]);
}

#[test]
fn nil_is_empty_in_interpolated_texts() {
    let (document, _) = parse(&[("a.yaml", "system:\n  root_dir: !fluent/s \"#{use_nil}\"\n")]);
    assert_eq!(document.root.elements[0].attr("root_dir").unwrap().value, RawValue::Text(String::new()));
}
