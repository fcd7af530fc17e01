//! What the wrapper was told: by options and variables of three programs, in one form.

use std::time::Duration;

use super::voice::Voice;
use crate::model::Signal;

/// All of it.
#[derive(Debug)]
pub(super) struct Settings {
    /// How it speaks, and as whom.
    pub(super) voice: Voice,
    /// Where the child's arguments begin.
    pub(super) command: usize,
    /// Where the child stands, and with whom it shares the terminal.
    pub(super) stand: Stand,
    /// Who gets the signals that come.
    pub(super) target: Target,
    /// Which signals are passed on as others.
    pub(super) rewrites: Rewrites,
    /// Which statuses of the child end as others.
    pub(super) remaps: Remaps,
    /// How long TERM is held back.
    pub(super) drain: Duration,
    /// How long those that the child left behind have to end; zero: they are left to the kernel.
    pub(super) grace: Duration,
    /// Do orphans below become children of this process, where it is not PID 1?
    pub(super) adopts: Adopts,
    /// What this process gets when its parent ends.
    pub(super) parent_death: Option<Signal>,
    /// Files of further variables, the last of which wins.
    pub(super) env_files: Vec<&'static [u8]>,
}

impl Settings {
    /// What holds where nothing was said.
    pub(super) fn new(voice: Voice) -> Settings {
        Settings {
            voice,
            command: 0,
            stand: Stand::Group,
            target: Target::Child,
            rewrites: Rewrites::default(),
            remaps: Remaps::default(),
            drain: Duration::ZERO,
            grace: Duration::ZERO,
            adopts: Adopts::No,
            parent_death: None,
            env_files: Vec::new(),
        }
    }
}

/// Where the child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// In a group of its own, with the terminal if it was ours: as tini has it, and with job control.
    Group,
    /// In a session of its own, and the terminal is the child's alone: as dumb-init has it.
    Session,
    /// Beside its parent, as dumb-init has it for a single child.
    Beside,
}

/// Who gets the signals that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The child alone.
    Child,
    /// All of its group.
    Group,
}

/// Who is asked to be the parent of orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adopts {
    /// Nobody is; PID 1 is anyway.
    No,
    /// As a subreaper, where the kernel allows it.
    IfPossible,
    /// As a subreaper, or nothing is started.
    OrFails,
}

/// Signals that are passed on as others, or not at all.
#[derive(Clone, Debug)]
pub(super) struct Rewrites([u8; 65]);

/// No rewrite was told for this signal.
const AS_IT_IS: u8 = u8::MAX;

impl Default for Rewrites {
    fn default() -> Rewrites {
        Rewrites([AS_IT_IS; 65])
    }
}

/// What a signal becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// Nobody said anything of it.
    Not,
    /// This signal is sent instead.
    To(Signal),
    /// It is not passed on.
    Dropped,
}

impl Rewrites {
    /// `None` as the second says that the first is not passed on.
    pub(super) fn set(&mut self, from: Signal, to: Option<Signal>) {
        if let Some(place) = self.0.get_mut(from.number().unsigned_abs() as usize) {
            *place = to.map_or(0, |to| to.number().unsigned_abs() as u8);
        }
    }

    /// As [`Rewrites::set`], where nothing was set.
    pub(super) fn set_default(&mut self, from: Signal, to: Signal) {
        if self.of(from) == Rewritten::Not {
            self.set(from, Some(to));
        }
    }

    /// What this signal becomes.
    pub(super) fn of(&self, signal: Signal) -> Rewritten {
        match self.0.get(signal.number().unsigned_abs() as usize) {
            None | Some(&AS_IT_IS) => Rewritten::Not,
            Some(number) => Signal::from_number(i32::from(*number)).map_or(Rewritten::Dropped, Rewritten::To),
        }
    }
}

/// Statuses of the child that end as others.
#[derive(Clone, Debug)]
pub(super) struct Remaps([u8; 256]);

impl Default for Remaps {
    fn default() -> Remaps {
        Remaps(std::array::from_fn(|status| status as u8))
    }
}

impl Remaps {
    /// From then on `from` ends as `to`.
    pub(super) fn set(&mut self, from: u8, to: u8) {
        if let Some(place) = self.0.get_mut(usize::from(from)) {
            *place = to;
        }
    }

    /// What this status ends as.
    pub(super) fn of(&self, status: u8) -> u8 {
        self.0.get(usize::from(status)).copied().unwrap_or(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_that_was_told_is_not_overwritten_by_a_default() {
        let stop = Signal::STOP;
        let mut rewrites = Rewrites::default();
        assert_eq!(rewrites.of(Signal::TERM), Rewritten::Not);
        rewrites.set(Signal::TERM, Some(Signal::QUIT));
        rewrites.set(Signal::HUP, None);
        for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
            rewrites.set_default(signal, stop);
        }
        let all = [Signal::TERM, Signal::HUP, Signal::INT].map(|signal| rewrites.of(signal));
        assert_eq!(all, [Rewritten::To(Signal::QUIT), Rewritten::Dropped, Rewritten::To(stop)]);
        let last = Signal::from_number(64).unwrap();
        rewrites.set(last, Some(last));
        assert_eq!(rewrites.of(last), Rewritten::To(last));
    }

    #[test]
    fn only_the_statuses_that_were_told_end_as_others() {
        let mut remaps = Remaps::default();
        remaps.set(143, 0);
        remaps.set(255, 7);
        assert_eq!([143, 255, 0, 142].map(|status| remaps.of(status)), [0, 7, 0, 142]);
    }
}
