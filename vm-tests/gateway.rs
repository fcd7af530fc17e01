//! The host of a machine asks the sexton in it.

use crate::kernel::Kernel;
use crate::machine::Plan;

fn gateway(words: &str) -> String {
    let words = words.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    format!("[service]\nexec = [\"/bin/sexton\", {words}]\n[ready]\nnotify = true\n")
}

#[test]
fn the_host_asks_over_a_port_of_virtio_and_changes_nothing() {
    let port = "org.example.sexton";
    let plan = Plan::new(Kernel::Cloud)
        .port(port)
        .unit("gateway", &gateway(&format!("gateway --virtio-port {port}")));
    let mut vm = plan.shell("web", "exec sleep 1000", "").up();
    vm.await_state("gateway", "ready");
    let list = vm.sexton_of_host(&["list", "web"]).ok();
    assert!(list.contains("\nweb   ready"), "{list}");
    let refused = vm.sexton_of_host(&["stop", "web"]).expect(3);
    assert!(refused.contains("permission"), "{refused}");
    // Each of them is another connection to the same port.
    for _ in 0..5 {
        assert_eq!(vm.sexton_of_host(&["list", "web"]).ok().lines().count(), 2);
    }
    assert_eq!(vm.unit("web").state, "ready");
}

#[test]
fn over_vsock_only_the_machine_that_was_named_is_served() {
    let plan = Plan::new(Kernel::Cloud)
        .modules(&["vsock_loopback"])
        .unit("open", &gateway("--vsock --peer 1 --allow-changes"))
        .unit("closed", &gateway("--vsock=1025"));
    let mut vm = plan.shell("web", "exec sleep 1000", "").up();
    vm.await_state("open", "ready");
    vm.await_state("closed", "ready");
    let list = vm.run("sexton --color never --socket vsock:1:1024 list web").ok();
    assert!(list.contains("\nweb   ready"), "{list}");
    vm.run("sexton --socket vsock:1:1024 stop web").ok();
    assert_eq!(vm.unit("web").state, "stopped");
    // That this machine is not the host is told by the kernel.
    let refused = vm.run("sexton --socket vsock:1:1025 list").expect(1);
    assert!(refused.contains("only the machine with the CID 2 is served here, and this is 1"), "{refused}");
    let nobody = vm.run("sexton --socket vsock:1:1026 list").expect(4);
    assert!(nobody.contains("nobody listens on 'vsock:1:1026'"), "{nobody}");
    let wrong = vm.run("sexton --socket vsock:host list").expect(4);
    assert!(wrong.contains("an address is vsock:CID:PORT"), "{wrong}");
}

#[test]
fn without_vsock_in_the_kernel_it_is_said_what_is_missing() {
    let mut vm = Plan::new(Kernel::Uml).up();
    let said = vm.run("sexton --vsock").expect(1);
    assert!(said.contains("'vmw_vsock_virtio_transport' in modules-load.d loads it"), "{said}");
    let said = vm.run("sexton gateway --virtio-port org.example.sexton").expect(1);
    assert!(said.contains("there is no port 'org.example.sexton' of virtio"), "{said}");
    vm.run("sexton gateway").expect(2);
}
