//! `"#{...}"` until the expression room is in place.
use logweir_engine::config::{Evaluate, Evaluated};

pub(crate) struct Embedded;

impl Evaluate for Embedded {
    fn evaluate(&self, code: &str) -> Result<Evaluated, String> {
        for part in code.split("||").map(str::trim) {
            let quoted = |text: &str| {
                let text = text.trim();
                let inner = text
                    .strip_prefix('\'')
                    .and_then(|t| t.strip_suffix('\''))
                    .or_else(|| text.strip_prefix('"').and_then(|t| t.strip_suffix('"')));
                inner.map(str::to_owned)
            };
            if let Some(name) =
                part.strip_prefix("ENV[").and_then(|rest| rest.strip_suffix(']')).and_then(quoted)
            {
                if let Ok(value) = std::env::var(name) {
                    return Ok(Evaluated::Text(value));
                }
            } else if part == "Socket.gethostname" || part == "hostname" {
                return Ok(Evaluated::Text(
                    rustix::system::uname().nodename().to_string_lossy().into_owned(),
                ));
            } else if part == "use_nil" {
                return Ok(Evaluated::UseNil);
            } else if part == "use_default" {
                return Ok(Evaluated::UseDefault);
            } else if let Some(text) = quoted(part) {
                return Ok(Evaluated::Text(text));
            } else if part.parse::<i64>().is_ok() {
                return Ok(Evaluated::Text(part.to_owned()));
            } else {
                return Err(format!("unsupported expression {code}"));
            }
        }
        Ok(Evaluated::Nil)
    }
}
