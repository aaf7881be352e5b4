//! Who the process is: user, group, umask, and whether it is in the background.

use crate::cli::Options;
use rustix::process::{Gid, Uid};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Set in the process that [`daemonize`] starts.
const BACKGROUND: &str = "LOGWEIR_IN_BACKGROUND";

/// Which of the two processes this is.
pub(crate) enum Side {
    /// The one the user called; it ends.
    Parent,
    /// The one in the background.
    Child,
}

/// Starts this program once more, in a session of its own and without a terminal, which then writes `pid_file`.
pub(crate) fn daemonize(pid_file: &Path) -> io::Result<Side> {
    if env::var_os(BACKGROUND).is_some() {
        rustix::process::setsid()?;
        fs::write(pid_file, format!("{}\n", std::process::id()))?;
        return Ok(Side::Child);
    }
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    Command::new(env::current_exe()?)
        .args(args)
        .env(BACKGROUND, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Side::Parent)
}

/// `--umask`, `--group`, `--user`. Called before any thread is started, because user and group belong to threads.
pub(crate) fn change(options: &Options) -> Result<(), String> {
    if let Some(mask) = &options.umask {
        let mask =
            u32::from_str_radix(mask, 8).map_err(|_| format!("--umask {mask}: not an octal number"))?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    }
    if let Some(name) = &options.group {
        let id = look_up("/etc/group", name).ok_or_else(|| format!("--group {name}: no such group"))?;
        let gid = Gid::from_raw(id);
        rustix::thread::set_thread_groups(&[gid]).map_err(|error| format!("--group {name}: {error}"))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)
            .map_err(|error| format!("--group {name}: {error}"))?;
    }
    if let Some(name) = &options.user {
        let id = look_up("/etc/passwd", name).ok_or_else(|| format!("--user {name}: no such user"))?;
        let uid = Uid::from_raw(id);
        rustix::thread::set_thread_res_uid(uid, uid, uid)
            .map_err(|error| format!("--user {name}: {error}"))?;
    }
    Ok(())
}

/// The id of a name (or of a number) in a file of lines `name:password:id:...`.
fn look_up(file: &str, name: &str) -> Option<u32> {
    if let Ok(id) = name.parse() {
        return Some(id);
    }
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_ids() {
        assert_eq!(look_up("/etc/passwd", "root"), Some(0));
        assert_eq!(look_up("/etc/passwd", "1234"), Some(1234));
        assert_eq!(look_up("/etc/passwd", "no-such-user-here"), None);
    }
}
