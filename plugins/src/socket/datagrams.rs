//! Messages over UDP, a datagram each.

use super::{Events, Interpret, Message, Peer, SourceKeys};
use crate::text::chomp;
use logweir_engine::log_error;
use logweir_engine::net::{HostNames, Quiet, bind_udp, error_class};
use logweir_engine::plugin::{InputContext, StartError};
use logweir_engine::telemetry::Shown;
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Datagrams whose events are emitted together at most.
const TOGETHER_MAX: usize = 1024;

/// Rounds of [`TOGETHER_MAX`] datagrams that are taken after the program was told to stop.
const STOP_ROUNDS_MAX: usize = 16;

/// Datagrams that wait for the name of their sender at most, so that senders without names hold up nobody else. Those
/// beyond are taken with the address for a name.
const UNNAMED_MAX: usize = 256;

/// Wait after an error, so that one that stays does not keep a processor busy.
const PAUSE: Duration = Duration::from_millis(100);

/// An input over UDP, before its start.
pub(crate) struct DatagramInput<I> {
    pub(crate) bind: String,
    pub(crate) port: u16,
    /// `message_length_limit`: what is behind it in a datagram is cut off.
    pub(crate) bytes_max: usize,
    /// Whether a line end behind the text goes.
    pub(crate) chomp: bool,
    /// Size of the socket's receive buffer, if configured.
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) source: SourceKeys,
    pub(crate) interpret: I,
}

/// Receives the input's datagrams in the background. Answers the address that it listens on.
pub(crate) fn receive<I: Interpret>(
    input: DatagramInput<I>,
    context: &InputContext,
) -> Result<SocketAddr, StartError> {
    let socket = bind_udp(&input.bind, input.port)?;
    let failed = |error: io::Error| StartError::new(error_class(&error), error.to_string());
    if let Some(bytes) = input.receive_buffer {
        sockopt::set_socket_recv_buffer_size(&socket, bytes).map_err(|error| failed(error.into()))?;
    }
    let address = socket.local_addr().map_err(failed)?;
    let receiver = Arc::new(Receiver {
        input,
        context: context.clone(),
        names: HostNames::default(),
        unnamed: Arc::new(Semaphore::new(UNNAMED_MAX)),
        quiet: Quiet::default(),
    });
    context.tasks.spawn(async move { receiver.run(socket).await });
    Ok(address)
}

struct Receiver<I> {
    input: DatagramInput<I>,
    context: InputContext,
    names: HostNames,
    unnamed: Arc<Semaphore>,
    quiet: Quiet,
}

impl<I: Interpret> Receiver<I> {
    async fn run(self: Arc<Self>, socket: UdpSocket) {
        let mut datagram = vec![0; self.input.bytes_max.clamp(1, DATAGRAM_BYTES_MAX)];
        let mut last = None;
        loop {
            let readable = tokio::select! {
                biased;
                () = self.context.stop.cancelled() => break,
                readable = socket.readable() => readable,
            };
            if let Err(error) = readable {
                self.log_error(&error);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            self.take(&mut datagram, &mut last, |datagram| socket.try_recv_from(datagram)).await;
            // A flood would keep this thread from everything else.
            tokio::task::coop::consume_budget().await;
        }
        // What has arrived is taken, but a sender that goes on does not keep the program from stopping.
        // The runtime may not have heard of it yet, so the kernel is asked.
        let Ok(socket) = socket.into_std() else { return };
        for _ in 0..STOP_ROUNDS_MAX {
            if !self.take(&mut datagram, &mut last, |datagram| socket.recv_from(datagram)).await {
                return;
            }
        }
    }

    /// Takes datagrams that have arrived, many of them at most. Answers whether there may be more.
    async fn take(
        self: &Arc<Self>,
        datagram: &mut [u8],
        last: &mut Option<Peer>,
        receive: impl Fn(&mut [u8]) -> io::Result<(usize, SocketAddr)>,
    ) -> bool {
        let mut events = Events::new(&self.context, false);
        let mut may_go_on = true;
        for _ in 0..TOGETHER_MAX {
            let (length, address) = match receive(datagram) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    may_go_on = false;
                    break;
                }
                Err(error) => {
                    self.log_error(&error);
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
            };
            let text = &datagram[..length];
            match last {
                Some(peer) if peer.address == address && !self.input.source.resolve => {
                    self.interpret(text, peer, &mut events);
                }
                _ => match self.input.source.known_peer(address, &self.names) {
                    Some(peer) => self.interpret(text, last.insert(peer), &mut events),
                    None => self.later(text, address, &mut events),
                },
            }
            if events.are_many() {
                break;
            }
        }
        events.emit(|error, tag| self.input.interpret.refused(error, tag, None)).await;
        may_go_on
    }

    fn interpret(&self, text: &[u8], peer: &Peer, events: &mut Events<'_>) {
        let text = if self.input.chomp { chomp(text) } else { text };
        self.input.interpret.interpret(Message { text, is_binary: true, peer }, events);
    }

    /// Looks up the sender's name, which may take some seconds, and takes the datagram then.
    fn later(self: &Arc<Self>, text: &[u8], address: SocketAddr, events: &mut Events<'_>) {
        let Ok(permit) = self.unnamed.clone().try_acquire_owned() else {
            return self.interpret(text, &self.input.source.nameless_peer(address), events);
        };
        let (receiver, text) = (self.clone(), text.to_vec());
        self.context.tasks.spawn(async move {
            let peer = receiver.input.source.resolved_peer(address, &receiver.names).await;
            let mut events = Events::new(&receiver.context, false);
            receiver.interpret(&text, &peer, &mut events);
            events.emit(|error, tag| receiver.input.interpret.refused(error, tag, Some(&peer))).await;
            drop(permit);
        });
    }

    fn log_error(&self, error: &io::Error) {
        // An answer that somebody refused is no concern of an input.
        if error.kind() != io::ErrorKind::ConnectionReset && self.quiet.allows(&self.context.log) {
            log_error!(
                self.context.log,
                "unexpected error in processing UDP data",
                error_class = Shown(error_class(error)),
                error = error.to_string()
            );
        }
    }
}
