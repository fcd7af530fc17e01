//! OpenSSH: its banner tells which configuration is in force.

use super::{Broken, Daemon, Reload};

const OPENSSH: Daemon = Daemon {
    file: "openssh-server",
    unit: "openssh-server",
    needs: &[("sshd", "openssh-server"), ("ssh-keyscan", "openssh-client")],
    config: ("/etc/ssh/sshd_config.d/word.conf", "VersionAddendum @WORD@\n"),
    files: &[],
    setup: &[],
    ask: |machine| machine.run(&["ssh-keyscan", "-T", "10", "-t", "ed25519", "127.0.0.1"]),
    // It exits with 255.
    reload: Reload::Has,
    broken: &[Broken {
        text: "NoSuchOption yes\n",
        says: "Bad configuration option: NoSuchOption",
        ended: "code 255",
    }],
};

#[test]
fn sshd_takes_what_is_good() {
    OPENSSH.takes_what_is_good();
}

#[test]
fn sshd_refuses_what_is_broken_and_serves_on() {
    OPENSSH.refuses_what_is_broken();
}
