//! Sockets that servers listen on, as Fluentd opens them.

use crate::plugin::StartError;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

/// Connections that wait to be accepted when no `backlog` is given; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Listens on TCP `bind`:`port` with SO_REUSEADDR; an IPv6 address takes IPv6 only, as Fluentd does it.
pub fn listen_tcp(bind: &str, port: u16, backlog: Option<u32>) -> Result<TcpListener, StartError> {
    let open = |address: SocketAddr| -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if address.is_ipv6() {
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
        }
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog.unwrap_or(BACKLOG))
    };
    resolve(bind, port).and_then(open).map_err(|error| bind_error(&error, "TCP", bind, port))
}

/// A UDP socket bound to `bind`:`port`.
pub fn bind_udp(bind: &str, port: u16) -> Result<UdpSocket, StartError> {
    let open = |address: SocketAddr| -> io::Result<UdpSocket> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    };
    resolve(bind, port).and_then(open).map_err(|error| bind_error(&error, "UDP", bind, port))
}

fn resolve(bind: &str, port: u16) -> io::Result<SocketAddr> {
    (bind, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address"))
}

fn bind_error(error: &io::Error, protocol: &str, bind: &str, port: u16) -> StartError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there already; stop it or change port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "bind must be an address of this machine, or 0.0.0.0",
        _ => "check bind and port",
    };
    StartError::new(
        super::error_class(error),
        format!("cannot listen on {protocol} {bind}:{port}: {error}: {advice}"),
    )
}
