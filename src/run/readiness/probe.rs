//! The probes: commands that the loop runs for the watcher, one at a time a unit.
//!
//! ```text
//!   Idle ── RunProbe ──▶ Wished ──probe_started──▶ Running ──probe_ended──▶ ready, or Idle until the next try
//!                          └──probe_not_started──▶ Idle        └─ limit: KillProbe
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::watch::{self, Found, Probe, Way};
use super::{Outcome, PROBE_LIMIT, Watcher};
use crate::engine::UnitId;
use crate::model::{ExitStatus, Moment, Pid};
use crate::sys::poll::{Interest, Poller};

/// Reads of a probe's output after it ended: more than a pipe holds.
const MAX_READS: usize = 32;

impl Watcher {
    /// The descriptor 1 of the probe that is about to start; `None` when what it prints does not matter. The error
    /// is that of `pipe(2)`.
    pub fn probe_output(&mut self, unit: UnitId) -> io::Result<Option<OwnedFd>> {
        match self.watches.get_mut(&unit).map(|watch| &mut watch.way) {
            Some(Way::Command { matches: Some(_), probe: probe @ Probe::Wished(_) }) => {
                let (read, write) = watch::nonblocking_pipe()?;
                *probe = Probe::Wished(Some(read));
                Ok(Some(write))
            }
            _ => Ok(None),
        }
    }

    /// The probe runs. One that nobody waits for any more is to be killed.
    pub fn probe_started(
        &mut self,
        unit: UnitId,
        pid: Pid,
        poller: &Poller,
        now: Moment,
        out: &mut Vec<Outcome>,
    ) {
        let token = self.token(unit);
        let Some(mut watch) = self.watches.remove(&unit) else { return out.push(Outcome::KillProbe(pid)) };
        if let Way::Command { probe, .. } = &mut watch.way
            && let Probe::Wished(output) = probe
        {
            let output = output.take();
            if let Some(output) = &output {
                // What cannot be waited on is read when the probe ended.
                let _ = poller.add(output.as_fd(), token, Interest::Read);
            }
            *probe = Probe::Running { pid, output, seen: Vec::new() };
            let limit = now + watch.pace.longest().max(PROBE_LIMIT);
            self.set_timer(unit, &mut watch, limit);
        } else {
            out.push(Outcome::KillProbe(pid));
        }
        self.watches.insert(unit, watch);
    }

    /// The probe could not be started; the words say why. It is tried again.
    pub fn probe_not_started(&mut self, unit: UnitId, words: &str, poller: &Poller, now: Moment) {
        let Some(mut watch) = self.watches.remove(&unit) else { return };
        if let Way::Command { probe, .. } = &mut watch.way {
            *probe = Probe::Idle;
        }
        self.failed(unit, watch, words, poller, now);
    }

    /// A probe ended and was reaped. A process that is not the unit's present probe is none of our business.
    pub fn probe_ended(
        &mut self,
        unit: UnitId,
        pid: Pid,
        status: ExitStatus,
        poller: &Poller,
        now: Moment,
        out: &mut Vec<Outcome>,
    ) {
        let Some(mut watch) = self.watches.remove(&unit) else { return };
        let verdict = match &mut watch.way {
            Way::Command { matches, probe } => match std::mem::replace(probe, Probe::Idle) {
                Probe::Running { pid: running, output, mut seen } if running == pid => {
                    if let Some(output) = &output {
                        // A process that the probe left behind may hold the pipe: what is there is enough.
                        let more = || watch::read_output(output, &mut seen) == Found::Newline;
                        let _reads =
                            std::iter::repeat_with(more).take(MAX_READS).take_while(|more| *more).count();
                    }
                    watch::unwatch(poller, output);
                    // No timer: its limit has passed, and how the kill ended it says nothing.
                    Some(match watch.due {
                        Some(_) => watch::judge(status, &seen, matches.as_ref()),
                        None => Err("its probe did not end in time".to_owned()),
                    })
                }
                other => {
                    *probe = other;
                    None
                }
            },
            Way::Told(_) | Way::Descriptor(_) | Way::Address(..) | Way::File { .. } => None,
        };
        match verdict {
            Some(Ok(())) => self.succeeded(unit, watch, poller, out),
            Some(Err(note)) => self.failed(unit, watch, &note, poller, now),
            None => drop(self.watches.insert(unit, watch)),
        }
    }
}
