//! `boot-failed` and `boot-done`: how often in a row a boot has failed.
//!
//! `boot-failed` counts one more, and fails when there have been as many as are allowed, or when it cannot be counted: a
//! machine that starts again and again with nobody to see it is what the count is there against.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::Job;
use crate::machine::early::words;
use crate::machine::{STATE, state, text};

/// One boot more has failed.
pub(super) fn failed(job: &mut Job<'_>) {
    let most = job.settings.boot.tries;
    let before =
        text::read(&state::path("boot-tries")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    match next(before, most) {
        Some(tries) => match keep(tries) {
            Ok(()) => job.say(&format!("failed boot {tries} of {most}: the machine starts again")),
            Err(error) => job.fail(&format!(
                "cannot count failed boots in '{STATE}': {}; the machine does not start again",
                words(&error)
            )),
        },
        None => {
            forget();
            job.fail(&format!("{most} boots in a row have failed: the machine does not start again"));
        }
    }
}

/// A boot went well.
pub(super) fn done(_: &mut Job<'_>) {
    forget();
}

/// The number of this failure, where it is not the last one.
fn next(before: u32, most: u32) -> Option<u32> {
    before.checked_add(1).filter(|tries| *tries < most)
}

fn keep(tries: u32) -> io::Result<()> {
    fs::create_dir_all(Path::new(STATE))?;
    let mut file = File::create(state::path("boot-tries"))?;
    writeln!(file, "{tries}")?;
    file.sync_all()
}

fn forget() {
    let _ = fs::remove_file(state::path("boot-tries")); // As a rule there is none.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_try_is_not_answered_by_another_boot() {
        assert_eq!((next(0, 3), next(1, 3), next(2, 3)), (Some(1), Some(2), None));
        assert_eq!((next(0, 1), next(u32::MAX, 9)), (None, None));
    }
}
