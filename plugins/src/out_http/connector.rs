//! How requests reach their server: directly or through a proxy.
//!
//! | endpoint | what a proxy gets |
//! |---|---|
//! | `http://` | the request, with the whole URL in its first line |
//! | `https://` | `CONNECT HOST:PORT`, and TLS that it passes on |

use super::proxy::Proxy;
use bytes::BufMut;
use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_service::Service;

/// Makes the connections, without TLS.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tcp: HttpConnector,
    pub(super) proxy: Option<Proxy>,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Stream, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Some(proxy) = &self.proxy else {
            let connecting = self.tcp.call(server);
            return Box::pin(async move { Ok(Stream { tcp: connecting.await?, is_proxied: false }) });
        };
        if server.scheme_str() != Some("https") {
            let connecting = self.tcp.call(proxy.uri.clone());
            return Box::pin(async move { Ok(Stream { tcp: connecting.await?, is_proxied: true }) });
        }
        let (connecting, authorization) = (self.tcp.call(proxy.uri.clone()), proxy.authorization.clone());
        Box::pin(async move {
            let tunnel = tunnel(connecting.await?.into_inner(), &server, authorization.as_ref()).await?;
            Ok(Stream { tcp: TokioIo::new(tunnel), is_proxied: false })
        })
    }
}

/// Has the proxy at the other end of `stream` connect to `server`.
async fn tunnel(
    mut stream: TcpStream,
    server: &Uri,
    authorization: Option<&HeaderValue>,
) -> Result<TcpStream, Error> {
    let (host, port) = (server.host().unwrap_or_default(), server.port_u16().unwrap_or(443));
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    // The server speaks only after us, so nothing comes behind the end of the head.
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        let room = HEAD_BYTES_MAX - head.len();
        if stream.read_buf(&mut (&mut head).limit(room)).await? == 0 {
            return Err("the proxy has closed the connection instead of answering".into());
        }
    }
    let text = String::from_utf8_lossy(&head);
    let status_line = text.lines().next().unwrap_or_default();
    match status_line.split(' ').nth(1) {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(stream),
        _ => Err(format!("the proxy refuses to connect: {status_line}").into()),
    }
}

/// Of a proxy's answer to CONNECT; those of real ones have some hundred bytes.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// A connection that knows whether a proxy reads its requests.
pub(super) struct Stream {
    tcp: TokioIo<TcpStream>,
    is_proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.is_proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, slices)
    }
}
