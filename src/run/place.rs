//! Where sexton finds itself, and what a signal means there.
//!
//! | place | it is | at the end |
//! | --- | --- | --- |
//! | `Child` | not PID 1: `sexton up` from a shell or another init; it becomes a child subreaper | the process exits |
//! | `Container` | PID 1 of a pid namespace that somebody made | the process exits, and the kernel ends the rest |
//! | `Machine` | PID 1 of the kernel itself | `reboot(2)`: an init that exits is a kernel panic |

use std::path::Path;

use crate::engine::Shutdown;
use crate::model::Signal;

/// Where sexton runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not PID 1.
    Child,
    /// PID 1 of a namespace.
    Container,
    /// PID 1 of a machine.
    Machine,
}

/// What can be seen of the place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs<'a> {
    /// sexton's own pid, as it sees it.
    pub pid: i32,
    /// The variable `container` is set, as most container managers do.
    pub container_variable: bool,
    /// `/.dockerenv` or `/run/.containerenv` is there.
    pub container_file: bool,
    /// What `/proc/self/ns/pid` links to.
    pub pid_namespace: Option<&'a str>,
}

/// The kernel's own pid namespace has this number on every Linux (`PROC_PID_INIT_INO`).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

impl Place {
    /// Tells the place from its signs. Without `/proc` and any other sign, PID 1 is taken for a machine's: its
    /// `reboot(2)` ends a container as well, while an `exit` would panic a machine.
    pub fn from_signs(signs: Signs<'_>) -> Place {
        match signs {
            Signs { pid, .. } if pid != 1 => Place::Child,
            Signs { container_variable: true, .. } | Signs { container_file: true, .. } => Place::Container,
            Signs { pid_namespace: Some(namespace), .. } if namespace != INITIAL_PID_NAMESPACE => {
                Place::Container
            }
            _ => Place::Machine,
        }
    }

    /// Looks around.
    pub fn detect() -> Place {
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
        Place::from_signs(Signs {
            pid: std::process::id().cast_signed(),
            container_variable: std::env::var_os("container").is_some(),
            container_file: ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists()),
            pid_namespace: namespace.as_deref().and_then(Path::to_str),
        })
    }
}

/// What somebody who sends sexton a signal wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Children have ended.
    Reap,
    /// End. The second time: end at once.
    Shutdown(Shutdown),
    /// Read the unit files again and go over to what they say.
    Reread,
    /// Nothing that sexton knows of; it is noted.
    Unknown,
    /// Nothing, and nobody has to hear of it: what a terminal or a job control sends along.
    Nothing,
}

/// The meaning of a signal. The real-time ones are systemd's, which virtual machine and container managers send.
pub fn wish(signal: Signal, place: Place) -> Wish {
    let number = signal.number();
    match (signal, place) {
        (Signal::CHLD, _) => Wish::Reap,
        (Signal::HUP, _) => Wish::Reread,
        // Ctrl-Alt-Del reaches the machine's init as SIGINT.
        (Signal::INT, Place::Machine) => Wish::Shutdown(Shutdown::Reboot),
        (Signal::TERM | Signal::INT | Signal::QUIT, _) => Wish::Shutdown(Shutdown::Exit),
        (Signal::PWR, _) => Wish::Shutdown(Shutdown::PowerOff),
        _ if number == RTMIN + 3 => Wish::Shutdown(Shutdown::Halt),
        _ if number == RTMIN + 4 => Wish::Shutdown(Shutdown::PowerOff),
        _ if number == RTMIN + 5 => Wish::Shutdown(Shutdown::Reboot),
        (Signal::CONT | Signal::WINCH | Signal::PIPE, _) => Wish::Nothing,
        _ => Wish::Unknown,
    }
}

const RTMIN: i32 = 34;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pid_1_of_the_kernel_itself_is_a_machine() {
        let machine = Signs { pid: 1, pid_namespace: Some(INITIAL_PID_NAMESPACE), ..Signs::default() };
        assert_eq!(Place::from_signs(machine), Place::Machine);
        assert_eq!(Place::from_signs(Signs { pid: 2, ..machine }), Place::Child);
        assert_eq!(
            Place::from_signs(Signs { pid_namespace: Some("pid:[4026532201]"), ..machine }),
            Place::Container
        );
        assert_eq!(Place::from_signs(Signs { container_variable: true, ..machine }), Place::Container);
        assert_eq!(Place::from_signs(Signs { container_file: true, ..machine }), Place::Container);
        assert_eq!(Place::from_signs(Signs { pid_namespace: None, ..machine }), Place::Machine);
    }

    #[test]
    fn a_signal_means_what_managers_of_containers_mean_by_it() {
        let at = |text: &str, place| wish(Signal::parse(text).unwrap(), place);
        assert_eq!(at("TERM", Place::Container), Wish::Shutdown(Shutdown::Exit));
        assert_eq!(at("INT", Place::Container), Wish::Shutdown(Shutdown::Exit));
        assert_eq!(at("INT", Place::Machine), Wish::Shutdown(Shutdown::Reboot));
        assert_eq!(at("RTMIN+3", Place::Container), Wish::Shutdown(Shutdown::Halt));
        assert_eq!(at("RTMIN+4", Place::Machine), Wish::Shutdown(Shutdown::PowerOff));
        assert_eq!(at("RTMIN+5", Place::Machine), Wish::Shutdown(Shutdown::Reboot));
        assert_eq!(at("PWR", Place::Machine), Wish::Shutdown(Shutdown::PowerOff));
        assert_eq!(at("HUP", Place::Container), Wish::Reread);
        assert_eq!(at("CHLD", Place::Child), Wish::Reap);
        assert_eq!(at("USR1", Place::Container), Wish::Unknown);
        assert_eq!(at("CONT", Place::Container), Wish::Nothing);
    }
}
