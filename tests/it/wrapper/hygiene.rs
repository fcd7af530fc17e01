//! What the wrapper holds, and what it needs: next to nothing.

use std::fs;

use super::{Place, run};
use crate::harness::{Facts, Machine, Plan, needs, until};

/// Under each name, after these lines of shell: what the child says of itself.
fn each(setup: &str, check: impl Fn(&str, &Machine, &Facts)) {
    for name in ["sexton", "tini", "dumb-init"] {
        let machine = Plan::new()
            .setup("mkdir -p -m 777 @DIR@/out")
            .setup(&format!("ln -s @SEXTON@ @DIR@/out/{name}"))
            .setup(setup)
            .command(&[&format!("@DIR@/out/{name}"), "--", "@TESTD@", "dump", "@DIR@/out/facts", "wait"])
            .boot();
        let facts = machine.await_facts("out/facts");
        check(name, &machine, &facts);
    }
}

fn of_pid_1(machine: &Machine, name: &str) -> String {
    format!("/proc/{}/{name}", machine.pid1())
}

#[test]
fn the_child_keeps_every_descriptor_and_the_wrapper_none_but_the_first_three() {
    each("exec 7</dev/null 9</dev/null", |name, machine, facts| {
        let leads_to = |number: &str| facts.0["descriptors"][number].as_str().map(str::to_owned);
        assert_eq!(["7", "9"].map(leads_to), [(); 2].map(|()| Some("/dev/null".to_owned())), "{name}");
        until("the wrapper has let go", || {
            let entries = fs::read_dir(of_pid_1(machine, "fd")).ok()?;
            let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            (names == ["0", "1", "2"]).then_some(())
        });
    });
}

#[test]
fn the_wrapper_stands_in_no_directory_and_the_child_where_it_was_started() {
    each("cd @DIR@/out", |name, machine, facts| {
        assert_eq!(facts.text("directory"), machine.path("out").display().to_string(), "{name}");
        until("the wrapper stands in /", || {
            (fs::read_link(of_pid_1(machine, "cwd")).ok()?.as_os_str() == "/").then_some(())
        });
    });
}

#[test]
fn sockets_that_were_given_to_the_wrapper_are_the_childs() {
    each("export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_PIDFDID=7", |name, _, facts| {
        assert_eq!(facts.variable("LISTEN_PID"), Some(facts.number("pid").to_string().as_str()), "{name}");
        assert_eq!(facts.variable("LISTEN_FDS"), Some("1"));
        assert_eq!(facts.variable("LISTEN_PIDFDID"), None, "the child's own is not known");
    });
    each("export LISTEN_PID=4711 LISTEN_FDS=1", |_, _, facts| {
        assert_eq!(facts.variable("LISTEN_PID"), Some("4711"), "somebody else's are left alone");
    });
}

#[test]
fn it_sleeps_in_one_call_without_an_end() {
    each("", |name, machine, _| {
        until("it waits for signals", || {
            let call = fs::read_to_string(of_pid_1(machine, "syscall")).ok()?;
            let words: Vec<&str> = call.split_whitespace().collect();
            // The third argument is the time.
            let number = words.first()?.parse() == Ok(nix::libc::SYS_rt_sigtimedwait);
            (number && words.get(3) == Some(&"0x0")).then_some(())
        });
        let _ = name;
    });
}

#[test]
fn it_has_at_most_a_hundred_kibibytes_to_itself() {
    each("", |name, machine, _| {
        let rollup = fs::read_to_string(of_pid_1(machine, "smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find(|line| line.starts_with("Private_Dirty:")).unwrap_or_default();
        let kib: u32 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(u32::MAX);
        assert!(kib <= 100, "{name}: {kib} KiB");
    });
}

#[test]
fn nothing_is_allocated_once_the_child_runs_and_hardly_anything_before() {
    let place = Place::new();
    let trace = place.text("trace");
    let script = "(sleep 0.1 &) ; kill -USR1 $PPID; kill -34 $PPID; trap '' USR1; wait; exit 0";
    let strace = needs("strace", "strace");
    for name in ["sexton", "tini", "dumb-init"] {
        let program = place.text(name);
        let words = ["-f", "-o", &trace, &program, "--", "sh", "-c", script];
        run(std::path::Path::new(&strace), &words, &[]);
        let text = place.read("trace");
        let me = text.split_whitespace().next().unwrap_or_default();
        let own: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(me)).map(str::trim).collect();
        assert!(own.iter().any(|call| call.starts_with("wait4")), "{name}: {text}");
        let memory =
            own.iter().filter(|call| ["brk(", "mmap(", "mremap("].iter().any(|m| call.starts_with(m)));
        assert_eq!(memory.count(), 0, "{name}: {text}");
    }
}

#[test]
fn it_works_without_proc_passwd_variables_or_descriptors() {
    for setup in [
        "mkdir /run/empty; mount --bind /run/empty /proc",
        "mkdir /run/empty; mount --bind /run/empty /etc",
        "mount -t tmpfs none /dev",
        "exec <&- >&- 2>&-",
        "mount -o remount,ro /run",
    ] {
        let mut machine = Plan::new()
            .setup("mkdir -p -m 777 @DIR@/out")
            .setup(setup)
            .command(&["@SEXTON@", "--", "@TESTD@", "escape", "@DIR@/out/escaped", "exit", "6"])
            .boot();
        assert_eq!(machine.end(), 6, "{setup}");
    }
    let words = ["/usr/bin/env", "-i", "@SEXTON@", "--", "sh", "-c", "exit 6"];
    assert_eq!(Plan::new().command(&words).boot().end(), 6);
}

#[test]
fn a_thousand_orphans_are_reaped_and_the_last_of_them_does_not_hide_the_childs_end() {
    for name in ["sexton", "tini", "dumb-init"] {
        let mut machine = Plan::new()
            .setup("mkdir -p -m 777 @DIR@/out")
            .setup(&format!("ln -s @SEXTON@ @DIR@/out/{name}"))
            .command(&[
                &format!("@DIR@/out/{name}"),
                "--",
                "@TESTD@",
                "orphans",
                "1000",
                "touch",
                "@DIR@/out/all",
                "until",
                "@DIR@/out/go",
                "orphans",
                "100",
                "exit",
                "8",
            ])
            .boot();
        until("they all ended", || machine.path("out/all").exists().then_some(()));
        until("nobody is a zombie", || (machine.zombies() == 0).then_some(()));
        machine.write("out/go", "");
        assert_eq!(machine.end(), 8, "{name}");
    }
}
