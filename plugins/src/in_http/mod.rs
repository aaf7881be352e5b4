//! `@type http`: events as HTTP requests. The path is the tag, the body one record or several.
//!
//! ```text
//! server      connections; a request: method, Expect, CORS, body, answer
//!   fields      query, form, multipart and headers -> named values
//!   records     the value that holds records -> events
//! ```
//!
//! 200 means that every buffer that the events go to has them, on the device unless its `durability` says otherwise. A
//! buffer that is full is answered with 500, as in Fluentd, and a `Retry-After` of a second. Bodies of several MessagePack
//! values are taken whole, as in Fluentd 1.17 and later; before, all but the first were lost.

mod cors;
mod fields;
mod fuzz;
mod multipart;
mod parser;
mod records;
mod server;
mod settings;
#[cfg(test)]
mod tests;

pub use fuzz::fuzz;
pub use parser::PARSER;

use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Compat, Descriptor, Input, InputContext, Kind, StartError,
};
use settings::Settings;

/// `@type http` in a `<source>`.
pub static PLUGIN: Descriptor = Descriptor {
    params: settings::PARAMS,
    sections: settings::SECTIONS,
    compat: &[Compat::Parser],
    ..Descriptor::new(Kind::Input, "http", "Receives events as HTTP requests", Build::Input(build))
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    Ok(Box::new(Http(Some(Settings::new(params, context)?))))
}

struct Http(Option<Settings>);

impl Input for Http {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let Some(settings) = self.0.take() else { return Ok(()) };
            server::listen(settings, &context).map(drop)
        })
    }
}
