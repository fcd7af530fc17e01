//! Side by side with Debian's tini and dumb-init: the same words give the same status and the same effect.

use super::{Place, debian, run};
use crate::harness::{Facts, testd};

/// One call: its words, and variables beside the usual ones.
type Call = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// What both print when the command prints it, whatever else is said.
fn compare(name: &str, calls: &[Call]) {
    let (place, theirs) = (Place::new(), debian(name));
    for (words, variables) in calls {
        let expected = run(&theirs, words, variables);
        let got = run(&place.path(name), words, variables);
        let what = format!("{name} {words:?} {variables:?}\ntheirs: {}\nours: {}", expected.all(), got.all());
        assert_eq!(got.code, expected.code, "{what}");
        if words.contains(&"echo") {
            assert_eq!(got.out, expected.out, "{what}");
        }
    }
}

/// The lines that theirs says, each among those that ours says.
fn says_as_much(name: &str, words: &[&str], except: &[&str]) {
    let (place, theirs) = (Place::new(), debian(name));
    let (expected, got) = (run(&theirs, words, &[]), run(&place.path(name), words, &[]));
    assert_eq!(got.code, expected.code);
    for (expected, got) in [(&expected.out, &got.out), (&expected.err, &got.err)] {
        let full = |line: &str| line.replace(&theirs.display().to_string(), &place.text(name));
        for line in expected.lines().filter(|line| !except.iter().any(|part| line.contains(part))) {
            assert!(got.lines().any(|own| own == full(line)), "{name} {words:?}: {line:?} is not in\n{got}");
        }
        assert_eq!(expected.is_empty(), got.is_empty(), "{name} {words:?} on the same stream");
    }
}

const TINI: [Call; 49] = [
    (&["true"], &[]),
    (&["false"], &[]),
    (&["--", "sh", "-c", "exit 7"], &[]),
    (&["--", "sh", "-c", "kill -TERM $$"], &[]),
    (&["--", "sh", "-c", "kill -40 $$"], &[]),
    (&["echo", "-s", "x"], &[]),
    (&["echo", "-s", "x"], &[("POSIXLY_CORRECT", "1")]),
    (&["echo", "--", "-s", "x"], &[]),
    (&["--", "echo", "-s", "--", "x"], &[]),
    (&["echo", "x", "-z"], &[]),
    (&["-sgw", "--", "echo", "x"], &[]),
    (&["-vvv", "-s", "true"], &[]),
    (&["-e", "143", "--", "sh", "-c", "kill -TERM $$"], &[]),
    (&["-e7", "-e", "8", "--", "sh", "-c", "exit 7"], &[]),
    (&["-e", "7", "--", "sh", "-c", "exit 8"], &[]),
    (&["-e", "0", "--", "true"], &[]),
    (&["-e", "256", "true"], &[]),
    (&["-e", "-1", "true"], &[]),
    (&["-e", "", "false"], &[]),
    (&["-e", " 1", "false"], &[]),
    (&["-e", "+1", "false"], &[]),
    (&["-e", "1 ", "false"], &[]),
    (&["-e", "0x1", "false"], &[]),
    (&["-e", "x", "true"], &[]),
    (&["-e"], &[]),
    (&["-p", "SIGKILL", "true"], &[]),
    (&["-p", "KILL", "true"], &[]),
    (&["-p", "9", "true"], &[]),
    (&["-p", "", "true"], &[]),
    (&["-p"], &[]),
    (&["-z", "true"], &[]),
    (&["-", "x"], &[]),
    (&["--help"], &[]),
    (&["--version", "x"], &[]),
    (&["-h", "-z"], &[]),
    (&["-z", "-h"], &[]),
    (&["-s"], &[]),
    (&["--"], &[]),
    (&[], &[]),
    (&[""], &[]),
    (&["no-such-program"], &[]),
    (&["/no/such/program"], &[]),
    (&["/etc/passwd"], &[]),
    (&["/etc/passwd/x"], &[]),
    (&["/etc"], &[]),
    (&["true"], &[("TINI_SUBREAPER", "")]),
    (&["-v", "true"], &[("TINI_VERBOSITY", "0")]),
    (&["true"], &[("TINI_VERBOSITY", "nothing")]),
    (&["true"], &[("TINI_KILL_PROCESS_GROUP", "1")]),
];

#[test]
fn tini_ends_as_debians_does_whatever_it_is_told() {
    compare("tini", &TINI);
}

#[test]
fn every_name_of_a_signal_is_known_or_not_as_tini_knows_it() {
    let (place, theirs) = (Place::new(), debian("tini"));
    let names = nix::sys::signal::Signal::iterator().map(|signal| signal.as_str().to_owned());
    for name in names.chain(["SIGIOT".to_owned(), "SIGRTMIN".to_owned(), "SIGCLD".to_owned()]) {
        let words = ["-p", &name, "true"];
        assert_eq!(run(&place.path("tini"), &words, &[]).code, run(&theirs, &words, &[]).code, "{name}");
    }
}

#[test]
fn tini_says_what_tini_says_and_names_sexton() {
    let place = Place::new();
    says_as_much("tini", &["-h"], &[]);
    says_as_much("tini", &["-z"], &["invalid option"]);
    says_as_much("tini", &["no-such-program"], &["[WARN", "[FATAL"]);
    says_as_much("tini", &["--version"], &["tini version"]);
    says_as_much("tini", &["-l"], &["", "MIT"]);
    let version = run(&place.path("tini"), &["--version"], &[]).out;
    assert!(version.starts_with("tini version 0.19.0 (sexton "), "{version}");
}

#[test]
fn the_levels_of_tini_hold_back_what_they_hold_back_there() {
    let (place, theirs) = (Place::new(), debian("tini"));
    let levels = |text: &str| {
        let of = |level: &&str| text.contains(level);
        ["[FATAL", "[WARN", "[INFO", "[DEBUG"].into_iter().filter(of).collect::<Vec<_>>()
    };
    // It ends after its parent did, and before the child does.
    let gate = place.text("gate");
    let orphan = format!(
        "rm -f {gate}; (sh -c 'until [ -e {gate} ]; do sleep 0.01; done' & echo $! >{gate}.pid); touch {gate}; \
         while [ -d /proc/$(cat {gate}.pid) ]; do sleep 0.01; done"
    );
    for verbosity in ["-1", "0", "1", "2", "3", "4"] {
        for words in [&["true"] as &[&str], &["-w", "-s", "--", "sh", "-c", &orphan]] {
            let both = [theirs.clone(), place.path("tini")];
            let [expected, got] = both.map(|tini| {
                let said = run(&tini, words, &[("TINI_VERBOSITY", verbosity)]);
                (levels(&said.out), levels(&said.err))
            });
            assert_eq!(got, expected, "{verbosity} {words:?}");
        }
    }
}

const DUMB_INIT: [Call; 40] = [
    (&["true"], &[]),
    (&["false"], &[]),
    (&["--", "sh", "-c", "exit 7"], &[]),
    (&["sh", "-c", "kill -TERM $$"], &[]),
    (&["sh", "-c", "kill -40 $$"], &[]),
    (&["echo", "-c", "x"], &[]),
    (&["-c", "echo", "x"], &[]),
    (&["-c", "--", "echo", "--", "x"], &[]),
    (&["--single-child", "--verbose", "echo", "x"], &[]),
    (&["--single", "echo", "x"], &[]),
    (&["-vc", "echo", "x"], &[]),
    (&["-r", "15:3", "echo", "x"], &[]),
    (&["-r15:0", "--rewrite=1:2", "--rew", "2:3", "echo", "x"], &[]),
    (&["-r", " 15:+3 rest", "echo", "x"], &[]),
    (&["-r", "0:1", "true"], &[]),
    (&["-r", "31:31", "true"], &[]),
    (&["-r", "32:1", "true"], &[]),
    (&["-r", "1:32", "true"], &[]),
    (&["-r", "1:-1", "true"], &[]),
    (&["-r", "1", "true"], &[]),
    (&["-r", "1 :2", "true"], &[]),
    (&["-r", "TERM:QUIT", "true"], &[]),
    (&["-r"], &[]),
    (&["--rewrite"], &[]),
    (&["--help=x"], &[]),
    (&["--ver"], &[]),
    (&["--vers"], &[]),
    (&["--other", "true"], &[]),
    (&["-z", "true"], &[]),
    (&["-h", "-z"], &[]),
    (&["--"], &[]),
    (&[], &[]),
    (&[""], &[]),
    (&["no-such-program"], &[]),
    (&["/etc/passwd"], &[]),
    (&["/etc"], &[]),
    (&["echo", "x"], &[("DUMB_INIT_SETSID", "0")]),
    (&["echo", "x"], &[("DUMB_INIT_SETSID", "1")]),
    (&["echo", "x"], &[("DUMB_INIT_DEBUG", "1")]),
    (&["echo", "x"], &[("DUMB_INIT_DEBUG", "0")]),
];

#[test]
fn dumb_init_ends_as_debians_does_whatever_it_is_told() {
    compare("dumb-init", &DUMB_INIT);
}

#[test]
fn dumb_init_says_what_dumb_init_says_and_names_sexton() {
    says_as_much("dumb-init", &["--help"], &[]);
    says_as_much("dumb-init", &["-V"], &["dumb-init v"]);
    says_as_much("dumb-init", &[], &[]);
    says_as_much("dumb-init", &["no-such-program"], &[]);
    for words in [&["-z", "true"] as &[&str], &["--other"], &["-r"], &["-r", "x", "true"]] {
        says_as_much("dumb-init", words, &[]);
    }
    let version = run(&Place::new().path("dumb-init"), &["-V"], &[]).err;
    assert!(version.starts_with("dumb-init v1.2.5 (sexton "), "{version}");
}

/// Where the child stands, seen from itself: leads its group, leads its session, stands beside its parent.
fn stands(facts: &Facts) -> [bool; 2] {
    let [pid, group, session] = ["pid", "group", "session"].map(|name| facts.number(name));
    [pid == group, pid == session]
}

#[test]
fn the_child_stands_where_it_stands_there_with_the_same_files_directory_and_variables() {
    let place = Place::new();
    let single: &[(&str, &str)] = &[("DUMB_INIT_SETSID", "0")];
    for (name, options, variables) in [
        ("tini", &["-s"] as &[&str], &[] as &[(&str, &str)]),
        ("tini", &["-sg"], &[]),
        ("dumb-init", &[], &[]),
        ("dumb-init", &["-c"], &[]),
        ("dumb-init", &[], single),
    ] {
        let both = [debian(name), place.path(name)];
        let [expected, got] = both.map(|program| {
            let facts = place.text("facts");
            let daemon = testd().display().to_string();
            let words = [options, &[daemon.as_str(), "dump", facts.as_str()]].concat();
            assert_eq!(run(&program, &words, variables).code, 0);
            Facts(serde_json::from_str(&place.read("facts")).unwrap_or_default())
        });
        assert_eq!(stands(&got), stands(&expected), "{name} {options:?} {variables:?}");
        for same in ["uids", "gids", "umask", "directory", "environment", "limits", "ignored", "blocked"] {
            assert_eq!(got.0[same], expected.0[same], "{name} {options:?}: {same}");
        }
        let numbers =
            |facts: &Facts| facts.0["descriptors"].as_object().map(|d| d.keys().cloned().collect::<Vec<_>>());
        assert_eq!(numbers(&got), numbers(&expected));
    }
}

#[test]
fn a_script_without_a_first_line_is_run_by_the_shell_as_there() {
    let place = Place::new();
    std::fs::write(place.path("script"), "echo \"$0 $1\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path("script"), mode).unwrap();
    let script = place.text("script");
    for name in ["tini", "dumb-init"] {
        let expected = run(&debian(name), &[&script, "one"], &[]);
        let got = run(&place.path(name), &[&script, "one"], &[]);
        assert_eq!((got.code, &got.out), (expected.code, &expected.out));
        assert_eq!(got.out, format!("{script} one\n"));
    }
    assert_eq!(run(&place.path("sexton"), &["--", &script, "one"], &[]).out, format!("{script} one\n"));
}

#[test]
fn the_own_spelling_ends_as_a_shell_would_for_a_program_that_is_none() {
    let place = Place::new();
    let end = |program: &str| run(&place.path("sexton"), &["--", program], &[]);
    for (program, code, words) in [
        ("no-such-program", 127, "no such file or directory"),
        ("/etc/passwd", 126, "permission denied"),
        ("/etc", 126, "permission denied"),
        ("/etc/passwd/x", 126, "not a directory"),
    ] {
        let finished = end(program);
        assert_eq!(finished.code, code);
        assert_eq!(finished.err, format!("sexton: cannot execute '{program}': {words}\n"));
    }
    std::fs::write(place.path("script"), "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path("script"), mode).unwrap();
    let finished = end(&place.text("script"));
    assert_eq!(finished.code, 127);
    assert!(
        finished.err.contains("its interpreter '/no/such/interpreter' does not exist"),
        "{}",
        finished.err
    );
    assert_eq!(run(&place.path("sexton"), &["--"], &[]).code, 2);
    assert_eq!(run(&place.path("sexton"), &["--grace", "soon", "--", "true"], &[]).code, 2);
}
