//! Starting real processes: `/bin/sh` tells what it was given.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::model::process::Resource;
use crate::model::{ExecStage, ExitStatus, Signal};
use crate::sys::kill;
use crate::sys::pending::Progress;
use crate::sys::poll::{Interest, Poller, Token};

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn null() -> File {
    File::options().read(true).write(true).open("/dev/null").unwrap()
}

fn pipe() -> (UnixStream, OwnedFd) {
    let (near, far) = UnixStream::pair().unwrap();
    (near, far.into())
}

fn shell<'a>(script: &str, null: &'a File) -> Plan<'a> {
    let mut plan = Plan::new(c("/bin/sh"), vec![c("sh"), c("-c"), c(script)], null.as_fd());
    plan.envp = Box::leak(Box::new([c("PATH=/usr/bin:/bin").into()]));
    plan
}

/// Starts it, and waits for its exec as the loop does.
fn arrive(plan: Plan<'_>) -> Result<Pid, SpawnError> {
    let pending = match start(plan)? {
        Started::Executed(pid) => return Ok(pid),
        Started::Pending(pending) => pending,
    };
    let poller = Poller::new().unwrap();
    poller.add(pending.as_fd(), Token::new(0, 0), Interest::Read).unwrap();
    poller.wait(&mut Vec::new(), Some(Duration::from_secs(20))).unwrap();
    match pending.look() {
        Progress::Executed => Ok(pending.pid()),
        Progress::Failed(error) => {
            assert_eq!(status(pending.pid()), ExitStatus::exited(127));
            Err(error)
        }
        Progress::Coming => panic!("it did not come to its exec"),
    }
}

/// Waits for this one child: under test threads nobody may wait for all.
fn status(pid: Pid) -> ExitStatus {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the answer.
    call::retry(|| unsafe { libc::waitpid(pid.get(), &mut status, 0) }).unwrap();
    ExitStatus::from_wait(status)
}

/// What the script writes to descriptor 1, with the plan as `change` makes it.
fn output(script: &str, change: impl FnOnce(&mut Plan<'_>)) -> String {
    let (null, (mut near, far)) = (null(), pipe());
    let mut plan = shell(script, &null);
    plan.stdout = Some(far.as_fd());
    change(&mut plan);
    let pid = arrive(plan).unwrap();
    drop(far);
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    assert!(status(pid).is_success(), "{text}");
    text
}

fn failure(change: impl FnOnce(&mut Plan<'_>)) -> SpawnError {
    let null = null();
    let mut plan = shell("exit 0", &null);
    change(&mut plan);
    arrive(plan).unwrap_err()
}

#[test]
fn a_process_runs_with_its_arguments_environment_and_directory() {
    let text = output("echo \"$0 $1 $NAME $(env | wc -l)\"; pwd", |plan| {
        plan.argv.extend([c("zero"), c("one two")]);
        plan.envp = Box::leak(Box::new([c("NAME=value").into(), c("PATH=/usr/bin:/bin").into()]));
        plan.directory = Some(c("/usr"));
    });
    // PWD, OLDPWD or _ are the shell's own additions; there is nothing of ours.
    assert!(text.starts_with("zero one two value ") && text.ends_with("/usr\n"), "{text}");
}

#[test]
fn a_process_leads_a_group_of_its_own_and_a_session_where_the_plan_says_so() {
    let ours = super::super::processes::look(super::super::processes::own_pid()).unwrap().session;
    for leads in [Leads::Group, Leads::Session] {
        let text = output("cut -d' ' -f1,5,6 /proc/$$/stat", |plan| plan.leads = leads);
        let ids: Vec<Option<Pid>> =
            text.split_whitespace().map(|id| id.parse().ok().and_then(Pid::new)).collect();
        let session = if leads == Leads::Session { ids[0] } else { ours };
        assert_eq!((ids[1], ids[2]), (ids[0], session), "{leads:?}: {text}");
    }
}

#[test]
fn a_process_gets_the_promised_descriptors_and_no_other() {
    // One that an embedder forgot to mark: it must not get through.
    let leaked: &'static File = Box::leak(Box::new(null()));
    // SAFETY: no pointers; the descriptor is open.
    call::once(unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(leaked), libc::F_SETFD, 0) }).unwrap();
    // A test of existence needs no descriptor of the shell's own, as a listing would.
    let script = "n=0; while [ $n -lt 100 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done; true";
    let text = output(script, |plan| plan.promised = vec![(70, leaked.as_fd())]);
    assert_eq!(text, "0\n1\n2\n70\n");
}

#[test]
fn descriptors_that_stand_in_each_others_places_are_not_lost() {
    use std::os::fd::AsRawFd;
    let (mut first_near, first) = pipe();
    let (mut second_near, second) = pipe();
    let null = null();
    let mut plan = shell("eval \"echo first >&$1; echo second >&$2\"", &null);
    // Each is promised at the number at which the other is.
    let (at_first, at_second) = (first.as_raw_fd(), second.as_raw_fd());
    plan.argv.extend([c("sh"), c(&at_second.to_string()), c(&at_first.to_string())]);
    plan.program = c("/bin/bash");
    plan.promised = vec![(at_second, first.as_fd()), (at_first, second.as_fd())];
    let pid = spawn(plan).unwrap();
    drop((first, second));
    let mut texts = (String::new(), String::new());
    first_near.read_to_string(&mut texts.0).unwrap();
    second_near.read_to_string(&mut texts.1).unwrap();
    assert!(status(pid).is_success());
    assert_eq!((texts.0.as_str(), texts.1.as_str()), ("first\n", "second\n"));
}

#[test]
fn a_descriptor_promised_at_its_own_number_survives_the_exec() {
    use std::os::fd::AsRawFd;
    let (mut near, far) = pipe();
    let null = null();
    let mut plan = shell("eval \"echo here >&$1\"", &null);
    plan.program = c("/bin/bash");
    plan.argv.extend([c("sh"), c(&far.as_raw_fd().to_string())]);
    plan.promised = vec![(far.as_raw_fd(), far.as_fd())];
    let pid = spawn(plan).unwrap();
    drop(far);
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    assert!(status(pid).is_success());
    assert_eq!(text, "here\n");
}

#[test]
fn bounds_are_those_of_the_plan() {
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; umask; nice; cat /proc/self/oom_score_adj; \
                  grep Cpus_allowed_list /proc/self/status; ionice";
    let text = output(script, |plan| {
        plan.limits = vec![
            Limit { resource: Resource::Nofile, soft: Some(123), hard: Some(456) },
            Limit { resource: Resource::Core, soft: Some(0), hard: Some(0) },
        ];
        plan.umask = Some(0o027);
        plan.nice = Some(5);
        plan.oom_score_adj = Some(250);
        plan.cpus = Some(vec![0]);
        plan.io_class = Some(IoClass::BestEffort(6));
    });
    let expected = "123\n456\n0\n0027\n5\n250\nCpus_allowed_list:\t0\nbest-effort: prio 6\n";
    assert_eq!(text, expected);
}

#[test]
fn a_process_is_the_user_it_shall_be_with_no_group_of_ours() {
    let identity = Identity { uid: 1234, gid: 2345, groups: vec![2345, 77] };
    let text = output("grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status", |plan| {
        plan.identity = Some(identity);
    });
    let words: Vec<&str> = text.split_whitespace().collect();
    let uid = ["Uid:", "1234", "1234", "1234", "1234"];
    let gid = ["Gid:", "2345", "2345", "2345", "2345"];
    let rest = ["Groups:", "77", "2345", "CapEff:", "0000000000000000"];
    assert_eq!(words, [&uid[..], &gid[..], &rest[..]].concat());
}

#[test]
fn what_a_process_must_read_and_write_is_tried_as_its_user() {
    let path = std::env::temp_dir().join(format!("sexton-spawn-access-{}", std::process::id()));
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let name = path.to_str().unwrap();
    let error = failure(|plan| {
        plan.identity = nobody();
        plan.readable = vec![c("/"), c(name)];
    });
    assert_eq!(error.to_string(), format!("cannot read '{name}': permission denied"));
    let error = failure(|plan| {
        plan.identity = nobody();
        plan.writable = vec![c("/dev/null"), c("/")];
    });
    assert_eq!(error.to_string(), "cannot write '/': permission denied");
    assert_eq!(output("echo fine", |plan| plan.readable = vec![c(name)]), "fine\n");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn every_failure_names_its_step_and_its_subject() {
    let text = |change: fn(&mut Plan<'_>)| failure(change).to_string();
    assert_eq!(
        text(|plan| plan.directory = Some(c("/none"))),
        "cannot change to directory '/none': no such file or directory"
    );
    assert_eq!(text(|plan| plan.program = c("/none")), "cannot execute '/none': no such file or directory");
    assert_eq!(text(|plan| plan.program = c("/etc")), "cannot execute '/etc': permission denied");
    assert_eq!(
        text(|plan| plan.stdin = Stdin::Tty(c("/dev/null"))),
        "cannot take the terminal '/dev/null': inappropriate ioctl for device"
    );
    assert_eq!(
        text(|plan| plan.oom_score_adj = Some(5000)),
        "cannot set the OOM score '5000': invalid argument"
    );
    assert_eq!(
        text(|plan| {
            let bad = Limit { resource: Resource::Core, soft: Some(2), hard: Some(1) };
            plan.limits = vec![Limit { resource: Resource::Core, soft: Some(0), hard: None }, bad];
        }),
        "cannot set the limit 'core': invalid argument"
    );
    assert_eq!(
        text(|plan| plan.cpus = Some(vec![900])),
        "cannot bind it to the processors: invalid argument"
    );
    assert_eq!(
        text(|plan| plan.identity = Some(Identity { uid: u32::MAX, gid: 0, groups: Vec::new() })),
        "cannot change to user '4294967295': invalid argument"
    );
}

fn executable(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("sexton-spawn-{name}-{}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_missing_interpreter_and_a_script_without_one_are_told_apart_from_a_missing_program() {
    let words = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        let error = failure(|plan| plan.program = c(name)).to_string();
        std::fs::remove_file(path).unwrap();
        error.strip_prefix(&format!("cannot execute '{name}': ")).unwrap().to_owned()
    };
    let script = executable("interpreter", "#!/none/such -x\n");
    assert_eq!(words(&script), "its interpreter '/none/such' does not exist");
    assert_eq!(words(&executable("enoexec", "echo hello\n")), "not an executable: no #! line");
    assert_eq!(words(&executable("elf", "\u{7f}ELF rubbish")), "not an executable of this machine");
}

#[test]
fn a_process_that_ends_by_itself_is_not_taken_for_a_failed_start() {
    let null = null();
    assert_eq!(status(spawn(shell("exit 127", &null)).unwrap()), ExitStatus::exited(127));
    let killed = status(spawn(shell("kill -50 $$", &null)).unwrap());
    assert_eq!(killed, ExitStatus::killed(Signal::from_number(50).unwrap()));
}

#[test]
fn a_process_gets_no_signal_state_of_ours() {
    // Rust's runtime ignores SIGPIPE in this very process; the child must not inherit that.
    let text = output("grep -E '^Sig(Blk|Ign)' /proc/self/status", |_| {});
    let inherited = signals::inherited();
    assert!(!inherited.ignores(Signal::parse("PIPE").unwrap()), "run the tests without SIGPIPE ignored");
    assert!(text.contains("SigBlk:\t0000000000000000"), "{text}");
    let ignored = text.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    for number in (1..=31).filter(|number| ![9, 19].contains(number)) {
        let signal = Signal::from_number(number).unwrap();
        assert_eq!(ignored & 1 << (number - 1) != 0, inherited.ignores(signal), "{signal}");
    }
}

/// One that begins above what a child copies.
fn high(fd: &OwnedFd) -> OwnedFd {
    use std::os::fd::AsRawFd;
    // SAFETY: no pointers.
    call::owned(call::once(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 700) })).unwrap()
}

#[test]
fn where_the_table_cannot_be_shared_the_descriptors_are_the_same() {
    for shelf in [None, Shelf::new().ok()] {
        let mut spawner = Spawner { stack: Stack::new().unwrap(), restored: Vec::new(), shelf };
        let (mut near, far) = pipe();
        let (null, high) = (null(), high(&far));
        drop(far);
        let mut plan = shell("echo out; echo err >&2; echo more >&9; ls -m /proc/$$/fd; :", &null);
        plan.stdout = Some(high.as_fd());
        plan.promised = vec![(9, high.as_fd())];
        let pid = spawner.spawn(&plan).unwrap();
        drop(plan);
        drop(high);
        let mut text = String::new();
        near.read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\nerr\nmore\n0, 1, 2, 9\n");
        assert!(status(pid).is_success());
    }
}

fn nobody() -> Option<Identity> {
    Some(Identity { uid: 65534, gid: 65534, groups: Vec::new() })
}

#[test]
fn whoever_becomes_another_user_is_not_waited_for_and_may_be_stopped_on_the_way() {
    let (null, (mut near, far)) = (null(), pipe());
    let mut plan = shell("echo here", &null);
    plan.stdout = Some(far.as_fd());
    plan.identity = nobody();
    // They take it some milliseconds.
    plan.readable = vec![c("/usr/bin/env"); 20_000];
    let Started::Pending(pending) = start(plan).unwrap() else { panic!("it was waited for") };
    kill::process(pending.pid(), Signal::STOP).unwrap();
    // SAFETY: null says that nobody wants the status. It answers when the child has stopped.
    call::retry(|| unsafe { libc::waitpid(pending.pid().get(), std::ptr::null_mut(), libc::WUNTRACED) })
        .unwrap();
    assert_eq!(pending.look(), Progress::Coming);
    let late = "cannot execute '/bin/sh': it did not come to that within 10 s: \
                somebody may have stopped it, or a file system hangs";
    assert_eq!(pending.late(Duration::from_secs(10)).to_string(), late);
    kill::process(pending.pid(), Signal::CONT).unwrap();
    drop(far);
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), pending.look()), ("here\n", Progress::Executed));
    assert!(status(pending.pid()).is_success());
}

#[test]
fn who_is_killed_on_the_way_is_seen_to_end_and_not_to_fail() {
    let null = null();
    let mut plan = shell("exit 0", &null);
    plan.identity = nobody();
    let Started::Pending(pending) = start(plan).unwrap() else { panic!("it was waited for") };
    kill::process(pending.pid(), Signal::KILL).unwrap();
    let _end = status(pending.pid());
    assert_eq!(pending.look(), Progress::Executed);
}

#[test]
fn a_child_on_its_way_holds_what_it_was_promised_and_nothing_else_of_ours() {
    let (null, (mut near, far)) = (null(), pipe());
    let high = high(&far);
    drop(far);
    let mut plan = shell("echo here >&5", &null);
    plan.identity = nobody();
    plan.promised = vec![(5, high.as_fd())];
    plan.readable = vec![c("/usr/bin/env"); 20_000];
    let Started::Pending(pending) = start(plan).unwrap() else { panic!("it was waited for") };
    let descriptors = format!("/proc/{}/fd", pending.pid());
    let held = || std::fs::read_dir(&descriptors).unwrap().count();
    // 0, 1, 2, 5, and the pipe of its report.
    while held() > 5 {
        assert_eq!(pending.look(), Progress::Coming, "it had more until its exec");
    }
    drop(high);
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    assert_eq!(text, "here\n");
    assert!(status(pending.pid()).is_success());
}

#[test]
fn what_a_child_reports_through_its_pipe_is_what_it_met() {
    for (index, stage) in ExecStage::ALL.into_iter().enumerate() {
        let fault = Fault { stage, errno: 7 + index as i32, index };
        assert_eq!(Fault::from_bytes(fault.to_bytes()), fault);
    }
}
