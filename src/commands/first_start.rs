//! `logweir` without arguments where there is no configuration: the inputs of applications into the embedded store, below a
//! state directory, and a page of what to do next. What it runs is a file there, written once, so that it can be read and changed.
//!
//! Called `fluentd`, or with any argument, or with `$FLUENT_CONF`, Logweir does what Fluentd does.

use crate::cli::Options;
use crate::configuration::{DEFAULT_CONFIG_PATH, read};
use logweir_engine::config::Element;
use logweir_engine::log_error;
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::PluginLog;
use logweir_store::find_library;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The file, as it is for root.
const CONFIGURATION: &str = include_str!("../../conf/first-start.conf");
const ROOTS_DIR: &str = "/var/lib/logweir";

/// Whether nothing at all says what to run.
pub(crate) fn is_first_start(program: &str, has_arguments: bool) -> bool {
    !has_arguments
        && program != "fluentd"
        && std::env::var_os("FLUENT_CONF").is_none()
        && matches!(Path::new(DEFAULT_CONFIG_PATH).try_exists(), Ok(false))
}

pub(crate) fn first_start(registry: Registry) -> ExitCode {
    match prepare() {
        Ok((options, page)) => super::run::run_and_say(options, registry, Some(page)),
        Err(error) => {
            log_error!(PluginLog::program(), "cannot start without a configuration", error = error);
            eprintln!("`logweir -c FILE` runs a configuration of your own; `logweir --help` shows the rest.");
            ExitCode::FAILURE
        }
    }
}

/// What to run, and what to say once it runs.
fn prepare() -> Result<(Options, String), String> {
    let dir = state_dir()?;
    let file = dir.join("fluent.conf");
    write_once(&dir, &file)?;
    let options =
        Options { config_path: Some(file.clone()), suppress_config_dump: true, ..Options::default() };
    let (document, problems) = read(&file, &options);
    let found = Found::new(&document.root);
    // What is wrong with the file is told by the start itself.
    if !problems.has_errors() {
        found.library()?;
        found.ports(&file)?;
    }
    Ok((options, found.page(&dir, &file)))
}

/// `$XDG_STATE_HOME/logweir`; else root's, or the one below the home.
fn state_dir() -> Result<PathBuf, String> {
    let variable = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    if let Some(state) = variable("XDG_STATE_HOME") {
        return Ok(state.join("logweir"));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(ROOTS_DIR));
    }
    let home = variable("HOME").ok_or("there is no $HOME and no $XDG_STATE_HOME to keep the store in")?;
    Ok(home.join(".local/state/logweir"))
}

/// Writes the configuration unless it is there.
fn write_once(dir: &Path, file: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot write {}: {error}", file.display());
    // Logs are for nobody else's eyes.
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let dir = std::path::absolute(dir).map_err(failed)?;
    let dir = dir.to_str().ok_or_else(|| format!("the path {} is not UTF-8", dir.display()))?;
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut new) => new.write_all(configuration(dir).as_bytes()).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// The configuration with its data below `dir`.
fn configuration(dir: &str) -> String {
    // In single quotes only these two mean something.
    CONFIGURATION.replace(ROOTS_DIR, &dir.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What the file has of what the page speaks of.
#[derive(Default)]
struct Found<'a> {
    forward: Option<&'a Element>,
    http: Option<&'a Element>,
    /// The output into the embedded store.
    store: Option<&'a Element>,
}

impl<'a> Found<'a> {
    fn new(root: &'a Element) -> Self {
        let mut found = Self::default();
        for element in &root.elements {
            match (element.name.as_str(), element.plugin_type()) {
                ("source", Some("forward")) => found.forward = Some(element),
                ("source", Some("http")) => found.http = Some(element),
                ("match", Some("clickhouse"))
                    if element.text("path").is_some() && element.text("host").is_none() =>
                {
                    found.store = Some(element);
                }
                _ => {}
            }
        }
        found
    }

    /// Without the engine records would wait for ever, and whoever tries Logweir for the first time sees nothing.
    fn library(&self) -> Result<(), String> {
        let Some(store) = self.store else { return Ok(()) };
        let named = store.text("libchdb").map(|path| (Path::new(path), "libchdb"));
        find_library(named).file().map(drop)
    }

    /// All ports, before anything is started: the store would wait for its port while records pile up.
    fn ports(&self, file: &Path) -> Result<(), String> {
        for (element, what, default) in [
            (self.forward, "the forward protocol", "24224"),
            (self.http, "HTTP", "9880"),
            (self.store, "the embedded store", "8123"),
        ] {
            let Some(element) = element else { continue };
            let port = element.text("port").unwrap_or(default);
            let Ok(number) = port.parse::<u16>() else { continue };
            let bind = if self.store.is_some_and(|store| std::ptr::eq(store, element)) {
                "127.0.0.1"
            } else {
                element.text("bind").unwrap_or("0.0.0.0")
            };
            match TcpListener::bind((bind, number)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    return Err(format!(
                        "port {port} for {what} is taken: another program, maybe another Logweir, listens on {bind}:{port}; \
                         stop it, or change `port` in {}",
                        file.display()
                    ));
                }
                // Any other trouble is told by the plugin.
                _ => {}
            }
        }
        Ok(())
    }

    fn page(&self, dir: &Path, file: &Path) -> String {
        let mut page = format!(
            "\nLogweir runs without a configuration of yours. What it does is in\n  {}\n",
            file.display()
        );
        if let Some(forward) = self.forward {
            let port = forward.text("port").unwrap_or("24224");
            page.push_str(&format!(
                "\nFluentd, Fluent Bit and fluent-logger libraries send to 127.0.0.1:{port} (forward protocol), as in\n  \
                 fluent-bit -i cpu -o forward://127.0.0.1:{port}\n"
            ));
        }
        if let Some(http) = self.http {
            let port = http.text("port").unwrap_or("9880");
            page.push_str(&format!(
                "\nEverything else sends JSON by HTTP; the path is the tag:\n  curl -d '{{\"message\":\"hello\"}}' -H \
                 'Content-Type: application/json' http://127.0.0.1:{port}/my.app\n"
            ));
        }
        if let Some(store) = self.store {
            let table = store.text("table").unwrap_or("logs");
            let option = match store.text("port") {
                None | Some("8123") => String::new(),
                Some(port) => format!(" --url http://127.0.0.1:{port}"),
            };
            page.push_str(&format!(
                "\nIt is in the embedded ClickHouse two seconds later:\n  logweir query{option} 'SELECT * FROM {table} ORDER BY \
                 timestamp DESC LIMIT 10'\n  logweir query{option}        # a prompt\n"
            ));
        }
        page.push_str(&format!(
            "\nData is kept in {}. To go on: change the file and send HUP, or write one of your own and\n  logweir check FILE\n  \
             logweir -c FILE\nCtrl-C ends Logweir.\n\n",
            dir.display()
        ));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_directory_can_be_written_into_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("it's a \"#{1}\" \\ dir");
        let file = odd.join("fluent.conf");
        write_once(&odd, &file).unwrap();
        let (document, problems) = read(&file, &Options::default());
        assert!(!problems.has_errors(), "{}", problems.render(false));
        let found = Found::new(&document.root);
        assert_eq!(found.store.unwrap().text("path"), Some(odd.join("store").to_str().unwrap()));
        assert!(found.forward.is_some() && found.http.is_some());
        // It is the user's from now on.
        std::fs::write(&file, "# mine\n").unwrap();
        write_once(&odd, &file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n");
    }

    #[test]
    fn arguments_and_the_name_of_fluentd_make_it_none() {
        assert!(!is_first_start("logweir", true));
        assert!(!is_first_start("fluentd", false));
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fluent.conf");
        let text = format!(
            "<match **>\n@type clickhouse\npath {}\nport {port}\ntable t\n</match>",
            dir.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let (document, _) = read(&file, &Options::default());
        let error = Found::new(&document.root).ports(&file).unwrap_err();
        assert!(error.starts_with(&format!("port {port} for the embedded store is taken: ")), "{error}");
        assert!(error.ends_with(&format!("change `port` in {}", file.display())), "{error}");
    }
}
