//! `@type apache2`: Apache's combined log format with numbers as numbers and `-` as null. As in Fluentd, `types` and the
//! null parameters have no effect here.

use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParseFailure, ParseOutput, Parser,
};
use logweir_engine::regexp::{Regexp, RegexpFlags, Spans};
use logweir_engine::time::TimeParser;
use std::sync::Arc;

/// `@type apache2`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "apache2", "Apache's combined log format", Build::Parser(build))
};

const PARAMS: [Param; 13] = parse_params(Defaults::STANDARD);

pub(crate) const EXPRESSION: &str = r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>(?:[^\"]|\\")*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>(?:[^\"]|\\")*)" "(?<agent>(?:[^\"]|\\")*)")?$"#;
const TIME_FORMAT: &str = "%d/%b/%Y:%H:%M:%S %z";
/// The groups of the expression, which are numbered from 1.
const GROUPS: [&str; 9] = ["host", "user", "time", "method", "path", "code", "size", "referer", "agent"];
const TIME: usize = 3;

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    let expression =
        Regexp::new(EXPRESSION, RegexpFlags::default()).map_err(|e| params.error_here(e.to_string()))?;
    let time_parser = settings.time_parser(params, TIME_FORMAT)?;
    Ok(Arc::new(Apache2 { settings, expression, time_parser }))
}

struct Apache2 {
    settings: ParseSettings,
    expression: Regexp,
    time_parser: TimeParser,
}

impl Parser for Apache2 {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let mut spans = Spans::new();
        if !self.settings.search(&self.expression, text, 0, &mut spans) {
            return Err(ParseFailure::Unmatched);
        }
        let time = spans.get(TIME).map_or(&b""[..], |span| &text[span]);
        let mut fields = self.settings.begin(out, GROUPS.len());
        fields.set_time(self.time_parser.parse_text(time).map_err(ParseFailure::Invalid)?);
        for (n, name) in GROUPS.iter().enumerate().filter(|(n, _)| n + 1 != TIME) {
            let name = name.as_bytes();
            let Some(value) = spans.get(n + 1).map(|span| &text[span]) else {
                fields.plain_nil(name);
                continue;
            };
            match (GROUPS[n], value) {
                ("host" | "user" | "size" | "referer" | "agent", b"-") => fields.plain_nil(name),
                ("code", value) if leading_integer(value) == 0 => fields.plain_nil(name),
                ("code" | "size", value) => fields.plain_integer(name, leading_integer(value)),
                (_, value) => fields.plain(name, value),
            }
        }
        if self.settings.keep_time_key {
            fields.plain(b"time", time);
        }
        fields.finish();
        Ok(())
    }
}

/// The digits at the start of a text, up to the largest integer.
fn leading_integer(text: &[u8]) -> i64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    #[test]
    fn combined() {
        let apache2 = parser("@type apache2");
        for (line, expected) in [
            (
                r#"192.168.0.1 - - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0""#,
                r#"1362020400 {"host":"192.168.0.1","user":null,"method":"GET","path":"/","code":200,"size":777,"referer":null,"agent":"Opera/12.0"}"#,
            ),
            (
                r#"10.1.1.1 - frank [10/Oct/2000:13:55:36 -0700] "POST /a/b?c=d HTTP/1.0" 404 -"#,
                r#"971211336 {"host":"10.1.1.1","user":"frank","method":"POST","path":"/a/b?c=d","code":404,"size":null,"referer":null,"agent":null}"#,
            ),
            (
                r#"::1 - - [28/Feb/2013:12:00:00 +0900] "-" 408 0 "-" "-""#,
                r#"1362020400 {"host":"::1","user":null,"method":"-","path":null,"code":408,"size":0,"referer":null,"agent":null}"#,
            ),
            (
                r#"a - - [28/Feb/2013:12:00:00 +0900] "GET /\"x\" HTTP/1.1" - 1 "r\"s" "a""#,
                r#"1362020400 {"host":"a","user":null,"method":"GET","path":"/\\\"x\\\"","code":null,"size":1,"referer":"r\\\"s","agent":"a"}"#,
            ),
            ("garbage", "unmatched"),
            (
                r#"a - - [x] "GET / HTTP/1.1" 200 1"#,
                "invalid time format: value = x, error_class = ArgumentError, error = string doesn't match",
            ),
        ] {
            assert_eq!(parse_one(&*apache2, line), expected);
        }
        let keep = parser("@type apache2\nkeep_time_key true");
        let line = r#"a - b [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 1 "r" "a""#;
        assert!(parse_one(&*keep, line).ends_with(r#""agent":"a","time":"28/Feb/2013:12:00:00 +0900"}"#));
    }
}
