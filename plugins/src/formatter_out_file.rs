//! `@type out_file`: time, tag and record as JSON, what out_file writes by default.

use crate::text::{NEWLINE, Newline, json_error, timed_format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::json::{JsonStyle, from_msgpack};
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use logweir_engine::time::{TimeFormatter, TimeSettings};
use std::sync::Arc;

/// `@type out_file`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(
        Kind::Formatter,
        "out_file",
        "Time, tag and the record as JSON",
        Build::Formatter(build),
    )
};

const PARAMS: [Param; 10] = Param::join(
    timed_format_params(),
    [
        Param::new("output_time", ParamKind::Bool, "Whether the time is written").default("true"),
        Param::new("output_tag", ParamKind::Bool, "Whether the tag is written").default("true"),
        Param::new("delimiter", ParamKind::String, "What stands between them: SPACE, COMMA, or else a tab")
            .default("\t"),
        NEWLINE,
    ],
);

fn build(params: &Params, _context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    let delimiter = params.string("delimiter").to_ascii_uppercase();
    let delimiter = if delimiter.contains("SPACE") {
        b' '
    } else if delimiter.contains("COMMA") {
        b','
    } else {
        b'\t'
    };
    let time = TimeFormatter::new(&TimeSettings::from_params(params)?);
    Ok(Arc::new(OutFile {
        time: params.bool("output_time").then_some(time),
        has_tag: params.bool("output_tag"),
        delimiter,
        newline: Newline::always(params),
    }))
}

struct OutFile {
    time: Option<TimeFormatter>,
    has_tag: bool,
    delimiter: u8,
    newline: Newline,
}

impl Formatter for OutFile {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let start = out.len();
        if let Some(formatter) = &self.time {
            formatter.format(time, out);
            out.push(self.delimiter);
        }
        if self.has_tag {
            out.extend_from_slice(tag.as_str().as_bytes());
            out.push(self.delimiter);
        }
        if let Err(error) = from_msgpack(record, out, JsonStyle::Yajl) {
            out.truncate(start);
            return Err(json_error(error, JsonStyle::Yajl));
        }
        self.newline.write(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::event::EventTime;
    use logweir_engine::msgpack::Time;

    fn written(body: &str, time: Time) -> String {
        format(&*formatter(&format!("@type out_file\n{body}")), time, r#"{"a":1}"#)
    }

    #[test]
    fn times_and_tags() {
        let time = Time::Int(1_704_164_645);
        let event = Time::Event(EventTime { sec: 1_704_164_645, nsec: 123_456_789 });
        for (body, time, expected) in [
            ("utc true", time, "2024-01-02T03:04:05Z\tapp.log\t{\"a\":1}\n"),
            ("timezone +00:00", time, "2024-01-02T03:04:05+00:00\tapp.log\t{\"a\":1}\n"),
            ("timezone Asia/Tokyo", time, "2024-01-02T12:04:05+09:00\tapp.log\t{\"a\":1}\n"),
            ("time_type unixtime", time, "1704164645\tapp.log\t{\"a\":1}\n"),
            ("time_type float", event, "1704164645.123456789\tapp.log\t{\"a\":1}\n"),
            ("time_type float", time, "1704164645.0\tapp.log\t{\"a\":1}\n"),
            ("output_time false\ndelimiter comma", time, "app.log,{\"a\":1}\n"),
            ("output_tag false\nutc true\ntime_format %H\ndelimiter SPACE", time, "03 {\"a\":1}\n"),
            ("output_time false\noutput_tag false\nnewline crlf", time, "{\"a\":1}\r\n"),
        ] {
            assert_eq!(written(body, time), expected, "{body}");
        }
    }

    #[test]
    fn every_directive() {
        let body = "output_tag false\nutc true\ntime_format %a %A %b %B %d %e %j %H %I %l %M %p %P %S %y %C %u %w %Z %z %:z %s %F %T %D %R %c %x %X %% %-d %-m %^a %10Y %U %W %V %G";
        assert_eq!(
            written(body, Time::Int(1_704_164_645)),
            "Tue Tuesday Jan January 02  2 002 03 03  3 04 AM am 05 24 20 2 2 UTC +0000 +00:00 1704164645 2024-01-02 03:04:05 01/02/24 03:04 Tue Jan  2 03:04:05 2024 01/02/24 03:04:05 % 2 1 TUE 0000002024 00 01 01 2024\t{\"a\":1}\n"
        );
    }

    #[test]
    fn what_yajl_refuses_leaves_nothing_behind() {
        let mut out = b"x".to_vec();
        let record = b"\x81\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00";
        let tag = logweir_engine::event::Tag::new("t");
        assert!(formatter("@type out_file").format(&tag, Time::Int(0), record, &mut out).is_err());
        assert_eq!(out, b"x");
    }
}
