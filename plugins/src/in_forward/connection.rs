//! One connection from accept to close.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use super::decoder::{Decoder, RawMessage, Received, Sizes};
use super::emitter::Emitter;
use super::error::ConnectionError;
use super::handshake::Handshake;
use super::limits::{ACKS_WAITING_MAX, PING_BYTES_MAX, REFUSAL_DELAY};
use super::preview::preview;
use super::replies::{Reply, write_replies};
use super::server::{Peer, Server};
use logweir_engine::net::{Connection, Fill, Reading, Ticket};
use logweir_engine::telemetry::Shown;
use logweir_engine::{log_debug, log_error, log_trace, log_warn};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

/// Serves a connection that was just accepted.
pub(super) async fn serve(server: &Server, connection: Connection) {
    let Connection { stream, address, ticket, .. } = connection;
    let log = &server.context.log;
    let host = if server.settings.resolve_hostname {
        server.names.of(address.ip()).await
    } else {
        address.ip().to_canonical().to_string().into()
    };
    let mut peer = Peer {
        address,
        id: address.ip().to_canonical().to_string().into(),
        host,
        connection: server.number(),
    };
    log_trace!(log, "connected fluent socket", addr = Shown(address.ip()), port = address.port());
    let (read_half, mut write_half) = tokio::io::split(stream);
    let (replies, queue) = mpsc::channel(ACKS_WAITING_MAX);
    let mut reading = Reading::new(
        read_half,
        server.memory.lease(),
        server.settings.security.is_some(),
        server.net.limits(),
        server.context.stop.clone(),
    );
    let ended = {
        let receive = receive(server, &mut peer, &mut reading, replies, &ticket);
        let write = write_replies(&mut write_half, queue);
        tokio::pin!(receive, write);
        tokio::select! {
            biased;
            received = &mut receive => {
                // The queue is closed now; what is in it is still written when its events are durable.
                match write.await {
                    Ok(()) => received,
                    Err(error) => received.and(Err(error.into())),
                }
            }
            written = &mut write => Err(written.err().map_or(ConnectionError::RepliesEnded, Into::into)),
        }
    };
    server.duplicates.closed(peer.connection);
    match ended {
        Ok(()) => reading.into_stream().unsplit(write_half).close_politely().await,
        Err(error) => log_end(server, &peer, &error),
    }
}

/// Receives messages until the peer closes its side, the program stops or something is wrong.
async fn receive<R: AsyncRead + Unpin>(
    server: &Server,
    peer: &mut Peer,
    reading: &mut Reading<R>,
    replies: mpsc::Sender<Reply>,
    ticket: &Ticket,
) -> Result<(), ConnectionError> {
    let settings = &server.settings;
    let mut decoder = Decoder::new(settings.sizes, settings.timestamps);
    if let Some(security) = &settings.security {
        decoder.set_sizes(Sizes { message_max: PING_BYTES_MAX, chunk_max: None });
        let handshake = server.handshake()?;
        // The handshake is MessagePack whatever the client speaks.
        send(&replies, handshake.helo(!settings.deny_keepalive)).await?;
        let Some(ping) = next(reading, &mut decoder).await? else { return Ok(()) };
        let Received::Message(ping) = ping else { return Ok(()) };
        match greet(server, &handshake, security, peer, &ping) {
            Ok(pong) => send(&replies, pong).await?,
            Err(pong) => {
                #[allow(clippy::disallowed_methods, reason = "nothing is acknowledged here")]
                tokio::time::sleep(REFUSAL_DELAY).await;
                return send(&replies, pong).await;
            }
        }
        reading.handshake_done();
        reading.message_done();
        decoder.set_sizes(settings.sizes);
    }
    let mut emitter = Emitter::new(server, peer, replies);
    let mut is_first = true;
    loop {
        if is_first && is_client_hello(&reading.buffer) {
            return Err(ConnectionError::TlsOnPlain);
        }
        is_first &= reading.buffer.len() < CLIENT_HELLO.len();
        while let Some(received) = decoder.next(&mut reading.buffer)? {
            ticket.touch();
            reading.message_done();
            match received {
                Received::Message(message) => {
                    let held = message.bytes.len() + reading.buffer.capacity();
                    emitter.message(message, held, &mut reading.lease).await?;
                    // A buffer full of small values would keep this thread from the other connections for long.
                    tokio::task::coop::consume_budget().await;
                }
                Received::Dropped { .. } if !server.closed(peer, "chunk_size_limit") => {}
                Received::Dropped { tag, size } => log_warn!(
                    server.context.log,
                    "Input chunk size is larger than 'chunk_size_limit', dropped:",
                    tag = Shown(preview(&tag)),
                    host = peer.host,
                    limit = settings.sizes.chunk_max,
                    size = size
                ),
            }
            if settings.deny_keepalive {
                return emitter.flush().await;
            }
        }
        emitter.flush().await?;
        reading.lease.shrink_to(reading.buffer.capacity());
        if reading.fill(decoder.progress()).await? != Fill::More {
            return Ok(());
        }
    }
}

/// A TLS record of a handshake: its type and the upper byte of its version (RFC 8446, 5.1). As MessagePack it would be two
/// integers, which no sender begins with.
const CLIENT_HELLO: [u8; 2] = [0x16, 0x03];

fn is_client_hello(bytes: &[u8]) -> bool {
    bytes.starts_with(&CLIENT_HELLO)
}

/// The next message; `None` at the end.
async fn next<R: AsyncRead + Unpin>(
    reading: &mut Reading<R>,
    decoder: &mut Decoder,
) -> Result<Option<Received>, ConnectionError> {
    loop {
        if let Some(received) = decoder.next(&mut reading.buffer)? {
            return Ok(Some(received));
        }
        if reading.fill(decoder.progress()).await? != Fill::More {
            return Ok(None);
        }
    }
}

/// Judges PING and answers PONG, as `Err` if the client is refused.
fn greet(
    server: &Server,
    handshake: &Handshake,
    security: &super::security::Security,
    peer: &mut Peer,
    ping: &RawMessage,
) -> Result<Vec<u8>, Vec<u8>> {
    let log = &server.context.log;
    let address = peer.address.ip().to_canonical();
    match handshake.check(security, address, &ping.bytes) {
        Ok(accepted) => {
            log_debug!(
                log,
                "connection established",
                address = address.to_string(),
                port = peer.address.port()
            );
            // Several clients may come from one address; their own names tell them apart.
            peer.id = format!("{} {}", peer.id, accepted.hostname).into();
            Ok(accepted.pong)
        }
        Err(refused) => {
            match (refused.log, refused.username) {
                _ if !server.closed(peer, "handshake_refused") => {}
                (Some(message), Some(username)) => log_warn!(
                    log,
                    message,
                    address = address.to_string(),
                    hostname = refused.hostname,
                    username = username
                ),
                (Some(message), None) => {
                    log_warn!(log, message, address = address.to_string(), hostname = refused.hostname);
                }
                (None, _) => log_warn!(
                    log,
                    "invalid ping message: the client does not do the handshake that <security> demands",
                    address = address.to_string()
                ),
            }
            Err(refused.pong)
        }
    }
}

async fn send(replies: &mpsc::Sender<Reply>, bytes: Vec<u8>) -> Result<(), ConnectionError> {
    replies.send(Reply::now(bytes)).await.map_err(|_| ConnectionError::RepliesEnded)
}

fn log_end(server: &Server, peer: &Peer, error: &ConnectionError) {
    let log = &server.context.log;
    let (host, port) = (&peer.host, peer.address.port());
    let may_log = match error.reason() {
        Some(reason) => server.closed(peer, reason),
        None => server.may_log(peer, error.class()),
    };
    if error.is_disconnect() {
        log_debug!(log, "connection lost", host = host, port = port, error = error.to_string());
        return;
    }
    if !may_log {
        return;
    }
    match error {
        ConnectionError::TooSlow(_) => {
            log_warn!(log, "connection closed", host = host, port = port, reason = error.to_string());
        }
        _ => log_error!(
            log,
            "unexpected error on reading data",
            host = host,
            port = port,
            error_class = Shown(error.class()),
            error = error.to_string()
        ),
    }
}
