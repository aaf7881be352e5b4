//! What others on the machine, and readers of the log, get to see; and what a machine that allows little allows.

use super::*;
use crate::logweir::{BINARY, logweir, words};
use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[test]
fn files_and_folders_have_the_modes_of_the_system_section() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let port = free_port();
    let private = dir.path().join("private");
    let config = format!(
        "<system>\n file_permission 0600\n dir_permission 0700\n root_dir {here}/private/root\n</system>
<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>
<source>\n @type tail\n path {here}/in.log\n pos_file {here}/private/pos/in.pos\n tag out.tail\n read_from_head true\n
 <parse>\n @type none\n </parse>\n</source>
{NO_OWN_LOG}
<match out.**>\n @type file\n path {here}/private/out/${{tag}}\n append true
 <buffer tag>\n @type file\n path {here}/private/buffer\n flush_mode immediate\n </buffer>\n</match>
<match kept.**>\n @id kept\n @type file\n path {here}/private/kept
 <buffer>\n @type file\n flush_mode lazy\n timekey 1d\n </buffer>\n</match>
<match own.**>\n @type file\n path {here}/private/own
 <buffer>\n @type file\n path {here}/private/own.buffer\n file_permission 0640\n dir_permission 0750\n flush_mode lazy\n timekey 1d\n </buffer>\n</match>
"
    );
    fs::write(dir.path().join("in.log"), "a line\n").unwrap();
    let mut logweir = Logweir::start_with(dir.path(), &config, None, |command| {
        // Nothing is to depend on a mask that is strict by itself.
        let program = command.get_program().to_owned();
        let args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        *command = Command::new("sh");
        command.arg("-c").arg("umask 0 && exec \"$0\" \"$@\"").arg(program).args(args);
    });
    for tag in ["out.a", "kept.a", "own.a"] {
        let mut peer = Peer::connect(port);
        peer.send(&acked_message(tag, 1));
        assert!(peer.0.read(&mut [0; 64]).unwrap() > 0, "an acknowledgement");
    }
    logweir.wait("the files", |_| {
        ["out/out.a.log", "out/out.tail.log", "pos/in.pos"].iter().all(|path| private.join(path).exists())
    });
    let mut seen = Vec::new();
    look(&private, &mut seen);
    assert!(seen.iter().any(|(path, _)| path.contains("own.buffer/")), "{seen:?}");
    for (path, mode) in &seen {
        // Lock files say who holds them, to nobody else.
        let (file, folder) = if path.ends_with(".lock") {
            (0o600, 0o700)
        } else if path.contains("own.buffer") {
            (0o640, 0o750)
        } else {
            (0o600, 0o700)
        };
        let expected = if Path::new(path).is_dir() { folder } else { file };
        assert_eq!(mode & 0o777, expected, "{path} has the mode {mode:o}");
    }
    assert!(logweir.stop().success());
}

fn look(dir: &Path, seen: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        seen.push((entry.path().display().to_string(), meta.permissions().mode()));
        if meta.is_dir() {
            look(&entry.path(), seen);
        }
    }
}

#[test]
fn secrets_are_in_no_log_and_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let [port, monitor, dead] = [(); 3].map(|()| free_port());
    let outputs = ["clickhouse", "http", "forward"];
    let sample =
        |tag: &str| format!("<source>\n @type sample\n tag {tag}.x\n sample {{\"n\":1}}\n</source>\n");
    let samples = outputs.map(sample).concat();
    let config = format!(
        "<source>
  @id in
  @type forward
  bind 127.0.0.1
  port {port}
  <security>
    self_hostname server.example
    shared_key SESAME-shared
    user_auth true
    <user>\n username app\n password SESAME-user\n </user>
    <client>\n network 127.0.0.0/8\n shared_key SESAME-client\n </client>
  </security>
</source>
<source>\n @type monitor_agent\n bind 127.0.0.1\n port {monitor}\n token SESAME-token\n</source>
{samples}
<match clickhouse.**>
  @id to_clickhouse
  @type clickhouse
  host 127.0.0.1
  port {dead}
  user writer
  password SESAME-clickhouse
  table t
  <buffer>\n @type file\n path {here}/buffer.c\n flush_mode immediate\n </buffer>
</match>
<match http.**>
  @id to_http
  @type http
  endpoint http://app:SESAME-endpoint@127.0.0.1:{dead}/path
  <auth>\n method basic\n username app\n password SESAME-basic\n </auth>
  <buffer>\n @type file\n path {here}/buffer.h\n flush_mode immediate\n </buffer>
</match>
<match forward.**>
  @id to_forward
  @type forward
  <server>\n host 127.0.0.1\n port {dead}\n shared_key SESAME-server\n username a\n password SESAME-password\n </server>
  <security>\n self_hostname web\n shared_key SESAME-out\n </security>
  <buffer>\n @type file\n path {here}/buffer.f\n flush_mode immediate\n </buffer>
</match>
<match **>\n @type stdout\n</match>
"
    );
    let mut process = Logweir::start_with(dir.path(), &config, None, |command| {
        command.arg("-vv");
    });
    // Something fails for each output.
    process.wait("connections that fail", |process| {
        let log = process.log();
        outputs.iter().all(|output| log.contains(&format!("[to_{output}] failed to flush the buffer")))
    });
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let ask = |path: &str, header: &str| http_request(monitor, "GET", path, &[header], b"").unwrap();
    for (header, status) in
        [(bearer("SESAME-token"), 200), (bearer("SESAME-toke"), 401), ("X: y".to_owned(), 401)]
    {
        assert_eq!(ask("/api/plugins.json", &header).status, status, "{header}");
    }
    let mut shown = String::new();
    for path in [
        "/api/plugins.json?with_config=true&debug=1",
        "/api/plugins",
        "/api/config.json",
        "/api/logweir.json",
    ] {
        shown.push_str(&ask(path, &bearer("SESAME-token")).text());
    }
    assert!(shown.contains("xxxxxx"), "{shown}");
    process.signal(rustix::process::Signal::HUP);
    process.wait("a reload", |process| process.log().contains("the new configuration is running"));
    assert!(process.stop().success());
    shown.push_str(&process.log());
    let file = dir.path().join("fluent.conf");
    let file = file.to_str().unwrap();
    for args in [&["--dry-run", "-c", file][..], &["check", file], &["-vv", "--dry-run", "-c", file]] {
        shown.push_str(&words(&logweir(args)));
    }
    // A problem is shown with its line; the lines with secrets are not problems.
    fs::write(file, format!("{config}\n<match x>\n @type nonsense\n</match>\n")).unwrap();
    shown.push_str(&words(&logweir(&["--dry-run", "-c", file])));
    let leaks: Vec<&str> = shown.lines().filter(|line| line.contains("SESAME")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn without_rights_and_with_a_root_that_is_read_only() {
    /// `$0` is the directory of the test; what is in it may not be written, but for `state`.
    const CAGE: &str = r#"
        set -e
        mount --make-rprivate /
        mount -t tmpfs -o mode=0700,uid=65532,gid=65532 tmpfs "$0/state"
        mount -o remount,bind,ro /
        mountpoint -q /tmp && mount -o remount,bind,ro /tmp
        if touch "$0/proof" 2>/dev/null; then exit 9; fi
        exec setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "$@"
    "#;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (here, port, monitor) = (dir.path().display(), free_port(), free_port());
    fs::create_dir(dir.path().join("state")).unwrap();
    fs::copy(BINARY, dir.path().join("logweir")).unwrap();
    let cage = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", CAGE]).arg(dir.path()).args(args);
        command.stdin(Stdio::null());
        command
    };
    match cage(&["true"]).output() {
        Ok(output) if output.status.success() => {}
        outcome => {
            eprintln!("no namespaces here ({outcome:?}), so this is not tested");
            return;
        }
    }
    fs::write(
        dir.path().join("fluent.conf"),
        format!(
            "<system>\n root_dir {here}/state\n</system>
<source>\n @type forward\n bind 127.0.0.1\n port {port}\n</source>
<source>\n @type monitor_agent\n bind 127.0.0.1\n port {monitor}\n</source>
<source>\n @type tail\n path {here}/in.log\n pos_file {here}/state/in.pos\n tag tail\n read_from_head true
 <parse>\n @type none\n </parse>\n</source>
<match **>\n @id out\n @type file\n path {here}/state/out\n append true\n <format>\n @type json\n </format>
 <buffer []>\n @type file\n flush_mode immediate\n </buffer>\n</match>
"
        ),
    )
    .unwrap();
    fs::write(dir.path().join("in.log"), "a line\n").unwrap();
    let log = OpenOptions::new().create(true).append(true).open(dir.path().join("logweir.log")).unwrap();
    let program = dir.path().join("logweir");
    let config = dir.path().join("fluent.conf");
    let mut command = cage(&[program.to_str().unwrap(), "-c", config.to_str().unwrap()]);
    let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut process = Logweir::adopt(dir.path(), child);
    let mut peer = Peer::connect(port);
    peer.send(&acked_message("honest", 1));
    assert!(peer.0.read(&mut [0; 64]).unwrap() > 0, "an acknowledgement");
    process
        .wait("both records", |_| books(monitor)["records"]["plugins"]["out"]["stored"].as_u64() >= Some(2));
    process.wait("balanced books", |_| books(monitor)["records"]["total"]["unexplained"] == 0);
    let log = process.log();
    assert!(!log.contains("[error]") && !log.contains("Read-only"), "{log}");
    process.kill();
}
