//! Words that are not UTF-8 reach the command byte for byte; and who is not clearly asked for one thing is asked back.

use crate::harness::{Machine, Plan};

/// `a`, a byte that no UTF-8 has, `b`; as a shell writes it.
const STRANGE: &str = "$(printf 'a\\377b')";

/// A PID 1 that becomes what this line of shell says, with `units/` laid where units are looked for.
fn shell(plan: Plan, line: &str) -> Machine {
    let line = format!("exec {line}");
    plan.setup("mkdir -p -m 777 @DIR@/out").with_etc().command(&["sh", "-c", &line]).boot()
}

/// A machine with a unit in /etc/sexton/units.
fn with_unit() -> Plan {
    Plan::new().file("etc/sexton/units/store.toml", "[service]\nexec = [\"/bin/sleep\", \"1000\"]\n")
}

/// Ends with 6 when both its argument and its variable have arrived as they were.
const CHECK: &str =
    "strange=$(printf 'a\\377b'); test \"$1\" = \"$strange\" && test \"$X\" = \"$strange\" && exit 6";

#[test]
fn words_variables_and_names_of_programs_need_not_be_utf_8() {
    for name in ["sexton", "tini", "dumb-init"] {
        // The program is a shell by that name.
        let line = format!("env X={STRANGE} @DIR@/out/{name} -- @DIR@/out/{STRANGE} @DIR@/check {STRANGE}");
        let plan = Plan::new()
            .file("check", CHECK)
            .setup("mkdir -p -m 777 @DIR@/out")
            .setup(&format!("ln -s @SEXTON@ @DIR@/out/{name}; ln -s /bin/sh @DIR@/out/{STRANGE}"));
        let mut machine = shell(plan, &line);
        assert_eq!(machine.end(), 6, "{name}: {}", machine.console());
    }
}

#[test]
fn a_program_that_is_not_there_is_named_as_far_as_its_name_can_be_shown() {
    let mut machine = shell(Plan::new(), &format!("@SEXTON@ -- ./{STRANGE}"));
    assert_eq!(machine.end(), 127);
    machine.await_console("cannot execute './a\u{fffd}b': no such file or directory");
}

#[test]
fn a_command_beside_units_has_to_be_utf_8_and_is_refused_by_name_otherwise() {
    for before in ["", "--", "init --"] {
        let mut machine = shell(with_unit(), &format!("@SEXTON@ {before} echo {STRANGE}"));
        assert_eq!(machine.end(), 2, "{before}");
        machine.await_console("sexton: cannot run 'a\u{fffd}b': it is not UTF-8");
    }
}

#[test]
fn without_units_the_first_word_of_pid_1_is_a_command_with_or_without_dashes_before_it() {
    for before in ["", "--"] {
        let mut machine = shell(Plan::new(), &format!("@SEXTON@ {before} sh -c 'exit 6'"));
        assert_eq!(machine.end(), 6, "{before}: {}", machine.console());
        assert_eq!(machine.console(), "", "and nothing is said");
    }
}

#[test]
fn an_option_before_the_command_leaves_the_units_out_and_says_so() {
    let mut machine = shell(with_unit(), "@SEXTON@ --grace 1s -- sh -c 'exit 6'");
    assert_eq!(machine.end(), 6);
    let said = machine.console();
    assert!(said.contains("the units of /etc/sexton/units are not started: an option before '--'"), "{said}");
}

#[test]
fn who_is_not_pid_1_does_not_guess_whether_the_units_are_meant() {
    let mut machine = shell(with_unit(), "sh -c '@SEXTON@ -- true; exit $?'");
    assert_eq!(machine.end(), 2);
    let said = machine.console();
    assert!(said.contains("this is not PID 1; 'sexton init -- COMMAND'"), "{said}");
    let mut machine = shell(with_unit(), "sh -c '@SEXTON@ --grace 0 -- sh -c \"exit 6\"; exit $?'");
    assert_eq!(machine.end(), 6, "with an option it is told");
}
