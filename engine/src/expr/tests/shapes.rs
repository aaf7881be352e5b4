//! The shapes of expressions that public configurations have, counted over 376 of them and 68 more files: each has a test here or in
//! `golden/shapes.cases`, and what lies beyond is refused when the configuration is loaded, with a caret under it.
//!
//! In shapes S is a string, N a number, v a name.

use super::support::{answer, host};
use crate::config::Evaluated;
use crate::expr::{ConfigurationExpressions, Expression, Prepared};

/// What `"#{...}"` in a configuration comes to.
#[derive(Debug, PartialEq)]
enum Is {
    Text(&'static str),
    Nil,
    UseNil,
    UseDefault,
    /// What the machine says.
    Something,
}

use Is::{Nil, Something, Text, UseDefault, UseNil};

/// `(uses, shape, code, value)`; FILE is a file that has `token` and a line end.
const IN_CONFIGURATIONS: &[(u32, &str, &str, Is)] = &[
    (302, "ENV[S] || S", "ENV['GONE'] || 'default'", Text("default")),
    (302, "ENV[S] || S", "ENV['STAGE'] || 'default'", Text("blue")),
    (215, "ENV[S]", "ENV['STAGE']", Text("blue")),
    (215, "ENV[S]", "ENV[\"GONE\"]", Nil),
    (27, "ENV[S] || use_default", "ENV['GONE'] || use_default", UseDefault),
    (27, "ENV[S] || use_default", "ENV['STAGE'] || use_default", Text("blue")),
    (
        15,
        "File.join(S, ENV.fetch(S, S), S)",
        "File.join('/var/log', ENV.fetch('GONE', ''), 'a.pos')",
        Text("/var/log/a.pos"),
    ),
    (
        12,
        "File.exists?(S) ? open(S,S) do |v|v.read end : S",
        "File.exists?('FILE') ? open('FILE','r') do |f|f.read end : 'none'",
        Text("token\n"),
    ),
    (
        12,
        "File.exists?(S) ? open(S,S) do |v|v.read end : S",
        "File.exists?('FILE.gone') ? open('FILE.gone','r') do |f|f.read end : 'none'",
        Text("none"),
    ),
    (11, "ENV[S] || true", "ENV['GONE'] || true", Text("true")),
    (11, "ENV[S] || use_nil", "ENV['GONE'] || use_nil", UseNil),
    (
        10,
        "ENV[S] || S + ENV.fetch(S) + S + ENV.fetch(S) + S",
        "ENV['GONE'] || 'https://' + ENV.fetch('STAGE') + ':' + ENV.fetch('COUNT') + '/api'",
        Text("https://blue:21/api"),
    ),
    (9, "ENV[S] || ENV[S] || S", "ENV['GONE'] || ENV['AWAY'] || 'default'", Text("default")),
    (8, "ENV[S] ? ENV[S] : S", "ENV['STAGE'] ? ENV['STAGE'] : 'none'", Text("blue")),
    (6, "ENV[S] || false", "ENV['GONE'] || false", Text("false")),
    (4, "Socket.gethostname", "Socket.gethostname", Text("weir")),
    (3, "ENV.fetch(S)", "ENV.fetch('STAGE')", Text("blue")),
    (2, "Dir.pwd", "Dir.pwd", Something),
    (2, "ENV[S] ? ENV[S] : N", "ENV['GONE'] ? ENV['GONE'] : 8", Text("8")),
    (2, "ENV[S] || N", "ENV['GONE'] || 24224", Text("24224")),
    (2, "ENV[S] || nil", "ENV['GONE'] || nil", Nil),
    (2, "File.expand_path S", "File.expand_path '/a/b/../c'", Text("/a/c")),
    (2, "File.open(ENV[S]).read.chomp", "File.open(ENV['FILE']).read.chomp", Text("token")),
    (2, "File.read(S) rescue nil", "File.read('FILE.gone') rescue nil", Nil),
    (1, "ENV[S] || (ENV[S] == S ? S : S)", "ENV['GONE'] || (ENV['STAGE'] == 'blue' ? 'b' : 'g')", Text("b")),
    (
        1,
        "ENV[S] || (v = ENV.fetch(S); v = ENV.fetch(S); v = (IPAddr.new(v).ipv6? ? S + v + S : v rescue v); S + v + S + v + S)",
        "ENV['GONE'] || (host = ENV.fetch('STAGE'); port = ENV.fetch('COUNT'); host = (IPAddr.new(host).ipv6? ? '[' + host + ']' : host rescue host); 'https://' + host + ':' + port + '/api')",
        Text("https://blue:21/api"),
    ),
    (1, "ENV[S] || -N", "ENV['GONE'] || -1", Text("-1")),
    (1, "ENV[S] || ENV[S] || N", "ENV['GONE'] || ENV['COUNT'] || 5", Text("21")),
    (1, "File.join(Dir.pwd, S, S, S)", "File.join(Dir.pwd, 'a', 'b', 'c')", Something),
    (
        1,
        "Socket.getifaddrs.select{|v| v.addr.ipv4? }.reject{|v| v.addr.ip_address == S }.first.addr.ip_address",
        "Socket.getifaddrs.select{|i| i.addr.ipv4? }.reject{|i| i.addr.ip_address == '192.0.2.1' }.first.addr.ip_address",
        Something,
    ),
];

#[test]
fn shapes_in_configurations() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token").display().to_string();
    std::fs::write(&file, "token\n").unwrap();
    let host = crate::expr::Host::fixed("weir", &[("STAGE", "blue"), ("COUNT", "21"), ("FILE", &file)]);
    let expressions = ConfigurationExpressions::new(host);
    for (_, shape, code, expected) in IN_CONFIGURATIONS {
        let code = match code.contains("ENV['FILE']") {
            true => (*code).to_owned(),
            false => code.replace("FILE", &file),
        };
        let value = expressions.value(&code).unwrap_or_else(|error| panic!("{shape}: {error}"));
        let is = match (&value, expected) {
            (Evaluated::Text(text), Something) => !text.is_empty(),
            (Evaluated::Text(text), Text(expected)) => text == expected,
            (Evaluated::Nil, Nil) | (Evaluated::UseNil, UseNil) | (Evaluated::UseDefault, UseDefault) => true,
            _ => false,
        };
        assert!(is, "{shape}: {code} is {value:?}, not {expected:?}");
    }
}

/// Those of the OMS agent, which Ruby without that agent cannot record: `(shape, code, begin of the answer)`.
#[test]
fn shapes_of_the_oms_agent() {
    for (shape, code, expected) in [
        ("OMS::Common.get_hostname", "OMS::Common.get_hostname", "=> \"weir\""),
        (
            "OMS::Common.format_time(record[S].to_i)",
            "OMS::Common.format_time(record[\"epoch\"].to_i)",
            "=> \"2020-09-13T",
        ),
    ] {
        let answer = answer(code);
        assert!(answer.starts_with(expected), "{shape}: {answer}");
    }
}

/// Every line of the cases stands below a shape.
#[test]
fn each_case_names_its_shape() {
    let (mut shape, mut counted, mut cases) = (None, true, 0);
    for line in include_str!("golden/shapes.cases").lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(comment) => {
                counted &= comment != "Seen, and not counted";
                shape = Some(comment);
            }
            None => {
                assert!(shape.is_some() || !counted, "{line} has no shape");
                cases += 1;
            }
        }
    }
    assert!(cases >= 130, "{cases} cases");
}

/// What is outside is refused when it is compiled; the caret stands under `marked`.
#[test]
fn what_lies_beyond_is_refused_with_a_caret() {
    let prepared = Prepared::run("nil", &host()).unwrap();
    for (code, marked) in [
        // The one shape beyond the 99 % line.
        (
            "require 'net/http'; r = Net::HTTP.post(URI('http://x'), {l: record['log']}.to_json, {'a' => 'b'}); (JSON.parse(r.body)['x'] rescue '')",
            "'net/http'",
        ),
        ("Net::HTTP.get(URI('http://x'))", "Net"),
        ("`hostname`", "`"),
        ("system('rm -rf /')", "system"),
        ("eval('1')", "eval"),
        ("File.write('/tmp/x', record['a'])", "write"),
        ("record['message'].no_such_method", "no_such_method"),
        ("NoSuchClass.new", "NoSuchClass"),
        ("class A; end", "class"),
        ("def x; end", "def"),
        ("record['a'", ""),
    ] {
        for (place, error) in [
            ("record_transformer", Expression::code(code).err()),
            ("record_modifier", Expression::modifier(code, &prepared).err()),
        ] {
            let error = error.unwrap_or_else(|| panic!("{place} takes {code}"));
            assert_eq!(&error.source[error.span.clone()], marked, "{place}: {error}");
            let shown = error.to_string();
            let mut lines = shown.lines().skip(1);
            let (source, caret) = (lines.next().unwrap(), lines.next().unwrap());
            assert_eq!(source.trim_start(), code, "{shown}");
            assert!(caret.trim_start().starts_with('^') && caret.trim().chars().all(|c| c == '^'), "{shown}");
        }
        let value = ConfigurationExpressions::new(host()).value(&code.replace("record['a']", "'a'"));
        assert!(value.is_err() || code.contains("record['message']"), "{code} in a configuration: {value:?}");
    }
}
