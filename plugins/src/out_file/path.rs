//! From `path` to the template of file names.
//!
//! | path | time slices | name |
//! |---|---|---|
//! | `/d/app` | daily | `/d/app.%Y%m%d_**.log` |
//! | `/d/app` | none | `/d/app_**.log` |
//! | `/d/app.*.txt` | daily | `/d/app.%Y%m%d_**.txt` |
//! | `/d/%Y%m%d/app` | daily | `/d/%Y%m%d/app_**.log` |
//!
//! `_**` becomes `_0`, `_1`, ...; with `append` there is none.

/// Stands for the index in a template.
pub(super) const INDEX: &str = "_**";

/// What decides the name, apart from the path itself.
pub(super) struct PathRule<'a> {
    /// Length of a time slice, seconds; `None` without the chunk key `time`.
    pub timekey: Option<f64>,
    pub append: bool,
    pub path_suffix: &'a str,
    pub compression_suffix: &'a str,
    /// Of older configurations: the form of the time in the name.
    pub time_slice_format: Option<&'a str>,
}

impl PathRule<'_> {
    /// The template for `path`.
    pub(super) fn template(&self, path: &str) -> Result<String, String> {
        let Self { path_suffix, compression_suffix, .. } = self;
        let index = if self.append { "" } else { INDEX };
        let time = self.timekey.map(|unit| self.time_slice_format.unwrap_or(time_format(unit)));
        if path.contains('*') {
            let Some(time) = time else {
                return Err("path including '*' must be used with buffer chunk key 'time'".to_owned());
            };
            return Ok(path.replace('*', &format!("{time}{index}")) + compression_suffix);
        }
        let end = format!("{index}{path_suffix}{compression_suffix}");
        match time {
            None => Ok(format!("{path}{end}")),
            Some(time) if self.time_slice_format.is_some() => Ok(format!("{path}.{time}{end}")),
            Some(time) => {
                let present = directives(time).filter(|directive| path.contains(directive)).count();
                if present == 0 {
                    return Ok(format!("{path}.{time}{end}"));
                }
                if present < directives(time).count() {
                    return Err("insufficient timestamp placeholders in path".to_owned());
                }
                Ok(format!("{path}{end}"))
            }
        }
    }
}

/// The parts of time that tell slices of `unit` seconds apart.
fn time_format(unit: f64) -> &'static str {
    if unit < 60.0 {
        "%Y%m%d%H%M%S"
    } else if unit < 3600.0 {
        "%Y%m%d%H%M"
    } else if unit < 86400.0 {
        "%Y%m%d%H"
    } else {
        "%Y%m%d"
    }
}

fn directives(format: &str) -> impl Iterator<Item = &str> {
    (0..format.len() / 2).map(|n| &format[n * 2..n * 2 + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAILY: PathRule<'static> = PathRule {
        timekey: Some(86400.0),
        append: false,
        path_suffix: ".log",
        compression_suffix: "",
        time_slice_format: None,
    };

    #[test]
    fn names_follow_fluentds_rules() {
        let hourly = || PathRule { timekey: Some(3600.0), ..DAILY };
        let rows = [
            (DAILY, "/d/app", "/d/app.%Y%m%d_**.log"),
            (PathRule { append: true, ..DAILY }, "/d/app", "/d/app.%Y%m%d.log"),
            (PathRule { timekey: None, ..DAILY }, "/d/app", "/d/app_**.log"),
            (PathRule { timekey: None, append: true, path_suffix: "", ..DAILY }, "/d/app", "/d/app"),
            (DAILY, "/d/app.*.txt", "/d/app.%Y%m%d_**.txt"),
            (PathRule { append: true, ..DAILY }, "/d/app.*", "/d/app.%Y%m%d"),
            (DAILY, "/d/%Y%m%d/app", "/d/%Y%m%d/app_**.log"),
            (hourly(), "/d/app", "/d/app.%Y%m%d%H_**.log"),
            (hourly(), "/d/%Y/%m/%d/%H", "/d/%Y/%m/%d/%H_**.log"),
            (PathRule { timekey: Some(60.0), ..DAILY }, "/d/app", "/d/app.%Y%m%d%H%M_**.log"),
            (PathRule { timekey: Some(59.9), ..DAILY }, "/d/app", "/d/app.%Y%m%d%H%M%S_**.log"),
            (PathRule { compression_suffix: ".gz", ..DAILY }, "/d/app", "/d/app.%Y%m%d_**.log.gz"),
            (PathRule { compression_suffix: ".gz", ..DAILY }, "/d/*", "/d/%Y%m%d_**.gz"),
            (PathRule { time_slice_format: Some("%Y-%m"), ..DAILY }, "/d/app", "/d/app.%Y-%m_**.log"),
            (PathRule { time_slice_format: Some("%Y-%m"), ..DAILY }, "/d/*.x", "/d/%Y-%m_**.x"),
        ];
        for (rule, path, expected) in rows {
            assert_eq!(rule.template(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn half_a_time_is_refused() {
        for path in ["/d/%Y", "/d/%Y%m/app", "/d/%d"] {
            assert_eq!(DAILY.template(path).unwrap_err(), "insufficient timestamp placeholders in path");
        }
        let untimed = PathRule { timekey: None, ..DAILY };
        assert_eq!(
            untimed.template("/d/*").unwrap_err(),
            "path including '*' must be used with buffer chunk key 'time'"
        );
    }
}
