//! `fluent-cat`: what comes on standard input, as events to a forward input.

mod records;
mod sender;

use super::Stop;
use lexopt::prelude::*;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Time, write_array_len, write_str};
use logweir_engine::plugin::Registry;
use logweir_engine::time::parse_any;
use records::{Format, Records};
use sender::{Address, Sender};
use std::ffi::OsString;
use std::process::ExitCode;

pub(super) const USAGE: &str = "\
Usage: fluent-cat [options] <tag>
    -p, --port PORT                  port of the forward input (default: 24224)
    -h, --host HOST                  its host (default: 127.0.0.1)
    -u, --unix                       a Unix socket instead
    -s, --socket PATH                the Unix socket (default: $FLUENT_SOCKET, or /var/run/fluent/fluent.sock)
    -f, --format FORMAT              what comes in: json, msgpack or none (default: json)
        --json, --msgpack, --none    the same as -f
        --message-key KEY            the field for the lines of none (default: message)
        --time-as-integer            whole seconds, for Fluentd 0.12 and before
        --retry-limit N              how often to connect again, once a second (default: 5)
        --event-time TIME            the time of the events (default: now)
        --version, --help
";

const SOCKET: &str = "/var/run/fluent/fluent.sock";

/// What the command line says.
#[derive(Debug, PartialEq)]
struct Options {
    tag: String,
    address: Address,
    format: Format,
    time_as_integer: bool,
    retry_limit: u32,
    event_time: Option<EventTime>,
}

pub(super) fn run(args: Vec<OsString>, _registry: &Registry) -> Result<ExitCode, Stop> {
    let options = parse(args)?;
    let mut sender = Sender::new(options.address, options.retry_limit);
    let mut records = Records::new(std::io::stdin().lock(), options.format);
    // As in Fluentd: the events before a broken line are sent, those behind it are not read.
    while let Some(record) = records.next().map_err(Stop::Failed)? {
        let now = options.event_time.unwrap_or_else(EventTime::now);
        let time = if options.time_as_integer { Time::Int(now.sec) } else { Time::Event(now) };
        sender.send(&message(&options.tag, time, &record), &record, now.sec).map_err(Stop::Failed)?;
    }
    sender.finish().map_err(Stop::Failed)?;
    Ok(ExitCode::SUCCESS)
}

/// `[tag, [[time, record]]]`, the forward protocol's Forward mode.
fn message(tag: &str, time: Time, record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + tag.len() + 20);
    write_array_len(&mut out, 2);
    write_str(&mut out, tag.as_bytes());
    write_array_len(&mut out, 1);
    write_array_len(&mut out, 2);
    time.write(&mut out);
    out.extend_from_slice(record);
    out
}

fn parse(args: Vec<OsString>) -> Result<Options, Stop> {
    let (mut host, mut port, mut unix) = ("127.0.0.1".to_owned(), 24224, false);
    let mut socket = std::env::var_os("FLUENT_SOCKET").unwrap_or_else(|| SOCKET.into());
    let (mut format, mut message_key) = ("json".to_owned(), "message".to_owned());
    let (mut tag, mut time_as_integer, mut retry_limit, mut event_time) = (None, false, 5, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('p') | Long("port") => port = parser.value()?.parse()?,
            Short('h') | Long("host") => host = parser.value()?.string()?,
            Short('u') | Long("unix") => unix = true,
            Short('s') | Long("socket") => socket = parser.value()?,
            Short('f') | Long("format") => format = parser.value()?.string()?,
            Long(name @ ("json" | "msgpack" | "none")) => format = name.to_owned(),
            Long("message-key") => message_key = parser.value()?.string()?,
            Long("time-as-integer") => time_as_integer = true,
            Long("retry-limit") => retry_limit = parser.value()?.parse()?,
            Long("event-time") => event_time = Some(parser.value()?.string()?),
            Long("help") => return Err(Stop::Help),
            Short('v') | Long("version") => return Err(Stop::Version),
            Value(word) if tag.is_none() => tag = Some(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let tag = tag.ok_or_else(|| Stop::Usage("the tag of the events is missing".to_owned()))?;
    let format = match format.as_str() {
        "json" => Format::Json,
        "msgpack" => Format::MessagePack,
        "none" => Format::Lines { key: message_key },
        other => return Err(Stop::Failed(format!("Unknown format '{other}'"))),
    };
    let event_time = match event_time {
        None => None,
        Some(text) => match parse_any(text.as_bytes()) {
            Ok(parsed) => Some(parsed.time),
            Err(error) => return Err(Stop::Failed(format!("--event-time {text}: {error}"))),
        },
    };
    let address = if unix { Address::Unix(socket.into()) } else { Address::Tcp(host, port) };
    Ok(Options { tag, address, format, time_as_integer, retry_limit, event_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, Stop> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    fn options(line: &str) -> Options {
        parsed(line).unwrap_or_else(|_| panic!("{line}"))
    }

    #[test]
    fn every_option_of_fluent_cat_is_understood() {
        let tcp = |host: &str, port| Address::Tcp(host.to_owned(), port);
        assert_eq!(options("a.b").address, tcp("127.0.0.1", 24224));
        assert_eq!(options("-h ::1 -p 1 a.b").address, tcp("::1", 1));
        assert_eq!(options("--host=h --port=2 a.b").address, tcp("h", 2));
        assert_eq!(options("-u -s /s a.b").address, Address::Unix("/s".into()));
        assert_eq!(options("--unix --socket /s a.b").address, Address::Unix("/s".into()));
        assert_eq!(options("a.b").format, Format::Json);
        assert_eq!(options("-f msgpack a.b").format, Format::MessagePack);
        assert_eq!(options("--msgpack --json a.b").format, Format::Json);
        assert_eq!(options("--none --message-key m a.b").format, Format::Lines { key: "m".to_owned() });
        assert_eq!(options("-f none a.b").format, Format::Lines { key: "message".to_owned() });
        let all = options("--time-as-integer --retry-limit 0 --event-time 2024-01-02T03:04:05.5Z a.b");
        assert_eq!((all.time_as_integer, all.retry_limit, all.tag.as_str()), (true, 0, "a.b"));
        assert_eq!(all.event_time, Some(EventTime { sec: 1_704_164_645, nsec: 500_000_000 }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for line in ["", "a b", "-p x a", "--nope a"] {
            assert!(matches!(parsed(line), Err(Stop::Usage(_))), "{line}");
        }
        for line in ["-f xml a", "--event-time never a"] {
            assert!(matches!(parsed(line), Err(Stop::Failed(_))), "{line}");
        }
        assert!(matches!(parsed("--help"), Err(Stop::Help)));
        assert!(matches!(parsed("--version"), Err(Stop::Version)));
    }

    #[test]
    fn an_event_is_a_forward_message() {
        let bytes = message("t", Time::Int(5), b"\x80");
        assert_eq!(bytes, b"\x92\xa1t\x91\x92\x05\x80");
        let bytes = message("t", Time::Event(EventTime { sec: 1, nsec: 2 }), b"\x80");
        assert_eq!(bytes, b"\x92\xa1t\x91\x92\xd7\x00\0\0\0\x01\0\0\0\x02\x80");
    }
}
