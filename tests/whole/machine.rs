//! A machine of its own for a test that needs fixed paths and ports: namespaces with an empty /var/log, an /etc/hosts and a network
//! of their own, in which the test runs once more.

use std::process::{Command, Stdio};

/// Makes a machine of its own out of the namespaces that it is run in: `$0` is a scratch directory.
const MACHINE: &str = r#"
    set -e
    mount -t tmpfs tmpfs /var/log
    printf '127.0.0.1 localhost clickhouse\n' > "$0/hosts"
    mount --bind "$0/hosts" /etc/hosts
    python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 0x41))'
    exec "$@"
"#;

/// Set inside such a machine.
pub(crate) const INSIDE: &str = "LOGWEIR_TEST_INSIDE";

/// Runs the test of this name once more, in a machine of its own. Says no, on stderr, where there can be none.
pub(crate) fn in_a_machine_of_its_own(test: &str) -> bool {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--fork", "--kill-child", "sh", "-c", MACHINE]);
        command
    };
    let dir = tempfile::tempdir().unwrap();
    match unshare().arg(dir.path()).arg("true").output() {
        Ok(output) if output.status.success() => {}
        outcome => {
            eprintln!("{test}: no namespaces here ({outcome:?}), so paths, hosts and ports are substituted");
            return false;
        }
    }
    let program = std::env::current_exe().unwrap();
    let mut inner = unshare();
    inner.arg(dir.path()).arg(program).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = inner.stdin(Stdio::null()).output().unwrap();
    let text = crate::logweir::words(&output);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    true
}
