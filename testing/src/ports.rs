//! Ports that nobody else uses.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
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

/// Ports of which no other test process has any, as long as its file is locked: until the process ends.
struct Block {
    first: u16,
    _lock: File,
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
            None => match take_block(ports.blocks.len()) {
                Some(block) => ports.blocks.push(block),
                // A test that had one of the first ports has long ended.
                None if next > 0 => ports.next = 0,
                None => panic!("other test processes have all blocks of ports from {FIRST_PORT} on"),
            },
        }
    }
    panic!("there is no free port from {FIRST_PORT} on");
}

/// A block that no process has. Processes that run side by side begin to look at different places, for those that do not
/// see each other's files.
fn take_block(taken: usize) -> Option<Block> {
    let start = std::process::id().wrapping_add(taken as u32);
    (0..u32::from(BLOCKS)).find_map(|at| {
        let number = (start.wrapping_add(at) % u32::from(BLOCKS)) as u16;
        let path = std::env::temp_dir().join(format!("logweir-test-ports.{number}"));
        let lock = File::create(path).ok()?;
        lock.try_lock().ok()?;
        Some(Block { first: FIRST_PORT + number * BLOCK_PORTS, _lock: lock })
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
        let (one, other) = (take_block(0).unwrap(), take_block(0).unwrap());
        assert_ne!(one.first, other.first);
    }
}
