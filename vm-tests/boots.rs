//! Clean boots, to services.

use crate::kernel::Kernel;
use crate::machine::{Plan, Root};
use crate::vm::End;

fn boots_to_a_service(plan: Plan) {
    let mut vm = plan.shell("web", "echo web is here; exec sleep 1000", "").up();
    vm.await_state("web", "ready");
    vm.await_console("web is here");
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
}

#[test]
fn user_mode_linux_boots_to_services_from_memory() {
    boots_to_a_service(Plan::new(Kernel::Uml));
}

#[test]
fn user_mode_linux_boots_to_services_from_ext4() {
    boots_to_a_service(Plan::new(Kernel::Uml).root(Root::Ext4));
}

#[test]
fn a_cloud_kernel_boots_to_services_from_memory() {
    boots_to_a_service(Plan::new(Kernel::Cloud));
}

#[test]
fn a_cloud_kernel_boots_to_services_from_ext4() {
    boots_to_a_service(Plan::new(Kernel::Cloud).root(Root::Ext4));
}

#[test]
fn a_cloud_kernel_boots_to_services_from_squashfs_with_memory_over_it() {
    boots_to_a_service(Plan::new(Kernel::Cloud).root(Root::Squashfs));
}

#[test]
fn a_cloud_kernel_for_arm_boots_to_services() {
    boots_to_a_service(Plan::new(Kernel::CloudArm).modules(&["virtio_pci", "virtio_console"]));
}

/// Both as Debian ships them, with the libraries that their loader finds; they are asked over the network of the machine.
#[test]
fn real_nginx_and_redis_are_served_after_a_boot_from_ext4() {
    let nginx = "daemon off; user root; error_log stderr; pid /run/nginx.pid;\nevents {}\n\
        http { access_log off; server { listen 127.0.0.1:80; root /srv; } }\n";
    let plan = Plan::new(Kernel::Cloud)
        .root(Root::Ext4)
        .with(|tree| {
            tree.program("nginx", "nginx-light");
            tree.program("redis-server", "redis-server");
            tree.program("redis-cli", "redis-tools");
            for directory in ["var/lib/nginx", "var/log/nginx", "var/lib/redis"] {
                tree.directory(directory, 0o755);
            }
        })
        .file("etc/nginx/nginx.conf", nginx)
        .file("srv/index.html", "a page of the real nginx\n")
        .unit(
            "nginx",
            "needs = [\"loopback-for-them\", \"redis\"]\n[service]\nexec = [\"nginx\"]\n[configtest]\nexec = [\"nginx\", \"-t\", \"-q\"]\n\
             [ready]\ntcp = \"127.0.0.1:80\"\n[stop]\nsteps = [{ signal = \"QUIT\", wait = \"30s\" }]\n",
        )
        .unit(
            "redis",
            "needs = [\"loopback-for-them\"]\n[service]\nexec = [\"redis-server\", \"--dir\", \"/var/lib/redis\", \"--supervised\", \"systemd\"]\n\
             [ready]\nnotify = true\n",
        )
        .unit("loopback-for-them", "[task]\nexec = [\"ifconfig\", \"lo\", \"127.0.0.1\", \"up\"]\n");
    let mut vm = plan.up();
    vm.await_state("nginx", "ready");
    assert_eq!(vm.run("wget -q -O - http://127.0.0.1/").ok().trim(), "a page of the real nginx");
    assert_eq!(vm.run("redis-cli set life 42").ok().trim(), "OK");
    // What redis saves at its TERM is on the disk, and there at the next boot.
    vm.send("sexton poweroff");
    assert_eq!(vm.end(), End::PowerOff);
    let mut vm = vm.again().up();
    vm.await_state("redis", "ready");
    assert_eq!(vm.run("redis-cli get life").ok().trim(), "\"42\"");
}

#[test]
fn what_is_typed_on_the_console_reaches_the_service_that_has_it() {
    let plan = Plan::new(Kernel::Uml).with(|tree| tree.device("dev/tty0", 0o600, 4, 0));
    let script =
        "echo what now? >/dev/tty0; read -r word; echo \"you said $word\" >/dev/tty0; exec sleep 1000";
    // Under this name it takes the place of the login there, which would read the word itself.
    let mut vm = plan.shell("console", script, "[process]\nstdin = \"tty:/dev/tty0\"\n").boot();
    vm.await_console("what now?");
    vm.type_line("speak");
    vm.await_console("you said speak");
}
