//! `@type nginx`: nginx's combined log format.

use crate::parser_regexp::{build, params};
use crate::text::Defaults;
use logweir_engine::plugin::{Build, Descriptor, Kind, Param, ParamKind};

/// `@type nginx`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "nginx", "nginx's combined log format", Build::Parser(build))
};

const PARAMS: [Param; 16] = params(
    Param::new("expression", ParamKind::Regexp, "The regular expression, in Ruby's dialect").default(
        r#"/^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agent>[^\"]*)"(?:\s+\"?(?<http_x_forwarded_for>[^\"]*)\"?)?)?$/"#,
    ),
    Defaults { time_format: Some("%d/%b/%Y:%H:%M:%S %z"), ..Defaults::TIME },
);

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    #[test]
    fn combined() {
        let nginx = parser("@type nginx");
        assert_eq!(
            parse_one(
                &*nginx,
                r#"127.0.0.1 192.168.0.1 - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0" "10.0.0.1""#
            ),
            r#"1362020400 {"remote":"127.0.0.1","host":"192.168.0.1","user":"-","method":"GET","path":"/","code":"200","size":"777","referer":"-","agent":"Opera/12.0","http_x_forwarded_for":"10.0.0.1"}"#
        );
        assert_eq!(
            parse_one(
                &*nginx,
                r#"127.0.0.1 - bob [28/Feb/2013:12:00:00 +0000] "DELETE /x HTTP/2.0" 204 0 "http://r/" "curl/8""#
            ),
            r#"1362052800 {"remote":"127.0.0.1","host":"-","user":"bob","method":"DELETE","path":"/x","code":"204","size":"0","referer":"http://r/","agent":"curl/8"}"#
        );
        assert_eq!(parse_one(&*nginx, "bad line"), "unmatched");
    }
}
