//! What a `<source>` of type tail says, checked.

use super::encoding::Conversion;
use super::group::GroupRules;
use super::paths::{DatedPath, GlobPolicy};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::log_warn;
use logweir_engine::plugin::{BuildContext, Parser};
use logweir_engine::time::Zone;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Least value of read_bytes_limit_per_second.
const THROTTLE_BYTES_MIN: i64 = 8192;

/// Settings of one source.
pub(super) struct Settings {
    pub(super) path: Vec<String>,
    pub(super) exclude_path: Vec<String>,
    pub(super) path_zone: Zone,
    pub(super) policy: GlobPolicy,
    pub(super) limit_recently_modified: Option<Duration>,
    pub(super) ignore_repeated_permission_error: bool,
    pub(super) tag: TagTemplate,
    pub(super) pos_file: Option<PathBuf>,
    pub(super) pos_file_compaction_interval: Option<Duration>,
    pub(super) file_permission: u32,
    pub(super) dir_permission: u32,
    pub(super) read_from_head: bool,
    pub(super) refresh_interval: Duration,
    pub(super) skip_refresh_on_startup: bool,
    pub(super) rotate_wait: Duration,
    pub(super) read_lines_limit: usize,
    pub(super) read_bytes_limit_per_second: Option<u64>,
    pub(super) multiline_flush_interval: Option<Duration>,
    pub(super) emit_unmatched_lines: bool,
    pub(super) enable_watch_timer: bool,
    pub(super) enable_stat_watcher: bool,
    pub(super) open_on_every_update: bool,
    pub(super) path_key: Option<String>,
    pub(super) follow_inodes: bool,
    pub(super) max_line_size: Option<usize>,
    pub(super) conversion: Option<Conversion>,
    /// Without `encoding` the texts of lines are byte arrays, as Fluentd sends them on.
    pub(super) binary: bool,
    pub(super) groups: Option<GroupRules>,
    pub(super) parser: Arc<dyn Parser>,
    /// Tells this source from others that read the same files; the same after a restart.
    pub(super) source: u32,
}

/// The tag with its `*`.
pub(super) enum TagTemplate {
    /// The same for all files.
    Fixed(Tag),
    /// Before and behind the path.
    Around(String, String),
}

impl TagTemplate {
    fn parse(text: &str) -> Self {
        match text.split_once('*') {
            // What follows a second star is not part of it, as in Fluentd.
            Some((before, behind)) => {
                let behind = behind.split('*').next().unwrap_or_default();
                Self::Around(before.to_owned(), behind.to_owned())
            }
            None => Self::Fixed(Tag::new(text)),
        }
    }

    /// The tag of a file: the path with dots for slashes, repeated dots as one, without a leading one.
    pub(super) fn of(&self, path: &Path) -> Tag {
        match self {
            Self::Fixed(tag) => tag.clone(),
            Self::Around(before, behind) => {
                let mut dotted = String::new();
                for c in path.to_string_lossy().chars().map(|c| if c == '/' { '.' } else { c }) {
                    if !(c == '.' && (dotted.is_empty() || dotted.ends_with('.'))) {
                        dotted.push(c);
                    }
                }
                Tag::new(&format!("{before}{dotted}{behind}"))
            }
        }
    }
}

impl Settings {
    pub(super) fn read(params: &Params, context: &mut BuildContext<'_>) -> Result<Self, Diagnostic> {
        let (enable_watch_timer, enable_stat_watcher) =
            (params.bool("enable_watch_timer"), params.bool("enable_stat_watcher"));
        if !enable_watch_timer && !enable_stat_watcher {
            let message = "either of enable_watch_timer or enable_stat_watcher must be true";
            return Err(params.error("enable_stat_watcher", message));
        }
        let path_zone = match params.str("path_timezone") {
            Some(zone) => {
                Zone::parse(zone).map_err(|error| params.error("path_timezone", error.to_string()))?
            }
            None => Zone::local(),
        };
        let pos_file = params.path("pos_file");
        let follow_inodes = params.bool("follow_inodes");
        match &pos_file {
            Some(path) => context.shared.take_path("pos_file", path, &context.id).map_err(|other| {
                let message = format!(
                    "Other 'in_tail' plugin already use same pos_file path: plugin_id = {}, pos_file path = {}",
                    other.text,
                    path.display()
                );
                params.error("pos_file", message)
            })?,
            None if follow_inodes => {
                let message = "Can't follow inodes without pos_file configuration parameter";
                return Err(params.error("follow_inodes", message));
            }
            None => {
                log_warn!(context.log, "'pos_file PATH' parameter is not set to a 'tail' source.");
                log_warn!(context.log,
                    "this parameter is highly recommended to save the position to resume tailing.");
            }
        }
        let parser = context.parser(params, None)?;
        let source = match &pos_file {
            Some(path) => crc32fast::hash(path.as_os_str().as_encoded_bytes()),
            None => crc32fast::hash(context.id.text.as_bytes()),
        };
        let permission = |configured: Option<u32>, default| configured.unwrap_or(default);
        Ok(Self {
            path: paths(params)?,
            exclude_path: params.array("exclude_path").unwrap_or_default(),
            path_zone,
            policy: policy(params)?,
            limit_recently_modified: params.time("limit_recently_modified"),
            ignore_repeated_permission_error: params.bool("ignore_repeated_permission_error"),
            tag: TagTemplate::parse(&params.string("tag")),
            pos_file,
            pos_file_compaction_interval: params.time("pos_file_compaction_interval"),
            file_permission: permission(context.system.file_permission, 0o644),
            dir_permission: permission(context.system.dir_permission, 0o755),
            read_from_head: params.bool("read_from_head"),
            refresh_interval: params.time("refresh_interval").unwrap_or(Duration::from_secs(60)),
            skip_refresh_on_startup: params.bool("skip_refresh_on_startup"),
            rotate_wait: params.time("rotate_wait").unwrap_or(Duration::from_secs(5)),
            read_lines_limit: usize::try_from(params.int("read_lines_limit").unwrap_or(1000))
                .unwrap_or(1)
                .max(1),
            read_bytes_limit_per_second: throttle(params, context, enable_watch_timer)?,
            multiline_flush_interval: params.time("multiline_flush_interval"),
            emit_unmatched_lines: params.bool("emit_unmatched_lines"),
            enable_watch_timer,
            enable_stat_watcher,
            open_on_every_update: params.bool("open_on_every_update"),
            path_key: params.str("path_key").map(str::to_owned),
            follow_inodes,
            max_line_size: params
                .size("max_line_size")
                .map(|size| usize::try_from(size).unwrap_or(usize::MAX)),
            conversion: Conversion::from_params(params, &context.log)?,
            binary: !params.is_set("encoding"),
            groups: params.section("group").map(GroupRules::read).transpose()?,
            parser,
            source,
        })
    }

    /// `path` and `exclude_path`, ready for dates.
    pub(super) fn dated(&self, paths: &[String]) -> Vec<DatedPath> {
        paths.iter().map(|path| DatedPath::new(path, self.path_zone.clone())).collect()
    }
}

fn paths(params: &Params) -> Result<Vec<String>, Diagnostic> {
    let delimiter = params.string("path_delimiter");
    if matches!(delimiter.as_str(), "/" | "*" | "%") {
        return Err(params.error("path_delimiter", format!("/, *, % are reserved words: {delimiter}")));
    }
    let text = params.string("path");
    let mut paths: Vec<String> = Vec::new();
    for path in text.split(delimiter.as_str()).map(str::trim).filter(|path| !path.is_empty()) {
        if !paths.iter().any(|other| other == path) {
            paths.push(path.to_owned());
        }
    }
    if paths.is_empty() {
        return Err(params.error("path", "tail: 'path' parameter is required on tail input"));
    }
    Ok(paths)
}

fn policy(params: &Params) -> Result<GlobPolicy, Diagnostic> {
    match params.word("glob_policy") {
        Some("always") if params.str("path_delimiter") == Some(",") => {
            let message = "cannot use glob_policy as always with the default path_delimitor: `,\"";
            Err(params.error("glob_policy", message))
        }
        Some("always") => Ok(GlobPolicy::Always),
        Some("extended") => Ok(GlobPolicy::Extended),
        _ => Ok(GlobPolicy::BackwardCompatible),
    }
}

fn throttle(
    params: &Params,
    context: &BuildContext<'_>,
    enable_watch_timer: bool,
) -> Result<Option<u64>, Diagnostic> {
    let limit = params.signed_size("read_bytes_limit_per_second").unwrap_or(-1);
    if limit <= 0 {
        return Ok(None);
    }
    if !enable_watch_timer {
        let message = "Need to enable watch timer when using log throttling feature";
        return Err(params.error("read_bytes_limit_per_second", message));
    }
    if limit < THROTTLE_BYTES_MIN {
        let message = format!(
            "Should specify greater equal than {THROTTLE_BYTES_MIN}. Use {THROTTLE_BYTES_MIN} for \
             read_bytes_limit_per_second"
        );
        log_warn!(context.log, message);
    }
    Ok(Some(limit.max(THROTTLE_BYTES_MIN) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_star_of_a_tag_is_the_path() {
        let tag = |template: &str, path: &str| TagTemplate::parse(template).of(Path::new(path)).to_string();
        assert_eq!(tag("servio.*", "/var/log/a.log"), "servio.var.log.a.log");
        assert_eq!(tag("*", "//var//log/.a"), "var.log.a");
        assert_eq!(tag("a.*.b.*.c", "/x"), "a.x.b.");
        assert_eq!(tag("plain", "/x"), "plain");
    }
}
