//! The section `<security>`: who may send, with which key.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{Param, ParamKind, SectionSpec};
use std::net::{IpAddr, ToSocketAddrs};

pub(super) const SECURITY: SectionSpec = SectionSpec {
    params: &[
        Param::new("self_hostname", ParamKind::String, "Name by which this server makes itself known")
            .required(),
        Param::new("shared_key", ParamKind::String, "Key that clients must know").required().secret(),
        Param::new("user_auth", ParamKind::Bool, "Demand a user name and password too").default("false"),
        Param::new(
            "allow_anonymous_source",
            ParamKind::Bool,
            "Accept clients that no <client> section names; false needs <client> sections",
        )
        .default("true"),
    ],
    sections: &[
        SectionSpec {
            repeated: true,
            params: &[
                Param::new("username", ParamKind::String, "Name of the user").required(),
                Param::new("password", ParamKind::String, "Password of the user").required().secret(),
            ],
            ..SectionSpec::new("user", "A user, for user_auth")
        },
        SectionSpec {
            repeated: true,
            params: &[
                Param::new(
                    "host",
                    ParamKind::String,
                    "Address or name of the client; looked up at the start",
                ),
                Param::new("network", ParamKind::String, "Network of the client, such as 10.0.0.0/8"),
                Param::new("shared_key", ParamKind::String, "Key of this client instead of the general one")
                    .secret(),
                Param::new("users", ParamKind::Array, "Users that may come from there; all if empty")
                    .default("[]"),
            ],
            ..SectionSpec::new("client", "Clients by address, with their own key and users")
        },
    ],
    ..SectionSpec::new("security", "The handshake that clients must pass before they may send")
};

/// What a client must show.
#[derive(Debug)]
pub(super) struct Security {
    pub(super) self_hostname: String,
    pub(super) shared_key: String,
    pub(super) user_auth: bool,
    pub(super) allow_anonymous_source: bool,
    /// Names and passwords.
    pub(super) users: Vec<(String, String)>,
    pub(super) clients: Vec<Client>,
}

/// A `<client>`.
#[derive(Debug)]
pub(super) struct Client {
    network: Network,
    pub(super) shared_key: String,
    pub(super) users: Vec<String>,
}

impl Security {
    pub(super) fn new(section: &Params) -> Result<Self, Diagnostic> {
        let shared_key = section.string("shared_key");
        let users: Vec<_> = section
            .sections("user")
            .iter()
            .map(|user| (user.string("username"), user.string("password")))
            .collect();
        let clients = section
            .sections("client")
            .iter()
            .map(|client| Client::new(client, &shared_key))
            .collect::<Result<Vec<_>, _>>()?;
        if section.bool("user_auth") && users.is_empty() {
            return Err(section.error("user_auth", "<user> sections required if user_auth enabled"));
        }
        let allow_anonymous_source = section.bool("allow_anonymous_source");
        if !allow_anonymous_source && clients.is_empty() {
            return Err(section.error(
                "allow_anonymous_source",
                "<client> sections required if allow_anonymous_source disabled",
            ));
        }
        Ok(Self {
            self_hostname: section.string("self_hostname"),
            shared_key,
            user_auth: section.bool("user_auth"),
            allow_anonymous_source,
            users,
            clients,
        })
    }

    /// The first `<client>` that `address` belongs to.
    pub(super) fn client(&self, address: IpAddr) -> Option<&Client> {
        self.clients.iter().find(|client| client.network.contains(address))
    }
}

impl Client {
    fn new(section: &Params, shared_key: &str) -> Result<Self, Diagnostic> {
        let network = match (section.str("host"), section.str("network")) {
            (Some(_), Some(_)) => {
                return Err(section.error_here("both of 'host' and 'network' are specified for client"));
            }
            (None, None) => {
                return Err(section.error_here("Either of 'host' and 'network' must be specified for client"));
            }
            (Some(host), None) => Network::of_host(host)
                .ok_or_else(|| section.error("host", format!("host '{host}' cannot be resolved")))?,
            (None, Some(network)) => Network::parse(network).ok_or_else(|| {
                section.error("network", format!("network '{network}' address format is invalid"))
            })?,
        };
        Ok(Self {
            network,
            shared_key: section.str("shared_key").unwrap_or(shared_key).to_owned(),
            users: section.array("users").unwrap_or_default(),
        })
    }
}

/// Addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, or one address.
    fn parse(text: &str) -> Option<Self> {
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

    fn of_host(host: &str) -> Option<Self> {
        let base = (host, 0).to_socket_addrs().ok()?.next()?.ip();
        Some(Self { base, bits: 128 })
    }

    fn contains(self, address: IpAddr) -> bool {
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
