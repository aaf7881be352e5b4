//! The log files of a node, as the kubelet and containerd lay them out.
//!
//! ```text
//! /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log                      the N-th run of a container
//! /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log                   a link to it
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A node below a directory.
pub(super) struct Node {
    root: PathBuf,
}

/// A container of a pod that writes into its file.
#[derive(Clone)]
pub(super) struct Container {
    file: PathBuf,
    lines: usize,
}

impl Node {
    pub(super) fn new(root: &Path) -> Self {
        for dir in ["var/log/containers", "var/log/pods", "state"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        Self { root: root.to_owned() }
    }

    /// `/var/log`
    pub(super) fn var_log(&self) -> PathBuf {
        self.root.join("var/log")
    }

    /// Where positions and buffers are.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// A container that has started for the `run`-th time.
    pub(super) fn start(&self, pod: (&str, &str, &str), container: &str, run: u32, id: &str) -> Container {
        let (namespace, name, uid) = pod;
        let dir = self.var_log().join(format!("pods/{namespace}_{name}_{uid}/{container}"));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join(format!("{run}.log"));
        fs::write(&file, "").unwrap();
        symlink(&file, self.var_log().join(format!("containers/{name}_{namespace}_{container}-{id}.log")))
            .unwrap();
        Container { file, lines: 0 }
    }

    /// What the kubelet does when a pod is deleted.
    pub(super) fn remove(&self, pod: (&str, &str, &str)) {
        let (namespace, name, uid) = pod;
        for entry in fs::read_dir(self.var_log().join("containers")).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{name}_{namespace}_")) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        fs::remove_dir_all(self.var_log().join(format!("pods/{namespace}_{name}_{uid}"))).unwrap();
    }
}

impl Container {
    /// Writes a whole line.
    pub(super) fn say(&mut self, text: &str) {
        self.write("stdout", "F", text);
    }

    /// Writes a line, or a part of one (`P`), of a stream. Each is a nanosecond later than the one before.
    pub(super) fn write(&mut self, stream: &str, tag: &str, text: &str) {
        let line = format!("2026-02-01T10:30:45.{:09}+00:00 {stream} {tag} {text}\n", self.lines);
        self.lines += 1;
        let mut file = OpenOptions::new().append(true).open(&self.file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }

    /// What the kubelet does at containerLogMaxSize.
    pub(super) fn rotate(&mut self) {
        let rotated = format!("{}.20260201-{:06}", self.file.display(), self.lines);
        fs::rename(&self.file, rotated).unwrap();
        fs::write(&self.file, "").unwrap();
    }
}
