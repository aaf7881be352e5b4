//! From `<buffer>` and `<secondary>` to a runtime, or to the error that Fluentd gives.

use crate::buffer::{Chunk, ChunkFiles, Limits};
use crate::config::{Diagnostic, Params, System};
use crate::output::buffered::limits;
use crate::output::keys::ChunkKeys;
use crate::output::location::{FileKind, Location};
use crate::output::settings::{FlushMode, FlushSettings};
use crate::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, Descriptor, Driver, EmitFuture, Kind,
    Output, OutputPlugin, PluginId, WriteFuture,
};
use crate::telemetry::PluginLog;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

struct Dummy;

impl BufferedOutput for Dummy {
    fn write<'a>(&'a self, _: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Output for Dummy {
    fn emit<'a>(
        &'a self,
        _: crate::event::EventStream,
        _: &'a mut crate::delivery::Receipt,
    ) -> EmitFuture<'a> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn buffered(_: &Params, _: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    Ok(OutputPlugin::Buffered(Box::new(Dummy)))
}

fn direct(_: &Params, _: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    Ok(OutputPlugin::Direct(Box::new(Dummy)))
}

const STANDARD: BufferSupport = BufferSupport::Always(BufferDefaults::STANDARD);
const DAILY: BufferSupport = BufferSupport::Always(BufferDefaults {
    chunk_keys: &["time"],
    params: &[("@type", "file"), ("timekey", "1d"), ("chunk_limit_size", "10k")],
});

static PLAIN: Descriptor = Descriptor {
    buffer: STANDARD,
    ..Descriptor::new(Kind::Output, "plain", "Buffered", Build::Output(buffered))
};
static SLICED: Descriptor = Descriptor {
    buffer: DAILY,
    ..Descriptor::new(Kind::Output, "sliced", "Buffered by time", Build::Output(buffered))
};
static DIRECT: Descriptor = Descriptor::new(Kind::Output, "direct", "Not buffered", Build::Output(direct));

fn driver() -> Driver {
    Driver::new(&[&PLAIN, &SLICED, &DIRECT])
}

fn directive(kind: &str, inside: &str) -> String {
    format!("<match **>\n@type {kind}\n{inside}\n</match>")
}

/// The message with which a directive is refused; empty if it is not.
fn refused(kind: &str, inside: &str) -> String {
    let built = driver().output(&directive(kind, inside));
    built.err().map(|error| error.message().to_owned()).unwrap_or_default()
}

fn settings(inside: &str) -> FlushSettings {
    let params = driver().params(Kind::Output, &directive("plain", inside)).unwrap();
    let keys = ChunkKeys::of(&params, STANDARD).unwrap();
    FlushSettings::new(&params, params.section("buffer").unwrap(), &keys, false, &PluginLog::program())
        .unwrap()
}

#[test]
fn what_fluentd_refuses_is_refused_in_its_words() {
    for (inside, message) in [
        ("<buffer time>\n</buffer>", "<buffer ...> argument includes 'time', but timekey is not configured"),
        ("<buffer time>\ntimekey 0\n</buffer>", "timekey should be greater than 0. current timekey: 0"),
        ("<buffer time>\ntimekey 1h\ntimekey_zone PST\n</buffer>", "Unsupported timezone 'PST'"),
        ("<buffer a b>\n</buffer>", "chunk_keys specification includes invalid char"),
        ("<buffer $['a']>\n</buffer>", "in chunk_keys: in chunk_keys: bracket notation is not allowed"),
        (
            "<buffer>\nflush_mode immediate\nflush_interval 1s\n</buffer>",
            "'flush_interval' can't be specified when 'flush_mode' is not 'interval' explicitly: 'immediate'",
        ),
        ("<buffer>\n@type file\n</buffer>", "buffer path is not configured. specify 'path' in <buffer>"),
        (
            "<buffer>\n@type tape\n</buffer>",
            "Unknown buffer plugin 'tape'. Run 'gem search -rd fluent-plugin' to find plugins",
        ),
        ("<buffer tag,k>\n@type file_single\npath /tmp/x\n</buffer>", "chunk keys must be tag or one field"),
        ("<buffer j,k>\n@type file_single\npath /tmp/x\n</buffer>", "2 or more chunk keys is not allowed"),
        (
            "<secondary>\n<buffer>\n</buffer>\n</secondary>",
            "<secondary> section cannot have <buffer> section",
        ),
        (
            "<secondary>\n@type direct\n</secondary>",
            "secondary plugin 'Fluent::Plugin::DirectOutput' must support buffering, but doesn't.",
        ),
        (
            "<buffer>\nretry_secondary_threshold 1.5\n</buffer>\n<secondary>\n</secondary>",
            "retry_secondary_threshold must be between 0 and 1: 1.5",
        ),
        ("<buffer>\nflush_thread_count -1\n</buffer>", "flush_thread_count must be between 0 and 1024: -1"),
        (
            "<buffer>\n@type file\npath /tmp/x\nfile_permission rw\n</buffer>",
            "file_permission must be an octal mode such as 0644: rw",
        ),
        ("<buffer tag,a,b,$.c.d>\n</buffer>\n<secondary>\n@type sliced\n</secondary>", ""),
    ] {
        assert_eq!(refused("plain", inside), message, "{inside}");
    }
    assert_eq!(
        refused("direct", "<buffer>\n</buffer>"),
        "<buffer> section is configured, but plugin 'Fluent::Plugin::DirectOutput' doesn't support buffering"
    );
    assert_eq!(
        refused("direct", "<secondary>\n@type plain\n</secondary>"),
        "Invalid <secondary> section for non-buffered plugin"
    );
}

#[test]
fn one_path_is_for_one_buffer() {
    let mut driver = driver();
    let text = directive("plain", "<buffer>\n@type file\npath /tmp/same\n</buffer>");
    driver.output(&text).unwrap();
    assert_eq!(
        driver.output(&text).err().unwrap().message(),
        "Other 'plain' plugin already use same buffer path: type = plain, buffer path = /tmp/same"
    );
}

#[test]
fn the_flush_mode_follows_from_keys_and_intervals() {
    for (inside, mode) in [
        ("", FlushMode::Interval),
        ("<buffer time>\ntimekey 1h\n</buffer>", FlushMode::Lazy),
        ("<buffer time>\ntimekey 1h\nflush_interval 5s\n</buffer>", FlushMode::Lazy), // with a warning
        ("<buffer time>\ntimekey 1h\nflush_mode interval\nflush_interval 5s\n</buffer>", FlushMode::Interval),
        ("flush_interval 5s\n<buffer time>\ntimekey 1h\n</buffer>", FlushMode::Interval),
        ("<buffer>\nflush_mode immediate\n</buffer>", FlushMode::Immediate),
    ] {
        assert_eq!(settings(inside).mode, mode, "{inside}");
    }
}

#[test]
fn chunks_are_looked_at_as_often_as_fluentd_does() {
    for (inside, seconds) in [
        ("", Some(60.0 / 11.0)),
        ("<buffer>\nflush_interval 5s\n</buffer>", Some(1.0)),
        ("<buffer>\nflush_interval 1s\nflush_thread_interval 0.1\n</buffer>", Some(0.1)),
        ("<buffer>\nflush_interval 0\nflush_thread_interval 0\n</buffer>", Some(0.01)),
        ("<buffer>\nflush_mode immediate\n</buffer>", None),
        ("<buffer time>\ntimekey 1h\n</buffer>", Some(600.0 / 11.0)),
        ("<buffer time>\ntimekey 1h\ntimekey_wait 2h\n</buffer>", Some(3600.0 / 11.0)),
        ("<buffer time>\ntimekey 1h\nflush_mode interval\nflush_interval 33s\n</buffer>", Some(3.0)),
        ("<buffer time>\ntimekey 20s\nflush_mode interval\nflush_interval 33s\n</buffer>", Some(20.0 / 11.0)),
    ] {
        let found = settings(inside).enqueue_interval();
        assert_eq!(found, seconds.map(Duration::from_secs_f64), "{inside}");
    }
}

#[test]
fn limits_have_fluentds_defaults() {
    let of = |kind: &str, inside: &str, persistent| {
        let params = driver().params(Kind::Output, &directive(kind, inside)).unwrap();
        limits(params.section("buffer").unwrap(), persistent, 1)
    };
    assert_eq!(of("plain", "", false), Limits { queued_chunks: 1, ..Limits::MEMORY });
    assert_eq!(of("plain", "", true), Limits { queued_chunks: 1, ..Limits::FILE });
    let queue = of("plain", "<buffer>\nchunk_limit_size 1k\nqueue_limit_length 8\n</buffer>", false);
    assert_eq!((queue.chunk_bytes, queue.total_bytes), (1024, 8192));
    let own = of("sliced", "<buffer>\nqueued_chunks_limit_size 9\nchunk_limit_records 5\n</buffer>", true);
    assert_eq!((own.chunk_bytes, own.queued_chunks, own.chunk_records), (10 * 1024, 9, Some(5)));
}

#[test]
fn an_empty_argument_means_the_plugins_keys() {
    for (inside, timed) in [
        ("", true),
        ("<buffer>\n</buffer>", true),
        ("<buffer []>\n</buffer>", false),
        ("<buffer tag>\n</buffer>", false),
    ] {
        let params = driver().params(Kind::Output, &directive("sliced", inside)).unwrap();
        let keys = ChunkKeys::of(&params, DAILY).unwrap();
        assert_eq!(keys.time.is_some(), timed, "{inside}");
    }
}

/// Where a buffer lies: directory, what names begin and end with, directories of other workers.
fn place(inside: &str, kind: FileKind, workers: u32, fallback: Option<&str>) -> (String, String, usize) {
    let system = System { workers, root_dir: Some("/no/root".into()), ..System::default() };
    let files = files(inside, kind, &system, fallback);
    (files.dir.display().to_string(), format!("{}*{}", files.prefix, files.suffix), files.also.len())
}

fn files(inside: &str, kind: FileKind, system: &System, fallback: Option<&str>) -> ChunkFiles {
    let driver = driver();
    let params = driver.params(Kind::Output, &directive("plain", inside)).unwrap();
    let id = PluginId { text: Arc::from("id"), configured: params.plugin_id().is_some() };
    let location = Location {
        fs: &crate::io::RealFs,
        kind,
        buffer: params.section("buffer").unwrap(),
        keys: &ChunkKeys::default(),
        id: &id,
        system,
        fallback,
        log: &PluginLog::program(),
    };
    location.resolve().unwrap_or_else(|error| panic!("{}", error.message())).1
}

#[test]
fn folders_of_former_workers_are_looked_into_however_many_there_were() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path();
    for worker in ["d/worker10", "d/worker1", "d/workers", "root/worker0/id", "root/worker2/id"] {
        std::fs::create_dir_all(there.join(worker)).unwrap();
    }
    std::fs::write(there.join("d/worker3"), "").unwrap();
    let path = format!("<buffer>\npath {}/d\n</buffer>", there.display());
    let found = |inside: &str, system: System| {
        let root_dir = Some(there.join("root"));
        let files = files(inside, FileKind::File, &System { root_dir, ..system }, None);
        let shown = |dir: &Path| dir.strip_prefix(there).unwrap().display().to_string();
        let also: Vec<String> = files.also.iter().map(|dir| shown(dir)).collect();
        (shown(&files.dir), also.join(" "))
    };
    let pair = |dir: &str, also: &str| (dir.to_owned(), also.to_owned());
    let system = System::default;
    assert_eq!(found(&path, system()), pair("d", "d/worker1 d/worker10"));
    let two = System { workers: 2, ..system() };
    assert_eq!(found(&path, two.clone()), pair("d/worker0", "d d/worker1 d/worker10"));
    assert_eq!(found("@id id", two.clone()), pair("root/worker0/id/buffer", "root/worker2/id/buffer"));
    let inside = two.in_workers(1..=1);
    assert_eq!(found("@id id", inside.clone()).0, "root/worker1/id/buffer");
    assert_eq!(found(&path, inside), pair("d", "d/worker1 d/worker10"), "one worker: no folder of its own");
}

#[test]
fn files_lie_where_fluentd_puts_them() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().display().to_string();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let path = |path: &str| format!("<buffer>\npath {path}\n</buffer>");
    let found = |text: &str, name: &str, also| (text.to_owned(), name.to_owned(), also);
    let rows = [
        (path("/no/d"), 1, None, found("/no/d", "buffer*.log", 0)),
        (path("/no/d"), 3, None, found("/no/d/worker0", "buffer*.log", 1)),
        (path(&there), 1, None, found(&there, "buffer*.log", 0)),
        (path("/no/x.*.buf"), 1, None, found("/no", "x*.buf", 0)),
        (path("/no/x.*"), 1, None, found("/no", "x*.log", 0)),
        (path(&format!("{there}/file")), 1, None, found(&there, "file*.log", 0)),
        (
            "<buffer>\npath /no/d\npath_suffix .b\n</buffer>".to_owned(),
            1,
            None,
            found("/no/d", "buffer*.b", 0),
        ),
        ("@id id".to_owned(), 1, Some("/no/own"), found("/no/root/worker0/id/buffer", "buffer*.log", 0)),
        ("@id id".to_owned(), 2, None, found("/no/root/worker0/id/buffer", "buffer*.log", 0)),
        (String::new(), 1, Some("/no/own"), found("/no/own", "buffer*.log", 0)),
    ];
    for (inside, workers, fallback, expected) in rows {
        assert_eq!(place(&inside, FileKind::File, workers, fallback), expected, "{inside}");
    }
    let single = |text: &str| place(&path(text), FileKind::Single, 1, None);
    assert_eq!(single("/no/d"), found("/no/d", "fsb*.buf", 0));
    assert_eq!(single("/no/x.*"), found("/no", "x*.buf", 0));
    assert_eq!(single("/no/x.*.y"), found("/no", "fsb*.buf", 0));
    assert!(!Path::new("/no").exists());
}
