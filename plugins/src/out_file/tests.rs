//! The output as its buffer drives it.

use super::PLUGIN;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Driver, FormatError, Formatter, Kind, Output};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Shows the tag and the record's bytes in hexadecimal.
struct Hex;

impl Formatter for Hex {
    fn format(&self, tag: &Tag, _time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend_from_slice(tag.as_str().as_bytes());
        for byte in record {
            out.extend_from_slice(format!(" {byte:02x}").as_bytes());
        }
        out.push(b'\n');
        Ok(())
    }
}

fn hex(_: &Params, _: &mut BuildContext<'_>) -> Result<Arc<dyn Formatter>, Diagnostic> {
    Ok(Arc::new(Hex))
}

static HEX: Descriptor = Descriptor::new(Kind::Formatter, "out_file", "Hexadecimal", Build::Formatter(hex));

/// 2024-01-02T03:04:05Z
const TIME: u32 = 1_704_164_645;

/// Runs an output whose files are in `dir`/out; emits an empty record for each tag, then stops it.
async fn run(dir: &Path, more: &str, tags: &[&str]) {
    let path = dir.join("out/x");
    let text = format!("<match **>\n@type file\npath {}{more}\n</match>", path.display());
    let output = Driver::new(&[&PLUGIN, &HEX]).output(&text).unwrap_or_else(|e| panic!("{}", e.message()));
    output.start().await.unwrap();
    for tag in tags {
        emit(&*output, tag).await;
    }
    output.shutdown().await;
}

async fn emit(output: &dyn Output, tag: &str) {
    let mut entry = vec![0x92, 0xce];
    entry.extend_from_slice(&TIME.to_be_bytes());
    entry.push(0x80);
    output.emit(EventStream::new(tag.into(), entry.into(), 1), &mut Receipt::unwatched()).await.unwrap();
}

const AT_ONCE: &str = "\n<buffer []>\n@type memory\nflush_mode immediate\n</buffer>";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .map(|dir| dir.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[tokio::test]
async fn each_chunk_takes_the_next_index() {
    let dir = tempfile::tempdir().unwrap();
    for tag in ["a", "b"] {
        run(dir.path(), AT_ONCE, &[tag]).await;
    }
    assert_eq!(names(&dir.path().join("out")), ["x_0.log", "x_1.log"]);
    assert_eq!(std::fs::read(dir.path().join("out/x_1.log")).unwrap(), b"b 80\n");
}

#[tokio::test]
async fn append_adds_to_one_file() {
    let dir = tempfile::tempdir().unwrap();
    for tag in ["a", "b"] {
        run(dir.path(), &format!("\nappend true\npath_suffix .txt{AT_ONCE}"), &[tag]).await;
    }
    assert_eq!(std::fs::read(dir.path().join("out/x.txt")).unwrap(), b"a 80\nb 80\n");
}

#[tokio::test]
async fn injected_fields_come_before_the_formatting() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &format!("\n<inject>\ntag_key tag\n</inject>{AT_ONCE}"), &["a"]).await;
    assert_eq!(std::fs::read(dir.path().join("out/x_0.log")).unwrap(), b"a 81 a3 74 61 67 a1 61\n");
}

#[tokio::test]
async fn chunk_keys_fill_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let more =
        "-${tag}\nappend true\n<buffer tag,time>\n@type memory\ntimekey 1h\ntimekey_use_utc true\n</buffer>";
    run(dir.path(), more, &["a", "b", "a"]).await;
    assert_eq!(names(&dir.path().join("out")), ["x-a.2024010203.log", "x-b.2024010203.log"]);
    assert_eq!(std::fs::read(dir.path().join("out/x-a.2024010203.log")).unwrap(), b"a 80\na 80\n");
}

#[tokio::test]
async fn a_tag_cannot_lead_out_of_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let more =
        "/${tag}\n<buffer tag>\n@type memory\nflush_mode immediate\ndisable_chunk_backup true\n</buffer>";
    run(dir.path(), more, &["../../evil", "good"]).await;
    assert_eq!(names(dir.path()), ["out"]);
    assert_eq!(names(&dir.path().join("out/x")), ["good_0.log"]);
}

#[tokio::test]
async fn files_are_compressed_whatever_the_buffer_does() {
    for (own, buffer, name) in [
        ("gzip", "text", "x_0.log.gz"),
        ("gz", "gzip", "x_0.log.gz"),
        ("gzip\nrecompress true", "gzip", "x_0.log.gz"),
        ("zstd", "text", "x_0.log.zstd"),
        ("zstd", "zstd", "x_0.log.zstd"),
        ("text", "gzip", "x_0.log"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let more = format!("\ncompress {own}\n<buffer []>\n@type memory\ncompress {buffer}\n</buffer>");
        run(dir.path(), &more, &["a", "b"]).await;
        let bytes = std::fs::read(dir.path().join("out").join(name)).unwrap();
        let mut text = Vec::new();
        match name.rsplit('.').next() {
            Some("gz") => {
                flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
            }
            Some("zstd") => text = zstd::decode_all(&*bytes).unwrap(),
            _ => text = bytes,
        }
        assert_eq!(text, b"a 80\nb 80\n", "compress {own}, buffer {buffer}");
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let refused = |text: &str| {
        let directive = format!("<match **>\n@type file\n{text}\n</match>");
        let error = Driver::new(&[&PLUGIN, &HEX]).output(&directive).err();
        error.map(|error| error.message().to_owned()).unwrap_or_default()
    };
    for (text, message) in [
        ("append true", "'path' parameter is required"),
        ("path /tmp/x/%Y\n<buffer tag,time>\n</buffer>", "insufficient timestamp placeholders in path"),
        (
            "path /tmp/x\n<buffer tag>\n</buffer>",
            "Parameter 'path: /tmp/x_**.log' doesn't have tag placeholder",
        ),
        ("path /dev/null/x\n<buffer []>\n</buffer>", "out_file: `/dev/null/x_**.log` is not writable"),
        (
            "path /tmp/x.*\n<buffer []>\n</buffer>",
            "path including '*' must be used with buffer chunk key 'time'",
        ),
        (
            "path /tmp/x\ncompress zstd\n<buffer []>\ncompress gzip\n</buffer>",
            "You cannot specify different compression formats for Buffer (Buffer: gzip, Self: zstd)",
        ),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}
