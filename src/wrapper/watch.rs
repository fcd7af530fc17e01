//! Starts the child, waits for what happens, and carries out what the shepherd orders.
//!
//! ```text
//!   all signals blocked ▸ child started ▸ ─ ─ ─ from here on nothing is allocated and nothing may fail ─ ─ ─
//!        ┌──▶ sigtimedwait(deadline) ──▶ SIGCHLD: reap until nobody is left to reap ──▶ shepherd ──▶ orders ──┐
//!        └────────────────────────────── another signal ───────────────────────────────▶                     │
//!        ▲───────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```

use super::settings::{Adopts, Settings, Stand, Target};
use super::shepherd::{Left, Order, Orders, Shepherd};
use super::variables;
use super::voice::{News, Voice};
use crate::model::{ExitStatus, Pid, Signal};
use crate::sys::arguments::Arguments;
use crate::sys::only_child::{self, Command, Foreground, Place};
use crate::sys::reap::{self, Change};
use crate::sys::signals::{Arrived, Sender};
use crate::sys::standard::{self, Stream};
use crate::sys::terminal::{self, Terminal};
use crate::sys::{clock, kill, left_behind, process, processes, sigwait};

/// The status where the wrapper itself cannot do what it was told, as all three have it.
const FAILED: u8 = 1;

/// Runs the command until it ends and all is over.
pub(super) fn run(arguments: &mut Arguments, settings: &Settings) -> u8 {
    match prepare(arguments, settings) {
        Ok(mut watch) => watch.run(),
        Err((text, code)) => {
            standard::write(Stream::Errors, text.as_bytes());
            code
        }
    }
}

/// Watches one child.
struct Watch {
    voice: Voice,
    me: Pid,
    child: Pid,
    terminal: Option<Terminal>,
    shepherd: Shepherd,
    /// How the child ended, between its end and the shepherd's hearing of it.
    ended: Option<ExitStatus>,
}

fn prepare(arguments: &mut Arguments, settings: &Settings) -> Result<Watch, (String, u8)> {
    let voice = settings.voice;
    variables::add(arguments, &settings.env_files).map_err(|why| (format!("sexton: {why}\n"), FAILED))?;
    let failed = |what: &str, error: &std::io::Error| (format!("sexton: cannot {what}: {error}\n"), FAILED);
    let signals = sigwait::take_all().map_err(|error| failed("block signals", &error))?;
    let me = processes::own_pid();
    if let Some(signal) = settings.parent_death {
        process::end_with_parent(signal).map_err(|error| failed("watch the parent", &error))?;
    }
    adopt(voice, settings.adopts, me).map_err(|error| failed("become a subreaper", &error))?;
    let terminal = Terminal::find();
    let place = stand(voice, settings.stand, terminal);
    let first = settings.command;
    let program = arguments.bytes(first).unwrap_or_default();
    let started = only_child::start(Command { arguments, first, place, signals });
    let started = started.map_err(|refused| voice.refused(&refused, program))?;
    only_child::let_go();
    voice.tell(News::Spawned(started.pid, program));
    if let Some(errno) = started.no_terminal {
        voice.tell(News::NoTerminal(errno));
    }
    let shepherd = Shepherd::new(settings);
    Ok(Watch { voice, me, child: started.pid, terminal, shepherd, ended: None })
}

fn adopt(voice: Voice, adopts: Adopts, me: Pid) -> std::io::Result<()> {
    if me.get() == 1 && adopts != Adopts::OrFails {
        return Ok(());
    }
    match (adopts, process::become_subreaper) {
        (Adopts::OrFails, become_one) => become_one(),
        (Adopts::IfPossible, become_one) => {
            // Where the kernel does not know how, orphans go to PID 1, as they would without us.
            let _ = become_one();
            Ok(())
        }
        (Adopts::No, _) => {
            voice.tell(News::AdoptsNobody);
            Ok(())
        }
    }
}

/// Where the child will stand.
fn stand(voice: Voice, stand: Stand, terminal: Option<Terminal>) -> Place {
    match stand {
        Stand::Beside => Place::Parents,
        // Whoever was started in the background does not take the terminal from who has it.
        Stand::Group => {
            let ours = terminal.filter(|terminal| terminal.is_ours());
            Place::Group(ours.map_or(Foreground::Left, Foreground::Taken))
        }
        Stand::Session => {
            if terminal.is_some_and(Terminal::give_up) {
                voice.tell(News::TerminalLeft);
            }
            Place::Session(terminal)
        }
    }
}

impl Watch {
    /// From here on nothing may fail.
    fn run(&mut self) -> u8 {
        loop {
            let arrived = sigwait::next(self.shepherd.deadline());
            // What becomes of children is told by one bit, which may stand for many; looking once more costs one call.
            let left = match arrived {
                Some(Arrived { signal, .. }) if signal != Signal::CHLD => None,
                _ => Some(self.reap()),
            };
            let status = match (arrived, left) {
                (Some(arrived), None) => self.signalled(arrived),
                (_, left) => self.looked(left),
            };
            if let Some(status) = status {
                return status;
            }
        }
    }

    fn signalled(&mut self, arrived: Arrived) -> Option<u8> {
        let Arrived { signal, sender } = arrived;
        // A line of ours that nobody reads any more is no signal for the child.
        if signal == Signal::PIPE && sender == Sender::Process(Some(self.me)) {
            return None;
        }
        self.voice.tell(News::Received(signal));
        let orders = self.shepherd.signalled(clock::now(), signal);
        self.carry_out(orders, Some(signal))
    }

    fn looked(&mut self, left: Option<Left>) -> Option<u8> {
        let left = left.unwrap_or(Left::Somebody);
        if let Some(status) = self.ended.take() {
            let orders = self.shepherd.child_ended(clock::now(), status, left);
            if let Some(Order::Leave(code)) = orders.first().copied().flatten() {
                self.voice.tell(News::Main(status, code));
            }
            return self.carry_out(orders, None);
        }
        let orders = self.shepherd.reaped(left);
        let status = self.carry_out(orders, None);
        if status.is_some() || self.shepherd.deadline().is_none() {
            return status;
        }
        let orders = self.shepherd.tick(clock::now());
        self.carry_out(orders, None)
    }

    /// Reaps all that can be.
    fn reap(&mut self) -> Left {
        loop {
            if let Some(order) = self.shepherd.farewell()
                && reap::peek() == Some(self.child)
            {
                // Its number is the group's until it is reaped, and may be a stranger's afterwards.
                self.carry_out([Some(order), None, None], None);
            }
            match reap::next_change() {
                Change::Ended(pid, status) => {
                    self.voice.tell(News::Ended(pid, status));
                    if pid == self.child {
                        self.ended = Some(status);
                    } else {
                        self.voice.tell(News::Orphan(pid));
                    }
                }
                Change::Stopped(pid, _) if pid == self.child && terminal::is_job() => {
                    let orders = self.shepherd.child_stopped();
                    self.carry_out(orders, None);
                }
                Change::Stopped(..) => {}
                Change::NoneReady => return Left::Somebody,
                Change::NoChildren => return Left::Nobody,
            }
        }
    }

    /// Does it, and answers the status with which all ends. `came` is the signal that the orders answer.
    fn carry_out(&mut self, orders: Orders, came: Option<Signal>) -> Option<u8> {
        for order in orders.into_iter().flatten() {
            match order {
                Order::Send(target, signal) => {
                    if let Some(came) = came.filter(|came| *came != signal) {
                        self.voice.tell(News::Rewritten(came, signal));
                    }
                    self.send(target, signal);
                }
                Order::Drop(signal) => self.voice.tell(News::Dropped(signal)),
                Order::Hold => self.voice.tell(News::Drains),
                Order::SendAll(signal) => {
                    let news = if signal == Signal::KILL { News::Killing } else { News::Parting };
                    self.voice.tell(news);
                    left_behind::signal(signal);
                }
                Order::Suspend => {
                    self.voice.tell(News::Suspends);
                    // PID 1 cannot be stopped, and says so by going on.
                    let _ = kill::process(self.me, Signal::STOP);
                }
                Order::Resume => self.resume(),
                Order::Leave(status) => return Some(status),
            }
        }
        None
    }

    fn send(&self, target: Target, signal: Signal) {
        let sent = match target {
            Target::Child => kill::process(self.child, signal),
            Target::Group => kill::group(self.child, signal),
        };
        self.voice.tell(if sent.is_ok() { News::Forwarded(signal) } else { News::NobodyThere });
    }

    /// The shell goes on with us: in the foreground if the terminal is ours again.
    fn resume(&self) {
        if let Some(terminal) = self.terminal.filter(|terminal| terminal.is_ours()) {
            // A terminal that is gone has told the child so already.
            let _ = terminal.give_to(self.child);
        }
        self.send(Target::Group, Signal::CONT);
    }
}
