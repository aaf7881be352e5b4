//! `@type stdout`: a line as the stdout output prints it, with the record in another format.

use crate::text::{chomp, format_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, FormatError, Formatter, Kind, Param, ParamKind,
};
use logweir_engine::time::{TimeFormat, Zone};
use std::sync::Arc;

/// `@type stdout`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(
        Kind::Formatter,
        "stdout",
        "A line as the stdout output prints it",
        Build::Formatter(build),
    )
};

const PARAMS: [Param; 7] = {
    let mut params = Param::join(
        format_params(),
        [Param::new("output_type", ParamKind::String, "The formatter of the record").default("json")],
    );
    // Of the parameters of a time only its format counts here, as in Fluentd.
    params[1] = Param::new("time_format", ParamKind::String, "strftime format of the time");
    params
};

const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S.%N %z";

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    let output_type = params.string("output_type");
    if output_type == "stdout" {
        return Err(params.error("output_type", "stdout cannot be its own output_type"));
    }
    // The record's formatter is configured by the same section.
    let inner = params.as_plugin(Kind::Formatter, &output_type, context.registry)?;
    let descriptor = context.registry.find(Kind::Formatter, &output_type);
    let inner = match descriptor.map(|descriptor| descriptor.build) {
        Some(Build::Formatter(build)) => build(&inner, context)?,
        _ => return Err(params.unknown_plugin(Kind::Formatter, context.registry)),
    };
    let format = params.str("time_format").unwrap_or(TIME_FORMAT);
    Ok(Arc::new(Stdout { inner, time_format: TimeFormat::new(format), zone: Zone::local() }))
}

struct Stdout {
    inner: Arc<dyn Formatter>,
    time_format: TimeFormat,
    zone: Zone,
}

impl Formatter for Stdout {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let start = out.len();
        self.time_format.format(time.to_event_time().unwrap_or_default(), &self.zone, out);
        out.push(b' ');
        out.extend_from_slice(tag.as_str().as_bytes());
        out.extend_from_slice(b": ");
        if let Err(error) = self.inner.format(tag, time, record, out) {
            out.truncate(start);
            return Err(error);
        }
        let line = chomp(&out[start..]).len();
        out.truncate(start + line);
        out.push(b'\n');
        Ok(())
    }

    fn content_type(&self) -> &'static str {
        "text/plain"
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{format, formatter};
    use logweir_engine::event::EventTime;
    use logweir_engine::msgpack::Time;
    use logweir_engine::time::{TimeFormat, Zone};

    #[test]
    fn lines() {
        let time = EventTime { sec: 1_704_164_645, nsec: 123_456_789 };
        let now = TimeFormat::new(super::TIME_FORMAT).format_to_string(time, &Zone::local());
        let written = |body: &str, record: &str| {
            format(&*formatter(&format!("@type stdout\n{body}")), Time::Event(time), record)
        };
        assert_eq!(written("", r#"{"a":1}"#), format!("{now} app.log: {{\"a\":1}}\n"));
        assert_eq!(written("output_type hash", r#"{"a":null}"#), format!("{now} app.log: {{\"a\"=>nil}}\n"));
        assert_eq!(
            written("output_type single_value\nmessage_key m\ntime_format %s", r#"{"m":"x"}"#),
            "1704164645 app.log: x\n"
        );
    }
}
