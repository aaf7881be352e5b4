//! `@type kubernetes` and `@type multiline_kubernetes`: lines of glog, as Kubernetes' own programs write them
//! (the parsers of that name in Fluentd's DaemonSet image).
//!
//! ```text
//! I0927 14:26:18.000123       1 controller.go:116] the message
//! ```

use crate::text::Defaults;
use crate::{parser_multiline, parser_regexp};
use logweir_engine::plugin::{Build, Descriptor, Kind, Param, ParamKind};

/// `@type kubernetes`
pub static PLUGIN: Descriptor = Descriptor {
    params: &parser_regexp::params(
        Param::new("expression", ParamKind::Regexp, "The regular expression").default(EXPRESSION),
        DEFAULTS,
    ),
    ..Descriptor::new(Kind::Parser, "kubernetes", "Lines of glog", Build::Parser(parser_regexp::build))
};

/// `@type multiline_kubernetes`
pub static MULTILINE: Descriptor = Descriptor {
    params: &parser_multiline::params(DEFAULTS, Some("/^\\w\\d{4}/"), Some(EXPRESSION)),
    ..Descriptor::new(
        Kind::Parser,
        "multiline_kubernetes",
        "Messages of glog that take several lines",
        Build::Parser(parser_multiline::build),
    )
};

const EXPRESSION: &str =
    "/^(?<severity>\\w)(?<time>\\d{4} [^\\s]*)\\s+(?<pid>\\d+)\\s+(?<source>[^ \\]]+)\\] (?<message>.*)/";
const DEFAULTS: Defaults = Defaults { time_format: Some("%m%d %H:%M:%S.%N"), ..Defaults::TIME };

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    const LINE: &str = "I0927 14:26:18.000123       1 controller.go:116] synced 3 pods";

    #[test]
    fn one_line() {
        let glog = parser("@type kubernetes");
        let seen = parse_one(&*glog, LINE);
        assert!(
            seen.ends_with(r#".000123000 {"severity":"I","pid":"1","source":"controller.go:116","message":"synced 3 pods"}"#),
            "{seen}"
        );
        assert_eq!(parse_one(&*glog, "something else"), "unmatched");
    }

    #[test]
    fn several_lines() {
        let glog = parser("@type multiline_kubernetes");
        let lines = glog.multiline().unwrap();
        assert!(lines.is_firstline(LINE.as_bytes()) && !lines.is_firstline(b"  more"));
        let seen = parse_one(&*glog, format!("{LINE}\n  more"));
        assert!(seen.ends_with(r#""message":"synced 3 pods\n  more"}"#), "{seen}");
    }
}
