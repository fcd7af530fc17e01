//! Claims about what is global to a process: signals, reaping, killing everybody. Each runs alone.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use super::isolated::{alone_after, as_pid_1, as_pid_1_of_a_new_user};
use super::reap::Reaped;
use super::spawn::{Identity, Plan, spawn};
use super::{call, close_on_exec, kill, limits, process, processes, reap, signals};
use crate::model::{ExecStage, ExitStatus, Pid, Signal};

const HERE: &str = "sys::global_tests";

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn start(script: &str) -> Pid {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    spawn(Plan::new(c("/bin/sh"), vec![c("sh"), c("-c"), c(script)], null.as_fd())).unwrap()
}

/// What a script prints; the child is left to be reaped.
fn output(script: &str) -> String {
    output_of(&["sh", "-c", script])
}

fn output_of(argv: &[&str]) -> String {
    let null = File::open("/dev/null").unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let program = c(&format!("/bin/{}", argv.first().unwrap()));
    let mut plan = Plan::new(program, argv.iter().map(|text| c(text)).collect(), null.as_fd());
    plan.stdout = Some(far.as_fd());
    spawn(plan).unwrap();
    drop(far);
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    text
}

/// Waits until some child has ended, and leaves it to be reaped. SIGCHLD cannot be waited for here: a test has a second thread,
/// which does not block it.
fn wait_for_one() {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `info` has room for the answer.
    call::retry(|| unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) }).unwrap();
}

/// Reaps until nobody is left.
fn reap_all() -> BTreeMap<Pid, ExitStatus> {
    let mut ended = BTreeMap::new();
    loop {
        match reap::next() {
            Reaped::Child(pid, status) => drop(ended.insert(pid, status)),
            Reaped::NoChildren => return ended,
            Reaped::NoneReady => wait_for_one(),
        }
    }
}

#[test]
fn pid_1_cannot_end_itself_by_a_signal() {
    as_pid_1(HERE, "pid_1_cannot_end_itself_by_a_signal", || {
        assert_eq!(processes::own_pid().get(), 1);
        for signal in [Signal::TERM, Signal::KILL] {
            kill::process(processes::own_pid(), signal).unwrap();
        }
    });
}

#[test]
fn a_hundred_children_that_end_at_once_are_all_reaped_with_their_own_status() {
    let name = "a_hundred_children_that_end_at_once_are_all_reaped_with_their_own_status";
    as_pid_1(HERE, name, || {
        signals::block_all().unwrap();
        let expected: BTreeMap<Pid, ExitStatus> = (0..100)
            .map(|number: i32| match number % 2 {
                0 => (start(&format!("exit {number}")), ExitStatus::exited(number as u8)),
                // Signals above 31 are where some wrappers of waitpid lose the child.
                _ => {
                    let signal = Signal::from_number(35 + number % 29).unwrap();
                    (start(&format!("kill -{} $$", signal.number())), ExitStatus::killed(signal))
                }
            })
            .collect();
        assert_eq!(reap_all(), expected);
        assert_eq!(reap::next(), Reaped::NoChildren);
    });
}

#[test]
fn a_start_that_fails_leaves_nothing_to_reap() {
    alone_after("true", HERE, "a_start_that_fails_leaves_nothing_to_reap", || {
        let null = File::open("/dev/null").unwrap();
        let error = spawn(Plan::new(c("/none"), vec![c("none")], null.as_fd())).unwrap_err();
        assert_eq!(error.stage, ExecStage::Exec);
        assert_eq!(reap::next(), Reaped::NoChildren);
    });
}

#[test]
fn inherited_signals_reach_a_child_to_the_bit_whatever_sexton_did_meanwhile() {
    let name = "inherited_signals_reach_a_child_to_the_bit_whatever_sexton_did_meanwhile";
    // Whoever runs the tests in the background, or under nohup, has these ignored.
    let setup = "trap '' PIPE USR1; \
                 set -- env --default-signal=HUP,INT,QUIT --block-signal=USR2,TTOU \"$@\"";
    alone_after(setup, HERE, name, || {
        signals::block_all().unwrap();
        // Not by way of a shell: dash clears the mask of what it starts.
        let text = output_of(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
        let set = |field: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let bits = |numbers: &[i32]| numbers.iter().fold(0_u64, |set, number| set | 1 << (number - 1));
        assert_eq!(set("SigBlk:"), bits(&[libc::SIGUSR2, libc::SIGTTOU]));
        // glibc's posix_spawn, by which the test harness starts us, leaves its own two signals ignored.
        let ignored = set("SigIgn:") & !bits(&[32, 33]);
        assert_eq!(ignored, bits(&[libc::SIGPIPE, libc::SIGUSR1]));
        let inherited = signals::inherited();
        assert!(inherited.blocks(Signal::USR2) && !inherited.blocks(Signal::TERM));
    });
}

#[test]
fn children_are_reaped_though_sexton_was_started_with_sigchld_ignored() {
    let name = "children_are_reaped_though_sexton_was_started_with_sigchld_ignored";
    let setup = "set -- env --default-signal=HUP,INT,QUIT --ignore-signal=CHLD \"$@\"";
    alone_after(setup, HERE, name, || {
        assert!(signals::inherited().ignores(Signal::CHLD));
        signals::block_all().unwrap();
        let text = output_of(&["grep", "^SigIgn", "/proc/self/status"]);
        assert!(text.trim_end().ends_with("10000"), "the child still gets it ignored: {text}");
        // Had the kernel been left to ignore it, it would have thrown the child away.
        assert_eq!(reap_all().len(), 1);
    });
}

#[test]
fn a_signal_that_comes_is_read_with_its_sender() {
    alone_after("true", HERE, "a_signal_that_comes_is_read_with_its_sender", || {
        signals::block_all().unwrap();
        let signals = signals::SignalFd::new().unwrap();
        assert_eq!(signals.next().unwrap(), None);
        for number in [libc::SIGTERM, 34] {
            let signal = Signal::from_number(number).unwrap();
            // To this thread, for the other one of the test does not block it.
            // SAFETY: no arguments.
            let this = unsafe { libc::pthread_self() };
            // SAFETY: no pointers; the thread is this one.
            unsafe { libc::pthread_kill(this, number) };
            let arrived = signals.next().unwrap().unwrap();
            assert_eq!(arrived.signal, signal);
            assert_eq!(arrived.sender, signals::Sender::Process(Some(processes::own_pid())));
        }
    });
}

#[test]
fn signals_that_wait_together_are_taken_together_and_once() {
    alone_after("true", HERE, "signals_that_wait_together_are_taken_together_and_once", || {
        signals::block_all().unwrap();
        let signals = signals::SignalFd::new().unwrap();
        for number in [libc::SIGTERM, 34, 34, libc::SIGCHLD] {
            // SAFETY: no arguments.
            let this = unsafe { libc::pthread_self() };
            // SAFETY: no pointers; the thread is this one.
            unsafe { libc::pthread_kill(this, number) };
        }
        let taken: Vec<i32> = signals.next_ones().unwrap().iter().map(|one| one.signal.number()).collect();
        assert_eq!(taken, [libc::SIGTERM, libc::SIGCHLD, 34, 34]);
        assert!(signals.next_ones().unwrap().is_empty());
    });
}

/// A child whose own child called setsid; both are there once it has printed.
const FAMILY: &str = "setsid sh -c 'echo here; exec sleep 1000' & wait";

fn start_family() {
    let null = File::open("/dev/null").unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let mut plan = Plan::new(c("/bin/sh"), vec![c("sh"), c("-c"), c(FAMILY)], null.as_fd());
    plan.stdout = Some(far.as_fd());
    spawn(plan).unwrap();
    near.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn pid_1_reaches_everybody_even_who_escaped_his_group_or_is_stopped() {
    let name = "pid_1_reaches_everybody_even_who_escaped_his_group_or_is_stopped";
    as_pid_1(HERE, name, || {
        signals::block_all().unwrap();
        start_family();
        let stopped = start("exec sleep 1000");
        kill::process(stopped, Signal::STOP).unwrap();
        assert!(kill::anybody_left(&[]));
        kill::everybody(Signal::TERM, &[]).unwrap();
        let ended = reap_all();
        assert_eq!(ended.len(), 3);
        assert!(ended.values().all(|status| *status == ExitStatus::killed(Signal::TERM)), "{ended:?}");
        assert!(!kill::anybody_left(&[]));
        kill::everybody(Signal::KILL, &[]).unwrap();
    });
}

#[test]
fn who_is_to_be_spared_outlives_everybody_else() {
    as_pid_1(HERE, "who_is_to_be_spared_outlives_everybody_else", || {
        signals::block_all().unwrap();
        start_family();
        let logger = start("exec sleep 1000");
        kill::everybody(Signal::KILL, &[logger]).unwrap();
        for _ in 0..2 {
            wait_for_one();
            assert!(matches!(reap::next(), Reaped::Child(pid, _) if pid != logger));
        }
        assert!(!kill::anybody_left(&[logger]));
        assert!(kill::anybody_left(&[]) && kill::group_exists(logger));
        kill::group(logger, Signal::KILL).unwrap();
        assert_eq!(reap_all(), BTreeMap::from([(logger, ExitStatus::killed(Signal::KILL))]));
        assert!(!kill::group_exists(logger));
    });
}

#[test]
fn a_subreaper_reaches_all_its_descendants_and_nobody_else() {
    alone_after("true", HERE, "a_subreaper_reaches_all_its_descendants_and_nobody_else", || {
        process::become_subreaper().unwrap();
        signals::block_all().unwrap();
        start_family();
        kill::everybody(Signal::TERM, &[]).unwrap();
        // Had it reached anybody else, this test's own parent would not be there to see it pass.
        assert_eq!(reap_all().len(), 2);
        assert!(!kill::anybody_left(&[]));
    });
}

#[test]
fn children_get_the_limit_on_descriptors_that_sexton_was_started_with() {
    let name = "children_get_the_limit_on_descriptors_that_sexton_was_started_with";
    alone_after("ulimit -Sn 77; ulimit -Hn 99", HERE, name, || {
        assert_eq!(limits::raise_descriptors().unwrap(), 99);
        assert_eq!(output("ulimit -Sn; ulimit -Hn"), "77\n99\n");
        assert_eq!(limits::raise_descriptors().unwrap(), 99);
        assert_eq!(output("ulimit -Sn"), "77\n");
    });
}

#[test]
fn where_groups_may_not_be_set_who_stays_himself_starts_all_the_same() {
    let name = "where_groups_may_not_be_set_who_stays_himself_starts_all_the_same";
    as_pid_1_of_a_new_user(HERE, name, || {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let start = |groups: Vec<u32>| {
            let mut plan = Plan::new(c("/bin/true"), vec![c("true")], null.as_fd());
            plan.identity = Some(Identity { uid: 0, gid: 0, groups });
            spawn(plan).map(drop)
        };
        start(vec![0]).unwrap();
        start(Vec::new()).unwrap();
        assert_eq!(start(vec![0, 1]).unwrap_err().stage, ExecStage::Groups);
    });
}

fn is_marked(file: &File) -> bool {
    let raw = file.as_raw_fd();
    // SAFETY: no pointers; the descriptor is open.
    let flags = call::once(unsafe { libc::fcntl(raw, libc::F_GETFD) }).unwrap();
    flags & libc::FD_CLOEXEC != 0
}

#[test]
fn every_way_of_marking_descriptors_reaches_those_that_were_inherited() {
    let name = "every_way_of_marking_descriptors_reaches_those_that_were_inherited";
    alone_after("exec 7</dev/null", HERE, name, || {
        for way in close_on_exec::WAYS {
            let file = File::open("/dev/null").unwrap();
            let raw = file.as_raw_fd();
            // SAFETY: no pointers; the descriptor is open.
            call::once(unsafe { libc::fcntl(raw, libc::F_SETFD, 0) }).unwrap();
            assert!(!is_marked(&file));
            assert!(way(close_on_exec::Fate::Marked));
            assert!(is_marked(&file));
        }
        assert!(process::take_promised(7).is_some());
        for way in close_on_exec::WAYS {
            let raw = std::os::fd::IntoRawFd::into_raw_fd(File::open("/dev/null").unwrap());
            assert!(way(close_on_exec::Fate::Closed));
            assert!(process::take_promised(raw).is_none(), "it is closed");
        }
        assert!(process::take_promised(7).is_none() && process::take_promised(2).is_none());
    });
}

#[test]
fn without_dev_null_there_is_still_something_to_open() {
    as_pid_1_of_a_new_user(HERE, "without_dev_null_there_is_still_something_to_open", || {
        let (none, dev, kind) = (c"none".as_ptr(), c"/dev".as_ptr(), c"tmpfs".as_ptr());
        // SAFETY: C strings, and null where the kernel does not look.
        call::once(unsafe { libc::mount(none, dev, kind, 0, std::ptr::null()) }).unwrap();
        let mut nothing = File::from(process::open_nothing().unwrap());
        assert_eq!(nothing.read(&mut [0; 8]).unwrap(), 0);
        process::tidy_descriptors().unwrap();
    });
}
