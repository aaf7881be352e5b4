//! The section `<security>`: who may send, with which key.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::net::Network;
use logweir_engine::plugin::{Param, ParamKind, SectionSpec};
use std::net::IpAddr;

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
        Ok(Self {
            network: Network::of_client(section)?,
            shared_key: section.str("shared_key").unwrap_or(shared_key).to_owned(),
            users: section.array("users").unwrap_or_default(),
        })
    }
}
