//! Ports that nobody else uses.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// Where ports begin, how many there are in a block, and how many blocks.
const FIRST_PORT: u16 = 10_000;
const BLOCK_PORTS: u16 = 500;
const BLOCKS: u16 = 40;
/// What Fluentd's plugins listen on by default: some tests do too.
const USUAL_PORTS: std::ops::Range<u16> = 24_200..24_300;

/// The blocks of this process, and which port it looks at next.
struct Ports {
    blocks: Vec<Block>,
    next: u16,
}

/// Ports of which no other test process has any, as long as this one has the (abstract) Unix socket of the block's name: until it
/// ends. Such names are the kernel's, as ports are: those of one network namespace.
struct Block {
    first: u16,
    _name: UnixListener,
}

/// A port, of TCP and of UDP, that nothing listens on at the moment of the call and that no other call is given, in this process
/// or in another test process: what a test starts again on its port finds it free.
///
/// It is none of those that the kernel gives to outgoing connections (32768 and up): between this call and the moment when
/// somebody listens on the port, another test's connection could be given it.
pub fn free_port() -> u16 {
    static PORTS: Mutex<Ports> = Mutex::new(Ports { blocks: Vec::new(), next: 0 });
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..2 * u32::from(BLOCKS) * u32::from(BLOCK_PORTS) {
        let next = ports.next;
        match ports.blocks.get(usize::from(next / BLOCK_PORTS)) {
            Some(block) => {
                let port = block.first + next % BLOCK_PORTS;
                ports.next += 1;
                if !USUAL_PORTS.contains(&port) && is_free(port) {
                    return port;
                }
            }
            None => match take_block() {
                Some(block) => ports.blocks.push(block),
                // A test that had one of the first ports has long ended.
                None if next > 0 => ports.next = 0,
                None => panic!("other test processes have all blocks of ports from {FIRST_PORT} on"),
            },
        }
    }
    panic!("there is no free port from {FIRST_PORT} on");
}

/// A block that no process has. Each process begins to look at another place: where the last one ended, connections are still
/// being closed.
fn take_block() -> Option<Block> {
    let start = (std::process::id() % u32::from(BLOCKS)) as u16;
    (start..start + BLOCKS).find_map(|number| {
        let number = number % BLOCKS;
        let name = SocketAddr::from_abstract_name(format!("logweir-test-ports.{number}")).ok()?;
        let name = UnixListener::bind_addr(&name).ok()?;
        Some(Block { first: FIRST_PORT + number * BLOCK_PORTS, _name: name })
    })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..700).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 700);
        assert!(ports.iter().all(|port| !USUAL_PORTS.contains(port) && *port < 32_768));
    }

    #[test]
    fn a_block_is_given_once() {
        let (one, other) = (take_block().unwrap(), take_block().unwrap());
        assert_ne!(one.first, other.first);
    }
}
