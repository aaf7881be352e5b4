//! Cross-origin requests: which pages may send from a browser.

use logweir_engine::config::{Diagnostic, Params};

/// `cors_allow_origins` and `cors_allow_credentials`.
#[derive(Debug)]
pub(super) struct Cors {
    any: bool,
    origins: Vec<String>,
    credentials: bool,
    /// Whether a request that names no page may send: it comes from no browser. Fluentd 1.19 thinks so.
    without_origin: bool,
}

/// The headers of an answer to a page that may send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Access-Control-Allow-Origin
    pub(super) origin: Vec<u8>,
    /// Access-Control-Allow-Credentials
    pub(super) credentials: bool,
}

impl Cors {
    pub(super) fn new(params: &Params, without_origin: bool) -> Result<Option<Self>, Diagnostic> {
        let origins = params.array("cors_allow_origins");
        let credentials = params.bool("cors_allow_credentials");
        let any = origins.iter().flatten().any(|origin| origin == "*");
        if credentials && (any || origins.is_none()) {
            let message = "Cannot enable cors_allow_credentials without specific origins";
            return Err(params.error("cors_allow_credentials", message));
        }
        Ok(origins.map(|origins| Self { any, origins, credentials, without_origin }))
    }

    /// Whether a request with that origin is asked about at all.
    pub(super) fn concerns(&self, origin: Option<&[u8]>) -> bool {
        self.any || origin.is_some() || !self.without_origin
    }

    /// What a page of `origin` is answered; `None` if it may not send.
    pub(super) fn allows(&self, origin: Option<&[u8]>) -> Option<Allowed> {
        if self.any {
            return Some(Allowed { origin: b"*".to_vec(), credentials: false });
        }
        let origin = origin?;
        let is_it = |allowed: &String| match allowed.split_once('*') {
            _ if allowed.as_bytes() == origin => true,
            Some((start, end)) => {
                origin.starts_with(start.as_bytes())
                    && origin.ends_with(end.as_bytes())
                    && origin.len() >= start.len() + end.len()
            }
            None => false,
        };
        let allowed = self.origins.iter().any(is_it);
        allowed.then(|| Allowed { origin: origin.to_vec(), credentials: self.credentials })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let cors = |origins: &[&str]| Cors {
            any: origins.contains(&"*"),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            credentials: false,
            without_origin: false,
        };
        for (allowed, origin, expected) in [
            (&["http://a.com"][..], Some("http://a.com"), true),
            (&["http://a.com"], Some("http://a.com.evil"), false),
            (&["http://a.com"], None, false),
            (&["", "http://*.a.com"], Some("http://x.a.com"), true),
            (&["http://*.a.com"], Some("http://a.com"), false),
            (&["a*a"], Some("a"), false),
            (&["*"], None, true),
            (&["x", "*"], Some("y"), true),
            (&[], Some("y"), false),
        ] {
            let allows = cors(allowed).allows(origin.map(str::as_bytes));
            assert_eq!(allows.is_some(), expected, "{allowed:?} {origin:?}");
        }
        let later = Cors { without_origin: true, ..cors(&["http://a.com"]) };
        assert!(
            !later.concerns(None) && later.concerns(Some(b"x")) && cors(&["http://a.com"]).concerns(None)
        );
        assert_eq!(cors(&["*"]).allows(Some(b"y")).map(|allowed| allowed.origin), Some(b"*".to_vec()));
    }
}
