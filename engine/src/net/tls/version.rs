//! Protocol versions as Fluentd spells them.

use super::TlsError;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// The words of `version`, `min_version`, `max_version` and `tls_version`.
pub const TLS_VERSIONS: &[&str] = &["TLSv1_1", "TLSv1_2", "TLSv1_3", "TLS1_1", "TLS1_2", "TLS1_3"];

static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// The versions that a configuration allows. Nothing written means TLS 1.2 and 1.3 (Fluentd 1.16 has 1.2 alone; a
/// peer that speaks only 1.3 gains, nobody loses). `parameter` is the name of the parameter for one version.
pub fn protocol_versions(
    parameter: &'static str,
    version: Option<&str>,
    min: Option<&str>,
    max: Option<&str>,
) -> Result<&'static [&'static SupportedProtocolVersion], TlsError> {
    match (min, max) {
        (None, None) => match version {
            None => Ok(BOTH),
            Some(version) if is(version, '2') => Ok(ONLY_12),
            Some(version) if is(version, '3') => Ok(ONLY_13),
            Some(version) => Err(TlsError::new(
                parameter,
                format!("{version} is not supported: it is insecure; use TLSv1_2 or TLSv1_3"),
            )),
        },
        (None, Some(_)) => {
            Err(TlsError::new("max_version", "When you set max_version, must set min_version together"))
        }
        (Some(_), None) => {
            Err(TlsError::new("min_version", "When you set min_version, must set max_version together"))
        }
        (Some(min), Some(max)) => match (is(min, '3'), is(max, '2'), is(max, '3')) {
            (false, true, _) => Ok(ONLY_12),
            (false, _, true) => Ok(BOTH),
            (true, _, true) => Ok(ONLY_13),
            (true, true, _) => Err(TlsError::new("min_version", "min_version is above max_version")),
            _ => Err(TlsError::new(
                "max_version",
                format!("{max} is not supported: it is insecure; use TLSv1_2 or TLSv1_3"),
            )),
        },
    }
}

fn is(version: &str, minor: char) -> bool {
    version.ends_with(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_the_written_parameters() {
        let names = |v, min, max| {
            protocol_versions("version", v, min, max)
                .map(|list| list.iter().map(|v| format!("{:?}", v.version)).collect::<Vec<_>>())
                .map_err(|error| error.parameter)
        };
        assert_eq!(names(None, None, None), Ok(vec!["TLSv1_3".to_owned(), "TLSv1_2".to_owned()]));
        assert_eq!(names(Some("TLSv1_2"), None, None), Ok(vec!["TLSv1_2".to_owned()]));
        assert_eq!(names(Some("TLS1_3"), None, None), Ok(vec!["TLSv1_3".to_owned()]));
        assert_eq!(names(None, Some("TLS1_1"), Some("TLS1_2")), Ok(vec!["TLSv1_2".to_owned()]));
        assert_eq!(names(None, Some("TLS1_3"), Some("TLS1_2")), Err("min_version"));
        assert_eq!(names(None, Some("TLS1_1"), Some("TLS1_1")), Err("max_version"));
        assert_eq!(names(Some("TLSv1_1"), None, None), Err("version"));
        assert_eq!(names(None, Some("TLS1_2"), None), Err("min_version"));
        assert_eq!(names(None, None, Some("TLS1_2")), Err("max_version"));
    }
}
