//! Logweir as a program. A main of one line runs it with the plugins of a registry, which may hold plugins of your own:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     logweir::run(logweir_plugins::registry())
//! }
//! ```

mod allocator;
pub mod cli;
mod commands;
mod configuration;
mod identity;
mod notify;
mod own_log;
mod plan;
mod process;
mod rpc;
mod running;
mod settings;
mod tools;

use cli::Command;
use logweir_engine::plugin::Registry;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Does what the command line says.
pub fn run(registry: Registry) -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let program =
        Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or("logweir").to_owned();
    let args: Vec<OsString> = args.collect();
    if let Some((tool, args)) = tools::Tool::called(&program, &args) {
        return tool.run(args, &registry);
    }
    if commands::is_first_start(&program, !args.is_empty()) {
        return commands::first_start(registry);
    }
    match cli::parse(args) {
        Ok(Command::Run(options)) => commands::run(*options, registry),
        Ok(Command::Check(options)) => commands::check(*options, registry),
        Ok(Command::Migrate(options)) => commands::migrate(&options, &registry),
        Ok(Command::ShowConfig { file, json, show_secrets }) => {
            commands::show_config(&file, json, show_secrets, &registry)
        }
        Ok(Command::Buffer(command)) => commands::buffer(command, &registry),
        Ok(Command::ShowPlugin { name, form }) => commands::show_plugin(&name, form, &registry),
        Ok(Command::Reference(dir)) => commands::reference(&dir, &registry),
        Ok(Command::Setup(dir)) => commands::setup(&dir),
        Ok(Command::Query(options)) => commands::query(&options),
        Ok(Command::Store(options)) => commands::store(options),
        Ok(Command::Version) => {
            println!("{}", cli::version_text(&program));
            ExitCode::SUCCESS
        }
        Ok(Command::Help) => {
            print!("{}", cli::USAGE);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("{}", cli::USAGE);
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
