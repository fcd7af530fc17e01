//! Where log files are, and how those who read them find that out without asking.
//!
//! | sexton.toml | who runs it | the log directory |
//! | --- | --- | --- |
//! | `[log] directory` | | that |
//! | nothing | root | `/var/log/sexton` |
//! | nothing | another user | `log` in the run directory |
//!
//! A directory that is none of the usual ones has a link to it in the run directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::logger::client::Usual;
use crate::model::Settings;
use crate::sys::accounts::Accounts;
use crate::sys::process;

/// The link in the run directory, or the directory itself.
pub const LOG_LINK: &str = "log";

/// What holds for the output of all units; what cannot be had is added to the limitations.
pub(super) fn usual(settings: &Settings, run_directory: &Path, limitations: &mut Vec<String>) -> Usual {
    let link = run_directory.join(LOG_LINK);
    let directory = match &settings.log_directory {
        Some(directory) => {
            let directory = PathBuf::from(&**directory);
            if let Err(error) = point(&link, &directory) {
                let (link, directory) = (link.display(), directory.display());
                limitations.push(format!("cannot lay '{link}' to '{directory}': {error}; logs need --dir"));
            }
            directory
        }
        None => {
            if link.is_symlink() {
                let _ = fs::remove_file(&link); // One that stays leads to older logs, and a newer sexton replaces it.
            }
            usual_directory(process::effective_uid(), run_directory)
        }
    };
    let group = settings.log_group.as_ref().and_then(|group| match Accounts::default().group(group) {
        Ok(Some(gid)) => Some(gid),
        Ok(None) | Err(_) => {
            limitations.push(format!("cannot find the group '{group}' of log files; they stay sexton's own"));
            None
        }
    });
    Usual::new(settings.log.clone(), directory, group)
}

fn usual_directory(uid: u32, run_directory: &Path) -> PathBuf {
    if uid == 0 { PathBuf::from("/var/log/sexton") } else { run_directory.join(LOG_LINK) }
}

fn point(link: &Path, directory: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|there| there == directory) {
        return Ok(());
    }
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(directory, link)
}

/// Where the logs of the sexton with this run directory are, for whoever runs this.
pub fn log_directory(run_directory: &Path) -> PathBuf {
    let link = run_directory.join(LOG_LINK);
    if link.exists() { link } else { usual_directory(process::effective_uid(), run_directory) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_logs_finds_where_they_were_put() {
        let run = std::env::temp_dir().join(format!("sexton-logging-{}", std::process::id()));
        fs::create_dir_all(run.join("there")).unwrap();
        let said = run.join("there").display().to_string();
        let settings = Settings { log_directory: Some(said.as_str().into()), ..Settings::default() };
        let mut limitations = Vec::new();
        for _ in 0..2 {
            let usual = usual(&settings, &run, &mut limitations);
            assert_eq!(usual.directory, run.join("there"));
            assert_eq!(
                fs::canonicalize(log_directory(&run)).unwrap(),
                fs::canonicalize(run.join("there")).unwrap()
            );
        }
        usual(&Settings::default(), &run, &mut limitations);
        assert!(!run.join(LOG_LINK).is_symlink());
        assert_eq!(limitations, Vec::<String>::new());
        let nobody = Some(crate::model::Account::Name("no-such-group".to_owned()));
        usual(&Settings { log_group: nobody, ..Settings::default() }, &run, &mut limitations);
        assert!(limitations[0].contains("'no-such-group'"), "{limitations:?}");
        assert_eq!(usual_directory(0, &run), Path::new("/var/log/sexton"));
        fs::remove_dir_all(run).unwrap();
    }
}
