//! More staged chunks than files that may be open.

use super::Logweir;
use logweir_testing::{free_port, http_request};
use rustix::process::Signal;
use std::fs;

const TAGS: usize = 400;
const OPEN_FILES: u64 = 200;

#[test]
fn a_chunk_for_each_of_many_tags_needs_no_open_file_for_each() {
    for durability in ["synced", "page_cache"] {
        let dir = tempfile::tempdir().unwrap();
        let (here, port) = (dir.path().display(), free_port());
        fs::create_dir(dir.path().join("out")).unwrap();
        let config = format!(
            "<source>\n @type http\n bind 127.0.0.1\n port {port}\n</source>\n\
             <match app.*>\n @type file\n path {here}/out/${{tag}}\n append true\n <format>\n @type json\n </format>\n\
             <buffer tag>\n @type file\n path {here}/buffer\n durability {durability}\n flush_mode interval\n \
             flush_interval 1h\n flush_thread_burst_interval 0\n </buffer>\n</match>\n"
        );
        let mut logweir = Logweir::start_with(dir.path(), &config, Some(OPEN_FILES), |_| {});
        for round in 0..2 {
            for tag in 0..TAGS {
                let body = format!(r#"{{"round":{round},"tag":{tag}}}"#);
                let target = format!("/app.{tag}");
                let answer =
                    http_request(port, "POST", &target, &["Content-Type: application/json"], body.as_bytes());
                assert_eq!(answer.unwrap().status, 200, "{}", logweir.log());
            }
            let open = fs::read_dir(format!("/proc/{}/fd", logweir.pid())).unwrap().count() as u64;
            assert!(open < OPEN_FILES * 3 / 4, "{open} open files");
            if round == 0 {
                logweir.kill();
                logweir.start_again();
            }
        }
        assert!(
            fs::read_dir(dir.path().join("out")).unwrap().next().is_none(),
            "nothing is flushed by itself"
        );
        logweir.signal(Signal::USR1);
        let out = |tag| fs::read_to_string(dir.path().join(format!("out/app.{tag}.log"))).unwrap_or_default();
        let whole = |tag: usize| format!("{{\"round\":0,\"tag\":{tag}}}\n{{\"round\":1,\"tag\":{tag}}}\n");
        logweir.wait("all files", |_| (0..TAGS).all(|tag| out(tag).len() >= whole(tag).len()));
        for tag in 0..TAGS {
            assert_eq!(out(tag), whole(tag));
        }
        assert!(logweir.stop().success());
    }
}
