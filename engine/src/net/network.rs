//! Networks that clients may come from: the sections `<client>` with `host` or `network`.

use crate::config::{Diagnostic, Params};
use std::net::{IpAddr, ToSocketAddrs};

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// From a `<client>` section with the parameters `host` and `network`, of which it must have one. A name is looked
    /// up now.
    pub fn of_client(client: &Params) -> Result<Self, Diagnostic> {
        match (client.str("host"), client.str("network")) {
            (Some(_), Some(_)) => {
                Err(client.error_here("both of 'host' and 'network' are specified for client"))
            }
            (None, None) => {
                Err(client.error_here("Either of 'host' and 'network' must be specified for client"))
            }
            (Some(host), None) => Self::of_host(host)
                .ok_or_else(|| client.error("host", format!("host '{host}' cannot be resolved"))),
            (None, Some(network)) => Self::parse(network).ok_or_else(|| {
                client.error("network", format!("network '{network}' address format is invalid"))
            }),
        }
    }

    /// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, mask) = match text.split_once('/') {
            Some((base, mask)) => (base, Some(mask)),
            None => (text, None),
        };
        let base: IpAddr = base.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = match mask {
            None => width,
            Some(mask) => match mask.parse::<u32>() {
                Ok(bits) => bits,
                Err(_) => mask_bits(mask.parse().ok()?)?,
            },
        };
        (bits <= width).then_some(Self { base, bits })
    }

    /// Whether `address` is in it. An IPv4 address that is written as an IPv6 one is the IPv4 address.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.base.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let difference = base.to_bits() ^ address.to_bits();
                difference.leading_zeros() >= self.bits.min(32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let difference = base.to_bits() ^ address.to_bits();
                difference.leading_zeros() >= self.bits.min(128)
            }
            _ => false,
        }
    }

    fn of_host(host: &str) -> Option<Self> {
        let base = (host, 0).to_socket_addrs().ok()?.next()?.ip();
        Some(Self { base, bits: 128 })
    }
}

/// The prefix length of a netmask; `None` if its ones are not all in front.
fn mask_bits(mask: IpAddr) -> Option<u32> {
    let (ones, bits) = match mask {
        IpAddr::V4(mask) => (mask.to_bits().leading_ones(), mask.to_bits().count_ones()),
        IpAddr::V6(mask) => (mask.to_bits().leading_ones(), mask.to_bits().count_ones()),
    };
    (ones == bits).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/255.255.0.0", "10.0.9.9", "10.1.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("192.168.1.77/24", "192.168.1.1", "192.168.2.1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} in {network}");
        }
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["10.0.0/8", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "example", "", "::/129"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
