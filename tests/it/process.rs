//! What a unit's process finds: whose it is, what it holds, what bounds it, seen from inside.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::harness::{Facts, Machine, Plan, sexton, until};

const OUT: &str = "mkdir -m 777 @DIR@/out";

/// One unit that dumps what it has.
fn dumped(plan: Plan, more: &str) -> (Machine, Facts) {
    let machine = plan.setup(OUT).daemon("x", "dump @DIR@/out/facts wait", more).up();
    let facts = machine.await_facts("out/facts");
    (machine, facts)
}

#[test]
fn a_service_runs_as_its_user_with_its_groups_and_nothing_of_ours() {
    let (_machine, facts) = dumped(
        Plan::new(),
        "[process]\nuser = \"nobody\"\ngroup = \"daemon\"\ngroups = [\"mail\", \"4711\"]\n",
    );
    assert_eq!(facts.numbers("uids"), [65534; 4]);
    assert_eq!(facts.numbers("gids"), [1; 4]);
    let mut groups = facts.numbers("groups");
    groups.sort_unstable();
    assert_eq!(groups.iter().filter(|gid| **gid != 1).collect::<Vec<_>>(), [&8, &4711]);
    for (name, value) in [("USER", "nobody"), ("LOGNAME", "nobody"), ("HOME", "/nonexistent")] {
        assert_eq!(facts.variable(name), Some(value), "{name}");
    }
}

#[test]
fn a_user_by_name_gets_the_groups_that_etc_group_gives_him() {
    let plan = Plan::new()
        .with_etc()
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\nmia:x:4000:4001::/home/mia:/bin/zsh\n")
        .file("etc/group", "root:x:0:\nmia:x:4001:\nplants:x:4002:tom,mia\nrocks:x:4003:tom\n");
    let (_machine, facts) = dumped(plan, "[process]\nuser = \"mia\"\n");
    assert_eq!((facts.numbers("uids")[0], facts.numbers("gids")[0]), (4000, 4001));
    let groups = facts.numbers("groups");
    assert!(groups.contains(&4002) && !groups.contains(&4003) && !groups.contains(&0), "{groups:?}");
    assert_eq!(facts.variable("SHELL"), Some("/bin/zsh"));
}

#[test]
fn limits_niceness_and_processors_are_as_the_unit_says() {
    let (_machine, facts) = dumped(
        Plan::new(),
        "[process]\numask = \"0027\"\nnice = 5\noom-score-adj = 100\ncpus = \"0\"\nio-class = \"best-effort:6\"\n\
         directory = \"/usr/lib\"\nlimits = { nofile = 333, core = 0 }\n",
    );
    assert_eq!(facts.text("umask"), "0027");
    assert_eq!(facts.number("niceness"), 5);
    assert_eq!(facts.text("oomScoreAdj"), "100");
    assert_eq!(facts.text("cpus"), "0");
    assert_eq!(facts.number("ioPriority"), 2 << 13 | 6);
    assert_eq!(facts.text("directory"), "/usr/lib");
    assert_eq!(facts.0["limits"]["Max open files"][0], "333");
    assert_eq!(facts.0["limits"]["Max core file size"][0], "0");
}

#[test]
fn pid_1_goes_before_its_services_and_gives_none_of_that_away() {
    let (machine, facts) = dumped(Plan::new(), "");
    // Field 19 of stat(5), the 17th after the name.
    let niceness = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse::<i64>().unwrap()
    };
    // Whoever runs the tests with another priority finds that it is kept.
    let usual = niceness("self");
    assert_eq!(niceness(&machine.pid1().to_string()), if usual == 0 { -15 } else { usual });
    assert_eq!(facts.number("niceness"), usual);
    let restarted = machine.main_pid("x");
    assert_eq!(machine.sexton(&["restart", "x"]).code, 0);
    assert_ne!(machine.main_pid("x"), restarted);
    let later = until("the new one has said who it is", || {
        let facts = machine.await_facts("out/facts");
        (facts.number("pid") != i64::from(restarted)).then_some(facts)
    });
    assert_eq!(later.number("niceness"), usual);
}

#[test]
fn a_service_leads_its_group_and_holds_three_descriptors() {
    let (machine, facts) = dumped(Plan::new().setup("exec 7</etc/passwd 9>/dev/null"), "");
    let pid = facts.number("pid");
    // It leads no session, so no terminal that it opens can become its own.
    assert_eq!((facts.number("group"), facts.number("session")), (pid, 1));
    assert_eq!(facts.number("parent"), 1);
    let held: Vec<&String> =
        facts.0["descriptors"].as_object().map(|d| d.keys().collect()).unwrap_or_default();
    assert_eq!(held, ["0", "1", "2"]);
    assert_eq!(facts.0["descriptors"]["0"], "/dev/null");
    assert_eq!(i64::from(machine.main_pid("x")), pid);
}

#[test]
fn a_child_gets_the_inherited_mask_and_dispositions_to_the_bit() {
    let plan = Plan::new().setup("trap '' HUP QUIT USR2").setup("grep -E 'Sig(Ign|Blk)' /proc/self/status");
    let (machine, facts) = dumped(plan, "");
    for (name, field) in [("SigIgn", "ignored"), ("SigBlk", "blocked")] {
        let line = format!("{name}:\t{}", facts.text(field));
        assert!(machine.console().contains(&line), "{line} is not what PID 1 had:\n{}", machine.console());
    }
}

#[test]
fn the_environment_is_laid_in_the_order_that_the_page_says() {
    let plan = Plan::new()
        .file("vars", "# a comment\nFROM_FILE='two words'\nBOTH=\"file\"\nexport IGNORED=1\n")
        .setup("export INHERITED=yes BOTH=inherited");
    let (_machine, facts) = dumped(
        plan,
        "[process]\nenv-files = [\"@DIR@/vars\", \"-@DIR@/none\"]\n\
         env = { BOTH = \"unit\", COPY = \"${INHERITED}-${NONE:-default}-$$\" }\n",
    );
    assert_eq!(facts.variable("INHERITED"), Some("yes"));
    assert_eq!(facts.variable("FROM_FILE"), Some("two words"));
    assert_eq!(facts.variable("BOTH"), Some("unit"));
    assert_eq!(facts.variable("COPY"), Some("yes-default-$"));
}

#[test]
fn a_cleared_environment_holds_nothing_of_ours() {
    let (_machine, facts) = dumped(
        Plan::new().setup("export SECRET=hunter2"),
        "[process]\nenv-clear = true\nenv = { ONLY = \"this\" }\n",
    );
    assert_eq!(facts.variable("ONLY"), Some("this"));
    assert_eq!(facts.variable("SECRET"), None);
}

#[test]
fn directories_are_made_with_the_owner_and_runtime_ones_go_again() {
    let machine = Plan::new()
        .daemon(
            "x",
            "dump /run/shelf/inner/facts wait",
            "[process]\nuser = \"nobody\"\n[dirs]\nruntime = [{ path = \"shelf/inner\", mode = \"0750\" }]\n",
        )
        .up();
    machine.await_state("x", "ready");
    let inside = format!("/proc/{}/root/run/shelf/inner", machine.pid1());
    let about = std::fs::metadata(&inside).unwrap_or_else(|e| panic!("{inside}: {e}"));
    assert_eq!((about.uid(), about.permissions().mode() & 0o7777), (65534, 0o750));
    machine.sexton(&["stop", "x"]).expect(0);
    until("the runtime directory is gone", || (!std::path::Path::new(&inside).exists()).then_some(()));
}

#[test]
fn a_symlink_where_a_directory_should_be_is_refused_and_what_it_leads_to_untouched() {
    let machine = Plan::new()
        .setup("mkdir -m 755 @DIR@/victim; ln -s @DIR@/victim /run/evil")
        .daemon(
            "x",
            "wait",
            "[process]\nuser = \"nobody\"\n[dirs]\nruntime = [{ path = \"evil\", mode = \"0777\" }]\n",
        )
        .up();
    let why = until("x has failed", || {
        let why = machine.sexton(&["why", "x"]).all();
        why.contains("evil").then_some(why)
    });
    assert!(why.contains("cannot make the directory"), "{why}");
    let about = std::fs::metadata(machine.path("victim")).unwrap_or_else(|e| panic!("victim: {e}"));
    assert_eq!((about.uid(), about.permissions().mode() & 0o777), (0, 0o755));
}

/// What `why` says of a unit that cannot be started, once it has failed.
fn complaint(machine: &Machine, unit: &str) -> String {
    until(&format!("{unit} cannot be started"), || {
        let why = machine.sexton(&["why", unit]).all();
        why.contains("cannot ").then_some(why)
    })
}

#[test]
fn a_start_that_breaks_says_at_which_step_and_on_what() {
    let machine = Plan::new()
        .unit("program", "[service]\nexec = [\"/no/such/program\"]\n")
        .unit("searched", "[service]\nexec = [\"no-such-program-anywhere\"]\n")
        .daemon("user", "wait", "[process]\nuser = \"nobody-at-all\"\n")
        .daemon("directory", "wait", "[process]\ndirectory = \"/no/such/directory\"\n")
        .daemon("variable", "say ${NOT_SET_ANYWHERE} wait", "")
        .file("script", "#!/no/such/interpreter\n")
        .setup("chmod 755 @DIR@/script")
        .unit("script", "[service]\nexec = [\"@DIR@/script\"]\n")
        .up();
    for (unit, words) in [
        ("program", "'/no/such/program'"),
        ("searched", "'no-such-program-anywhere'"),
        ("user", "'nobody-at-all'"),
        ("directory", "'/no/such/directory'"),
        ("variable", "NOT_SET_ANYWHERE"),
        ("script", "interpreter"),
    ] {
        let why = complaint(&machine, unit);
        assert!(why.contains(words), "{unit}: {why}");
    }
}

#[test]
fn a_program_that_exits_127_is_not_taken_for_one_that_is_not_there() {
    let machine = Plan::new().daemon("x", "exit 127", "[restart]\non = \"never\"\n").up();
    machine.await_state("x", "failed");
    let why = machine.sexton(&["why", "x"]).all();
    assert!(why.contains("exited with code 127") && !why.contains("cannot"), "{why}");
}

#[test]
fn hooks_run_around_the_process_and_know_for_whom() {
    let hook = |kind: &str| {
        format!(
            "[[{kind}]]\nexec = [\"/bin/sh\", \"-c\", \"echo {kind} $$SEXTON_UNIT $$SEXTON_REASON >> @DIR@/hooks\"]\n"
        )
    };
    let all: String = ["pre-start", "post-start", "post-stop"].map(hook).concat();
    let machine = Plan::new().daemon("x", "wait", &all).up();
    machine.await_state("x", "ready");
    machine.sexton(&["stop", "x"]).expect(0);
    assert_eq!(machine.read("hooks"), "pre-start x start\npost-start x start\npost-stop x stop\n");
}

#[test]
fn a_prepare_command_runs_only_while_what_it_creates_is_missing() {
    let machine = Plan::new()
        .daemon(
            "x",
            "wait",
            "[[prepare]]\nexec = [\"/bin/sh\", \"-c\", \"echo once >> @DIR@/prepared\"]\ncreates = \"@DIR@/prepared\"\n",
        )
        .up();
    machine.await_state("x", "ready");
    machine.sexton(&["restart", "x"]).expect(0);
    assert_eq!(machine.read("prepared"), "once\n");
}

#[test]
fn a_prepare_command_that_failed_half_way_is_not_taken_for_done() {
    let line = "echo begun >> @DIR@/prepared; [ -e @DIR@/mended ] && echo done >> @DIR@/prepared";
    let prepare = format!(
        "[[prepare]]\nexec = [\"/bin/sh\", \"-c\", \"{line}\"]\ncreates = \"@DIR@/prepared\"\n[restart]\non = \"never\"\n"
    );
    let machine = Plan::new().daemon("x", "wait", &prepare).boot();
    machine.await_state("x", "failed");
    machine.await_console("prepare command 1 has left '");
    assert_eq!(machine.read("prepared"), "begun\n");
    assert_eq!(machine.sexton(&["start", "x"]).code, 1, "nothing was mended");
    machine.await_console("has not ended well before, so it runs again");
    machine.write("mended", "");
    machine.sexton(&["start", "x"]).expect(0);
    machine.sexton(&["restart", "x"]).expect(0);
    assert_eq!(machine.read("prepared"), "begun\nbegun\nbegun\ndone\n");
}

#[test]
fn what_a_unit_requires_is_looked_at_before_each_start() {
    let machine = Plan::new()
        .daemon("x", "wait", "[require]\nexists = [\"@DIR@/needed\"]\n")
        .daemon("skipped", "wait", "[require]\nskip-unless-exists = [\"@DIR@/never\"]\n")
        .daemon("condition", "wait", "[require]\ncondition = [\"/bin/false\"]\n")
        .up();
    machine.await_state("skipped", "skipped");
    let refused = machine.sexton(&["start", "x"]);
    assert_eq!(refused.code, 1);
    assert!(refused.all().contains(&machine.path("needed").display().to_string()), "{}", refused.all());
    assert_eq!(machine.sexton(&["start", "condition"]).code, 1);
    machine.write("needed", "");
    machine.sexton(&["start", "x"]).expect(0);
}

/// A terminal of the test's own, and its name.
fn terminal() -> (nix::pty::OpenptyResult, String) {
    let pair = nix::pty::openpty(None, None).expect("a terminal can be made");
    // Another test's machine must not inherit the terminal, or it would never hang up.
    for end in [&pair.master, &pair.slave] {
        let flag = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        nix::fcntl::fcntl(end, flag).expect("the terminal can be kept to ourselves");
    }
    let name = nix::unistd::ttyname(&pair.slave).expect("it has a name").display().to_string();
    (pair, name)
}

#[test]
fn under_a_terminal_each_service_leads_a_session_and_its_keys_reach_sexton_alone() {
    let (pair, name) = terminal();
    let mut machine = Plan::new()
        .on_terminal(&name)
        .setup(OUT)
        .daemon("x", "trap INT @DIR@/int 1 trap TERM @DIR@/term 0 dump @DIR@/out/facts wait", "")
        .up();
    let facts = machine.await_facts("out/facts");
    let pid = facts.number("pid");
    assert_eq!((facts.number("group"), facts.number("session")), (pid, pid));
    assert_eq!(facts.number("terminal"), 0);
    nix::unistd::write(&pair.master, b"\x03").expect("a ^C can be typed");
    assert_eq!(machine.end(), 0);
    assert_eq!((machine.read("int").as_str(), machine.read("term").contains("SIGTERM")), ("", true));
}

#[test]
fn a_service_on_a_terminal_controls_it_and_dies_of_its_hang_up_alone() {
    let (pair, name) = terminal();
    let tty = format!("[process]\nstdin = \"tty:{name}\"\n[restart]\non = \"never\"\n");
    let machine = Plan::new()
        .setup(OUT)
        .daemon("shell", "dump @DIR@/out/facts wait", &tty)
        .daemon("other", "wait", "")
        .up();
    let facts = machine.await_facts("out/facts");
    assert_eq!(facts.0["descriptors"]["0"].as_str(), Some(name.as_str()));
    assert_ne!(facts.number("terminal"), 0);
    assert_eq!(facts.number("session"), facts.number("pid"));
    drop(pair);
    machine.await_state("shell", "failed");
    assert!(machine.sexton(&["why", "shell"]).all().contains("SIGHUP"));
    assert_eq!(machine.state("other"), "ready");
}

/// Capabilities that the place does not have: the rest of the machine is as ever.
#[test]
fn a_capability_that_the_place_cannot_give_is_refused_by_name_or_left_out_where_it_may_be() {
    let program = sexton().display().to_string();
    let unit = |capability: &str| {
        format!("[service]\nexec = [\"sleep\", \"1000\"]\n[security]\ncapabilities = [\"{capability}\"]\n")
    };
    let words = ["setpriv", "--bounding-set", "-net_admin", "--", &program, "up", "@DIR@/units"];
    let plan = Plan::new().command(&words);
    let machine = plan
        .unit("asks", &format!("{}[restart]\nlimit = 0\n", unit("net_admin")))
        .unit("wishes", &unit("-net_admin"))
        .unit("other", &unit("chown"))
        .up();
    machine.await_state("asks", "failed");
    let reason = machine.unit("asks").reason.unwrap_or_default();
    assert!(
        reason.contains("cannot give it the capability 'net_admin': operation not permitted"),
        "{reason}"
    );
    machine.await_state("wishes", "ready");
    machine.await_state("other", "ready");
}
