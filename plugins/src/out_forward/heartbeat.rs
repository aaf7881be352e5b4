//! Asks each node every heartbeat_interval whether it is there.

use super::error::SendError;
use super::node::Node;
use super::output::Nodes;
use super::settings::HeartbeatType;
use futures_util::future::{BoxFuture, OptionFuture};
use logweir_engine::{log_debug, log_trace, log_warn};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often idle connections are looked through for ones whose time is over.
const PURGE_INTERVAL: Duration = Duration::from_secs(5);

/// Starts what runs beside the sending of chunks.
pub(super) async fn spawn(nodes: &Arc<Nodes>) -> io::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    match nodes.settings.heartbeat {
        HeartbeatType::None => {}
        HeartbeatType::Transport => {
            for node in &nodes.all {
                tasks.spawn(by_connection(nodes.clone(), node.clone()));
            }
        }
        HeartbeatType::Udp => {
            let socket = Arc::new(udp_socket(nodes).await?);
            tasks.spawn(receive_datagrams(nodes.clone(), socket.clone()));
            tasks.spawn(send_datagrams(nodes.clone(), socket));
        }
    }
    if nodes.settings.keepalive_timeout.is_some() && nodes.settings.keepalive {
        tasks.spawn(purge(nodes.clone()));
    }
    Ok(tasks)
}

/// A connection, handshake included, is a heartbeat. The clock is looked at while one is being tried, too.
async fn by_connection(nodes: Arc<Nodes>, node: Arc<Node>) {
    let mut ticks = ticks(&nodes);
    let mut attempt: Option<BoxFuture<'_, bool>> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if attempt.is_none() {
                    attempt = Some(Box::pin(try_connection(&nodes, &node)));
                }
                if node.tick() {
                    nodes.rebalance();
                }
            }
            Some(recovered) = OptionFuture::from(attempt.as_mut()) => {
                attempt = None;
                if recovered {
                    nodes.rebalance();
                }
            }
        }
    }
}

/// Whether the node has recovered with this.
async fn try_connection(nodes: &Nodes, node: &Node) -> bool {
    let (host, port) = (&node.server.host, node.server.port);
    log_trace!(nodes.log, "sending heartbeat", host = host, port = port, heartbeat_type = "transport");
    let was_resolved = node.was_resolved();
    match timeout(nodes.settings.hard_timeout, node.connect()).await {
        Ok(Ok(mut connection)) => {
            // Nothing is sent: the server must not take it for a message. How the connection ends does not matter.
            let _ = connection.stream.shutdown().await;
            return node.heartbeat(true);
        }
        Ok(Err(error @ SendError::Resolve { .. }))
            if !was_resolved && nodes.settings.ignore_network_errors_at_startup =>
        {
            log_warn!(
                nodes.log,
                "failed to resolve node name in heartbeating",
                server = node.server.name,
                error = error.to_string()
            );
        }
        Ok(Err(error)) => log_debug!(
            nodes.log,
            "failed to send heartbeat packet",
            host = host,
            port = port,
            heartbeat_type = "transport",
            error = error.to_string()
        ),
        Err(_) => log_debug!(nodes.log, "heartbeat timed out", host = host, port = port),
    }
    false
}

async fn udp_socket(nodes: &Nodes) -> io::Result<UdpSocket> {
    let is_v6 =
        nodes.all.iter().find_map(|node| node.known_address()).is_some_and(|address| address.is_ipv6());
    let any: SocketAddr =
        if is_v6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
    UdpSocket::bind(any).await
}

async fn send_datagrams(nodes: Arc<Nodes>, socket: Arc<UdpSocket>) {
    let mut ticks = ticks(&nodes);
    loop {
        ticks.tick().await;
        for node in &nodes.all {
            let (host, port) = (&node.server.host, node.server.port);
            let sent = match node.address().await {
                Ok(address) => socket.send_to(&[0], address).await.map(|_| ()).map_err(SendError::from),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                log_debug!(
                    nodes.log,
                    "failed to send heartbeat packet",
                    host = host,
                    port = port,
                    heartbeat_type = "udp",
                    error = error.to_string()
                );
            }
            if node.tick() {
                nodes.rebalance();
            }
        }
    }
}

async fn receive_datagrams(nodes: Arc<Nodes>, socket: Arc<UdpSocket>) {
    let mut datagram = [0; 128];
    loop {
        let Ok((_, address)) = socket.recv_from(&mut datagram).await else {
            // The port of a node that is down answers with an error here.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match nodes.all.iter().find(|node| node.known_address() == Some(address)) {
            Some(node) if node.heartbeat(true) => nodes.rebalance(),
            Some(_) => {}
            None => log_warn!(
                nodes.log,
                format!(
                    "Unknown heartbeat response received from {}:{}. It may service out",
                    address.ip(),
                    address.port()
                )
            ),
        }
    }
}

async fn purge(nodes: Arc<Nodes>) {
    let mut ticks = interval(PURGE_INTERVAL);
    loop {
        ticks.tick().await;
        for node in &nodes.all {
            node.purge_idle();
        }
    }
}

fn ticks(nodes: &Nodes) -> tokio::time::Interval {
    let mut ticks = interval(nodes.settings.heartbeat_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
