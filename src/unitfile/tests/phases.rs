//! Configtests, pre-stop hooks, reloads and renders: every key, and what is said of values that cannot be.

use std::time::Duration;

use super::*;
use crate::model::resources::{Need, Resources};
use crate::model::unit::{
    CONFIGTEST_TIMEOUT, HOOK_TIMEOUT, Occasions, OnPreStopFailure, PRE_STOP_EVERY, PreStop, Program,
    RELOAD_SETTLE, RELOAD_TIMEOUT, Reload, ReloadBy, Until,
};
use crate::model::{Account, Number, Signal};

const SERVICE: &str = "[service]\nexec = [\"x\"]\n";

/// The program of a service with these tables.
fn program(tables: &str) -> Program {
    one(&format!("{SERVICE}{tables}\n")).program().unwrap().clone()
}

fn pre_stop(keys: &str) -> PreStop {
    program(&format!("[[pre-stop]]\n{keys}\n")).hooks.pre_stop[0].clone()
}

fn reload(keys: &str) -> Reload {
    program(&format!("[reload]\n{keys}\n")).reload.unwrap().as_ref().clone()
}

#[test]
fn without_their_tables_there_is_no_test_no_reload_and_nothing_to_render() {
    let program = program("");
    assert!(program.configtest.is_none() && program.reload.is_none());
    assert!(program.renders.is_empty() && program.hooks.pre_stop.is_empty());
    assert!(!program.restart.overlap);
}

#[test]
fn a_configtest_has_defaults_and_every_key_is_understood() {
    let test = program("[configtest]\nexec = [\"nginx\", \"-t\"]").configtest.unwrap();
    assert_eq!((&test.codes_ok[..], test.timeout), (&[0][..], CONFIGTEST_TIMEOUT));
    assert!(test.ok_output.is_none() && test.fail_output.is_none() && test.run_as.is_none());
    let every = "[configtest]\nexec = [\"nginx\", \"-t\"]\ncodes-ok = [0, 2]\nok-output = \"ok$\"\n\
                 fail-output = \"ERR|%n\"\nas = \"root\"\ntimeout = \"3s\"\nfiles = [\"/etc/%p/**\", \"${HOME}/*.c?nf\"]";
    let test = program(every).configtest.unwrap();
    assert_eq!((test.exec.to_string().as_str(), &test.codes_ok[..]), ("nginx -t", &[0, 2][..]));
    assert_eq!((test.ok_output.as_deref(), test.fail_output.as_deref()), (Some("ok$"), Some("ERR|web")));
    assert_eq!((&test.run_as, test.timeout), (&Some(Account::Name("root".into())), Duration::from_secs(3)));
    assert_eq!(
        test.files.iter().map(|file| file.as_str()).collect::<Vec<_>>(),
        ["/etc/web/**", "${HOME}/*.c?nf"]
    );
}

#[test]
fn an_empty_expression_is_none_so_that_a_drop_in_can_take_one_away() {
    let files = [
        ("web.toml", "[service]\nexec = [\"x\"]\n[configtest]\nexec = [\"t\"]\nfail-output = \"ERROR\"\n"),
        ("web.d/a.toml", "[configtest]\nfail-output = \"\"\n"),
    ];
    let test = good(&files).remove(0).program().unwrap().configtest.clone().unwrap();
    assert_eq!(test.fail_output, None);
}

#[test]
fn a_task_can_have_a_configtest_and_renders() {
    let text =
        "[task]\nexec = [\"x\"]\n[configtest]\nexec = [\"t\"]\n[[render]]\nfrom = \"/a\"\nto = \"/b\"\n";
    let unit = one(text);
    assert!(unit.is_task() && unit.program().is_some_and(|p| p.configtest.is_some() && p.renders.len() == 1));
}

#[test]
fn a_pre_stop_hook_has_defaults_and_every_key_is_understood() {
    let hook = pre_stop("exec = [\"/usr/bin/mariadb\", \"-e\"]");
    assert_eq!((hook.name.as_str(), hook.every, hook.timeout), ("mariadb", PRE_STOP_EVERY, HOOK_TIMEOUT));
    assert_eq!((hook.on_failure, hook.on), (OnPreStopFailure::Abort, Occasions::ALL));
    assert!(hook.undo.is_none() && hook.until.is_none() && hook.run_as.is_none());
    let hook = pre_stop(
        "name = \"drain %n\"\nexec = [\"d\"]\nundo = [\"u\", \"-r\"]\nuntil = { exit = 3 }\nevery = \"2s\"\n\
         timeout = \"10m\"\non-failure = \"continue\"\non = [\"shutdown\", \"restart\"]\nas = 0",
    );
    assert_eq!((hook.name.as_str(), hook.undo.unwrap().to_string().as_str()), ("drain web", "u -r"));
    assert_eq!((hook.until, hook.every), (Some(Until::Exit(3)), Duration::from_secs(2)));
    assert_eq!((hook.timeout, hook.on_failure), (Duration::from_secs(600), OnPreStopFailure::Continue));
    assert_eq!(hook.on, Occasions { restart: true, stop: false, shutdown: true });
    assert_eq!(hook.run_as, Some(Account::Id(0)));
}

#[test]
fn until_is_a_number_a_code_or_an_expression() {
    let until = |table: &str| pre_stop(&format!("exec = [\"x\"]\nuntil = {table}")).until.unwrap();
    let below = |number: f64| Until::NumberBelow(Number::new(number).unwrap());
    assert_eq!(until("{ number-below = 15 }"), below(15.0));
    assert_eq!(until("{ number-below = 1_000 }"), below(1000.0));
    assert_eq!(until("{ number-below = -0.5 }"), below(-0.5));
    assert_eq!(until("{ number-below = 0x10 }"), below(16.0));
    assert_eq!(until("{ exit = 0 }"), Until::Exit(0));
    assert_eq!(until("{ matches = \"^0 of \" }"), Until::Matches("^0 of ".into()));
}

#[test]
fn a_reload_is_by_signal_or_by_command() {
    let usual = reload("signal = \"SIGHUP\"");
    assert_eq!((usual.timeout, usual.settle, usual.verify), (RELOAD_TIMEOUT, RELOAD_SETTLE, None));
    assert_eq!(usual.how, ReloadBy::Signal(Signal::HUP));
    assert_eq!(reload("signal = 10").how, ReloadBy::Signal(Signal::USR1));
    let command =
        reload("exec = [\"ctl\", \"reload\"]\ntimeout = \"5s\"\nsettle = \"0s\"\nverify = [\"ctl\", \"ok\"]");
    assert!(matches!(command.how, ReloadBy::Command(command) if command.to_string() == "ctl reload"));
    assert_eq!((command.timeout, command.settle), (Duration::from_secs(5), Duration::ZERO));
    assert_eq!(command.verify.unwrap().to_string(), "ctl ok");
    assert_eq!((usual.fail_output, command.fail_output), (None, None));
    let heard = reload("signal = \"HUP\"\nfail-output = \"loading failed\"");
    assert_eq!(heard.fail_output.as_deref(), Some("loading failed"));
}

#[test]
fn a_short_reload_settles_in_half_of_its_time() {
    assert_eq!(reload("signal = \"HUP\"\ntimeout = \"400ms\"").settle, Duration::from_millis(200));
}

#[test]
fn a_render_knows_the_parameters_of_its_instance_and_what_percent_stands_for() {
    let template = "[instances]\nfiles = \"/c/*.in\"\ndefaults = { port = \"80%i\", unused = 1, p = \"own\" }\n\
                    [service]\nexec = [\"x\"]\n[[render]]\nfrom = \"%f\"\nto = \"/run/%i.conf\"\nmode = \"0600\"\n";
    let unit = good(&[("app@.toml", template), ("/c/9.in", "")]).remove(0);
    let render = unit.program().unwrap().renders[0].clone();
    assert_eq!((render.from.as_str(), render.to.as_str(), render.mode), ("/c/9.in", "/run/9.conf", 0o600));
    let mut known: Vec<String> =
        render.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    known.sort();
    assert_eq!(known, ["f=/c/9.in", "i=9", "n=app@9", "p=own", "port=809", "unused=1"]);
    let plain = program("[[render]]\nfrom = \"/a\"\nto = \"${HOME}/b\"").renders[0].clone();
    assert_eq!(plain.mode, 0o644);
    assert_eq!(*plain.parameters, [("n".to_owned(), "web".to_owned()), ("p".to_owned(), "web".to_owned())]);
}

#[test]
fn each_instance_renders_with_its_own_parameters_even_where_the_paths_are_the_same() {
    let template = "[instances]\nnames = [\"a\", \"b\"]\n[service]\nexec = [\"x\"]\n\
                    [[render]]\nfrom = \"/in\"\nto = \"${DIR}/out\"\n";
    let units = good(&[("t@.toml", template)]);
    let own = |n: usize| units[n].program().unwrap().renders[0].parameters[0].clone();
    assert_eq!((own(0).1.as_str(), own(1).1.as_str()), ("a", "b"));
}

#[test]
fn a_parameter_may_be_used_by_a_file_that_only_a_drop_in_of_one_instance_renders() {
    let template = "[instances]\nnames = [\"a\"]\ndefaults = { port = 1 }\n[service]\nexec = [\"x\"]\n";
    let drop_in = "[[render]]\nfrom = \"/a\"\nto = \"/b\"\n";
    good(&[("t@.toml", template), ("t@a.d/r.toml", drop_in)]);
    assert_eq!(said(&load(&[("t@.toml", template)])).len(), 1);
}

/// What is written behind a service, and what is said of it.
const IMPOSSIBLE: &[(&str, &str)] = &[
    ("[configtest]\ntimeout = \"5s\"", "3:1: 'exec' is missing (write exec = [\"program\", \"argument\"])"),
    (
        "[configtest]\nexec = \"nginx -t\"",
        "4:8: 'exec' takes a command, this is a string (no shell is involved; write exec = [\"nginx\", \"-t\"])",
    ),
    (
        "[configtest]\nexec = [\"t\"]\ncodes-ok = []",
        "5:12: without an exit code that is good no test can pass",
    ),
    (
        "[configtest]\nexec = [\"t\"]\ncodes-ok = 0",
        "5:12: 'codes-ok' takes an array of exit codes, this is an integer (write codes-ok = [0])",
    ),
    (
        "[configtest]\nexec = [\"t\"]\nfiles = [\"/etc/a**\"]",
        "5:10: '**' stands alone between two '/' (write \"/etc/nginx/**\" for all files below a directory)",
    ),
    ("[configtest]\nexec = [\"t\"]\nfiles = [\"etc/a\"]", "5:10: 'etc/a' is not an absolute path"),
    (
        "[configtest]\nexec = [\"t\"]\nfail_output = \"x\"",
        "5:1: unknown key 'fail_output' (did you mean 'fail-output'?)",
    ),
    ("[[pre-stop]]\nname = \"x\"", "3:1: 'exec' is missing (write exec = [\"program\", \"argument\"])"),
    ("[[pre-stop]]\nexec = [\"x\"]\nname = \" \"", "5:8: a name is one line of text"),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nuntil = \"15\"",
        "5:9: 'until' takes a table, this is a string (write until = { number-below = 15 }, { exit = 0 } or { matches = \"drained\" })",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nuntil = {}",
        "5:9: 'until' says nothing (write until = { number-below = 15 }, { exit = 0 } or { matches = \"drained\" })",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nuntil = { exit = 0, matches = \"x\" }",
        "5:21: one end is enough: 'exit' is there already, 'matches' too",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nuntil = { number-below = \"15\" }",
        "5:26: 'number-below' takes a number, this is a string (write number-below = 15 or 0.5, without quotes)",
    ),
    ("[[pre-stop]]\nexec = [\"x\"]\nuntil = { number-below = inf }", "5:26: inf is not a number to be below"),
    ("[[pre-stop]]\nexec = [\"x\"]\nuntil = { exit = 256 }", "5:18: 256 is not a number from 0 to 255"),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nuntil = { number-blow = 1 }",
        "5:11: unknown key 'number-blow' (did you mean 'number-below'?)",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nnumber-below = 1",
        "5:1: unknown key 'number-below' ('number-below' belongs in 'until' of [[pre-stop]])",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nevery = \"2s\"",
        "5:9: 'every' goes with 'until', which is not there (say what it is repeated for: until = { number-below = 15 }, { exit = 0 } or { matches = \"drained\" })",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\nuntil = { exit = 0 }\nevery = \"5m\"",
        "6:9: 'every' is not shorter than 'timeout': it would run only once",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\non = \"stop\"",
        "5:6: 'on' takes an array of words, this is a string (write on = [\"stop\"])",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\non = [\"restrat\"]",
        "5:7: 'restrat' is no value of 'on' (did you mean \"restart\"?)",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\non = []",
        "5:6: a hook without an occasion never runs (write on = [\"restart\", \"stop\", \"shutdown\"], or some of them)",
    ),
    (
        "[[pre-stop]]\nexec = [\"x\"]\non-failure = \"fail\"",
        "5:14: 'fail' is no value of 'on-failure' (it takes \"abort\" or \"continue\")",
    ),
    (
        "[pre-stop]\nexec = [\"x\"]",
        "3:1: 'pre-stop' takes an array of tables, this is a table (write [[pre-stop]])",
    ),
    (
        "[reload]\ntimeout = \"5s\"",
        "3:1: [reload] does not say how (write signal = \"HUP\" or exec = [\"program\", \"argument\"])",
    ),
    (
        "[reload]\nsignal = \"HUP\"\nexec = [\"x\"]",
        "5:8: one way to reload is enough: 'signal' is there already, 'exec' too",
    ),
    ("[reload]\nsignal = \"HPU\"", "4:10: 'HPU' is no signal (did you mean \"HUP\"?)"),
    (
        "[reload]\nsignal = [\"HUP\"]",
        "4:10: 'signal' takes a signal, this is an array (write signal = \"HUP\")",
    ),
    (
        "[reload]\nsignal = \"KILL\"",
        "4:10: SIGKILL never reaches a process that could read its configuration",
    ),
    ("[reload]\nexec = []", "4:8: 'exec' is empty"),
    (
        "[reload]\nsignal = \"HUP\"\ntimeout = \"2s\"\nsettle = \"2s\"",
        "6:10: 'settle' is not shorter than 'timeout', of which it is a part",
    ),
    (
        "[[render]]\nfrom = \"/a\"",
        "3:1: 'to' is missing (write from = \"/etc/shop.conf.in\" and to = \"/run/shop/shop.conf\")",
    ),
    ("[[render]]\nfrom = \"/a\"\nto = \"b\"", "5:6: 'b' is not an absolute path"),
    ("[[render]]\nfrom = \"/a\"\nto = \"/a\"", "5:6: it would be made from itself"),
    (
        "[[render]]\nfrom = \"/a\"\nto = \"/b\"\nmode = \"0999\"",
        "6:8: '0999' is not a mode in octal, \"0000\" to \"0777\"",
    ),
    (
        "[[render]]\nfrom = \"/a\"\nto = \"/b\"\n[[render]]\nfrom = \"/c\"\nto = \"/b\"",
        "8:6: '/b' is made already, by another [[render]]",
    ),
    (
        "[restart]\noverlap = \"yes\"",
        "4:11: 'overlap' takes a boolean, this is a string (write overlap = true or false, without quotes)",
    ),
];

#[test]
fn what_cannot_be_is_said_with_its_place() {
    for (text, words) in IMPOSSIBLE {
        assert_eq!(errors(&format!("{SERVICE}{text}\n")), [*words], "{text}");
    }
}

#[test]
fn an_expression_that_is_none_is_found_before_anything_runs() {
    for text in [
        "[configtest]\nexec = [\"t\"]\nok-output = \"(\"",
        "[configtest]\nexec = [\"t\"]\nfail-output = \"[\"",
        "[[pre-stop]]\nexec = [\"t\"]\nuntil = { matches = \"*\" }",
        "[reload]\nsignal = \"HUP\"\nfail-output = \"(\"",
    ] {
        let errors = errors(&format!("{SERVICE}{text}\n"));
        assert!(errors.len() == 1 && errors[0].starts_with("5:"), "{errors:?}");
        assert!(errors[0].contains(" is no regular expression: "), "{errors:?}");
    }
}

#[test]
fn a_task_is_neither_reloaded_nor_prepared_for_a_stop() {
    let text = "[task]\nexec = [\"x\"]\n[reload]\nsignal = \"HUP\"\n[[pre-stop]]\nexec = [\"y\"]\n[restart]\noverlap = true\n";
    assert_eq!(
        errors(text),
        [
            "3:1: a task reads its configuration when it runs: [reload] says nothing here",
            "5:1: a task serves nobody who has to be prepared: only a service has [[pre-stop]]",
            "8:11: a task does not run twice at once: only a service has 'overlap'",
        ]
    );
}

#[test]
fn a_target_has_nothing_to_test_to_reload_or_to_render() {
    for (table, key) in [
        ("[configtest]\nexec = [\"x\"]", "configtest"),
        ("[reload]\nsignal = \"HUP\"", "reload"),
        ("[[pre-stop]]\nexec = [\"x\"]", "pre-stop"),
        ("[[render]]\nfrom = \"/a\"\nto = \"/b\"", "render"),
    ] {
        let words = format!("1:1: '{key}' needs a [service] or a [task]: without one nothing runs");
        assert_eq!(errors(table), [words]);
    }
}

#[test]
fn instances_share_what_does_not_differ_between_them() {
    let units = good(&[(
        "t@.toml",
        "[instances]\ncount = 20\n[service]\nexec = [\"x\", \"%i\"]\n[configtest]\nexec = [\"t\"]\n\
         [reload]\nsignal = \"HUP\"\n",
    )]);
    let program = |n: usize| units[n].program().unwrap();
    let test = |n: usize| program(n).configtest.as_ref().unwrap();
    assert!(Rc::ptr_eq(test(2), test(17)));
    assert!(Rc::ptr_eq(program(2).reload.as_ref().unwrap(), program(17).reload.as_ref().unwrap()));
}

#[test]
fn bounds_are_read_in_their_units_and_an_empty_table_is_a_cgroup_without_any() {
    let resources = |keys: &str| program(&format!("[resources]\n{keys}")).resources.unwrap().as_ref().clone();
    let all = "memory-max = \"512MiB\"\nmemory-high = 1024\ncpu-max = \"150%\"\npids-max = 7\nio-weight = 50\nrequired = false";
    let read = Resources {
        memory_max: Some(512 << 20),
        memory_high: Some(1024),
        cpu_max: Some(150),
        pids_max: Some(7),
        io_weight: Some(50),
        need: Need::Wished,
    };
    assert_eq!(resources(all), read);
    assert_eq!(resources(""), Resources::default());
    assert_eq!(program("").resources, None);
    for wrong in ["150", "0%", "x%", "1.5%", "100001%"] {
        let errors = errors(&format!("{SERVICE}[resources]\ncpu-max = \"{wrong}\"\n"));
        assert!(errors[0].contains(&format!("'{wrong}' is no share of the processors")), "{errors:?}");
    }
}
