//! Which server is asked: `--url`, the first clickhouse output of a configuration, or the embedded store's usual place.

use crate::cli::{Options, QueryOptions};
use crate::configuration::read;
use clickhouse::Client;
use logweir_engine::config::Element;
use std::path::Path;

const DEFAULT_URL: &str = "http://127.0.0.1:8123";
/// `@type`s of out_clickhouse.
const TYPES: [&str; 3] = ["clickhouse", "clickhousejson", "clickhouse-output"];

/// How to reach a server.
#[derive(Debug, Default, PartialEq, Eq)]
struct Server {
    url: String,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
}

pub(super) fn client(options: &QueryOptions) -> Result<Client, String> {
    let found = match (&options.config_path, &options.url) {
        (Some(path), _) => of_configuration(path)?,
        (None, url) => Server { url: url.as_deref().unwrap_or(DEFAULT_URL).to_owned(), ..Server::default() },
    };
    let password = match &options.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the password in {}: {error}", path.display()))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        None => found.password,
    };
    let mut client =
        Client::default().with_url(found.url).with_product_info("logweir-query", env!("CARGO_PKG_VERSION"));
    if let Some(user) = options.user.clone().or(found.user) {
        client = client.with_user(user);
    }
    if let Some(password) = password {
        client = client.with_password(password);
    }
    if let Some(database) = options.database.clone().or(found.database) {
        client = client.with_database(database);
    }
    Ok(client)
}

fn of_configuration(path: &Path) -> Result<Server, String> {
    let (document, problems) = read(path, &Options::default());
    if problems.has_errors() {
        return Err(problems.render(false));
    }
    let output = first_output(&document.root).ok_or_else(|| {
        format!("{} has no output of @type clickhouse; name the server with --url", path.display())
    })?;
    Ok(of_output(output))
}

/// The first clickhouse output, also in labels and in the stores of a copy.
fn first_output(element: &Element) -> Option<&Element> {
    element.elements.iter().find_map(|inner| {
        let is_output = matches!(inner.name.as_str(), "match" | "store" | "secondary");
        let is_clickhouse = inner.plugin_type().is_some_and(|name| TYPES.contains(&name));
        if is_output && is_clickhouse { Some(inner) } else { first_output(inner) }
    })
}

/// The first server of an output; without a host, the store that it runs.
fn of_output(output: &Element) -> Server {
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| output.text(name))
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let is_on =
        |names: &[&str]| text(names).is_some_and(|text| matches!(text.as_str(), "true" | "yes" | "1"));
    let tls = is_on(&["ssl", "secure", "use_ssl", "tls"]) || text(&["scheme"]).as_deref() == Some("https");
    let (scheme, port) = if tls { ("https", "8443") } else { ("http", "8123") };
    let port = text(&["port"]).unwrap_or_else(|| port.to_owned());
    let listed = text(&["urls", "url", "endpoints"]).or_else(|| text(&["host", "hosts"]));
    let first = listed.as_deref().and_then(|list| list.split(',').next()).unwrap_or("127.0.0.1");
    let first =
        first.trim_matches(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"')).trim_end_matches('/');
    let (scheme, authority) = first.split_once("://").unwrap_or((scheme, first));
    let authority = match authority.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:{port}"),
    };
    Server {
        url: format!("{scheme}://{authority}"),
        user: text(&["user", "username"]),
        password: text(&["password"]),
        database: text(&["database", "db"]).filter(|database| !database.contains(['$', '%'])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<Server, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fluent.conf");
        std::fs::write(&path, text).unwrap();
        of_configuration(&path)
    }

    #[test]
    fn the_first_clickhouse_output() {
        let text = "<label @A>\n<match **>\n@type copy\n<store>\n@type clickhouse\nhost a, b\nuser u\npassword p\n\
                    database logs\ntable t\n</store>\n</match>\n</label>";
        let expected = Server {
            url: "http://a:8123".to_owned(),
            user: Some("u".to_owned()),
            password: Some("p".to_owned()),
            database: Some("logs".to_owned()),
        };
        assert_eq!(server(text), Ok(expected));
        let url = |lines: &str| {
            server(&format!("<match **>\n@type clickhouse\n{lines}\n</match>")).map(|server| server.url)
        };
        assert_eq!(url("path /data\nport 81").as_deref(), Ok("http://127.0.0.1:81"));
        assert_eq!(url("host h:9\nssl true").as_deref(), Ok("https://h:9"));
        assert_eq!(url("urls [\"https://x\", \"https://y\"]").as_deref(), Ok("https://x:8123"));
        assert!(server("<match **>\n@type null\n</match>").unwrap_err().contains("--url"));
        assert!(server("<match **>\n").is_err());
    }
}
