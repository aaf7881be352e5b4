//! `@type null`: throws events away.

use logweir_engine::buffer::Chunk;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::EventStream;
use logweir_engine::plugin::{
    BufferDefaults, BufferSupport, BufferedOutput, Build, BuildContext, Descriptor, EmitFuture, Kind, Output,
    OutputPlugin, Param, ParamKind, WriteError, WriteFuture,
};

/// `@type null`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[Param::new("never_flush", ParamKind::Bool, "Fail each write, to see what a full buffer does")
        .default("false")],
    buffer: BufferSupport::Optional(BufferDefaults {
        chunk_keys: &["tag"],
        params: &[("flush_at_shutdown", "true"), ("chunk_limit_size", "10k")],
    }),
    ..Descriptor::new(Kind::Output, "null", "Throws events away", Build::Output(build))
};

struct Null {
    never_flush: bool,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let null = Box::new(Null { never_flush: params.bool("never_flush") });
    Ok(match context.wants_buffer(params) {
        true => OutputPlugin::Buffered(null),
        false => OutputPlugin::Direct(null),
    })
}

impl Output for Null {
    fn emit<'a>(&'a self, _stream: EventStream, _receipt: &'a mut Receipt) -> EmitFuture<'a> {
        let refused = EmitError::Failed { class: "RuntimeError", message: "failed to flush".to_owned() };
        Box::pin(std::future::ready(if self.never_flush { Err(refused) } else { Ok(()) }))
    }
}

impl BufferedOutput for Null {
    fn write<'a>(&'a self, _chunk: &'a Chunk) -> WriteFuture<'a> {
        let refused = || WriteError::retry("RuntimeError", "failed to flush");
        Box::pin(std::future::ready(if self.never_flush { Err(refused()) } else { Ok(()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::plugin::Driver;

    async fn emit(text: &str) -> Result<(), EmitError> {
        let output = Driver::new(&[&PLUGIN]).output(text).unwrap();
        output.start().await.unwrap();
        let stream = EventStream::new("t".into(), (&b"\x92\x01\x80"[..]).into(), 1);
        output.emit(stream, &mut Receipt::unwatched()).await
    }

    #[tokio::test]
    async fn events_vanish() {
        emit("<match **>\n@type null\n</match>").await.unwrap();
        emit("<match **>\n@type null\n<buffer>\n</buffer>\n</match>").await.unwrap();
    }

    #[tokio::test]
    async fn never_flush_fails_at_once_without_a_buffer() {
        let error = emit("<match **>\n@type null\nnever_flush true\n</match>").await.unwrap_err();
        assert_eq!((error.class(), error.to_string().as_str()), ("RuntimeError", "failed to flush"));
    }
}
