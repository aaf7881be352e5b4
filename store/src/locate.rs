//! Where libchdb lies.

use std::path::{Path, PathBuf};

/// Names a file, above all else but an option.
const VARIABLE: &str = "LOGWEIR_LIBCHDB";
const FILE: &str = "libchdb.so";
/// What npm calls it, by machine: x86_64, aarch64.
const PACKAGES: [&str; 2] = ["@chdb/lib-linux-x64-gnu", "@chdb/lib-linux-arm64-gnu"];
/// Folders in which packages put it.
const FOLDERS: [&str; 7] = [
    "/usr/lib/logweir",
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/logweir/lib",
];

/// Where the library was found, or what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Here.
    Found(PathBuf),
    /// A file was named, but is not there.
    Missing {
        /// The file.
        path: PathBuf,
        /// What named it: an option or the environment variable.
        named_by: String,
    },
    /// It is in none of the usual places.
    Nowhere,
}

impl Location {
    /// The file, or one sentence that says what to install.
    pub fn file(self) -> Result<PathBuf, String> {
        match self {
            Self::Found(path) => Ok(path),
            Self::Missing { path, named_by } => {
                Err(format!("{named_by} says {}, which does not exist", path.display()))
            }
            Self::Nowhere => Err(format!(
                "the embedded store needs {FILE}, the ClickHouse engine as a library: `make libchdb` in Logweir's checkout \
                 fetches it; or take it from npm's package {} and put it into /usr/local/lib, or name it with --libchdb or \
                 {VARIABLE}",
                if cfg!(target_arch = "aarch64") { PACKAGES[1] } else { PACKAGES[0] }
            )),
        }
    }
}

/// Looks for the library: `named` (with what named it), `$LOGWEIR_LIBCHDB`, beside the program, the usual library folders, and
/// Logweir's cache (`$LOGWEIR_CACHE`, `$XDG_CACHE_HOME/logweir` or `~/.cache/logweir`).
pub fn find_library(named: Option<(&Path, &str)>) -> Location {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = named
        .map(|(path, by)| (path.to_owned(), by.to_owned()))
        .or_else(|| variable.map(|path| (path, VARIABLE.to_owned())));
    if let Some((path, named_by)) = named {
        return if path.is_file() { Location::Found(path) } else { Location::Missing { path, named_by } };
    }
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let folders = beside.into_iter().chain(FOLDERS.iter().map(PathBuf::from)).chain(cache());
    match folders.map(|folder| folder.join(FILE)).find(|path| path.is_file()) {
        Some(path) => Location::Found(path),
        None => Location::Nowhere,
    }
}

fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("LOGWEIR_CACHE").or_else(|| {
        folder("XDG_CACHE_HOME")
            .or_else(|| folder("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("logweir"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_wins_and_is_not_replaced() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(find_library(Some((file.path(), "--libchdb"))), Location::Found(file.path().to_owned()));
        let gone = find_library(Some((Path::new("/nonexistent/libchdb.so"), "--libchdb")));
        assert_eq!(gone.file().unwrap_err(), "--libchdb says /nonexistent/libchdb.so, which does not exist");
        let nowhere = Location::Nowhere.file().unwrap_err();
        assert!(
            nowhere.contains("`make libchdb`") && nowhere.contains("npm's package @chdb/lib-linux-"),
            "{nowhere}"
        );
    }
}
