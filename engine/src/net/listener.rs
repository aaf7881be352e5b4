//! Sockets that servers listen on, as Fluentd opens them.

use crate::log_warn;
use crate::plugin::StartError;
use crate::telemetry::PluginLog;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use tokio::net::{TcpListener, TcpSocket, UdpSocket, UnixListener, UnixSocket};

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

/// Listens on a Unix socket at `path`. A socket that is there is removed, with a warning: it is what is left of a process that
/// was killed, as a rule. Anything else that is there is an error.
pub fn listen_unix(path: &Path, backlog: Option<u32>, log: &PluginLog) -> Result<UnixListener, StartError> {
    let open = || -> io::Result<UnixListener> {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => {
                log_warn!(log, format!("Found existing '{}'. Remove this file", path.display()));
                fs::remove_file(path)?;
            }
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket")),
            Err(_) => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    fs::create_dir_all(folder)?;
                }
            }
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        socket.listen(backlog.unwrap_or(BACKLOG))
    };
    open().map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "the folder must be writable for this user",
            _ => "check path, which may have 107 bytes at most",
        };
        StartError::new(
            super::error_class(&error),
            format!("cannot listen on the Unix socket {}: {error}: {advice}", path.display()),
        )
    })
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
        io::ErrorKind::AddrInUse => {
            "another program, or another input, listens there already; stop it or change port"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "bind must be an address of this machine, or 0.0.0.0",
        _ => "check bind and port",
    };
    StartError::new(
        super::error_class(error),
        format!("cannot listen on {protocol} {bind}:{port}: {error}: {advice}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_left_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let log = PluginLog::program();
        let path = folder.path().join("deep/down/socket");
        drop(listen_unix(&path, Some(1), &log).unwrap());
        assert!(path.exists(), "the name stays");
        let listener = listen_unix(&path, None, &log).unwrap();
        tokio::net::UnixStream::connect(&path).await.unwrap();
        drop(listener);
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        let error = listen_unix(&file, None, &log).err().unwrap().to_string();
        assert!(error.contains("what is there is no socket"), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        let long = folder.path().join("x".repeat(120));
        let error = listen_unix(&long, None, &log).err().unwrap().to_string();
        assert!(error.contains("107 bytes at most"), "{error}");
    }
}
