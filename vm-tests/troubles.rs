//! Machines that something is wrong with, and machines that are large.

use crate::kernel::Kernel;
use crate::machine::Plan;
use crate::vm::End;

#[test]
fn a_broken_unit_keeps_no_other_from_starting_and_is_shown_with_its_place() {
    let mut vm = Plan::new(Kernel::Uml)
        .unit("broken", "[service]\nexec = [\"/bin/sh\"]\nrestrat = 1\n")
        .shell("behind", "exec sleep 1000", "needs = [\"broken\"]---")
        .shell("web", "exec sleep 1000", "")
        .up();
    vm.await_state("web", "ready");
    vm.await_state("broken", "failed");
    vm.await_state("behind", "failed");
    let why = vm.run("sexton why broken").out;
    assert!(why.contains("broken.toml") && why.contains("restrat"), "{why}");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn without_a_console_the_services_run_and_the_machine_ends() {
    for kernel in [Kernel::Uml, Kernel::Cloud] {
        let plan = Plan::new(kernel).without_console().with(|tree| tree.remove("dev/console"));
        let mut vm = plan.shell("web", "echo a line for nobody; exec sleep 1000", "").up();
        vm.await_state("web", "ready");
        vm.send("sexton poweroff");
        vm.await_end();
    }
}

#[test]
fn five_hundred_services_come_up_and_go_down() {
    let mut plan = Plan::new(Kernel::Cloud);
    for number in 0..500 {
        let needs = if number < 10 { String::new() } else { format!("needs = [\"s{}\"]\n", number % 10) };
        plan = plan
            .unit(&format!("s{number}"), &format!("{needs}[service]\nexec = [\"/bin/testd\", \"wait\"]\n"));
    }
    let mut vm = plan.up();
    vm.until("[ \"$(sexton list | grep -c '^s[0-9].*ready')\" = 500 ]");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}
