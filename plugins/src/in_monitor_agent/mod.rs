//! `@type monitor_agent`: what the plugins of the configuration do, as JSON and LTSV over HTTP, and as events.
//!
//! | path | answer |
//! |---|---|
//! | `/api/plugins`, `/api/plugins.json` | the plugins; `tag=`, `@id=` or `@type=` choose, `with_config=` and `with_retry=` add or leave out (unless Fluentd 1.19 is followed) |
//! | `/api/config`, `/api/config.json` | the process |
//! | `/api/logweir.json` | where all records went, and which connections were closed; Fluentd has no such path |
//!
//! As in Fluentd 1.16, inputs show 0 records unless `enable_input_metrics` of `<system>` is true, and everybody shows 0 bytes
//! unless `enable_size_metrics` is. Ruby's instance variables, which Fluentd shows with `debug=1` and `with_ivars=`, do not exist here.

mod books;
mod info;
mod query;
mod render;
#[cfg(test)]
mod tests;

use crate::http_server::{Answer, serve};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode, Uri};
use info::{Options, plugin_info};
use logweir_engine::config::{Diagnostic, FluentdVersion, Params, Program};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::net::{CONNECTION_PARAMS, ServerOptions, StreamServer, Transport};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Input, InputContext, Kind, Param, ParamKind, PluginInfo, Plugins,
    StartError, Status,
};
use logweir_engine::{log_debug, log_error, log_info};
use query::Query;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// `@type monitor_agent`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(
        Kind::Input,
        "monitor_agent",
        "Shows what the plugins do, over HTTP",
        Build::Input(build),
    )
};

const PARAMS: [Param; 12] = {
    let mut params = Param::join(OWN, CONNECTION_PARAMS);
    // receive_memory_limit
    params[11] = params[11].status(Status::WithoutEffect("requests have no bodies that are kept"));
    params
};

const OWN: [Param; 8] = [
    Param::new("bind", ParamKind::String, "Address to listen on; only this machine, unless it says otherwise")
        .default("127.0.0.1"),
    Param::new("port", ParamKind::Integer, "Port to listen on").default("24220"),
    Param::new(
        "token",
        ParamKind::String,
        "What requests must carry as `Authorization: Bearer TOKEN`; without it, whoever reaches the port may ask",
    ).own()
    .secret(),
    Param::new("tag", ParamKind::String, "Tag of the events; without it there are none"),
    Param::new("emit_interval", ParamKind::Time, "Seconds between events").default("60"),
    Param::new(
        "include_config",
        ParamKind::Bool,
        "Whether the plugins' parameters are shown; default: true, with fluentd_compat 1.19 false",
    ),
    Param::new(
        "include_retry",
        ParamKind::Bool,
        "Whether the outputs' retry states are shown; default: true, with fluentd_compat 1.19 false",
    ),
    Param::new(
        "include_debug_info",
        ParamKind::Bool,
        "Whether debug=1 and with_ivars= show Ruby's instance variables, of which there are none here",
    ).since("1.19.3")
    .default("false"),
];

/// A connection on which nothing is asked for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let (agent, server) = configured(params, context)?;
    Ok(Box::new(MonitorAgent { agent: Arc::new(agent), server }))
}

fn configured(params: &Params, context: &mut BuildContext<'_>) -> Result<(Agent, ServerOptions), Diagnostic> {
    let interval = params.time("emit_interval").unwrap_or_default();
    if interval.is_zero() {
        return Err(params.error("emit_interval", "'emit_interval' must be more than 0"));
    }
    if !params.is_set("bind") {
        // Fluentd listens on all addresses; who replaces it must find out why another machine cannot ask any more.
        log_info!(
            context.log,
            "monitor_agent answers this machine only (127.0.0.1): set bind 0.0.0.0, and a token, to let others ask"
        );
    }
    let transport = Transport::new(None, None, &context.log)?;
    let is_older = context.system.follows < FluentdVersion::V1_19;
    let agent = Agent {
        plugins: Arc::clone(&context.shared.plugins),
        program: context.system.program.clone(),
        root_dir: context.system.root_dir.clone(),
        token: params.str("token").map(str::to_owned),
        tag: params.str("tag").map(Tag::new),
        interval,
        options: Options {
            with_config: params.opt_bool("include_config").unwrap_or(is_older),
            with_retry: params.opt_bool("include_retry").unwrap_or(is_older),
            asks_count: is_older,
            instance_variables: params.bool("include_debug_info"),
            input_metrics: context.system.enable_input_metrics,
            size_metrics: context.system.enable_size_metrics,
        },
    };
    let mut server = ServerOptions::new(params, transport, false)?;
    // In Fluentd each worker has an agent of its own, and so a port.
    let worker = u16::try_from(context.system.worker_id).unwrap_or(u16::MAX);
    server.port = server.port.checked_add(worker).ok_or_else(|| {
        params.error("port", format!("'port' is too high for the agent of worker {worker}"))
    })?;
    Ok((agent, server))
}

struct MonitorAgent {
    agent: Arc<Agent>,
    server: ServerOptions,
}

impl Input for MonitorAgent {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async move {
            let ServerOptions { bind, port, .. } = &self.server;
            log_debug!(
                context.log,
                format!(
                    "listening monitoring http server on http://{bind}:{port}/api/plugins for worker{}",
                    context.log.worker()
                )
            );
            listen(&self.agent, self.server.clone(), &context)?;
            if let Some(tag) = self.agent.tag.clone() {
                context.tasks.spawn(Arc::clone(&self.agent).emit(tag, context.clone()));
            }
            Ok(())
        })
    }
}

/// Serves requests in the background. Answers the address that the input listens on.
fn listen(
    agent: &Arc<Agent>,
    options: ServerOptions,
    context: &InputContext,
) -> Result<std::net::SocketAddr, StartError> {
    let net = StreamServer::new(options, context);
    let (agent, context) = (Arc::clone(agent), context.clone());
    net.listen(move |connection| {
        let (agent, context) = (Arc::clone(&agent), context.clone());
        async move {
            serve(connection, IDLE_MAX, &context.stop, &context.log, |request| {
                let answer = match agent.admits(request.headers()) {
                    true => agent.answer(request.method(), request.uri()),
                    false => denied(),
                };
                Box::pin(async move { answer })
            })
            .await;
        }
    })
}

/// What is shown, and how.
struct Agent {
    plugins: Arc<Plugins>,
    program: Program,
    root_dir: Option<PathBuf>,
    token: Option<String>,
    tag: Option<Tag>,
    interval: Duration,
    options: Options,
}

impl Agent {
    /// Whether the request carries the token, if there is one.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
    }

    fn answer(&self, method: &Method, uri: &Uri) -> Answer {
        let query = Query::parse(uri.query().unwrap_or_default());
        let is_pretty = query.first("debug").is_some();
        match (method, uri.path()) {
            (&Method::GET, "/api/plugins") => ltsv(&self.list(&query)),
            (&Method::GET, "/api/plugins.json") => {
                in_json(StatusCode::OK, &json!({"plugins": self.list(&query)}), is_pretty)
            }
            (&Method::GET, "/api/logweir.json") => {
                in_json(StatusCode::OK, &books::books(&self.plugins), is_pretty)
            }
            (&Method::GET, "/api/config") => ltsv(&[self.process()]),
            (&Method::GET, "/api/config.json") => in_json(StatusCode::OK, &self.process().into(), is_pretty),
            _ => in_json(StatusCode::NOT_FOUND, &json!({"message": "Not found"}), false),
        }
    }

    /// The plugins that the query asks for.
    fn list(&self, query: &Query) -> Vec<Map<String, Value>> {
        let options = self.options.asked(query);
        let first = |names: [&str; 2]| names.into_iter().find_map(|name| query.first(name));
        let all = self.plugins.all().iter();
        let chosen: Vec<&PluginInfo> = if let Some(tag) = query.first("tag") {
            self.plugins.output_of(tag).into_iter().collect()
        } else if let Some(id) = first(["@id", "id"]) {
            all.filter(|plugin| *plugin.id.text == *id).take(1).collect()
        } else if let Some(name) = first(["@type", "type"]) {
            all.filter(|plugin| plugin.type_name == name).collect()
        } else {
            all.collect()
        };
        chosen.into_iter().map(|plugin| plugin_info(plugin, &options)).collect()
    }

    /// The process.
    fn process(&self) -> Map<String, Value> {
        let path = |path: &Option<PathBuf>| match path {
            Some(path) => path.to_string_lossy().into(),
            None => Value::Null,
        };
        let no_plugins: [&str; 0] = [];
        let pairs: [(&str, Value); 8] = [
            ("pid", std::process::id().into()),
            ("ppid", std::os::unix::process::parent_id().into()),
            ("version", self.program.version.into()),
            ("config_path", self.program.config_path.to_string_lossy().into()),
            ("pid_file", path(&self.program.pid_file)),
            ("plugin_dirs", json!(no_plugins)),
            ("log_path", path(&self.program.log_path)),
            ("root_dir", path(&self.root_dir)),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Emits an event for each plugin, again and again.
    async fn emit(self: Arc<Self>, tag: Tag, context: InputContext) {
        let options = Options { with_config: false, with_retry: false, ..self.options };
        loop {
            tokio::select! {
                biased;
                () = context.stop.cancelled() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
            let records = self.plugins.all().iter().map(|plugin| plugin_info(plugin, &options));
            let (entries, count) = render::entries(EventTime::now(), records);
            let stream = EventStream::new(tag.clone(), entries.into(), count);
            if let Err(error) = context.emit(stream, &mut Receipt::unwatched()).await {
                log_error!(context.log, "failed to emit monitoring events", error = error.to_string());
            }
        }
    }
}

fn in_json(status: StatusCode, value: &Value, is_pretty: bool) -> Answer {
    let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
    answer(status, "application/json", text)
}

fn ltsv(list: &[Map<String, Value>]) -> Answer {
    answer(StatusCode::OK, "text/plain", render::ltsv(list))
}

fn denied() -> Answer {
    let mut answer = in_json(StatusCode::UNAUTHORIZED, &json!({"message": "Unauthorized"}), false);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Answer::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
