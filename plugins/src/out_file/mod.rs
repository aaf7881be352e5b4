//! `@type file`: writes formatted events to local files, one a time slice.
//!
//! Events are formatted when they are put into the buffer, so a chunk is the text that goes into the file.

mod path;
mod symlink;
mod write;

use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::output::{Destination, Template, blocking, file_write_error, is_writable};
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, ChunkFormatter, Compat, Descriptor,
    EventFormat, INJECT, Kind, OutputPlugin, Param, ParamKind, SectionSpec, WriteError, WriteFuture,
};
use path::PathRule;
use std::path::{Path, PathBuf};
use symlink::Symlink;
use write::FileCompression;

/// `@type file`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new("path", ParamKind::String, "The files; may have placeholders, and * for the time slice")
            .required(),
        Param::new("add_path_suffix", ParamKind::Bool, "Add path_suffix to the path").default("true"),
        Param::new("path_suffix", ParamKind::String, "End of the files' names").default(".log"),
        Param::new(
            "append",
            ParamKind::Bool,
            "Add to a file that is there instead of making NAME_1, NAME_2, ...",
        )
        .default("false"),
        Param::new(
            "compress",
            ParamKind::Enum(&["text", "gz", "gzip", "zstd"]),
            "Compression of the files, which adds .gz or .zstd to their names",
        )
        .default("text"),
        Param::new("recompress", ParamKind::Bool, "Compress anew what the buffer has compressed already")
            .default("false"),
        Param::new("symlink_path", ParamKind::String, "A link to the buffer file that is being filled"),
        Param::new("symlink_path_use_relative", ParamKind::Bool, "Make the link relative")
            .since("1.19")
            .default("false"),
    ],
    sections: &[SectionSpec::FORMAT, INJECT],
    compat: &[Compat::Formatter, Compat::Buffer, Compat::Inject],
    buffer: SUPPORT,
    ..Descriptor::new(Kind::Output, "file", "Writes events to local files", Build::Output(build))
};

const SUPPORT: BufferSupport = BufferSupport::Always(BufferDefaults {
    chunk_keys: &["time"],
    params: &[("@type", "file"), ("timekey", "1d")],
});

struct FileOutput {
    /// `path` as it is written, where the buffer lies by default.
    configured_path: String,
    path: Template,
    append: bool,
    compression: FileCompression,
    recompress: bool,
    symlink: Option<Symlink>,
    format: EventFormat,
    destination: Destination,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    for name in ["utc", "localtime"] {
        if params.element().has(name) {
            log_warn!(
                context.log,
                format!(
                    "'{name}' is deprecated for output plugin. This parameter is used for formatter plugin in \
                     compatibility layer. If you want to use same feature, use timekey_use_utc parameter in <buffer> \
                     directive instead"
                )
            );
        }
    }
    let keys = context.chunk_keys(params, SUPPORT)?;
    let is_secondary = context.secondary_of.is_some();
    let compression = FileCompression::new(params.word("compress"));
    check_compression(params, compression)?;
    let append = params.bool("append");
    let rule = PathRule {
        timekey: keys.time.as_ref().map(|slices| slices.unit),
        append,
        path_suffix: if params.bool("add_path_suffix") {
            params.str("path_suffix").unwrap_or("")
        } else {
            ""
        },
        compression_suffix: compression.suffix(),
        time_slice_format: params.element().text("time_slice_format"),
    };
    let configured_path = params.string("path");
    let text = rule.template(&configured_path).map_err(|message| params.error("path", message))?;
    let path = Template::new("path", &text, &keys, &context.log);
    if is_secondary {
        // Chunks of different tags may share a file name here: the index keeps them apart.
        path.validate_time().map_err(|message| params.error("path", message))?;
    } else {
        path.validate().map_err(|message| params.error("path", message))?;
        let example = path.example();
        if !is_writable(Path::new(&example)) {
            return Err(params
                .error("path", format!("out_file: `{example}` is not writable"))
                .help("choose a folder that Logweir may write, or change its owner or mode"));
        }
    }
    let symlink = match params.str("symlink_path") {
        Some(_) if is_secondary => {
            let message =
                "symlink_path option is unavailable in <secondary>: consider to use secondary_file plugin";
            return Err(params.error("symlink_path", message));
        }
        Some(link) => {
            let template = Template::new("symlink_path", link, &keys, &context.log);
            Some(Symlink::new(template, params.bool("symlink_path_use_relative"), &context.log))
        }
        None => None,
    };
    Ok(OutputPlugin::Buffered(Box::new(FileOutput {
        configured_path,
        path,
        append,
        compression,
        recompress: params.bool("recompress"),
        symlink,
        format: EventFormat::from_params(params, "out_file", context)?,
        destination: Destination::new(context.system),
    })))
}

fn check_compression(params: &Params, own: FileCompression) -> Result<(), Diagnostic> {
    let buffer = params.section("buffer").and_then(|buffer| buffer.word("compress")).unwrap_or("text");
    if own == FileCompression::Text || buffer == "text" || own == FileCompression::new(Some(buffer)) {
        return Ok(());
    }
    let message = format!(
        "You cannot specify different compression formats for Buffer (Buffer: {buffer}, Self: {})",
        params.word("compress").unwrap_or("text")
    );
    Err(params.error("compress", message))
}

impl FileOutput {
    fn store(&self, chunk: &Chunk) -> Result<(), WriteError> {
        let path = self.path.expand(chunk)?;
        let failed = |error: std::io::Error| file_write_error(&error, format!("{error} @ out_file - {path}"));
        let bodies = self.compression.bodies(chunk, self.recompress).map_err(failed)?;
        // What left a file buffer must not be only in memory.
        let durable = chunk.path().is_some();
        if self.append {
            return self.destination.append(Path::new(&path), &bodies, durable).map_err(failed);
        }
        let names = (0_u64..).map(|n| PathBuf::from(path.replacen(path::INDEX, &format!("_{n}"), 1)));
        self.destination.create(names, &bodies, durable).map(drop).map_err(failed)
    }
}

impl BufferedOutput for FileOutput {
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        Some(&self.format)
    }

    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(async move { blocking(|| self.store(chunk)) })
    }

    fn buffer_path(&self) -> Option<&str> {
        Some(&self.configured_path)
    }

    fn chunk_created(&self, chunk: &Chunk) {
        if let Some(symlink) = &self.symlink {
            symlink.follow(chunk, &self.destination);
        }
    }
}

#[cfg(test)]
mod tests;
