//! `@type apache`: Apache's common and combined log formats, all fields as texts.

use crate::parser_regexp::{build, params};
use crate::text::Defaults;
use logweir_engine::plugin::{Build, Descriptor, Kind, Param, ParamKind};

/// `@type apache`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(
        Kind::Parser,
        "apache",
        "Apache's common log format, fields as texts",
        Build::Parser(build),
    )
};

const PARAMS: [Param; 16] = params(
    Param::new("expression", ParamKind::Regexp, "The regular expression, in Ruby's dialect").default(
        r#"/^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^ ]*) +\S*)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)")?$/"#,
    ),
    Defaults { time_format: Some("%d/%b/%Y:%H:%M:%S %z"), ..Defaults::TIME },
);

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    #[test]
    fn common() {
        let apache = parser("@type apache\ntypes code:integer");
        assert_eq!(
            parse_one(
                &*apache,
                r#"192.168.0.1 - frank [28/Feb/2013:12:00:00 +0900] "GET /a HTTP/1.1" 200 777"#
            ),
            r#"1362020400 {"host":"192.168.0.1","user":"frank","method":"GET","path":"/a","code":200,"size":"777"}"#
        );
    }
}
