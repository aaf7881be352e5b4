//! The addresses of this machine's interfaces, asked of the kernel over a route socket (rtnetlink(7)).
//!
//! ```text
//! request   length:u32 type:u16=RTM_GETADDR flags:u16=REQUEST|DUMP sequence:u32 port:u32 | family:u8 0 0 0 0:u32
//! answer*   length:u32 type:u16=RTM_NEWADDR ... | family prefix flags scope index:u32 | (length:u16 type:u16 value)*
//! end       type NLMSG_DONE
//! ```

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const GET_ADDRESSES: u16 = 22;
const NEW_ADDRESS: u16 = 20;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const REQUEST_DUMP: u16 = 0x301;
const ATTRIBUTE_ADDRESS: u16 = 1;
const ATTRIBUTE_LOCAL: u16 = 2;
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 10;

/// Interface names with their addresses: IPv4 first, in the kernel's order.
pub(super) fn addresses() -> std::io::Result<Vec<(String, IpAddr)>> {
    let names = interface_names();
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Recv,
        Some(Duration::from_secs(5)),
    )?;
    let mut request = Vec::with_capacity(24);
    request.extend_from_slice(&24u32.to_ne_bytes());
    request.extend_from_slice(&GET_ADDRESSES.to_ne_bytes());
    request.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    request.extend_from_slice(&1u32.to_ne_bytes());
    request.extend_from_slice(&[0; 12]);
    send(&socket, &request, SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if length == 0 || messages(&buffer[..length], &mut found)? {
            break;
        }
    }
    found.sort_by_key(|(_, address)| address.is_ipv6());
    let name = |index: u32| {
        let known = names.iter().find(|(known, _)| *known == index);
        known.map_or_else(|| format!("if{index}"), |(_, name)| name.clone())
    };
    Ok(found.into_iter().map(|(index, address)| (name(index), address)).collect())
}

/// Reads the messages of one datagram; answers whether the last was among them.
fn messages(datagram: &[u8], found: &mut Vec<(u32, IpAddr)>) -> std::io::Result<bool> {
    let mut rest = datagram;
    while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
        let length = length as usize;
        if length < 16 || length > rest.len() {
            break;
        }
        match kind {
            DONE => return Ok(true),
            ERROR => return Err(std::io::Error::other("the kernel refused to list addresses")),
            NEW_ADDRESS => found.extend(address(&rest[16..length])),
            _ => {}
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// Index and address of one answer.
fn address(message: &[u8]) -> Option<(u32, IpAddr)> {
    let family = *message.first()?;
    let index = u32_at(message, 4)?;
    let mut rest = message.get(8..)?;
    let mut found = None;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else { break };
        let address = match family {
            FAMILY_V4 => <[u8; 4]>::try_from(value).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes))),
            FAMILY_V6 => <[u8; 16]>::try_from(value).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
            _ => None,
        };
        // On a point-to-point link the local address is our end, the other one theirs.
        if kind == ATTRIBUTE_LOCAL || kind == ATTRIBUTE_ADDRESS && found.is_none() {
            found = address.or(found);
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    Some((index, found?))
}

/// Interface numbers and names.
fn interface_names() -> Vec<(u32, String)> {
    let Ok(list) = std::fs::read_dir("/sys/class/net") else { return Vec::new() };
    list.flatten()
        .filter_map(|entry| {
            let index = std::fs::read_to_string(entry.path().join("ifindex")).ok()?;
            Some((index.trim().parse().ok()?, entry.file_name().to_string_lossy().into_owned()))
        })
        .collect()
}

fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_is_found() {
        let list = addresses().unwrap();
        assert!(list.iter().any(|(name, address)| name == "lo" && address.is_loopback()), "{list:?}");
    }

    #[test]
    fn a_message_with_wrong_lengths_is_not_followed() {
        let mut found = Vec::new();
        for length in [0u32, 15, 1000] {
            let mut datagram = length.to_ne_bytes().to_vec();
            datagram.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            assert!(!messages(&datagram, &mut found).unwrap());
        }
        assert!(found.is_empty() && address(&[2, 8, 0, 0, 1, 0, 0, 0, 200, 0, 1, 0]).is_none());
    }
}
