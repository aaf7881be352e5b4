//! `@type secondary_file`: keeps chunks in files that their output could not write. Only in `<secondary>`.

use flate2::Compression;
use flate2::write::GzEncoder;
use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::output::{ChunkKeys, Destination, Template, blocking, file_write_error, is_writable};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, Descriptor, Kind, OutputPlugin,
    Param, ParamKind, WriteError, WriteFuture,
};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// `@type secondary_file`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("directory", ParamKind::String, "The folder of the files; may have placeholders")
            .required(),
        Param::new("basename", ParamKind::String, "What their names begin with; may have placeholders")
            .default("dump.bin"),
        Param::new("append", ParamKind::Bool, "Add to one file instead of a new one for each chunk")
            .default("false"),
        Param::new("compress", ParamKind::Enum(&["text", "gzip"]), "Compression of the files")
            .default("text"),
    ],
    buffer: BufferSupport::Always(BufferDefaults::STANDARD),
    ..Descriptor::new(
        Kind::Output,
        "secondary_file",
        "Keeps chunks in files that their output could not write",
        Build::Output(build),
    )
};

struct SecondaryFile {
    /// Without `.N` and `.gz`.
    path: Template,
    append: bool,
    gzip: bool,
    destination: Destination,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let Some(keys) = context.secondary_of.clone() else {
        return Err(params.error_here("This plugin can only be used in the <secondary> section"));
    };
    let (directory, basename) = (params.string("directory"), params.string("basename"));
    if basename.contains('/') {
        return Err(params.error("basename", "basename should not include `/`"));
    }
    let text = Path::new(&directory).join(&basename).to_string_lossy().into_owned();
    let path = Template::new("path", &text, &keys, &context.log);
    check(&path, &keys).map_err(|(placeholder, advice)| {
        params.error_here(format!(
            "out_secondary_file: basename or directory has an incompatible placeholder{placeholder}, remove \
             {advice}, from basename or directory"
        ))
    })?;
    if !is_writable(Path::new(&text)) {
        let message = format!("out_secondary_file: `{directory}` should be writable");
        return Err(params.error("directory", message));
    }
    Ok(OutputPlugin::Buffered(Box::new(SecondaryFile {
        path,
        append: params.bool("append"),
        gzip: params.word("compress") == Some("gzip"),
        destination: Destination::new(context.system),
    })))
}

/// Placeholders that chunks of the primary cannot fill. Other than elsewhere, chunk keys may be left out.
fn check(path: &Template, keys: &ChunkKeys) -> Result<(), (String, &'static str)> {
    if keys.time.is_none() && path.has_time() {
        return Err((String::new(), "time formats, like `%Y%m%d`"));
    }
    if let (false, Some(placeholder)) = (keys.tag, path.tag_placeholder()) {
        return Err((format!(" {placeholder}"), "tag placeholder, like `${tag}`"));
    }
    match path.field_names().find(|name| !keys.field_names().any(|key| key == *name)) {
        Some(name) => Err((format!(" {name}"), "variable placeholder, like `${varname}`")),
        None => Ok(()),
    }
}

impl SecondaryFile {
    fn store(&self, chunk: &Chunk) -> Result<(), WriteError> {
        let path = self.path.expand(chunk)?;
        let suffix = if self.gzip { ".gz" } else { "" };
        let failed =
            |error: io::Error| file_write_error(&error, format!("{error} @ out_secondary_file - {path}"));
        let text = chunk.read().map_err(failed)?;
        let bodies = [if self.gzip { gzip(&text).map_err(failed)?.into() } else { text }];
        // What left a file buffer must not be only in memory.
        let durable = chunk.path().is_some();
        if self.append {
            let path = PathBuf::from(format!("{path}{suffix}"));
            return self.destination.append(&path, &bodies, durable).map_err(failed);
        }
        let names = (0_u64..).map(|n| PathBuf::from(format!("{path}.{n}{suffix}")));
        self.destination.create(names, &bodies, durable).map(drop).map_err(failed)
    }
}

impl BufferedOutput for SecondaryFile {
    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(async move { blocking(|| self.store(chunk)) })
    }
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use flate2::read::MultiGzDecoder;
    use logweir_engine::buffer::Metadata;
    use logweir_engine::plugin::Driver;
    use std::io::Read;
    use std::sync::Arc;

    fn build_for(keys: ChunkKeys, dir: &Path, more: &str) -> Result<Box<dyn BufferedOutput>, Diagnostic> {
        let mut driver = Driver::new(&[&PLUGIN]);
        let text = format!("<match>\n@type secondary_file\ndirectory {}\n{more}\n</match>", dir.display());
        let params = driver.params(Kind::Output, &text)?;
        let mut context = driver.context();
        context.secondary_of = Some(Arc::new(keys));
        match build(&params, &mut context)? {
            OutputPlugin::Buffered(output) => Ok(output),
            OutputPlugin::Direct(_) => panic!("not buffered"),
        }
    }

    fn tagged() -> ChunkKeys {
        ChunkKeys { tag: true, ..ChunkKeys::default() }
    }

    fn chunk(text: &'static [u8]) -> Chunk {
        let metadata = Metadata { tag: Some("a.b".into()), ..Metadata::default() };
        Chunk::in_memory(metadata, Bytes::from_static(text), 1)
    }

    #[tokio::test]
    async fn each_chunk_is_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let output = build_for(tagged(), dir.path(), "basename x-${tag}").unwrap();
        output.write(&chunk(b"one\n")).await.unwrap();
        output.write(&chunk(b"two\n")).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("x-a.b.0")).unwrap(), b"one\n");
        assert_eq!(std::fs::read(dir.path().join("x-a.b.1")).unwrap(), b"two\n");
    }

    #[tokio::test]
    async fn chunks_can_be_added_to_one_file_and_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let output = build_for(tagged(), dir.path(), "append true\ncompress gzip").unwrap();
        output.write(&chunk(b"one\n")).await.unwrap();
        output.write(&chunk(b"two\n")).await.unwrap();
        let file = std::fs::File::open(dir.path().join("dump.bin.gz")).unwrap();
        let mut text = String::new();
        MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn what_chunks_of_the_primary_cannot_fill_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let message = |keys, more: &str| {
            build_for(keys, dir.path(), more)
                .err()
                .map(|error| error.message().to_owned())
                .unwrap_or_default()
        };
        let begin = "out_secondary_file: basename or directory has an incompatible placeholder";
        let end = "from basename or directory";
        assert_eq!(
            message(tagged(), "basename %Y"),
            format!("{begin}, remove time formats, like `%Y%m%d`, {end}")
        );
        assert_eq!(
            message(ChunkKeys::default(), "basename ${tag[0]}"),
            format!("{begin} tag[0], remove tag placeholder, like `${{tag}}`, {end}")
        );
        assert_eq!(
            message(tagged(), "basename ${user}"),
            format!("{begin} user, remove variable placeholder, like `${{varname}}`, {end}")
        );
        assert_eq!(message(tagged(), "basename a/b"), "basename should not include `/`");
        assert_eq!(message(tagged(), "basename ${chunk_id}"), "");
    }

    #[test]
    fn it_is_nothing_but_a_secondary() {
        let error = Driver::new(&[&PLUGIN])
            .output("<match **>\n@type secondary_file\ndirectory /tmp\n</match>")
            .err()
            .unwrap();
        assert_eq!(error.message(), "This plugin can only be used in the <secondary> section");
    }
}
