//! What people type is understood, and what they mistype is answered with what they meant.

use super::*;
use crate::control::method::Method;

fn errand(argv: impl IntoIterator<Item = OsString>) -> Errand {
    match parse(argv) {
        Parsed::Errand(errand) => errand,
        Parsed::Supervise(how) => panic!("{how:?}"),
    }
}

fn parse_words(line: &str) -> Errand {
    errand(line.split(' ').map(OsString::from))
}

fn usage_error(line: &str) -> String {
    match parse_words(line) {
        Errand::Say { text, exit: Exit::Usage } => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_wrong_word_is_answered_with_the_nearest_right_one() {
    assert!(usage_error("sexton statsu").contains("'status'"));
    assert!(usage_error("sexton stop --casacde web").contains("'--cascade'"));
    assert!(usage_error("sexton signal TREM web").contains("did you mean TERM?"));
    assert!(usage_error("sexton completions bsah").contains("bash"));
    usage_error("sexton start");
    usage_error("sexton restart");
    usage_error("sexton scale web@ many");
    usage_error("sexton plan signal web");
    usage_error("sexton --timeout 5 list");
}

#[test]
fn what_means_nothing_to_an_init_is_not_passed_over() {
    for option in ["--socket /run/x", "--json", "--timeout 5s"] {
        for line in [format!("sexton up {option} ./units"), format!("sexton {option} init")] {
            let name = option.split(' ').next().unwrap_or_default();
            assert!(usage_error(&line).contains(&format!("'{name}'")), "{line}");
        }
    }
    assert!(matches!(
        parse(["sexton", "up", "./units", "--run-dir", "./run"].map(OsString::from)),
        Parsed::Supervise(Supervise::Up(_))
    ));
}

#[test]
fn called_by_the_name_of_a_command_it_is_that_command() {
    assert!(matches!(parse_words("/sbin/poweroff"), Errand::Ask(_, Ask::Poweroff(_))));
    assert!(matches!(parse_words("reboot --timeout 5s"), Errand::Ask(_, Ask::Reboot(_))));
    assert!(matches!(parse_words("./halt"), Errand::Ask(_, Ask::Halt(_))));
    assert!(matches!(errand(Vec::new()), Errand::Say { exit: Exit::Usage, .. }));
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in ["sexton --json --timeout 2s list x", "sexton list x --timeout 2s --json"] {
        let Errand::Ask(global, Ask::List(Patterns { patterns, builtin: false })) = parse_words(line) else {
            panic!("{line}")
        };
        assert!(global.json && patterns == ["x"]);
        assert_eq!(global.timeout, Some(Duration::from_secs(2)));
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["sexton --help", "sexton help start", "sexton -V", "sexton start --help"] {
        assert!(matches!(parse_words(line), Errand::Say { exit: Exit::Done, .. }), "{line}");
    }
    let Errand::Say { text, .. } = parse_words("sexton --version") else { panic!() };
    assert_eq!(text, format!("sexton {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_plan_takes_what_the_change_takes_and_says_what_it_does_not() {
    let change = |line: &str| {
        let Errand::Ask(_, Ask::Plan(args)) = parse_words(line) else { panic!("{line}") };
        args.change()
    };
    let (skip_configtest, no_wait) = (false, false);
    let units = || vec!["web".to_owned()];
    for (line, method) in [
        ("sexton plan sync", Method::Sync { skip_configtest, no_wait }),
        ("sexton plan start web", Method::Start { units: units(), no_wait }),
        ("sexton plan stop web --cascade", Method::Stop { units: units(), cascade: true, no_wait }),
        (
            "sexton plan restart --rolling web",
            Method::Restart { units: units(), rolling: true, skip_configtest, no_wait },
        ),
        ("sexton plan reload web", Method::Reload { units: units(), skip_configtest, no_wait }),
        (
            "sexton plan scale web@ 4",
            Method::Scale { unit: "web@".to_owned(), count: 4, skip_configtest, no_wait },
        ),
    ] {
        assert_eq!(change(line), Ok(method), "{line}");
    }
    for (line, words) in [
        ("sexton plan restart", "it is not said which units"),
        ("sexton plan sync web", "'plan sync' takes no unit, and here is 'web'"),
        ("sexton plan scale web@", "'plan scale' takes a template and a number: web@ 4"),
        ("sexton plan scale web@ x", "'x' is no number of instances"),
        ("sexton plan start web --cascade", "--cascade goes with 'plan stop' alone"),
        ("sexton plan stop web --rolling", "--rolling goes with 'plan restart' alone"),
    ] {
        assert_eq!(change(line), Err(words.to_owned()), "{line}");
    }
}
