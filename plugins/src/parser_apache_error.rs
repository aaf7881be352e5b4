//! `@type apache_error`: Apache's error log.

use crate::parser_regexp::{build, params};
use crate::text::Defaults;
use logweir_engine::plugin::{Build, Descriptor, Kind, Param, ParamKind};

/// `@type apache_error`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "apache_error", "Apache's error log", Build::Parser(build))
};

const PARAMS: [Param; 16] = params(
    Param::new("expression", ParamKind::Regexp, "The regular expression, in Ruby's dialect").default(
        r"/^\[[^ ]* (?<time>[^\]]*)\] \[(?<level>[^\]]*)\](?: \[pid (?<pid>[^\]]*)\])?( \[client (?<client>[^\]]*)\])? (?<message>.*)$/",
    ),
    Defaults::TIME,
);

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    /// The time has no zone: how far it is from UTC depends on the machine.
    #[test]
    fn errors() {
        let record = |text: &str| {
            parse_one(&*parser("@type apache_error"), text).split_once(' ').unwrap().1.to_owned()
        };
        assert_eq!(
            record(
                "[Wed Oct 11 14:32:52 2000] [error] [client 127.0.0.1] client denied by server configuration"
            ),
            r#"{"level":"error","client":"127.0.0.1","message":"client denied by server configuration"}"#
        );
        assert_eq!(
            record("[Wed Oct 11 14:32:52 2000] [notice] [pid 5] restarting"),
            r#"{"level":"notice","pid":"5","message":"restarting"}"#
        );
    }
}
