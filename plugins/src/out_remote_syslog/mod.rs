//! `@type remote_syslog`: sends events to a syslog server as messages of RFC 3164 (fluent-plugin-remote_syslog 1.1).
//!
//! Over TCP and TLS each message ends with a newline, over UDP each is a datagram. The time in a message is that of its sending. If a
//! connection breaks, the messages from the one that failed on are sent over a new one; if that fails too, the chunk is sent again as a
//! whole later.

mod packet;
mod sender;
#[cfg(test)]
mod tests;

use futures_util::future::BoxFuture;
use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::EventTime;
use logweir_engine::log_warn;
use logweir_engine::net::tls::{ClientOptions, ClientParameters, TlsClient, protocol_versions};
use logweir_engine::net::{Stream, error_class, port};
use logweir_engine::output::{Template, blocking};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Descriptor,
    EventFormat, INJECT, Kind, OutputPlugin, Param, ParamKind, SectionSpec, WriteError, WriteFuture,
};
use logweir_engine::telemetry::PluginLog;
use packet::{Header, Packets};
use sender::{Connector, KeepAlive, datagrams, within};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// `@type remote_syslog`
pub static PLUGIN: Descriptor = Descriptor {
    params: PARAMS,
    sections: &[SectionSpec::FORMAT.default_type("ltsv"), INJECT],
    buffer: BufferSupport::Always(BufferDefaults {
        chunk_keys: &[],
        params: &[
            ("flush_mode", "interval"),
            ("flush_interval", "5"),
            ("flush_thread_interval", "0.5"),
            ("flush_thread_burst_interval", "0.5"),
        ],
    }),
    ..Descriptor::new(Kind::Output, "remote_syslog", "Sends events to a syslog server", Build::Output(build))
};

const PARAMS: &[Param] = &[
    Param::new("host", ParamKind::String, "The server; may have placeholders"),
    Param::new("port", ParamKind::Integer, "Its port").default("514"),
    Param::new("host_with_port", ParamKind::String, "HOST:PORT instead of the two; may have placeholders"),
    Param::new("hostname", ParamKind::String, "The host in messages, this one if not set; may have placeholders")
        .default(""),
    Param::new("facility", ParamKind::String, "kern, user, ... local7; may have placeholders").default("user"),
    Param::new("severity", ParamKind::String, "emerg, alert, ... debug; may have placeholders").default("notice"),
    Param::new("program", ParamKind::String, "The program in messages; may have placeholders").default("fluentd"),
    Param::new("protocol", ParamKind::Enum(&["udp", "tcp"]), "How messages are carried").default("udp"),
    Param::new("tls", ParamKind::Bool, "TLS, over tcp").default("false"),
    Param::new("ca_file", ParamKind::String, "CA certificates that are trusted beside the system's"),
    Param::new("verify_mode", ParamKind::Integer, "As OpenSSL has it: 0 takes any certificate"),
    Param::new("packet_size", ParamKind::Size, "Bytes of a message; longer ones are cut").default("1024"),
    Param::new("timeout", ParamKind::Time, "Seconds for a connection, and for messages to be taken; 0 for ever")
        .default("600"),
    Param::new(
        "timeout_exception",
        ParamKind::Bool,
        "After a timeout, whether the chunk is sent again; otherwise the messages that were not taken are dropped",
    )
    .default("false"),
    Param::new("keep_alive", ParamKind::Bool, "TCP keepalive packets").default("false"),
    Param::new("keep_alive_idle", ParamKind::Integer, "Seconds without data before the first of them"),
    Param::new("keep_alive_cnt", ParamKind::Integer, "Unanswered ones after which the connection is gone"),
    Param::new("keep_alive_intvl", ParamKind::Integer, "Seconds between them"),
];

/// Messages are given to the kernel in pieces of about this size.
const PIECE_BYTES: usize = 32 << 10;

struct RemoteSyslog {
    server: Server,
    hostname: Template,
    facility: Template,
    severity: Template,
    program: Template,
    packet_size: usize,
    timeout_exception: bool,
    /// `None`: UDP.
    connector: Option<Connector>,
    format: EventFormat,
    log: PluginLog,
}

enum Server {
    Host(Template, u16),
    WithPort(Template),
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let keys = context.chunk_keys(params, PLUGIN.buffer)?;
    let template = |name: &str| Template::new(name, &params.string(name), &keys, &context.log);
    let server = match (params.str("host"), params.str("host_with_port")) {
        (_, Some(_)) => Server::WithPort(template("host_with_port")),
        (Some(_), None) => Server::Host(template("host"), port(params)?),
        (None, None) => return Err(params.error_here("host or host_with_port is required")),
    };
    let texts = ["host", "host_with_port", "hostname", "facility", "severity", "program"];
    let all: Vec<String> = texts.iter().map(|name| format!("{name}={}", params.string(name))).collect();
    let all = Template::new("remote_syslog", &all.join("/"), &keys, &context.log);
    all.validate().map_err(|message| params.error_here(message))?;
    let format_type = params.section("format").map_or("ltsv", Params::plugin_type);
    if format_type == "msgpack" {
        let message = "formatter_type must be text_per_line formatter";
        return Err(params.section("format").unwrap_or(params).error("@type", message));
    }
    let is_tcp = params.word("protocol") == Some("tcp");
    let tls = tls(params)?;
    if tls.is_some() && !is_tcp {
        log_warn!(context.log, "'tls' has no effect without `protocol tcp`: messages are sent in the clear");
    }
    let timeout = params.time("timeout").filter(|timeout| !timeout.is_zero());
    let output = RemoteSyslog {
        server,
        hostname: template("hostname"),
        facility: template("facility"),
        severity: template("severity"),
        program: template("program"),
        packet_size: params
            .size("packet_size")
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(1024)
            .max(1),
        timeout_exception: params.bool("timeout_exception"),
        connector: match is_tcp {
            true => Some(Connector::new(tls, timeout, keep_alive(params)?)),
            false => None,
        },
        format: EventFormat::from_params(params, "ltsv", context)?,
        log: context.log.clone(),
    };
    output.check_constants(params)?;
    Ok(OutputPlugin::Buffered(Box::new(output)))
}

fn tls(params: &Params) -> Result<Option<TlsClient>, Diagnostic> {
    if !params.bool("tls") {
        return Ok(None);
    }
    let names = ClientParameters { trusted: "ca_file", certificates: "ca_file", key: "ca_file" };
    let insecure = params.int("verify_mode") == Some(0);
    let client = protocol_versions("tls", None, None, None)
        .map(|versions| ClientOptions {
            versions,
            insecure,
            verify_hostname: !insecure,
            trusted: params.str("ca_file").map(str::to_owned).into_iter().collect(),
            certificates: None,
            key: None,
            passphrase: None,
        })
        .and_then(|options| TlsClient::new(&options, names));
    client.map(Some).map_err(|error| params.error(error.parameter, error.message))
}

fn keep_alive(params: &Params) -> Result<Option<KeepAlive>, Diagnostic> {
    if !params.bool("keep_alive") {
        return Ok(None);
    }
    let number = |name: &str| match params.int(name) {
        None => Ok(None),
        Some(number) => match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(params.error(name, format!("'{name}' must be at least 1"))),
        },
    };
    let seconds = |name: &str| Ok(number(name)?.map(|number| Duration::from_secs(number.into())));
    Ok(Some(KeepAlive {
        idle: seconds("keep_alive_idle")?,
        count: number("keep_alive_cnt")?,
        interval: seconds("keep_alive_intvl")?,
    }))
}

impl RemoteSyslog {
    /// Values without placeholders are checked at the start, rather than with the first chunk.
    fn check_constants(&self, params: &Params) -> Result<(), Diagnostic> {
        type Check = fn(&str) -> Result<(), String>;
        let checks: [(&str, &Template, Check); 4] = [
            ("facility", &self.facility, |text| packet::facility(text).map(drop)),
            ("severity", &self.severity, |text| packet::severity(text).map(drop)),
            ("program", &self.program, |text| packet::program(text).map(drop)),
            ("hostname", &self.hostname, |text| match text {
                "" => Ok(()),
                text => packet::hostname(text).map(drop),
            }),
        ];
        for (name, template, check) in checks {
            if template.is_constant() {
                check(template.text()).map_err(|message| params.error(name, message))?;
            }
        }
        if let Server::WithPort(template) = &self.server
            && template.is_constant()
        {
            split(template.text()).map_err(|message| params.error("host_with_port", message))?;
        }
        Ok(())
    }

    fn server(&self, chunk: &Chunk) -> Result<(String, u16), WriteError> {
        match &self.server {
            Server::Host(host, port) => Ok((host.expand(chunk)?, *port)),
            Server::WithPort(both) => split(&both.expand(chunk)?).map_err(refused),
        }
    }

    fn header(&self, chunk: &Chunk) -> Result<Header, WriteError> {
        let hostname = self.hostname.expand(chunk)?;
        let hostname = match &*hostname {
            "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            name => packet::hostname(name).map_err(refused)?.to_owned(),
        };
        Ok(Header {
            facility: packet::facility(&self.facility.expand(chunk)?).map_err(refused)?,
            severity: packet::severity(&self.severity.expand(chunk)?).map_err(refused)?,
            program: packet::program(&self.program.expand(chunk)?).map_err(refused)?.to_owned(),
            hostname,
        })
    }

    async fn send(&self, chunk: &Chunk) -> Result<(), WriteError> {
        let (host, port) = self.server(chunk)?;
        let mut packets = Packets::new(&self.header(chunk)?, self.packet_size);
        let failed = |error: io::Error| {
            WriteError::retry(error_class(&error), format!("cannot send to {host}:{port}: {error}"))
        };
        match &self.connector {
            None => self.send_datagrams(chunk, &mut packets, &host, port).await.map_err(failed),
            Some(connector) => {
                let mut sending =
                    Sending { output: self, connector, host: &host, port, stream: None, dropped: 0 };
                sending.send(chunk, &mut packets).await.map_err(failed)?;
                if sending.dropped > 0 {
                    chunk.set_aside(0, sending.dropped);
                }
                Ok(())
            }
        }
    }

    async fn send_datagrams(
        &self,
        chunk: &Chunk,
        packets: &mut Packets,
        host: &str,
        port: u16,
    ) -> io::Result<()> {
        let (socket, address) = datagrams(host, port).await?;
        let mut reader = chunk.reader()?.inflating();
        let mut packet = Vec::new();
        while blocking(|| reader.advance())?.is_some() {
            for line in packet::lines(reader.bytes()) {
                packet.clear();
                if packets.push(EventTime::now(), line, &mut packet) {
                    socket.send_to(&packet, address).await?;
                }
            }
        }
        Ok(())
    }
}

/// A chunk on its way over a connection.
struct Sending<'s> {
    output: &'s RemoteSyslog,
    connector: &'s Connector,
    host: &'s str,
    port: u16,
    stream: Option<Stream>,
    /// Messages that were given up after a timeout.
    dropped: u64,
}

impl Sending<'_> {
    async fn send(&mut self, chunk: &Chunk, packets: &mut Packets) -> io::Result<()> {
        let mut reader = chunk.reader()?.inflating();
        let mut piece = Vec::with_capacity(PIECE_BYTES * 2);
        let mut count = 0;
        while blocking(|| reader.advance())?.is_some() {
            for line in packet::lines(reader.bytes()) {
                if packets.push(EventTime::now(), line, &mut piece) {
                    piece.push(b'\n');
                    count += 1;
                }
                if piece.len() >= PIECE_BYTES {
                    self.piece(&mut piece, &mut count).await?;
                }
            }
        }
        self.piece(&mut piece, &mut count).await?;
        if let Some(stream) = self.stream.take() {
            self.connector.keep(self.host, self.port, stream);
        }
        Ok(())
    }

    /// Sends messages; once more over a new connection if the one that there was has broken.
    async fn piece(&mut self, piece: &mut Vec<u8>, count: &mut u64) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let sent = match self.try_piece(piece).await {
            Err(error) if is_broken(&error) => self.try_piece(piece).await,
            sent => sent,
        };
        match sent {
            Err(error) if is_our_timeout(&error) && !self.output.timeout_exception => {
                log_warn!(
                    self.output.log,
                    "messages were not taken within the timeout; they are dropped (timeout_exception true sends them again)",
                    host = self.host,
                    port = self.port,
                    messages = *count
                );
                self.dropped += *count;
            }
            sent => sent?,
        }
        piece.clear();
        *count = 0;
        Ok(())
    }

    async fn try_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            // Not connecting is no message that was not taken.
            None => self.connector.connection(self.host, self.port).await.map_err(not_connected)?,
        };
        within(self.connector.timeout, async {
            stream.write_all(piece).await?;
            stream.flush().await
        })
        .await?;
        self.stream = Some(stream);
        Ok(())
    }
}

fn not_connected(error: io::Error) -> io::Error {
    match is_our_timeout(&error) {
        true => io::Error::new(io::ErrorKind::HostUnreachable, "no connection within the timeout"),
        false => error,
    }
}

/// Whether `timeout` has passed, rather than the kernel's patience.
fn is_our_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// Whether the server has closed a connection on which something was to be sent.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

/// `HOST:PORT`; an IPv6 address is in brackets.
fn split(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() => {
            let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            Ok((inside.unwrap_or(host).to_owned(), port))
        }
        _ => Err(format!("host_with_port must be HOST:PORT: {text}")),
    }
}

fn refused(message: String) -> WriteError {
    WriteError::reject("ArgumentError", message)
}

impl BufferedOutput for RemoteSyslog {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.format)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(self.send(chunk))
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(connector) = &self.connector {
                connector.close().await;
            }
        })
    }
}
