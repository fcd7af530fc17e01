//! OpenSSH: its banner tells which configuration is in force.

use crate::case::{Case, Data, Reload};

pub const OPENSSH: Case = Case {
    file: "openssh-server",
    unit: "openssh-server",
    needs: &[("sshd", "openssh-server"), ("ssh-keyscan", "openssh-client")],
    // Host keys are made at the first start, once.
    setup: &["rm -f /etc/ssh/ssh_host_*"],
    config: Some(("/etc/ssh/sshd_config.d/word.conf", "VersionAddendum @WORD@\n")),
    ask: "ssh-keyscan -T 10 -t ed25519 127.0.0.1",
    reload: Reload::TakesWord,
    // It exits with 255.
    broken: &[("NoSuchOption yes\n", "Bad configuration option: NoSuchOption")],
    unbounded: "whoever logs in as root gets what the daemon has",
    data: Some(Data {
        write: "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key > /tmp/sexton-library/key",
        read: "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key | cmp - /tmp/sexton-library/key && echo the same",
        holds: "the same",
    }),
    init: "ssh",
    init_setup: &["ssh-keygen -A"],
    ..Case::NONE
};
