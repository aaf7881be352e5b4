//! Heartbeats over UDP: each datagram is answered with one byte 0.

use logweir_engine::log_trace;
use logweir_engine::telemetry::PluginLog;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// Bytes of a datagram that are read; the rest is of no interest.
const DATAGRAM_BYTES: usize = 128;
/// Wait after an error, so that one that stays does not keep a processor busy.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers heartbeats until `stop`. An answer is shorter than its question, so nobody's traffic can be multiplied here.
pub(super) async fn answer(socket: UdpSocket, stop: CancellationToken, log: PluginLog) {
    let mut datagram = [0; DATAGRAM_BYTES];
    loop {
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut datagram) => received,
        };
        match received {
            Ok((_, peer)) => {
                log_trace!(
                    log,
                    "heartbeat udp data arrived",
                    host = peer.ip().to_string(),
                    port = peer.port()
                );
                // A heartbeat that cannot be answered now is one that was lost, as datagrams may be.
                let _ = socket.try_send_to(&[0], peer);
            }
            // The answer to an earlier datagram was refused, or the network is down.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
