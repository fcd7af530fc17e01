//! Boots that fail, and boots that somebody wants to look into: the shell on the console, another boot, the end.

use crate::kernel::Kernel;
use crate::machine::{Plan, Root};
use crate::vm::{End, Vm};

/// Without `sulogin` sexton gives the shell itself.
fn plain() -> Plan {
    Plan::new(Kernel::Uml).with(|tree| {
        tree.remove("sbin/sulogin");
        tree.remove("usr/sbin/sulogin");
    })
}

/// A task that the machine cannot do without, and that fails.
const FATAL: &str = "essential = true\n[task]\nexec = [\"/bin/false\"]\n[restart]\non = \"never\"\n";

#[test]
fn a_word_on_the_kernels_command_line_gives_a_shell_on_the_console() {
    let mut vm = plain().words("sexton.rescue").shell("web", "exec sleep 1000", "").boot();
    vm.await_console("#");
    vm.type_line("echo the answer is $((6 * 7)); sexton list");
    vm.await_console("the answer is 42");
    vm.type_line("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn a_boot_that_fails_says_what_failed_and_gives_a_shell() {
    let mut vm = plain().unit("fatal", FATAL).boot();
    vm.await_console("fatal");
    vm.await_console("#");
    vm.type_line("echo still $((40 + 2))");
    vm.await_console("still 42");
}

#[test]
fn a_boot_that_fails_ends_the_machine_where_that_is_the_answer() {
    let settings = "[boot]\non-failure = \"poweroff\"\n";
    let mut vm = Plan::new(Kernel::Uml).unit("fatal", FATAL).settings(settings).boot();
    assert_eq!(vm.end(), End::PowerOff);
    assert!(vm.console().contains("fatal"), "it says what failed");
    let settings = "[boot]\non-failure = \"reboot\"\ntries = 2\n";
    let mut vm = plain().root(Root::Ext4).unit("fatal", FATAL).settings(settings).boot();
    assert_eq!(vm.end(), End::Reboot);
    // The tries are used up, and it is for a person to go on.
    let mut vm = vm.again().boot();
    vm.await_console("#");
    vm.type_line("echo still $((40 + 2))");
    vm.await_console("still 42");
}

#[test]
fn the_kernels_command_line_says_what_starts() {
    let sleeper = "[service]\nexec = [\"/bin/sleep\", \"1000\"]\n";
    let plan =
        Plan::new(Kernel::Uml).words("sexton.start=one,agent").unit("one", sleeper).unit("two", sleeper);
    let mut vm = plan.up();
    vm.await_state("one", "ready");
    assert_eq!(vm.unit("two").state, "stopped");
}

#[test]
fn the_rescue_shell_is_behind_roots_password_where_there_is_one() {
    // Of "correct-horse".
    let hash =
        "$6$saltsalt$K7UFl//Wp07xMvFGF5CNr3JVL52HTe9O9C8NXwEvinkuKFSKIlvZQXSwQoNHq5D.BYsXc7IkvOpvWCBRDof1g1";
    let shadow = format!("root:{hash}:19000:0:99999:7:::\n");
    let mut vm = plain().words("sexton.rescue").file("etc/shadow", &shadow).boot();
    let asked = |vm: &Vm| vm.console().matches("Password of root:").count();
    vm.await_console("Password of root:");
    vm.type_line("wrong-horse");
    vm.await_that("it asks again", |vm| (asked(vm) == 2).then_some(()));
    assert!(!vm.console().contains('#'), "{}", vm.console());
    vm.type_line("correct-horse");
    vm.await_console("#");
    vm.type_line("echo the answer is $((6 * 7))");
    vm.await_console("the answer is 42");
    assert!(!vm.console().contains("-horse"), "what is typed is not shown");
    // A sulogin of the system's asks in its own words.
    let plan = Plan::new(Kernel::Uml).words("sexton.rescue").file("etc/shadow", &shadow);
    let mut vm = plan.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").boot();
    vm.await_console("root password");
}
