//! `@type tcp` and `@type unix` of old configurations: each chunk over a connection of its own, in the forward protocol, without
//! handshake or ack. `forward` took their place.

use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Time, write_str};
use logweir_engine::net::{addresses, error_class, port};
use logweir_engine::output::blocking;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Compat, Descriptor,
    FormatError, Kind, OutputPlugin, Param, ParamKind, WriteError, WriteFuture,
};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// `@type tcp` in a `<match>`.
pub static TCP: Descriptor = Descriptor {
    params: &[
        Param::new("host", ParamKind::String, "The server").required(),
        Param::new("port", ParamKind::Integer, "Its port").default("24224"),
        SEND_TIMEOUT,
    ],
    compat: &[Compat::Buffer],
    buffer: BufferSupport::Always(BufferDefaults::STANDARD),
    ..Descriptor::new(Kind::Output, "tcp", "Obsolete: sends events over TCP; use forward", Build::Output(tcp))
};

/// `@type unix` in a `<match>`.
pub static UNIX: Descriptor = Descriptor {
    params: &[Param::new("path", ParamKind::String, "The server's socket").required(), SEND_TIMEOUT],
    compat: &[Compat::Buffer],
    buffer: BufferSupport::Always(BufferDefaults::STANDARD),
    ..Descriptor::new(
        Kind::Output,
        "unix",
        "Obsolete: sends events over a Unix socket, such as that of a unix input",
        Build::Output(unix),
    )
};

const SEND_TIMEOUT: Param =
    Param::new("send_timeout", ParamKind::Time, "Seconds for a chunk to be sent").default("60");

/// After a chunk, how long a server may take to close the connection, which shows that it has read all of it.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);

struct Stream {
    server: Server,
    timeout: Duration,
    format: Message,
}

enum Server {
    Tcp(String, u16),
    Unix(PathBuf),
}

fn tcp(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    log_warn!(context.log, "'tcp' output is obsoleted and will be removed. Use 'forward' instead.");
    Ok(stream(params, Server::Tcp(params.string("host"), port(params)?)))
}

fn unix(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    log_warn!(context.log, "'unix' output is obsoleted and will be removed.");
    Ok(stream(params, Server::Unix(params.path("path").unwrap_or_default())))
}

fn stream(params: &Params, server: Server) -> OutputPlugin {
    let timeout = params.time("send_timeout").unwrap_or_default();
    OutputPlugin::Buffered(Box::new(Stream { server, timeout, format: Message }))
}

/// An event as a message of the forward protocol: `[tag, time, record]`.
struct Message;

impl ChunkFormatter for Message {
    fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.push(0x93);
        write_str(out, tag.as_str().as_bytes());
        time.write(out);
        out.extend_from_slice(record);
        Ok(())
    }
}

impl Stream {
    async fn send(&self, chunk: &Chunk) -> io::Result<()> {
        match &self.server {
            Server::Tcp(host, port) => {
                let addresses = addresses(host, *port).await?;
                send(TcpStream::connect(&*addresses).await?, chunk).await
            }
            Server::Unix(path) => send(UnixStream::connect(path).await?, chunk).await,
        }
    }
}

async fn send(mut stream: impl AsyncRead + AsyncWrite + Unpin, chunk: &Chunk) -> io::Result<()> {
    let mut reader = chunk.reader()?.inflating();
    while blocking(|| reader.advance())?.is_some() {
        stream.write_all(reader.bytes()).await?;
    }
    stream.shutdown().await?;
    let mut rest = [0; 512];
    let closed = async { while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    let _ = timeout(CLOSE_WAIT_MAX, closed).await;
    Ok(())
}

impl BufferedOutput for Stream {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.format)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(async move {
            let place = match &self.server {
                Server::Tcp(host, port) => format!("{host}:{port}"),
                Server::Unix(path) => path.display().to_string(),
            };
            let sent = timeout(self.timeout, self.send(chunk)).await;
            let sent = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            sent.map_err(|error| {
                WriteError::retry(error_class(&error), format!("cannot send to {place}: {error}"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Pipeline, build_error, with_params};
    use bytes::Bytes;
    use logweir_engine::buffer::Metadata;
    use logweir_engine::event::EventTime;
    use logweir_engine::plugin::Input;
    use logweir_testing::free_port;

    fn output(descriptor: &'static Descriptor, text: &str) -> Box<dyn BufferedOutput> {
        let Build::Output(build) = descriptor.build else { panic!("not an output") };
        match with_params(descriptor, text, build).unwrap() {
            OutputPlugin::Buffered(output) => output,
            OutputPlugin::Direct(_) => panic!("not buffered"),
        }
    }

    fn input(descriptor: &'static Descriptor, text: &str) -> Box<dyn Input> {
        let Build::Input(build) = descriptor.build else { panic!("not an input") };
        with_params(descriptor, text, build).unwrap()
    }

    fn chunk(output: &dyn BufferedOutput, events: &[(&str, i64)]) -> Chunk {
        let mut text = Vec::new();
        for (tag, sec) in events {
            let time = Time::Event(EventTime::from_secs(*sec));
            output.formatter().unwrap().format(&Tag::new(tag), time, b"\x81\xa1a\x01", &mut text).unwrap();
        }
        Chunk::in_memory(Metadata::default(), Bytes::from(text), events.len()).into_formatted()
    }

    #[tokio::test]
    async fn servers_of_the_forward_protocol_understand_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket").display().to_string();
        let port = free_port();
        for (server, client) in [
            (
                input(&crate::in_forward::PLUGIN, &format!("bind 127.0.0.1\nport {port}")),
                output(&TCP, &format!("host 127.0.0.1\nport {port}")),
            ),
            (
                input(&crate::in_forward::UNIX, &format!("path {path}")),
                output(&UNIX, &format!("path {path}")),
            ),
        ] {
            let (mut server, pipeline) = (server, Pipeline::new());
            let refused = client.write(&chunk(&*client, &[("x", 1)])).await.unwrap_err();
            assert!(matches!(&refused, WriteError::Retry { .. }), "{refused}");
            server.start(pipeline.context.clone()).await.unwrap();
            client.write(&chunk(&*client, &[("a.b", 1), ("c", 2)])).await.unwrap();
            client.write(&chunk(&*client, &[("a.b", 3)])).await.unwrap();
            let events = pipeline.sink.wait_for(3).await;
            // Seconds, which tell connections apart.
            let mut seen: Vec<(u8, &str)> =
                events.iter().map(|(tag, entry)| (entry[6], tag.as_str())).collect();
            seen.sort_unstable();
            assert_eq!(seen, [(1, "a.b"), (2, "c"), (3, "a.b")]);
            pipeline.stop().await;
        }
    }

    #[test]
    fn mistakes() {
        for (descriptor, text, message) in [
            (&TCP, "", "'host' parameter is required"),
            (&TCP, "host h\nport 70000", "'port' must be a number"),
            (&UNIX, "", "'path' parameter is required"),
        ] {
            let error = build_error(descriptor, text).unwrap_or_default();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert_eq!(build_error(&TCP, "host h\nbuffer_type memory\nflush_interval 1s"), None);
    }
}
