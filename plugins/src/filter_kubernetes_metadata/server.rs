//! Which API server, and how it is talked to.

use super::settings::Environment;
use hyper::Uri;
use logweir_engine::config::{Diagnostic, Params, without_credentials};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct ServerSettings {
    /// As it is written, or made of the environment: what `master_url` is.
    pub(super) url: String,
    /// `https://host:port/api/v1`
    pub(super) base: String,
    pub(super) ca_file: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) verify: bool,
    pub(super) token_file: Option<PathBuf>,
    pub(super) open_timeout: Duration,
    pub(super) read_timeout: Duration,
}

impl ServerSettings {
    /// `None` if neither the parameters nor the environment name one.
    pub(super) fn new(params: &Params, environment: &Environment) -> Result<Option<Self>, Diagnostic> {
        // An empty text is as good as none: `"#{ENV['KUBERNETES_CA_FILE']}"`.
        let text = |name: &str| params.str(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let Some(url) = text("kubernetes_url").or_else(|| environment.service.as_ref().map(service_url))
        else {
            return Ok(None);
        };
        let version = params.string("apiVersion");
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(params.error("apiVersion", format!("no version of the API: {version}")));
        }
        let base = base(&url).map_err(|why| params.error("kubernetes_url", why))?;
        let secret = |name: &str| {
            let path = Path::new(params.str("secret_dir").unwrap_or_default()).join(name);
            path.is_file().then(|| path.display().to_string())
        };
        let token_file = text("bearer_token_file");
        if let Some(path) = &token_file
            && let Err(error) = std::fs::read_to_string(path)
        {
            return Err(params.error("bearer_token_file", format!("cannot read {path}: {error}")));
        }
        let seconds = |name: &str| match params.int(name).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if number > 0 => Ok(Duration::from_secs(number.into())),
            _ => Err(params.error(name, format!("{name} must be at least 1 second"))),
        };
        Ok(Some(Self {
            base: format!("{base}/{version}"),
            url,
            ca_file: text("ca_file").or_else(|| secret("ca.crt")),
            client_cert: text("client_cert"),
            client_key: text("client_key"),
            verify: params.bool("verify_ssl"),
            token_file: token_file.or_else(|| secret("token")).map(PathBuf::from),
            open_timeout: seconds("open_timeout")?,
            read_timeout: seconds("read_timeout")?,
        }))
    }
}

fn service_url((host, port): &(String, String)) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(_) => format!("https://[{host}]:{port}/api"),
        Err(_) => format!("https://{host}:{port}/api"),
    }
}

/// The URL up to `/api`, which is added if the path does not end with it.
fn base(url: &str) -> Result<String, String> {
    let shown = without_credentials(url);
    let uri: Uri = url.parse().map_err(|error| format!("no URL: {shown}: {error}"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err(format!("no URL of a server: {shown} (expected https://host:port/api)"));
    };
    if !matches!(scheme, "http" | "https") {
        return Err(format!("{shown}: the API server is reached with https, or http, not with {scheme}"));
    }
    if authority.as_str().contains('@') {
        return Err(format!(
            "{shown}: user and password have no place here; use bearer_token_file or client_cert"
        ));
    }
    let path = uri.path().trim_end_matches('/');
    let api = if path.ends_with("/api") { "" } else { "/api" };
    Ok(format!("{scheme}://{authority}{path}{api}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_ends_with_api() {
        for (url, expected) in [
            ("https://10.0.0.1:443/api", "https://10.0.0.1:443/api"),
            ("https://10.0.0.1", "https://10.0.0.1/api"),
            ("https://[::1]:6443/", "https://[::1]:6443/api"),
            ("http://host:8001/k8s/clusters/c/api/", "http://host:8001/k8s/clusters/c/api"),
        ] {
            assert_eq!(base(url).as_deref(), Ok(expected));
        }
        for wrong in ["", "host", "host:443", "/api", "ftp://host", "https://u:p@host", "https://"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
        assert!(!base("https://u:geheim@host").unwrap_err().contains("geheim"));
    }

    #[test]
    fn the_environment_of_a_pod() {
        let of = |host: &str| service_url(&(host.to_owned(), "443".to_owned()));
        assert_eq!(of("10.96.0.1"), "https://10.96.0.1:443/api");
        assert_eq!(of("fd00::1"), "https://[fd00::1]:443/api");
    }
}
