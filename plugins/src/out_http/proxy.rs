//! `proxy http://USER:PASSWORD@HOST:PORT`

use crate::http_query::percent_decoded;
use base64::Engine;
use hyper::Uri;
use hyper::header::HeaderValue;
use logweir_engine::config::{Diagnostic, Params, without_credentials};

/// A proxy, and what it knows its users by.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    /// Without user and password.
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The one of the parameter, else of `HTTP_PROXY` or `http_proxy`, for endpoints of both schemes. An empty text is none.
    pub(super) fn of(
        params: &Params,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Diagnostic> {
        let (source, url) = match params.str("proxy") {
            Some(url) => ("'proxy'", url.to_owned()),
            None => match ["HTTP_PROXY", "http_proxy"]
                .into_iter()
                .find_map(|name| Some((name, environment(name)?)))
            {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        if url.is_empty() {
            return Ok(None);
        }
        Self::parse(&url).map(Some).map_err(|reason| {
            let shown = without_credentials(&url);
            params.error("proxy", format!("{source} is no URL of a proxy: {shown}: {reason}"))
        })
    }

    fn parse(url: &str) -> Result<Self, String> {
        let expected = "expected http://HOST:PORT";
        let uri: Uri = url.parse().map_err(|error| format!("{error}; {expected}"))?;
        if let Some(scheme) = uri.scheme_str().filter(|scheme| *scheme != "http") {
            return Err(format!("a proxy is spoken to with http, not with {scheme}"));
        }
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(expected)?;
        let (user, address) = match authority.as_str().rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority.as_str()),
        };
        if address != authority.host() && authority.port_u16().is_none() {
            return Err(expected.to_owned());
        }
        let uri = Uri::builder().scheme("http").authority(address).path_and_query("/").build();
        Ok(Self { uri: uri.map_err(|error| error.to_string())?, authorization: user.map(basic).transpose()? })
    }

    /// Host and port, for messages.
    pub(super) fn address(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

/// `USER:PASSWORD`, both percent-encoded, as the value of a header.
fn basic(user: &str) -> Result<HeaderValue, String> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let pair = [percent_decoded(user.as_bytes()), percent_decoded(password.as_bytes())].join(&b':');
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_params;

    /// The address and the credentials that a parameter and an environment make.
    fn read(parameter: &str, environment: &[(&str, &str)]) -> Result<Option<(String, String)>, String> {
        with_params(&super::super::PLUGIN, &format!("endpoint http://h/\n{parameter}"), |params, _| {
            let get = |name: &str| {
                environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            let proxy = Proxy::of(params, get)?;
            Ok(proxy.map(|proxy| {
                let credentials = proxy.authorization.as_ref().map(|value| {
                    let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
                    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap())
                        .unwrap()
                });
                (proxy.address().to_owned(), credentials.unwrap_or_default())
            }))
        })
    }

    #[test]
    fn the_parameter_goes_before_the_environment() {
        let of = |address: &str, credentials: &str| Ok(Some((address.to_owned(), credentials.to_owned())));
        assert_eq!(read("", &[]), Ok(None));
        assert_eq!(read("proxy http://p:3128", &[("HTTP_PROXY", "http://e:1")]), of("p:3128", ""));
        assert_eq!(read("", &[("http_proxy", "http://e:1/")]), of("e:1", ""));
        assert_eq!(read("", &[("http_proxy", "http://e:1"), ("HTTP_PROXY", "f:2")]), of("f:2", ""));
        assert_eq!(read("proxy \"\"", &[("HTTP_PROXY", "http://e:1")]), Ok(None));
        assert_eq!(read("", &[("https_proxy", "http://e:1")]), Ok(None), "Fluentd does not look at it");
        assert_eq!(read("proxy http://u:p%40%3a+@p:1", &[]), of("p:1", "u:p@:+"));
        assert_eq!(read("proxy http://u@[::1]:1", &[]), of("[::1]:1", "u:"));
    }

    #[test]
    fn mistakes() {
        let error = |text: &str| read(&format!("proxy {text}"), &[]).unwrap_err();
        assert!(error("https://p:1").contains("spoken to with http, not with https"));
        assert!(error("/p").contains("'proxy' is no URL of a proxy: /p: expected http://HOST:PORT"));
        let secret = error("socks5://u:geheim@p");
        assert!(secret.contains("not with socks5") && !secret.contains("geheim"), "{secret}");
        let environment = read("", &[("http_proxy", "http://p:port")]).unwrap_err();
        assert!(environment.contains("http_proxy is no URL of a proxy"), "{environment}");
    }
}
