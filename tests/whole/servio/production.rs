//! conf/servio/production.conf with its environment, and what the compose file makes of both.

use super::*;
use crate::logweir::{BINARY, words};
use crate::machine::{INSIDE, in_a_machine_of_its_own};
use logweir_testing::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use yaml_rust2::{Yaml, YamlLoader};

/// The user of the image.
const USER: u32 = 65532;

/// The variables of servio.env.
fn variables() -> BTreeMap<String, String> {
    let text = conf_text("servio.env");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn is_accepted_with_its_environment_and_without() {
    for variables in [variables(), BTreeMap::new()] {
        let mut command = Command::new(BINARY);
        command.arg("check").arg(conf("production.conf")).env_clear().envs(&variables);
        let output = command.output().unwrap();
        let text = words(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(!text.contains("[warn]") && !text.contains("[error]"), "{text}");
    }
}

#[test]
fn reads_the_variables_of_its_environment_file() {
    let mut read = BTreeSet::new();
    for name in ["production.conf", "fluent.conf", "postgresql.conf"] {
        let text = conf_text(name);
        read.extend(text.split("ENV['").skip(1).map(|rest| rest.split('\'').next().unwrap().to_owned()));
    }
    assert_eq!(read, variables().into_keys().collect());
}

/// As in the container: the user of the image, /var/log its own, the log folders below it others' and not writable.
#[test]
fn runs_as_the_image_s_user_and_keeps_what_the_table_refuses() {
    if std::env::var_os(INSIDE).is_some() {
        let var_log = Path::new("/var/log");
        for folder in ["servio", "postgresql"] {
            fs::create_dir(var_log.join(folder)).unwrap();
        }
        make_logs(&var_log.join("servio"));
        let run = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output().unwrap();
            assert!(output.status.success(), "{program} {args:?}: {}", words(&output));
        };
        std::os::unix::fs::chown(var_log, Some(USER), Some(USER)).unwrap();
        // Where that user can get at them, wherever this checkout is.
        run("mount", &["-t", "tmpfs", "tmpfs", "/mnt"]);
        fs::create_dir(Path::new("/mnt/conf")).unwrap();
        fs::write("/mnt/logweir", "").unwrap();
        run("mount", &["--bind", &conf("").display().to_string(), "/mnt/conf"]);
        run("mount", &["--bind", BINARY, "/mnt/logweir"]);
        let server = ClickHouse::start_with(&Options { http_port: Some(8123), ..Options::default() });
        make_table(&server);
        let log = fs::File::create(var_log.join("logweir.log")).unwrap();
        let mut command = Command::new("setpriv");
        command.args([
            &format!("--reuid={USER}"),
            &format!("--regid={USER}"),
            "--clear-groups",
            "--no-new-privs",
        ]);
        command
            .args(["/mnt/logweir", "--suppress-config-dump", "-c", "/mnt/conf/production.conf"])
            .env_clear()
            .envs(variables());
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        keeps_what_is_refused(Logweir::adopt(var_log, child), var_log, &server);
    } else if !in_a_machine_of_its_own(
        "servio::production::runs_as_the_image_s_user_and_keeps_what_the_table_refuses",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let server = ClickHouse::start();
        make_table(&server);
        make_logs(&dir.path().join("servio"));
        for name in ["production.conf", "fluent.conf", "postgresql.conf"] {
            let text = conf_text(name).replace("/var/log/", &format!("{}/", dir.path().display()));
            let here = format!("  host 127.0.0.1\n  port {}\n", server.port());
            fs::write(dir.path().join(name), text.replace("  host clickhouse\n  port 8123\n", &here))
                .unwrap();
        }
        let log = fs::File::create(dir.path().join("logweir.log")).unwrap();
        let mut command = Command::new(BINARY);
        command.arg("-c").arg(dir.path().join("production.conf")).env("ENVIRONMENT", "production");
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        keeps_what_is_refused(Logweir::adopt(dir.path(), child), dir.path(), &server);
    }
}

fn keeps_what_is_refused(mut logweir: Logweir, var_log: &Path, server: &ClickHouse) {
    wait_for_files(&mut logweir, SERVICES.len());
    let refused = json!({"timestamp": "yesterday", "level": "info", "message": "when?"});
    let lines = format!("{}\nno JSON\n{refused}\n{}\n", record("app", 0), record("app", 1));
    append(&var_log.join("servio/app.log"), &lines);
    wait_for_rows(&mut logweir, server, &var_log.join("fluentd-buffers/servio"), 2);
    assert_stored_once(server, &[("app", 2)]);
    assert!(logweir.log().contains("pattern not matched: \"no JSON\""), "{}", logweir.log());
    let kept = || -> Vec<PathBuf> {
        let entries = fs::read_dir(var_log.join("fluentd-errors")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
    };
    logweir.wait("the refused record", |_| !kept().is_empty());
    assert_eq!(logweir.stop().code(), Some(0));
    let log = logweir.log();
    assert!(log.contains("ClickHouse::ColumnError") && log.contains("yesterday"), "{log}");
    let kept = kept();
    let [kept] = &kept[..] else { panic!("one file, not {kept:?}") };
    let kept: Value = serde_json::from_str(&fs::read_to_string(kept).unwrap()).unwrap();
    let whole = json!({"timestamp": "yesterday", "level": "info", "message": "when?", "hostname": hostname(), "environment": "production"});
    assert_eq!(kept, whole);
}

/// Docker does not run here, so the file is read as it would read it.
#[test]
fn the_compose_file_mounts_what_the_configuration_needs() {
    let compose = YamlLoader::load_from_str(&conf_text("compose.yaml")).unwrap().remove(0);
    let logweir = &compose["services"]["logweir"];
    let folder = conf("");
    let build = &logweir["build"];
    let dockerfile = folder.join(build["context"].as_str().unwrap()).join("Dockerfile");
    let target = format!(" AS {}\n", build["target"].as_str().unwrap());
    assert!(fs::read_to_string(dockerfile).unwrap().contains(&target), "no{target}in the Dockerfile");
    let env_file = logweir["env_file"].as_str().unwrap();
    assert!(folder.join(env_file).is_file() && env_file == "servio.env");
    let depends: Vec<&str> = strings(&logweir["depends_on"]);
    // The host of fluent.conf.
    assert_eq!(depends, ["clickhouse"]);
    assert!(!compose["services"]["clickhouse"].is_badvalue());

    for service in ["logweir", "clickhouse"] {
        for mount in mounts(&compose["services"][service]) {
            if mount.source.starts_with('.') {
                assert!(folder.join(mount.source).exists(), "{} of {service}", mount.source);
            } else {
                assert!(!compose["volumes"][mount.source].is_badvalue(), "{} of {service}", mount.source);
            }
        }
    }
    // A path inside the container, by the mount that has it.
    let mounts = mounts(logweir);
    let mount_of = |path: &str| {
        let holds =
            |mount: &&Mount<'_>| path == mount.target || path.starts_with(&format!("{}/", mount.target));
        mounts.iter().filter(holds).max_by_key(|mount| mount.target.len()).expect("a mount")
    };
    let command = strings(&logweir["command"]);
    let ["-c", config] = command[..] else { panic!("{command:?}") };
    let mount = mount_of(config);
    let inside = config.strip_prefix(mount.target).unwrap().trim_start_matches('/');
    assert!(folder.join(mount.source).join(inside).is_file(), "{config}");

    let texts = ["production.conf", "fluent.conf", "postgresql.conf", "servio.env"].map(conf_text).concat();
    let paths: BTreeSet<&str> = texts
        .split("/var/log/")
        .skip(1)
        .map(|rest| rest.split(|c: char| c == '\'' || c.is_whitespace()).next().unwrap())
        .collect();
    let (mut written, mut read) = (0, 0);
    for path in paths {
        let mount = mount_of(&format!("/var/log/{path}"));
        if path.ends_with("*.log") || path.ends_with("*.json") {
            read += 1;
            assert!(
                mount.read_only && mount.target == format!("/var/log/{}", path.split('/').next().unwrap())
            );
        } else {
            written += 1;
            assert_eq!((mount.source, mount.read_only), ("logweir-state", false), "{path}");
        }
    }
    assert_eq!((written, read), (4, 2));
    // A new named volume takes owner and rights of the folder that the image has there.
    let dockerfile = fs::read_to_string(folder.join("../../Dockerfile")).unwrap();
    assert!(
        dockerfile.contains(&format!("useradd --uid {USER} "))
            && dockerfile.contains(&format!("\nUSER {USER}\n"))
    );
    assert!(dockerfile.contains("chown logweir:logweir /var/log\n"), "{dockerfile}");
}

struct Mount<'a> {
    source: &'a str,
    target: &'a str,
    read_only: bool,
}

fn mounts(service: &Yaml) -> Vec<Mount<'_>> {
    let mount = |text: &str| match text.split(':').collect::<Vec<_>>()[..] {
        [_, _] => false,
        [_, _, "ro"] => true,
        _ => panic!("{text}"),
    };
    let split = |text: &'_ str| -> (usize, usize) {
        let first = text.find(':').unwrap();
        (first, text[first + 1..].find(':').map_or(text.len(), |second| first + 1 + second))
    };
    let texts = strings(&service["volumes"]);
    texts
        .into_iter()
        .map(|text| {
            let (source, target) = split(text);
            Mount { source: &text[..source], target: &text[source + 1..target], read_only: mount(text) }
        })
        .collect()
}

fn strings(list: &Yaml) -> Vec<&str> {
    list.as_vec().unwrap().iter().map(|entry| entry.as_str().unwrap()).collect()
}
