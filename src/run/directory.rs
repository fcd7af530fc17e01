//! The run directory: where a sexton keeps its sockets, and where its clients look for them.
//!
//! | who runs it | where |
//! | --- | --- |
//! | root | `/run/sexton` |
//! | another user | `$XDG_RUNTIME_DIR/sexton`; without that variable `/tmp/sexton-UID` |

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The name of the control socket in the run directory.
pub const CONTROL_SOCKET: &str = "control";

/// The run directory of a user. `runtime_directory` is what `XDG_RUNTIME_DIR` holds.
pub fn run_directory(uid: u32, runtime_directory: Option<OsString>) -> PathBuf {
    match runtime_directory.map(PathBuf::from).filter(|path| path.is_absolute()) {
        _ if uid == 0 => PathBuf::from("/run/sexton"),
        Some(path) => path.join("sexton"),
        None => Path::new("/tmp").join(format!("sexton-{uid}")),
    }
}

/// The run directory of whoever runs this.
pub fn own_run_directory() -> PathBuf {
    run_directory(nix::unistd::geteuid().as_raw(), std::env::var_os("XDG_RUNTIME_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_a_run_directory_of_their_own() {
        let of = |uid, variable: Option<&str>| run_directory(uid, variable.map(OsString::from));
        assert_eq!(of(0, Some("/run/user/0")), Path::new("/run/sexton"));
        assert_eq!(of(1000, Some("/run/user/1000")), Path::new("/run/user/1000/sexton"));
        assert_eq!(of(1000, None), Path::new("/tmp/sexton-1000"));
        assert_eq!(of(1000, Some("relative")), Path::new("/tmp/sexton-1000"));
    }
}
